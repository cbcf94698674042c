//! The status page, for people.

use hyper::{HeaderMap, StatusCode};

use super::{
    Site,
    respond::{Answer, encoded},
};

/// `/`: every source as it is known, without asking any.
pub(super) async fn status(site: &Site, headers: &HeaderMap) -> Answer {
    let page = format!(
        "<!doctype html><title>conferencing_exporter</title><p>{} sources: <a href=\".{}\">metrics</a>\n",
        site.engine.sources().len(),
        site.telemetry_path
    );
    encoded(headers, StatusCode::OK, "text/html; charset=utf-8", page).await
}
