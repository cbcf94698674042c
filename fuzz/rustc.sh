#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# As RUSTC_WRAPPER: instruments the library for libFuzzer and nothing else, with options a stable
# compiler has. All of it is safe Rust, so that coverage is all that is needed; overflows panic.
case " $* " in
*" --crate-name conferencing_exporter "*)
    set -- "$@" -Cpasses=sancov-module -Ccodegen-units=1 \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$@"
