// SPDX-License-Identifier: Apache-2.0
//! The same work as people would write it with aiohttp and prometheus_client: `aiohttp_client.py`
//! as a process.

use std::{
    env,
    ffi::OsString,
    path::Path,
    process::{Command, Stdio},
};

use super::client::Client;
use crate::Outcome;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/aiohttp_client.py");

/// What it is made of, with versions, or why there is nothing to compare with.
pub(crate) fn versions() -> Result<String, String> {
    let python = python();
    let shown = python.to_string_lossy();
    let told = Command::new(&python)
        .args([PROGRAM, "--version"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{shown}: {error}"))?;
    if told.status.success() {
        return Ok(String::from_utf8_lossy(&told.stdout).trim().to_owned());
    }
    let complaint = String::from_utf8_lossy(&told.stderr);
    Err(format!("{shown}: {}", complaint.lines().last().unwrap_or("failed")))
}

/// Starts it with the requests of `plan`; it renders `series` of each source.
pub(crate) fn start(plan: &Path, series: usize) -> Outcome<Client> {
    Client::start(Command::new(python()).arg(PROGRAM).arg(plan).arg(series.to_string()))
}

fn python() -> OsString {
    env::var_os("LOAD_PYTHON").unwrap_or_else(|| "python3".into())
}
