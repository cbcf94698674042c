// SPDX-License-Identifier: Apache-2.0
//! The web server: endpoints, TLS and passwords, limits of connections, start and stop.

mod harness;
#[path = "../common/refusing.rs"]
mod refusing;
#[path = "../common/wait.rs"]
mod wait;

mod connections;
mod debug;
mod environment;
mod lifecycle;
mod logs;
mod routes;
mod tls;
mod unix;
