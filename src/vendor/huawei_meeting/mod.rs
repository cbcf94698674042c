//! HuaweiMeeting.

use super::Dialogue;
use crate::{
    api::{Api, Endpoint, Failure},
    config,
    model::{MeasureSet, Observation},
    session::{HashKey, LoginState},
};

pub(super) const ENDPOINTS: &[Endpoint] = &[];

/// One HuaweiMeeting.
pub struct HuaweiMeeting;

impl Dialogue for HuaweiMeeting {
    type Settings = config::HuaweiMeeting;

    fn new(_: &config::Source, _: &Self::Settings) -> Self {
        Self
    }

    async fn succeeding(_: &config::Source, _: &Self::Settings, _: &Self, _: bool) -> Self {
        Self
    }

    fn configured(&self) -> MeasureSet {
        MeasureSet::default()
    }

    async fn collect(&self, _: &Api) -> Result<Observation, Failure> {
        Ok(Observation::new())
    }

    async fn logout(&self, _: &Api) {}

    fn login_state(&self) -> LoginState {
        LoginState::default()
    }

    async fn hash_key(&self) -> HashKey {
        HashKey::default()
    }

    fn shares_session(&self, _: &Self) -> bool {
        true
    }
}
