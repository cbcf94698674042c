// SPDX-License-Identifier: Apache-2.0
//! The systems under load: all five vendors in turn.

use std::fmt::Write as _;

use simulator::{Simulator, Vendor, credentials};

/// The vendor and the instance of source number `index`.
pub(crate) fn instance(index: usize) -> (Vendor, String) {
    (Vendor::ALL[index % Vendor::ALL.len()], format!("s{index}"))
}

/// A configuration of `size` sources, none of which ever serves an old snapshot.
pub(crate) fn yaml(simulator: &Simulator, size: usize) -> String {
    let mut yaml = "defaults: { min_interval: 0s, timeout: 60s }\nsources:\n".to_owned();
    for index in 0..size {
        let (vendor, name) = instance(index);
        let url = simulator.instance_url(vendor, &name);
        source(&mut yaml, vendor, &name, &url, index);
    }
    yaml
}

/// Adds source number `index` to a configuration.
pub(crate) fn source(yaml: &mut String, vendor: Vendor, name: &str, url: &str, index: usize) {
    // Writing to a String cannot fail.
    let _ = write!(
        yaml,
        "  - name: {name}\n    vendor: {}\n    base_url: {url}\n    labels: {{ site: site-{} }}\n",
        vendor.as_str(),
        index % 100
    );
    for (key, value) in credentials(vendor).ways[0] {
        let _ = writeln!(yaml, "    {key}: {value}");
    }
}
