// SPDX-License-Identifier: Apache-2.0
//! The systems under load, in turn.

use std::{fmt::Write as _, path::Path};

use simulator::{Simulator, Vendor, credentials};

/// One source and the simulated system behind it.
pub(crate) struct Source {
    pub(crate) vendor: Vendor,
    /// Of the source, and of the simulated instance.
    pub(crate) name: String,
    pub(crate) url: String,
}

/// The systems that speak HTTP. Only with them can the exporter be compared with another client of
/// HTTP: its requests can be recorded and sent again. The others (Asterisk, FreeSWITCH) speak a text
/// protocol over a connection that is new for each collection.
pub(crate) fn speaking_http() -> Vec<Vendor> {
    Vendor::ALL.into_iter().filter(|vendor| vendor.speaks_http()).collect()
}

/// The names of `vendors`, for people.
pub(crate) fn names(vendors: &[Vendor]) -> String {
    vendors.iter().map(|vendor| vendor.as_str()).collect::<Vec<_>>().join(", ")
}

/// `size` sources, the systems `vendors` in turn.
pub(crate) fn in_turn(simulator: &Simulator, vendors: &[Vendor], size: usize) -> Vec<Source> {
    (0..size)
        .map(|index| {
            let (vendor, name) = (vendors[index % vendors.len()], format!("s{index}"));
            let url = simulator.instance_url(vendor, &name);
            Source { vendor, name, url }
        })
        .collect()
}

/// The same where `simulator` listens on every address, and each source has a host of its own.
pub(crate) fn with_own_hosts(
    simulator: &Simulator,
    vendors: &[Vendor],
    size: usize,
) -> Vec<Source> {
    let mut sources = in_turn(simulator, vendors, size);
    for (index, source) in sources.iter_mut().enumerate() {
        source.url = source.url.replacen("127.0.0.1", &own_host(index), 1);
    }
    sources
}

/// The loopback address of source number `index`.
pub(crate) fn own_host(index: usize) -> String {
    format!("127.0.{}.{}", 1 + index / 250, 1 + index % 250)
}

/// A configuration of `sources`, none of which ever serves an old snapshot; those that are reached
/// by TLS show certificates of the authority in `ca_file`.
pub(crate) fn yaml(sources: &[Source], ca_file: Option<&Path>) -> String {
    let mut yaml = "defaults:\n  min_interval: 0s\n  timeout: 60s\n".to_owned();
    // Writing to a String cannot fail.
    if let Some(ca_file) = ca_file {
        let _ = writeln!(yaml, "  tls: {{ ca_file: {} }}", ca_file.display());
    }
    yaml.push_str("sources:\n");
    for (index, Source { vendor, name, url }) in sources.iter().enumerate() {
        let _ = write!(
            yaml,
            "  - name: {name}\n    vendor: {}\n    base_url: {url}\n    labels: {{ site: site-{} }}\n",
            vendor.as_str(),
            index % 100
        );
        for (key, value) in credentials(*vendor).ways[0] {
            let _ = writeln!(yaml, "    {key}: {value}");
        }
    }
    yaml
}
