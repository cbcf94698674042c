// SPDX-License-Identifier: Apache-2.0
//! The configuration file: never a panic, and no problem without a place.

#![no_main]

use std::path::Path;

use conferencing_exporter::{config::Config, systems::catalogue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Files that exist are not what is tried here.
    let file = Path::new("/nonexistent/exporter.yaml");
    if let Err(error) = Config::parse_with_env(text, file, catalogue().profiles(), |_| None) {
        assert!(error.to_string().starts_with("/nonexistent/exporter.yaml"), "{error}");
    }
});
