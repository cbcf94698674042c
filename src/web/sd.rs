// SPDX-License-Identifier: Apache-2.0
//! `/sd`: the sources as targets for Prometheus' `http_sd_configs`.

use hyper::{HeaderMap, StatusCode, Uri, header::HOST};
use serde_json::{Map, Value, json};

use super::{
    Site,
    respond::{Answer, encoded, text},
};

/// One target group for each source; the target is this exporter as the client knows it.
pub(super) async fn sd(site: &Site, headers: &HeaderMap, uri: &Uri, over_tls: bool) -> Answer {
    let Some(target) = target(site, headers, uri) else {
        return text(
            StatusCode::BAD_REQUEST,
            "the request names no host: send a Host header, or start the exporter with --web.external-url",
        );
    };
    let (path, is_https) = match &site.external_url {
        Some(url) => (url.path().trim_end_matches('/'), url.scheme() == "https"),
        None => (site.prefix.as_str(), over_tls),
    };
    let groups: Vec<Value> = site
        .engine
        .sources()
        .iter()
        .map(|source| {
            let mut labels = Map::new();
            labels.insert("__metrics_path__".to_owned(), format!("{path}/probe").into());
            if is_https {
                labels.insert("__scheme__".to_owned(), "https".into());
            }
            labels.insert("__param_source".to_owned(), source.name().into());
            labels.insert("source".to_owned(), source.name().into());
            labels.insert("vendor".to_owned(), source.profile().name.into());
            for (name, value) in &source.config.labels {
                labels.insert(format!("__meta_conferencing_label_{name}"), value.as_str().into());
            }
            json!({ "targets": [target], "labels": labels })
        })
        .collect();
    encoded(headers, StatusCode::OK, "application/json", [Value::from(groups).to_string()]).await
}

/// Host and port of this exporter: of the external URL, else as the client named them.
fn target(site: &Site, headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(url) = &site.external_url {
        let host = url.host_str()?;
        let port = url.port_or_known_default()?;
        return Some(format!("{host}:{port}"));
    }
    let named = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(HOST)?.to_str().ok()?,
    };
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    (!named.is_empty() && named.chars().all(is_plain)).then(|| named.to_owned())
}
