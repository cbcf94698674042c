// SPDX-License-Identifier: Apache-2.0
//! What the client accepts: compression, and the format of metrics.

use hyper::{
    HeaderMap,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderName},
};

use crate::metrics::text::Format;

/// Whether the client takes gzip: named, or covered by `*`, and not refused by `q=0`.
pub(super) fn accepts_gzip(request: &HeaderMap) -> bool {
    let mut any = false;
    for coding in elements(request, &ACCEPT_ENCODING) {
        let (name, parameters) = named(coding);
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return quality(parameters) > 0.0;
        }
        any |= name == "*" && quality(parameters) > 0.0;
    }
    any
}

/// The format of metrics: OpenMetrics only for a client that names it and does not prefer the text format, which is what
/// everybody else gets.
pub(super) fn format(request: &HeaderMap) -> Format {
    let mut open_metrics = None;
    // The most specific range that the text format is in says how much it is wanted.
    let mut text = [None; 3];
    for (place, range) in elements(request, &ACCEPT).enumerate() {
        let (name, parameters) = named(range);
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        let is_version = |version: &str| {
            parameter(parameters, "version").is_none_or(|asked| asked.trim_matches('"') == version)
        };
        let wish = (quality(parameters), place);
        if is("application/openmetrics-text") && is_version("1.0.0") {
            open_metrics = open_metrics.or(Some(wish));
        } else if is("text/plain") && is_version("0.0.4") {
            text[0] = text[0].or(Some(wish));
        } else if is("text/*") {
            text[1] = text[1].or(Some(wish));
        } else if is("*/*") {
            text[2] = text[2].or(Some(wish));
        }
    }
    let Some((wanted, place)) = open_metrics.filter(|(quality, _)| *quality > 0.0) else {
        return Format::Text;
    };
    let is_preferred = match text {
        [Some((other, before)), ..] => wanted > other || (wanted == other && place < before),
        // Where both would do, the one that was named.
        [None, Some((other, _)), _] | [None, None, Some((other, _))] => wanted >= other,
        [None, None, None] => true,
    };
    if is_preferred { Format::OpenMetrics } else { Format::Text }
}

/// The elements of a header that is a list, in their order.
fn elements<'a>(request: &'a HeaderMap, header: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = request.get_all(header).into_iter();
    values.flat_map(|value| value.to_str().unwrap_or_default().split(','))
}

fn named(element: &str) -> (&str, &str) {
    let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
    (name.trim(), parameters)
}

fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

/// The weight of an element, 1 without one. What is no number is 0: nobody wants what they cannot say.
fn quality(parameters: &str) -> f32 {
    parameter(parameters, "q").map_or(1.0, |value| value.parse().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn accepts(values: &[&'static str]) -> bool {
        accepts_gzip(&headers(&ACCEPT_ENCODING, values))
    }

    #[test]
    fn gzip_only_for_those_who_take_it() {
        for wanted in ["gzip", "deflate, GZIP;q=0.5", "br;q=1.0, gzip; q=0.001", "*", "x-gzip"] {
            assert!(accepts(&[wanted]), "{wanted}");
        }
        for refused in ["", "br", "gzip;q=0", "gzip; Q=0.000, *", "*;q=0", "gzip;q=much", "xgzip"] {
            assert!(!accepts(&[refused]), "{refused}");
        }
        assert!(accepts(&["br", "gzip"]));
        assert!(!accepts(&[]));
    }

    #[test]
    fn open_metrics_only_for_those_who_ask_for_it() {
        let of = |values: &[&'static str]| format(&headers(&ACCEPT, values));
        for wanted in [
            "application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text",
            "APPLICATION/OpenMetrics-Text;Version=\"1.0.0\"; charset=utf-8",
            "application/openmetrics-text;version=1.0.0, text/plain;version=0.0.4",
            "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0",
            "*/*, application/openmetrics-text",
            "text/*;q=0.2, */*;q=0.9, application/openmetrics-text;q=0.3",
            "text/plain;q=0, application/openmetrics-text;q=0.1",
            "application/openmetrics-text;version=0.0.1, application/openmetrics-text;q=0.5",
            // Prometheus 2.42 and 3.
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        ] {
            assert_eq!(of(&[wanted]), Format::OpenMetrics, "{wanted}");
        }
        for other in [
            "",
            "*/*",
            "application/*",
            "text/html, application/xhtml+xml, */*;q=0.8",
            "text/plain",
            "text/plain, application/openmetrics-text",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=much",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.5, text/plain;q=0.6",
            "application/openmetrics-text;q=0.5, */*",
            "application/openmetrics-text2",
            "application/json",
        ] {
            assert_eq!(of(&[other]), Format::Text, "{other}");
        }
        assert_eq!(of(&["text/plain;q=0.1", "application/openmetrics-text"]), Format::OpenMetrics);
        assert_eq!(of(&[]), Format::Text);
    }
}
