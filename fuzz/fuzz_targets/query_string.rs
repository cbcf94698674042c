// SPDX-License-Identifier: Apache-2.0
//! The query string of a scrape.

#![no_main]

use conferencing_exporter::fuzzing::query;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(values) = query(text) {
        assert!(values.len() <= text.split('&').count());
        assert!(values.iter().map(String::len).sum::<usize>() <= text.len());
    }
});
