// SPDX-License-Identifier: Apache-2.0
//! The web configuration file.

#![no_main]

use conferencing_exporter::fuzzing::web_config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(problems) = web_config(text) {
        assert!(!problems.is_empty());
    }
});
