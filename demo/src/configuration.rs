// SPDX-License-Identifier: Apache-2.0
//! The configuration of the demo: the shipped `exporter.yaml`, or the part of it that was asked for.

use std::{env, fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf};

use serde_json::Value;
use simulator::{Registry, Simulator, Vendor};

const EXAMPLE: &str = include_str!("../../exporter.yaml");

/// Writes the configuration of `vendors` beside the demo's binary, and answers where. It is a copy that can be changed
/// and reloaded; and only its owner can read it, so the exporter has no reason to warn of the secrets in it.
pub(crate) fn write(simulator: &Simulator, vendors: &[Vendor]) -> io::Result<PathBuf> {
    let text = if vendors == Registry::default().vendors() {
        EXAMPLE.to_owned()
    } else {
        part(vendors, |vendor| simulator.base_url(vendor))?
    };
    let path = env::current_exe()?.with_file_name("exporter.yaml");
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?
        .write_all(text.as_bytes())?;
    Ok(path)
}

/// The example's sources of `vendors` alone, as JSON, which is YAML too; each at `base_url`: with fewer systems the ports
/// are others.
fn part(vendors: &[Vendor], base_url: impl Fn(Vendor) -> String) -> io::Result<String> {
    let mut example: Value = serde_yaml::from_str(EXAMPLE).map_err(io::Error::other)?;
    if let Some(sources) = example.get_mut("sources").and_then(Value::as_array_mut) {
        sources.retain_mut(|source| {
            let vendor = vendors.iter().find(|vendor| source["vendor"] == vendor.as_str());
            if let Some(vendor) = vendor {
                source["base_url"] = base_url(*vendor).into();
            }
            vendor.is_some()
        });
    }
    Ok(format!("{example:#}\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

    use super::*;

    fn vendors(text: &str) -> Vec<String> {
        let value: Value = serde_yaml::from_str(text).unwrap();
        let sources = value["sources"].as_array().unwrap();
        sources.iter().map(|source| source["vendor"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_example_has_every_simulated_system_in_the_order_of_their_ports() {
        let all: Vec<_> = Registry::default().vendors().into_iter().map(Vendor::as_str).collect();
        assert_eq!(vendors(EXAMPLE), all);
    }

    #[test]
    fn a_part_has_only_the_systems_asked_for_where_they_are() {
        let asked = [Vendor::Dingtalk, Vendor::YeastarS];
        let text = part(&asked, |vendor| format!("http://{vendor:?}")).unwrap();
        assert_eq!(vendors(&text), ["yeastar_s", "dingtalk"]);
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(value["sources"][0]["base_url"], "http://yeastar_s");
        assert_eq!(value["sources"][1]["base_url"], "http://dingtalk");
        assert_eq!(value["defaults"]["timeout"], "10s");
    }
}
