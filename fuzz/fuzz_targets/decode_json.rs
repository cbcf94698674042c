//! Any answer: the quick decoder makes of it what `serde_json` makes of it.

#![no_main]

use conferencing_exporter::fuzzing::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| {
    let [ours, serde_jsons] = json(answer);
    assert_eq!(ours, serde_jsons);
});
