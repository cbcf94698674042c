// SPDX-License-Identifier: Apache-2.0
//! The program as an operator runs it: under load, while it stops and reloads, and `check --live`.

#[path = "../common/mod.rs"]
mod common;

mod canary;
mod check_live;
mod command_line;
mod lifecycle;
mod logins;
mod page;
