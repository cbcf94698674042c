// SPDX-License-Identifier: Apache-2.0
//! The status page beside systems that only a whole process meets.

use simulator::{Options, Simulator, Vendor};

use crate::common::{binary::Exporter, config, source, tls::Authority};

#[tokio::test]
async fn the_page_shows_when_a_certificate_expires() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let address =
        simulator.base_url(Vendor::YeastarS).trim_start_matches("http://").parse().unwrap();
    let authority = Authority::new();
    let (expired, ca_file) = authority.self_signed("localhost", true);
    for (issued, ca_file, shown) in [
        (
            authority.issue("localhost"),
            authority.ca_file(),
            "class=\"dim\">certificate expires <time ",
        ),
        (expired, ca_file, "class=\"bad\">certificate expired <time "),
    ] {
        let front = authority.front(&issued, address, false).await;
        let url = format!("https://localhost:{}", front.port());
        let tls = format!("tls: {{ ca_file: {} }}", ca_file.display());
        let exporter = Exporter::start(&config(&[source(Vendor::YeastarS, &url, &[&tls])]), &[]);
        let before = exporter.get("/").await.body;
        assert!(!before.contains("certificate exp"), "{before}");
        exporter.scrape().await;
        let page = exporter.get("/").await.body;
        assert!(page.contains(shown), "no {shown}: {page}");
    }
}
