//! `schema`: the JSON Schema of the configuration file.

use crate::{cli::Exit, serve::fail};

/// Prints it.
pub fn print() -> Exit {
    fail("schema is not available yet", Exit::Failed)
}
