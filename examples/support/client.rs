// SPDX-License-Identifier: Apache-2.0
//! A client beside the exporter, as a process of its own.

use std::{
    io::{self, BufRead, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use super::process::{Usage, usage};
use crate::Outcome;

/// A process that sends a plan once for each line on its standard input, and then says how long
/// that took, in microseconds; killed when dropped.
pub(crate) struct Client {
    child: Child,
    go: ChildStdin,
    took: io::BufReader<ChildStdout>,
}

impl Client {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let go = child.stdin.take().ok_or("no pipe")?;
        let took = io::BufReader::new(child.stdout.take().ok_or("no pipe")?);
        Ok(Self { child, go, took })
    }

    /// Lets it send everything once; how long that took.
    pub(crate) fn pass(&mut self) -> Outcome<Duration> {
        self.go.write_all(b"\n")?;
        let mut line = String::new();
        // The simulator's threads go on while this one waits.
        tokio::task::block_in_place(|| self.took.read_line(&mut line))?;
        match line.trim().split_once(' ') {
            Some(("took", microseconds)) => Ok(Duration::from_micros(microseconds.parse()?)),
            _ => Err(format!("a client failed: {line}").into()),
        }
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Outcome<Usage> {
        usage(self.child.id())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
