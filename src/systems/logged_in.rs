// SPDX-License-Identifier: Apache-2.0
//! A system at run time: its implementation, and the session and reload that are the same for all.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};

use super::System;
use crate::{
    config,
    model::{MeasureSet, Observation},
    net::{Api, Failure},
    session::{Access, Session},
};

/// One configured system: how it is asked, its session and what was learnt about it.
pub trait Running: Send + Sync {
    /// What the system reports as configured.
    fn configured(&self) -> MeasureSet;

    /// Asks the system.
    ///
    /// # Errors
    /// The first required request that failed: a collection is all or nothing.
    fn collect<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Result<Observation, Failure>>;

    /// Its session. Two systems share one if it is the same `Arc`.
    fn session(&self) -> Arc<dyn Access>;

    /// The system of `source` after a reload: it keeps the session where the login is the same
    /// (`same_way`: nothing about the connection changed either), and the hold-off otherwise.
    /// `None`: `source` is of another kind.
    fn succeeded_by(&self, source: &config::Source, same_way: bool) -> Option<Arc<dyn Running>>;
}

/// Makes the system of a source; `None`: the source is of another kind.
pub(super) type Start = fn(&config::Source) -> Option<Arc<dyn Running>>;

/// [`Start`] of the systems of the kind `S`.
pub(super) fn start<S: System>(source: &config::Source) -> Option<Arc<dyn Running>> {
    let settings = settings::<S>(source)?;
    let session = Arc::new(Session::new(S::login(settings), identity(source)));
    Some(Arc::new(LoggedIn { system: S::new(source, settings), session }))
}

fn settings<S: System>(source: &config::Source) -> Option<&S::Settings> {
    // Two kinds may share a type of settings.
    if source.profile == S::PROFILE { source.settings.of() } else { None }
}

/// Where `source` logs in, and as whom.
fn identity(source: &config::Source) -> String {
    format!("{} {} {}", source.profile, source.base_url, source.settings.account())
}

struct LoggedIn<S: System> {
    system: S,
    session: Arc<Session<S::Login>>,
}

impl<S: System> Running for LoggedIn<S> {
    fn configured(&self) -> MeasureSet {
        self.system.configured()
    }

    fn collect<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Result<Observation, Failure>> {
        async move { self.system.collect(&self.session.authorized(api)).await }.boxed()
    }

    fn session(&self) -> Arc<dyn Access> {
        Arc::clone(&self.session) as Arc<dyn Access>
    }

    fn succeeded_by(&self, source: &config::Source, same_way: bool) -> Option<Arc<dyn Running>> {
        let settings = settings::<S>(source)?;
        let session = self.session.succeeded_by(S::login(settings), identity(source), same_way);
        let same_session = Arc::ptr_eq(&session, &self.session);
        let mut system = S::new(source, settings);
        if same_session {
            system.inherit(&self.system);
        }
        Some(Arc::new(Self { system, session }))
    }
}
