//! The web server: endpoints, TLS and passwords, limits of connections, start and stop.

mod harness;
#[path = "../common/refusing.rs"]
mod refusing;
#[path = "../common/wait.rs"]
mod wait;

mod connections;
mod debug;
mod lifecycle;
mod routes;
mod tls;
