//! One conferencing system's dialect each: which calls, and what their answers mean.
//!
//! All of them only read. A new vendor is one module here, one in the simulator and one variant
//! in [`crate::model::Vendor`] and [`config::System`]: the compiler leads to each place.

mod dingtalk;
mod huawei_meeting;
mod live;
mod md5_pbx;
mod openvox_uc;
mod yeastar_p;
mod yeastar_s;

use std::sync::Arc;

use crate::{
    api::{Api, Endpoint, Failure},
    config,
    model::{MeasureSet, Observation, Vendor},
    session::Access,
};

/// What every vendor's module offers.
pub(crate) trait Dialogue: Sized {
    /// Its part of the configuration.
    type Settings: PartialEq;

    /// A system that was never asked anything.
    fn new(source: &config::Source, settings: &Self::Settings) -> Self;

    /// The successor of `old` after a reload: it keeps the session where the login is the same
    /// (`same_way`: nothing about the connection changed either), and the hold-off otherwise.
    fn succeeding(
        source: &config::Source,
        settings: &Self::Settings,
        old: &Self,
        same_way: bool,
    ) -> Self;

    /// What the system reports as configured.
    fn configured(&self) -> MeasureSet;

    /// Asks the system.
    async fn collect(&self, api: &Api) -> Result<Observation, Failure>;

    /// Its session.
    fn session(&self) -> Arc<dyn Access>;
}

/// The calls of `vendor`: the values of the `call` label.
pub const fn endpoints(vendor: Vendor) -> &'static [Endpoint] {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => md5_pbx::ENDPOINTS,
        Vendor::YeastarP => yeastar_p::ENDPOINTS,
        Vendor::HuaweiMeeting => huawei_meeting::ENDPOINTS,
        Vendor::Dingtalk => dingtalk::ENDPOINTS,
    }
}

/// The `User-Agent` that `vendor` is sent: the P-Series demands this one.
pub const fn user_agent(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::YeastarP => "OpenAPI",
        Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::HuaweiMeeting | Vendor::Dingtalk => {
            concat!("conferencing_exporter/", env!("CARGO_PKG_VERSION"))
        }
    }
}

macro_rules! systems {
    ($($variant:ident($dialogue:ty),)*) => {
        /// One configured system: its dialect, its session and what was learnt about it.
        pub enum System {
            $(
                #[doc = concat!("[`Vendor::", stringify!($variant), "`]")]
                $variant(Box<$dialogue>),
            )*
        }

        impl System {
            /// A system that was never asked anything.
            pub fn new(source: &config::Source) -> Self {
                match &source.system {
                    $(config::System::$variant(settings) => {
                        Self::$variant(Box::new(Dialogue::new(source, settings)))
                    })*
                }
            }

            /// The system of `source` after a reload that found `old` under its name, configured as
            /// `before`.
            pub fn succeeding(source: &config::Source, old: &Self, before: &config::Source) -> Self {
                let same_way = source.is_reached_like(before);
                match (&source.system, old) {
                    $((config::System::$variant(settings), Self::$variant(old)) => Self::$variant(
                        Box::new(Dialogue::succeeding(source, settings, old.as_ref(), same_way)),
                    ),)*
                    _ => Self::new(source),
                }
            }

            /// What the system reports as configured.
            pub fn configured(&self) -> MeasureSet {
                match self { $(Self::$variant(system) => system.configured(),)* }
            }

            /// Asks the system.
            ///
            /// # Errors
            /// The first required request that failed: a collection is all or nothing.
            pub async fn collect(&self, api: &Api) -> Result<Observation, Failure> {
                match self { $(Self::$variant(system) => system.collect(api).await,)* }
            }

            /// Its session.
            pub fn session(&self) -> Arc<dyn Access> {
                match self { $(Self::$variant(system) => system.session(),)* }
            }
        }
    };
}

systems! {
    OpenvoxUc(openvox_uc::OpenvoxUc),
    YeastarS(yeastar_s::YeastarS),
    YeastarP(yeastar_p::YeastarP),
    HuaweiMeeting(huawei_meeting::HuaweiMeeting),
    Dingtalk(dingtalk::Dingtalk),
}
