// SPDX-License-Identifier: Apache-2.0
//! TLS before the simulated systems, on one loopback address a source.

use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};
use simulator::Vendor;

use super::sources;
use crate::Outcome;
use front::Authority;

#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
#[allow(clippy::unwrap_used, reason = "a failure here is the end of the measurement")]
#[path = "../../tests/common/tls.rs"]
mod front;

/// A server that passes on what it decrypts.
pub(crate) struct Front {
    front: front::Front,
    authority: Authority,
}

impl Front {
    /// Before `url`, for `hosts` sources; `resumes`: sessions may be resumed.
    pub(crate) async fn start(url: String, hosts: usize, resumes: bool) -> Outcome<Self> {
        let authority = Authority::new();
        let mut server = authority.server(&authority.issue_for((0..hosts).map(host)), false);
        if resumes {
            server.session_storage = ServerSessionMemoryCache::new(hosts * 16);
        } else {
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        let to = url.strip_prefix("http://").ok_or("not an http URL")?.parse()?;
        Ok(Self { front: front::Front::start(server, to).await, authority })
    }

    /// A configuration of `hosts` sources, each with a host and a system of its own.
    pub(crate) fn yaml(&self, hosts: usize) -> String {
        let mut yaml = format!(
            "defaults: {{ min_interval: 0s, timeout: 60s, tls: {{ ca_file: {} }} }}\nsources:\n",
            self.authority.ca_file().display()
        );
        for index in 0..hosts {
            let url = format!("https://{}:{}/i/tls{index}", host(index), self.front.address.port());
            sources::source(&mut yaml, Vendor::YeastarS, &format!("tls{index}"), &url, index);
        }
        yaml
    }

    /// Handshakes so far: in full, and sessions resumed.
    pub(crate) fn full_and_resumed(&self) -> (usize, usize) {
        self.front.handshakes.full_and_resumed()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.front.accepting.abort();
    }
}

fn host(index: usize) -> String {
    format!("127.0.{}.{}", 1 + index / 250, 1 + index % 250)
}
