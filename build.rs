// SPDX-License-Identifier: Apache-2.0
//! Gives the binary its build information: the commit, where there is one, and the compiler.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=BUILD_REVISION");
    // Git is asked where they are: a linked work tree has a file `.git`, and they are elsewhere.
    for path in ["HEAD", "refs/heads"] {
        if let Some(path) = first_line("git", &["rev-parse", "--git-path", path])
            // Naming a path that is not there would run this again on every build.
            && Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let revision = env::var("BUILD_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty())
        .or_else(|| first_line("git", &["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(|| "unknown".to_owned());
    let compiler = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = first_line(&compiler, &["--version"])
        .and_then(|line| line.split_whitespace().nth(1).map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BUILD_REVISION={revision}");
    println!("cargo::rustc-env=BUILD_RUSTVERSION={version}");
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|o| o.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned).filter(|line| !line.is_empty())
}
