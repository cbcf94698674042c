// SPDX-License-Identifier: Apache-2.0
//! An address that refuses every connection.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port of this machine that is taken and on which nobody listens.
///
/// A port that was merely free a moment ago would be given to the next server that a test beside
/// this one starts, and that server would answer.
pub struct Refusing {
    pub address: SocketAddr,
    _taken: TcpSocket,
}

impl Refusing {
    pub fn new() -> Self {
        let taken = TcpSocket::new_v4().unwrap();
        taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { address: taken.local_addr().unwrap(), _taken: taken }
    }

    /// As a base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
