// SPDX-License-Identifier: Apache-2.0
//! Recordings: that nothing private is in them, that their replay gives the numbers of the scrape they were made in, and
//! that a file which is not whole says so. The files beside this one are recordings that are replayed.

#[path = "../common/mod.rs"]
mod common;

mod bench;
mod broken;
mod private;
mod replay;
mod stored;
