// SPDX-License-Identifier: Apache-2.0
//! Logins and their tokens: renewed in time, and kept over a reload where nothing speaks against it.

#[path = "../common/mod.rs"]
mod common;

mod each_call;
mod lockouts;
mod reload;
mod renewals;
mod tokens;
