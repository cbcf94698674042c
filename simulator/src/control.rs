// SPDX-License-Identifier: Apache-2.0
//! The control port: what the systems hold and were asked, faults by name; for the demo and for scripts.

use crate::body::{FaultyBody, Payload};
use crate::fault::{Fault, Injected, JSON};
use crate::instance::unix;
use crate::registry::{Description, Vendor};
use crate::server::http::decode;
use crate::server::{Shared, lock};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;

const HELP: &str = "\
simulator control

GET  /truth?vendor=V&instance=I      what a perfect exporter reports of the system (JSON)
GET  /requests?vendor=V&instance=I&whole=W
                                     what the system was asked (JSON); with whole=yes also queries, headers and bodies,
                                     secrets included
POST /fault?vendor=V&instance=I&call=C&fault=F&times=N
                                     let calls fail; without call all, without times until cleared
POST /clear                          no faults, no lock-outs, no recorded requests
POST /expire?vendor=V&instance=I     tokens issued so far are expired
POST /restart?vendor=V&instance=I    tokens issued so far are unknown, as after a restart of the system

no instance is the one without a path prefix
";

/// The names of [`named`].
const FAULTS: [&str; 15] = [
    "hang",
    "drip",
    "status-500",
    "auth",
    "unauthorized",
    "token-refused",
    "throttle",
    "lockout",
    "html",
    "close",
    "reset",
    "truncate",
    "empty",
    "endless",
    "late",
];

/// How much later the fault `late` decides a call.
const LATE: Duration = Duration::from_secs(3);

fn help(shared: &Shared) -> String {
    let vendors: Vec<_> =
        shared.options.registry.vendors().into_iter().map(Vendor::as_str).collect();
    format!("{HELP}vendors: {}\nfaults:  {}\n", vendors.join(" "), FAULTS.join(" "))
}

pub(crate) async fn answer(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> io::Result<Response<FaultyBody>> {
    let query = decode(request.uri().query().unwrap_or_default());
    let of =
        |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let vendor = of("vendor").and_then(|name| shared.options.registry.find(name));
    let instance = of("instance").unwrap_or_default();
    let done = || text(StatusCode::OK, false, "done\n".to_owned());
    let bad = |what: &str| text(StatusCode::BAD_REQUEST, false, format!("{what}\n"));
    Ok(match (request.method(), request.uri().path(), vendor) {
        (&Method::GET, "/", _) => text(StatusCode::OK, false, help(&shared)),
        (&Method::POST, "/clear", _) => {
            for instance in shared.every_instance() {
                let mut instance = lock(&instance);
                instance.clear_faults();
                instance.clear_requests();
                instance.sessions.unlock();
            }
            done()
        }
        (_, "/truth" | "/requests" | "/fault" | "/expire" | "/restart", None) => {
            let vendors = shared.options.registry.vendors();
            let names: Vec<_> = vendors.into_iter().map(Vendor::as_str).collect();
            bad(&format!("vendor= must be one of {}", names.join(", ")))
        }
        (&Method::GET, "/truth", Some(vendor)) => {
            let instance = shared.instance(vendor, instance);
            let mut instance = lock(&instance);
            instance.advance();
            text(StatusCode::OK, true, json!(instance.truth()).to_string())
        }
        (&Method::GET, "/requests", Some(vendor)) => {
            let whole = of("whole") == Some("yes");
            let requests: Value = lock(&shared.instance(vendor, instance))
                .requests()
                .iter()
                .map(|r| {
                    let mut request = json!({
                        "at": unix(r.at), "call": r.call, "method": r.method,
                        "path": r.path, "forbidden": r.forbidden, "status": r.status,
                    });
                    if whole {
                        request["query"] = json!(r.query);
                        request["headers"] = json!(r.headers);
                        request["body"] = json!(r.body);
                    }
                    request
                })
                .collect();
            text(StatusCode::OK, true, requests.to_string())
        }
        (&Method::POST, "/expire", Some(vendor)) => {
            lock(&shared.instance(vendor, instance)).expire_tokens();
            done()
        }
        (&Method::POST, "/restart", Some(vendor)) => {
            lock(&shared.instance(vendor, instance)).restart();
            done()
        }
        (&Method::POST, "/fault", Some(vendor)) => {
            let Ok(times) = of("times").filter(|text| !text.is_empty()).map(str::parse).transpose()
            else {
                return Ok(bad("times= must be a number"));
            };
            let name = of("call").filter(|name| !name.is_empty());
            if name.is_some_and(|name| !shared.description(vendor).calls.contains(&name)) {
                return Ok(bad(&format!(
                    "call= must be one of {}",
                    shared.description(vendor).calls.join(", ")
                )));
            }
            let possible = |name: &str| {
                named(shared.description(vendor), name).filter(|faults| {
                    shared.speaks_http(vendor)
                        || !faults.iter().any(|(_, fault)| fault.needs_http())
                })
            };
            let Some(faults) = possible(of("fault").unwrap_or_default()) else {
                let names: Vec<_> =
                    FAULTS.into_iter().filter(|name| possible(name).is_some()).collect();
                return Ok(bad(&format!(
                    "fault= must be one that {vendor:?} can have: {}",
                    names.join(", ")
                )));
            };
            let instance = shared.instance(vendor, instance);
            let mut instance = lock(&instance);
            for (own, fault) in faults {
                if name.is_none() || own.is_none() || own == name {
                    let name = own.or(name).map(str::to_owned);
                    instance.inject(Injected { name, fault, times });
                }
            }
            done()
        }
        _ => text(StatusCode::NOT_FOUND, false, help(&shared)),
    })
}

/// A text or JSON answer.
fn text(status: StatusCode, json: bool, body: String) -> Response<FaultyBody> {
    let mut response = Response::new(FaultyBody::new(Payload::Whole(body.into()), &Arc::default()));
    *response.status_mut() = status;
    let kind = if json { JSON } else { "text/plain; charset=utf-8" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

type Named = Vec<(Option<&'static str>, Fault)>;

/// The faults a name stands for, with the call each belongs to.
fn named(description: &Description, name: &str) -> Option<Named> {
    let codes = description.codes;
    let every = |fault: Fault| Some(vec![(None, fault)]);
    match name {
        "hang" => every(Fault::Hang),
        "drip" => every(Fault::Drip),
        "status-500" => every(Fault::Status(500)),
        "unauthorized" => every(Fault::Unauthorized),
        "token-refused" => every(Fault::TokenRefused),
        "html" => every(Fault::Html),
        "close" => every(Fault::CloseBeforeAnswer),
        "reset" => every(Fault::ResetInsideBody),
        "truncate" => every(Fault::Truncate),
        "empty" => every(Fault::Empty),
        "endless" => every(Fault::Endless),
        "late" => every(Fault::JudgeLater(LATE)),
        "auth" => Some(refused(description, codes.login_refused)),
        "lockout" => Some(refused(description, codes.locked_out?)),
        "throttle" => every(match codes.throttled {
            Some(code) => Fault::VendorError(code.to_owned()),
            // What a proxy in front of the system would say.
            None => Fault::RetryAfter { status: 429, value: "30".to_owned() },
        }),
        _ => None,
    }
}

/// Every token is refused, and so is every login, in that way.
fn refused(description: &Description, login: &'static str) -> Named {
    let fault = |call: &&'static str| {
        let is_login = description.logins.contains(call);
        let code = if is_login { login } else { description.codes.token_refused };
        (Some(*call), Fault::VendorError(code.to_owned()))
    };
    description.calls.iter().map(fault).collect()
}
