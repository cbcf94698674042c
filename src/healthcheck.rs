//! `healthcheck`: is the exporter on this machine healthy. For containers without a shell.

use crate::{
    cli::{Exit, Options},
    serve::fail,
};

/// Asks `/-/healthy` of the own listen address.
pub fn ask(_options: &Options) -> Exit {
    fail("healthcheck is not available yet", Exit::Failed)
}
