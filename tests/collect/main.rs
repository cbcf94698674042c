// SPDX-License-Identifier: Apache-2.0
//! A collection: its deadline, its connections, and what holds whatever a system sends.

#[path = "../common/mod.rs"]
mod common;

mod absent;
mod apart;
mod back_off;
mod certificates;
mod deadlines;
mod nothing;
mod properties;
mod texts;
mod transport;
mod vocabulary;
