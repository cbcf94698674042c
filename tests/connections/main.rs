// SPDX-License-Identifier: Apache-2.0
//! Connections as the field has them: kept, closed, reset and silent at the wrong moment, badly
//! written, badly certified, and with proxies on the way.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "../common/mod.rs"]
mod common;

mod certificates;
mod http1;
mod http2;
mod lines;
mod proxies;
mod raw;
mod reuse;
mod through;
