// SPDX-License-Identifier: Apache-2.0
//! Which sources have ended and which still run: two lines on a terminal, nothing anywhere else.

use std::io::{self, IsTerminal, Write};

use rustix::termios::tcgetwinsize;

/// Columns of a terminal that does not say how many it has.
const USUAL_WIDTH: usize = 80;

/// Goes to the beginning of the first of the two lines, and erases both.
const ERASE: &str = "\r\x1b[1A\x1b[J";

/// What is shown while sources are asked. It goes to standard error: standard output is for the table.
pub(super) struct Progress {
    done: Vec<String>,
    running: Vec<String>,
    is_terminal: bool,
    is_shown: bool,
}

impl Progress {
    /// All of `names` run.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let mut progress = Self {
            done: Vec::new(),
            running: names.map(str::to_owned).collect(),
            is_terminal,
            is_shown: false,
        };
        progress.show();
        progress
    }

    /// The source of that name has ended.
    pub(super) fn ended(&mut self, name: &str) {
        self.running.retain(|running| running != name);
        self.done.push(name.to_owned());
        self.show();
    }

    fn show(&mut self) {
        if !self.is_terminal {
            return;
        }
        let mut err = io::stderr().lock();
        let width = tcgetwinsize(&err).map_or(0, |size| usize::from(size.ws_col));
        let width = if width == 0 { USUAL_WIDTH } else { width };
        let erase = if self.is_shown { ERASE } else { "" };
        let [done, running] = lines(&self.done, &self.running, width);
        // Where standard error is closed there is nobody to tell.
        let _ = write!(err, "{erase}{done}\n{running}");
        self.is_shown = true;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "{ERASE}");
        }
    }
}

/// The two lines, neither of which reaches the last column: a terminal would begin another one.
fn lines(done: &[String], running: &[String], width: usize) -> [String; 2] {
    let total = done.len() + running.len();
    let cut = |text: String| {
        if text.chars().count() < width {
            return text;
        }
        let shown: String = text.chars().take(width.saturating_sub(4)).collect();
        format!("{shown}...")
    };
    // The latest first: a long list is cut at its end.
    let latest: Vec<_> = done.iter().rev().map(String::as_str).collect();
    [
        cut(format!("{} of {total} done: {}", done.len(), latest.join(", "))),
        cut(format!("still running: {}", running.join(", "))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_who_is_done_and_who_runs_and_fit_the_terminal() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let (done, running) = (names(&["hq", "branch"]), names(&["cloud"]));
        assert_eq!(lines(&done, &running, 80), ["2 of 3 done: branch, hq", "still running: cloud"]);
        let many: Vec<_> = (0..100).map(|number| format!("source-{number}")).collect();
        for line in lines(&many, &many, 40) {
            assert!(line.chars().count() < 40 && line.ends_with("..."), "{line}");
        }
    }
}
