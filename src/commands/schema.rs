// SPDX-License-Identifier: Apache-2.0
//! `schema`: the JSON Schema of the configuration file.

use super::print;
use crate::{cli::Exit, config, systems};

/// Prints it.
pub fn print_schema() -> Exit {
    // A value of strings, numbers and lists is always JSON.
    print(format!("{:#}\n", config::schema(systems::catalogue().profiles())).as_bytes())
}
