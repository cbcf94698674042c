// SPDX-License-Identifier: Apache-2.0
//! The configuration file: what it may say, what it means, and what is said about mistakes.

mod broken;
mod doubtful;
mod hostile;
mod schema;
mod valid;
