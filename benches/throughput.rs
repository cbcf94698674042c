// SPDX-License-Identifier: Apache-2.0
//! By the clock: `cargo bench --features fuzzing --bench throughput`.

mod support;

use divan::{
    Bencher,
    counter::{BytesCount, ItemsCount},
};
use support::{Decoding, Rendering};

fn main() {
    divan::main();
}

/// The answers under test.
const ANSWERS: [&str; 4] =
    ["dingtalk_50x500", "huawei_500", "yeastar_s_2000", "bigbluebutton_500x10"];

fn decoding(name: &str) -> Decoding {
    match name {
        "dingtalk_50x500" => Decoding::dingtalk(),
        "huawei_500" => Decoding::huawei(),
        "bigbluebutton_500x10" => Decoding::bigbluebutton(),
        _ => Decoding::yeastar_s(),
    }
}

#[divan::bench(args = ANSWERS)]
fn decode(bencher: Bencher<'_, '_>, name: &str) {
    let decoding = decoding(name);
    bencher.counter(BytesCount::new(decoding.bytes())).bench_local(|| decoding.decode());
}

#[divan::bench(args = ANSWERS)]
fn skip(bencher: Bencher<'_, '_>, name: &str) {
    let decoding = decoding(name);
    bencher.counter(BytesCount::new(decoding.bytes())).bench_local(|| decoding.skip());
}

#[divan::bench]
fn render_10000_conference_series(bencher: Bencher<'_, '_>) {
    let rendering = Rendering::new(10, 500);
    bencher.counter(ItemsCount::new(10_000_usize)).bench_local(|| rendering.render());
}

#[divan::bench]
fn render_1000_sources(bencher: Bencher<'_, '_>) {
    let rendering = Rendering::new(1_000, 0);
    let series = rendering.render().concat().lines().filter(|line| !line.starts_with('#')).count();
    bencher.counter(ItemsCount::new(series)).bench_local(|| rendering.render());
}

#[divan::bench]
fn render_own_1000_sources(bencher: Bencher<'_, '_>) {
    let rendering = Rendering::new(1_000, 0);
    let series =
        rendering.render_own().concat().lines().filter(|line| !line.starts_with('#')).count();
    bencher.counter(ItemsCount::new(series)).bench_local(|| rendering.render_own());
}

#[divan::bench]
fn configuration_1000_sources(bencher: Bencher<'_, '_>) {
    let yaml = support::yaml(1_000);
    bencher.counter(ItemsCount::new(1_000_usize)).bench_local(|| support::configuration(&yaml));
}

#[divan::bench]
fn engine_1000_sources(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| Rendering::new(1_000, 0));
}
