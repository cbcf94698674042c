//! `schema`: the JSON Schema of the configuration file.

use std::io::{self, Write};

use super::fail;
use crate::{cli::Exit, config, systems};

/// Prints it.
pub fn print() -> Exit {
    // A value of strings, numbers and lists is always JSON.
    let text = format!("{:#}", config::schema(systems::catalogue().profiles()));
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => Exit::Done,
        // The reader, `head` for example, closed the pipe: that is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => fail(&format!("cannot print: {error}"), Exit::Failed),
    }
}
