// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets drive. Not part of the binary: only the feature `fuzzing` builds it.

use std::{path::Path, sync::Arc};

use hyper::StatusCode;

use crate::{
    config::Config,
    metrics::own::{Own, SourceMeters},
    model::CallName,
    net::{Api, client},
    systems,
};

pub use crate::web::fuzzing::{query, web_config};

/// The one source of a configuration, and the handle to send requests to it.
pub struct Target {
    config: crate::config::Source,
    client: client::SharedClient,
    own: Arc<Own>,
}

impl Target {
    /// The source that `yaml` configures; `None` without one.
    pub fn new(yaml: &str) -> Option<Self> {
        let config = Config::parse(yaml, Path::new("fuzz.yaml"), systems::catalogue().profiles())
            .ok()?
            .config
            .sources
            .pop()?;
        let client = client::clients(std::slice::from_ref(&config)).pop()?;
        Some(Self { config, client, own: Own::new().ok()? })
    }

    /// The names of the system's calls.
    pub fn calls(&self) -> Vec<&'static str> {
        self.config.profile.calls.iter().map(|call| call.as_str()).collect()
    }

    /// Two collections, as two scrapes would make them, of a source that answers like `answers`.
    /// Says what went wrong with each.
    pub async fn collect(
        &self,
        answers: impl Fn(&str) -> (u16, Vec<u8>) + Send + Sync + 'static,
    ) -> Vec<Result<(), String>> {
        let profile = self.config.profile;
        let Ok(meters) = SourceMeters::new(&self.own, profile.name, profile.calls) else {
            return Vec::new();
        };
        let canned = move |call: CallName| {
            let (status, body) = answers(call.as_str());
            (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body)
        };
        let api = Api::new(&self.config, self.client.clone(), meters).answered_by(Arc::new(canned));
        let Some(system) = systems::catalogue().start(&self.config) else { return Vec::new() };
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let outcome = system.collect(&api).await;
            outcomes.push(outcome.map(drop).map_err(|failure| failure.to_string()));
        }
        system.session().close(&api).await;
        outcomes
    }
}
