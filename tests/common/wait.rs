// SPDX-License-Identifier: Apache-2.0
//! Waiting with an end: whatever is waited for in vain says what was seen instead.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::expect_used, reason = "a failure here is a failed test")]

use std::{
    fmt::Debug,
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Longest any test waits for anything, in time of the real clock. What is waited for takes
/// milliseconds; the rest is for a machine that does much else at the same time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Looks until it is `enough`, and answers what was seen last.
pub fn wait<T: Debug>(what: &str, mut look: impl FnMut() -> T, enough: impl Fn(&T) -> bool) -> T {
    let started = Instant::now();
    loop {
        let seen = look();
        if enough(&seen) {
            return seen;
        }
        look_again(what, started, &seen);
    }
}

/// The same for tasks: the others on their thread go on between two looks. The clock of the
/// runtime may stand still meanwhile, and never jumps because of this.
pub async fn until<T: Debug>(
    what: &str,
    look: impl AsyncFn() -> T,
    enough: impl Fn(&T) -> bool,
) -> T {
    let started = Instant::now();
    loop {
        let seen = look().await;
        if enough(&seen) {
            return seen;
        }
        tokio::task::yield_now().await;
        look_again(what, started, &seen);
    }
}

/// Lets the exporter's clock run ahead without waiting.
pub async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn look_again(what: &str, started: Instant, seen: &dyn Debug) {
    assert!(started.elapsed() < PATIENCE, "waited in vain for {what}; last seen: {seen:#?}");
    thread::sleep(PAUSE);
}

/// Runs `command` to its end. One that does not end is killed, and what it wrote is shown.
pub fn output(command: &mut Command) -> Output {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = piped.spawn().expect("it starts");
    let pid = child.id().to_string();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    if let Ok(output) = end.recv_timeout(PATIENCE) {
        return output.expect("its output");
    }
    Command::new("kill").args(["-KILL", &pid]).status().expect("kill");
    panic!("does not end: {command:?}: {:#?}", end.recv());
}
