//! The web server: endpoints, TLS and passwords, limits of connections, start and stop.

mod harness;

mod connections;
mod lifecycle;
mod routes;
mod tls;
