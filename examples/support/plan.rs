// SPDX-License-Identifier: Apache-2.0
//! The exporter's own requests as a file, for clients that send them again.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use simulator::{Request, Simulator};

use super::sources::Source;
use crate::{LATENCY, Outcome};

/// Requests that the simulator keeps of each system; more than any is asked in one collection.
pub(crate) const MOST_RECORDED: usize = 16;

/// One request as it was recorded.
#[derive(Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// Requests that were sent at once.
pub(crate) type Together = Vec<Planned>;

/// A file of recorded requests: for each source a list of those that were sent at once, one such
/// list after the other.
pub(crate) struct Plan {
    pub(crate) file: PathBuf,
    /// How many there are.
    pub(crate) requests: usize,
    _directory: tempfile::TempDir,
}

impl Plan {
    /// What `simulator` has recorded of `sources`.
    pub(crate) fn write(simulator: &Simulator, sources: &[Source]) -> Outcome<Self> {
        let plan = sources
            .iter()
            .map(|source| recorded(simulator, source))
            .collect::<Outcome<Vec<_>>>()?;
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("plan.json");
        fs::write(&file, serde_json::to_vec(&plan)?)?;
        let requests = plan.iter().flatten().map(Vec::len).sum();
        Ok(Self { file, requests, _directory: directory })
    }

    /// That `who` has sent as many requests as are planned, since the records were cleared.
    pub(crate) fn compare(
        &self,
        who: &str,
        simulator: &Simulator,
        sources: &[Source],
    ) -> Outcome<()> {
        let sent: usize = sources
            .iter()
            .map(|source| simulator.requests(source.vendor, &source.name).len())
            .sum();
        if sent == self.requests {
            return Ok(());
        }
        Err(format!("{who}: {sent} requests, and {} are planned", self.requests).into())
    }
}

fn recorded(simulator: &Simulator, source: &Source) -> Outcome<Vec<Together>> {
    let requests = simulator.requests(source.vendor, &source.name);
    if requests.is_empty() || requests.len() >= MOST_RECORDED {
        return Err(format!("{} requests of {} are recorded", requests.len(), source.name).into());
    }
    let mut steps = Vec::<Together>::new();
    let mut answered = None;
    for request in requests {
        // What arrives before the first of them can have been answered has not waited for it.
        let waited = answered.is_none_or(|answered| request.at >= answered);
        if waited {
            answered = Some(request.at + LATENCY);
            steps.push(Together::new());
        }
        let planned = planned(&source.url, request)?;
        if let Some(together) = steps.last_mut() {
            together.push(planned);
        }
    }
    Ok(steps)
}

fn planned(root: &str, request: Request) -> Outcome<Planned> {
    let mut url = reqwest::Url::parse(&format!("{root}{}", request.path))?;
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    // What the client sets itself.
    let own = ["host", "content-length", "accept", "accept-encoding", "connection"];
    let headers =
        request.headers.into_iter().filter(|(name, _)| !own.contains(&name.as_str())).collect();
    Ok(Planned { method: request.method, url: url.into(), headers, body: request.body })
}
