// SPDX-License-Identifier: Apache-2.0
//! By the instruction and by the allocation: `checks/performance.sh` runs this under valgrind.
//!
//! `counted WORK TIMES` does the preparation once and the work so many times: the difference of
//! two runs is the work alone.

mod support;

use std::{env, hint::black_box, process::ExitCode};

use support::{Decoding, Rendering};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // `cargo bench` and `cargo test` pass arguments of their own: nothing to be done for them.
    let [work, times] = &arguments[..] else { return ExitCode::SUCCESS };
    let Ok(times) = times.parse::<u32>() else { return ExitCode::SUCCESS };
    let (work, skipping) = match work.strip_suffix("-skip") {
        Some(work) => (work, true),
        None => (work.as_str(), false),
    };
    let decoding = match work {
        "decode-dingtalk" => Decoding::dingtalk(),
        "decode-huawei" => Decoding::huawei(),
        "decode-yeastar-s" => Decoding::yeastar_s(),
        "decode-bigbluebutton" => Decoding::bigbluebutton(),
        "render-conferences" => {
            let rendering = Rendering::new(10, 500);
            for _ in 0..times {
                black_box(rendering.render());
            }
            return ExitCode::SUCCESS;
        }
        "render-sources" => {
            let rendering = Rendering::new(100, 0);
            for _ in 0..times {
                black_box(rendering.render());
                black_box(rendering.render_own());
            }
            return ExitCode::SUCCESS;
        }
        _ => return ExitCode::FAILURE,
    };
    for _ in 0..times {
        if skipping {
            decoding.skip();
        } else {
            black_box(decoding.decode());
        }
    }
    ExitCode::SUCCESS
}
