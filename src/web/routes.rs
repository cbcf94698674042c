// SPDX-License-Identifier: Apache-2.0
//! From a request to its handler, and what every answer carries.

use hyper::{
    Method, Request, StatusCode,
    header::{ALLOW, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
    http::request::Parts,
};
use tokio::sync::oneshot;

use super::{
    Site,
    query::{self, DEBUG, Refused, SOURCE},
    respond::{Answer, shortened, text, with, without_body},
    scrape::{self, Asked},
    sd, status_page,
};

/// A handler: the value of the `handler` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handler {
    Metrics,
    Own,
    Probe,
    Sd,
    Status,
    Healthy,
    Ready,
    Reload,
    /// Outside of the prefix, or the prefix without its last `/`.
    Home,
    Unknown,
}

impl Handler {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Own => "self",
            Self::Probe => "probe",
            Self::Sd => "sd",
            Self::Status => "status",
            Self::Healthy => "healthy",
            Self::Ready => "ready",
            Self::Reload => "reload",
            Self::Home | Self::Unknown => "other",
        }
    }

    /// Whether it answers without a password: orchestrators have none.
    const fn is_open(self) -> bool {
        match self {
            Self::Healthy | Self::Ready => true,
            Self::Metrics
            | Self::Own
            | Self::Probe
            | Self::Sd
            | Self::Status
            | Self::Reload
            | Self::Home
            | Self::Unknown => false,
        }
    }

    /// The parameters it takes.
    const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Metrics => &[SOURCE],
            Self::Probe => &[SOURCE, DEBUG],
            Self::Own
            | Self::Sd
            | Self::Status
            | Self::Healthy
            | Self::Ready
            | Self::Reload
            | Self::Home
            | Self::Unknown => &[],
        }
    }

    const fn allows(self) -> &'static str {
        match self {
            Self::Reload => "POST",
            Self::Metrics
            | Self::Own
            | Self::Probe
            | Self::Sd
            | Self::Status
            | Self::Healthy
            | Self::Ready
            | Self::Home
            | Self::Unknown => "GET, HEAD",
        }
    }
}

/// Answers `request`, which came `over_tls` or not.
pub(super) async fn respond<B>(site: &Site, request: Request<B>, over_tls: bool) -> Answer {
    let (request, _) = request.into_parts();
    let handler = handler(site, request.uri.path());
    let in_force = site.security.in_force();
    let is_admitted = match &in_force.users {
        Some(users) if !handler.is_open() => users.admit(&request.headers).await,
        Some(_) | None => true,
    };
    let mut answer =
        if is_admitted { handle(site, handler, &request, over_tls).await } else { unauthorized() };
    for (name, value) in &in_force.headers {
        answer.headers_mut().insert(name.clone(), value.clone());
    }
    site.own.http_request(handler.as_str(), answer.status().as_u16());
    if request.method == Method::HEAD { without_body(answer) } else { answer }
}

async fn handle(site: &Site, handler: Handler, request: &Parts, over_tls: bool) -> Answer {
    if handler == Handler::Unknown {
        return not_found(site);
    }
    let allowed = handler.allows();
    if !allowed.split(", ").any(|method| request.method == method) {
        let message = format!("allowed here: {allowed}");
        return with(text(StatusCode::METHOD_NOT_ALLOWED, message), ALLOW, allowed);
    }
    let known = handler.parameters();
    let parameters = match query::parameters(request.uri.query(), known) {
        Ok(parameters) => parameters,
        Err(refused) => return bad_query(&refused, known),
    };
    let headers = &request.headers;
    let asked = Asked { headers, parameters, is_head: request.method == Method::HEAD };
    match handler {
        Handler::Metrics => scrape::metrics(site, asked).await,
        Handler::Own => scrape::own(site, headers).await,
        Handler::Probe => scrape::probe(site, asked).await,
        Handler::Sd => sd::sd(site, headers, &request.uri, over_tls).await,
        Handler::Status => status_page::status(site, headers).await,
        Handler::Healthy => text(StatusCode::OK, "healthy"),
        Handler::Ready if site.is_ready() => text(StatusCode::OK, "ready"),
        Handler::Ready => text(StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        Handler::Reload => reload(site).await,
        Handler::Home => {
            let home = format!("{}/", site.prefix);
            with(text(StatusCode::FOUND, format!("see {home}")), LOCATION, &home)
        }
        Handler::Unknown => not_found(site),
    }
}

fn bad_query(refused: &Refused, known: &[&str]) -> Answer {
    let message = match refused {
        Refused::NotText => "the query is not UTF-8 text".to_owned(),
        Refused::Unknown(name) => {
            let known = match known {
                [] => "there are none here".to_owned(),
                [one] => format!("the only one is {one}"),
                known => format!("there are {}", known.join(", ")),
            };
            format!("unknown parameter \"{}\": {known}", shortened(name))
        }
        Refused::NotAFlag => format!("{DEBUG} is true or false"),
    };
    text(StatusCode::BAD_REQUEST, message)
}

fn unauthorized() -> Answer {
    let answer = text(StatusCode::UNAUTHORIZED, "a user and a password are required");
    let challenge = "Basic realm=\"conferencing_exporter\", charset=\"UTF-8\"";
    with(answer, WWW_AUTHENTICATE, challenge)
}

fn handler(site: &Site, path: &str) -> Handler {
    let Some(path) = path.strip_prefix(site.prefix.as_str()) else {
        return if path == "/" { Handler::Home } else { Handler::Unknown };
    };
    if path.strip_prefix(site.telemetry_path.as_str()) == Some("/self") {
        return Handler::Own;
    }
    match path {
        path if path == site.telemetry_path => Handler::Metrics,
        "" => Handler::Home,
        "/" => Handler::Status,
        "/probe" => Handler::Probe,
        "/sd" => Handler::Sd,
        "/-/healthy" => Handler::Healthy,
        "/-/ready" => Handler::Ready,
        "/-/reload" => Handler::Reload,
        _ => Handler::Unknown,
    }
}

async fn reload(site: &Site) -> Answer {
    let Some(reload) = &site.reload else {
        return text(
            StatusCode::FORBIDDEN,
            "reloading by HTTP is not enabled: start the exporter with --web.enable-lifecycle, or send it SIGHUP",
        );
    };
    let (reply, outcome) = oneshot::channel();
    if reload.send(reply).await.is_err() {
        return stopping();
    }
    match outcome.await {
        Ok(Ok(())) => text(StatusCode::OK, "configuration loaded"),
        Ok(Err(problems)) => text(StatusCode::INTERNAL_SERVER_ERROR, problems),
        Err(_) => stopping(),
    }
}

fn stopping() -> Answer {
    let answer = text(StatusCode::SERVICE_UNAVAILABLE, "the exporter is stopping");
    with(answer, RETRY_AFTER, "5")
}

fn not_found(site: &Site) -> Answer {
    let Site { prefix, telemetry_path, .. } = site;
    text(
        StatusCode::NOT_FOUND,
        format!(
            "nothing is here; try {prefix}/ or {prefix}{telemetry_path}, {prefix}{telemetry_path}/self, \
             {prefix}/probe?source=NAME, {prefix}/sd, {prefix}/-/healthy, {prefix}/-/ready"
        ),
    )
}
