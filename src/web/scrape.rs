// SPDX-License-Identifier: Apache-2.0
//! The handlers that render metrics.

use std::sync::Arc;

use hyper::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, HeaderValue, VARY},
};
use tokio::time::Instant;

use super::{
    Site, debug, negotiate,
    query::Parameters,
    render::{write_own, write_reports},
    respond::{Answer, PLAIN, encoded, encoded_headers, shortened, text, with},
};
use crate::{
    collect::{Budget, Selected, Selection},
    metrics::text::Writer,
    net::{Observer, Trace},
};

/// Prometheus' own timeout, in seconds.
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

/// A scrape as asked for.
pub(super) struct Asked<'a> {
    /// The headers.
    pub(super) headers: &'a HeaderMap,
    /// The parameters.
    pub(super) parameters: Parameters,
    /// Whether only the headers of the answer matter.
    pub(super) is_head: bool,
}

/// `/metrics`: all sources, or those of the parameter `source`, and the exporter's own metrics.
pub(super) async fn metrics(site: &Site, asked: Asked<'_>) -> Answer {
    let names = &asked.parameters.sources;
    let selection = if names.is_empty() { Selection::All } else { Selection::Named(names) };
    let sources = match site.engine.select(selection) {
        Ok(sources) => sources,
        Err(name) => return unknown(&name),
    };
    scrape(site, asked, sources, true).await
}

/// `/probe`: one source, its gauges only.
pub(super) async fn probe(site: &Site, asked: Asked<'_>) -> Answer {
    let mut names = asked.parameters.sources.clone();
    names.dedup();
    let [name] = names.as_slice() else {
        return text(
            StatusCode::BAD_REQUEST,
            "name exactly one source of the configuration: /probe?source=NAME",
        );
    };
    if name.is_empty() {
        return text(StatusCode::BAD_REQUEST, "the parameter source is empty: /probe?source=NAME");
    }
    match site.engine.select(Selection::Named(&names)) {
        Ok(sources) => scrape(site, asked, sources, false).await,
        Err(name) => unknown(&name),
    }
}

/// `/metrics/self`: the exporter's own metrics; no source is asked.
pub(super) async fn own(site: &Site, headers: &HeaderMap) -> Answer {
    let sources = site.engine.sources();
    let mut writer = Writer::new(negotiate::format(headers));
    write_own(&mut writer, &site.own, &sources);
    written(headers, writer).await
}

async fn scrape(site: &Site, asked: Asked<'_>, selected: Selected, own: bool) -> Answer {
    // Held until the text is complete, and released when the client disconnects before.
    let Ok(_permit) = site.scrapes.try_acquire() else {
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many scrapes in flight: scrape less often, or raise --web.max-requests",
        );
    };
    let format = negotiate::format(asked.headers);
    if asked.is_head {
        return if asked.parameters.debug {
            encoded_headers(asked.headers, PLAIN)
        } else {
            negotiated(encoded_headers(asked.headers, format.content_type()))
        };
    }
    let header = asked.headers.get(TIMEOUT_HEADER).and_then(|value| value.to_str().ok());
    let budget = Budget::from_header(header, site.timeout_offset);
    if asked.parameters.debug {
        return observed(site, &selected, budget).await;
    }
    let reports = site.engine.collect(&selected, budget).await;
    let mut writer = Writer::new(format);
    write_reports(&mut writer, &reports);
    if own {
        write_own(&mut writer, &site.own, selected.sources());
    }
    written(asked.headers, writer).await
}

/// What the collection of the one source of `selected` did.
async fn observed(site: &Site, selected: &Selected, budget: Budget) -> Answer {
    let (started, trace) = (Instant::now(), Arc::new(Trace::default()));
    let observer = Some(Arc::clone(&trace) as Arc<dyn Observer>);
    let reports = site.engine.collect_observed(selected, budget, observer).await;
    let described = reports.iter().map(|report| debug::describe(report, &trace, started));
    let answer = text(StatusCode::OK, described.collect::<String>());
    with(answer, CACHE_CONTROL, "no-store")
}

/// What was written, as an answer.
async fn written(headers: &HeaderMap, writer: Writer) -> Answer {
    let content_type = writer.format().content_type();
    negotiated(encoded(headers, StatusCode::OK, content_type, writer.finish()).await)
}

/// Caches have to know that the format, too, depends on what the client accepts.
fn negotiated(mut answer: Answer) -> Answer {
    answer.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    answer
}

fn unknown(name: &str) -> Answer {
    let name = shortened(name);
    text(
        StatusCode::NOT_FOUND,
        format!("no source is named \"{name}\"; /sd lists the sources of the configuration"),
    )
}
