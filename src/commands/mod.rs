//! The commands of [`crate::cli`]: `serve`, `check`, `schema`, `healthcheck`.

pub mod check;
pub mod healthcheck;
pub mod schema;
pub mod serve;

use std::io::{self, Write};

use crate::cli::Exit;

/// Says why on standard error.
fn fail(problem: &str, exit: Exit) -> Exit {
    // Where standard error is closed, nobody listens.
    let _ = writeln!(io::stderr().lock(), "{problem}");
    exit
}
