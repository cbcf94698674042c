// SPDX-License-Identifier: Apache-2.0
//! The example answers of the PBXs' documentation, byte for byte. (Those of the clouds are tested
//! beside their decoders.)

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use simulator::{Fault, Options, Simulator, Vendor};

use crate::common::{Bench, config, source};

/// The measures of a source whose one room query answers `body`.
async fn rooms(vendor: Vendor, call: &str, body: &[u8]) -> Vec<(String, f64)> {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    simulator.inject(vendor, "", Some(call), Fault::Body(body.to_vec()), None);
    let yaml = config(&[source(vendor, &simulator.base_url(vendor), &["live: false"])]);
    let scraped = Bench::new(&yaml).await.scrape().await;
    assert_eq!(scraped.value("conferencing_up", &[]), Some(1.0));
    let of_rooms = |name: &str| name.starts_with("conferencing_rooms");
    let samples = scraped.samples.iter().filter(|sample| of_rooms(&sample.name));
    samples.map(|sample| (sample.name.clone(), sample.value)).collect()
}

fn values(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(name, value)| (format!("conferencing_{name}"), *value)).collect()
}

#[tokio::test]
async fn openvox_uc_conference_query() {
    let body = include_bytes!("../data/openvox_uc/conference_query.json");
    let found = rooms(Vendor::OpenvoxUc, "conference/query", body).await;
    let expected =
        [("rooms", 3.0), ("rooms_wait_for_moderator", 0.0), ("rooms_pin_protected", 2.0)];
    assert_eq!(found, values(&expected));
}

#[tokio::test]
async fn yeastar_s_conference_query() {
    let body = include_bytes!("../data/yeastar_s/conference_query.json");
    let found = rooms(Vendor::YeastarS, "conference/query", body).await;
    let expected = [
        ("rooms", 1.0),
        ("rooms_mute_on_join", 0.0),
        ("rooms_wait_for_moderator", 0.0),
        ("rooms_allow_invite", 1.0),
        ("rooms_music_on_hold", 1.0),
        ("rooms_moderated", 0.0),
        ("rooms_pin_protected", 1.0),
    ];
    assert_eq!(found, values(&expected));
}

#[tokio::test]
async fn yeastar_p_conference_list() {
    let body = include_bytes!("../data/yeastar_p/conference_list.json");
    let found = rooms(Vendor::YeastarP, "conference/list", body).await;
    assert_eq!(found, values(&[("rooms", 3.0), ("rooms_moderated", 3.0)]));
}
