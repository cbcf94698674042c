//! The commands of [`crate::cli`]: `serve`, `check`, `schema`, `healthcheck`.

pub mod check;
pub mod healthcheck;
pub mod schema;
pub mod serve;

use std::io::{self, Write};

use crate::cli::Exit;

/// Says why on standard error.
fn fail(problem: &str, exit: Exit) -> Exit {
    // If standard error is closed there is nowhere left to report to.
    let _ = writeln!(io::stderr().lock(), "{problem}");
    exit
}
