// SPDX-License-Identifier: Apache-2.0
//! TLS before the simulated systems, on one loopback address a source.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};
use simulator::{Simulator, Vendor};

use super::sources::{Source, in_turn, own_host};
use crate::Outcome;
use front::Authority;

#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
#[allow(clippy::unwrap_used, reason = "a failure here is the end of the measurement")]
#[path = "../../tests/common/tls.rs"]
mod front;

/// Servers that pass on what they decrypt, one for each system. They speak HTTP/1.1, as the systems
/// behind them do.
pub(crate) struct Fronts {
    fronts: HashMap<Vendor, front::Front>,
    authority: Authority,
    hosts: usize,
}

impl Fronts {
    /// Before the systems `vendors`, for `hosts` sources; `resumes`: sessions may be resumed.
    pub(crate) async fn start(
        simulator: &Simulator,
        vendors: &[Vendor],
        hosts: usize,
        resumes: bool,
    ) -> Outcome<Self> {
        let authority = Authority::new();
        let certificate = authority.issue_for((0..hosts).map(own_host));
        let mut fronts = HashMap::new();
        for &vendor in vendors {
            let mut server = authority.server(&certificate, false);
            if resumes {
                server.session_storage = ServerSessionMemoryCache::new(hosts * 16);
            } else {
                server.session_storage = Arc::new(NoServerSessionStorage {});
                server.send_tls13_tickets = 0;
            }
            let url = simulator.base_url(vendor);
            let to = url.strip_prefix("http://").ok_or("not an http URL")?.parse()?;
            fronts.insert(vendor, front::Front::start(server, to).await);
        }
        Ok(Self { fronts, authority, hosts })
    }

    /// As many sources as there are hosts, the systems in turn, each with a host of its own.
    pub(crate) fn sources(&self, simulator: &Simulator, vendors: &[Vendor]) -> Vec<Source> {
        let mut sources = in_turn(simulator, vendors, self.hosts);
        for (index, source) in sources.iter_mut().enumerate() {
            let port = self.fronts[&source.vendor].address.port();
            let front = format!("https://{}:{port}", own_host(index));
            source.url = source.url.replacen(&simulator.base_url(source.vendor), &front, 1);
        }
        sources
    }

    /// The certificate of the authority that vouches for them.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.authority.ca_file()
    }

    /// Handshakes so far: in full, and sessions resumed.
    pub(crate) fn full_and_resumed(&self) -> (usize, usize) {
        self.fronts
            .values()
            .map(|front| front.handshakes.full_and_resumed())
            .fold((0, 0), |(all_full, all_resumed), (full, resumed)| {
                (all_full + full, all_resumed + resumed)
            })
    }
}

impl Drop for Fronts {
    fn drop(&mut self) {
        for front in self.fronts.values() {
            front.accepting.abort();
        }
    }
}
