//! The control port: what the systems hold and were asked, faults by name; for the demo and for scripts.

use crate::body::Out;
use crate::fault::{Fault, Injected};
use crate::model::Vendor;
use crate::server::{Shared, decode, lock, text};
use crate::truth::Truth;
use hyper::body::Incoming;
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;

const HELP: &str = "\
simulator control

GET  /truth?vendor=V&instance=I      what a perfect exporter reports of the system (JSON)
GET  /requests?vendor=V&instance=I   what the system was asked (JSON, no bodies, no headers)
POST /fault?vendor=V&instance=I&endpoint=E&fault=F&times=N
                                     let calls fail; without endpoint all, without times until cleared
POST /clear                          no faults, no lock-outs, no recorded requests
POST /expire?vendor=V&instance=I     tokens issued so far are expired

vendors: openvox_uc yeastar_s yeastar_p huawei_meeting dingtalk; no instance is the one without a path prefix
faults:  hang status-500 auth throttle lockout html close reset truncate empty endless
";

pub(crate) async fn answer(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> io::Result<Response<Out>> {
    let query = decode(request.uri().query().unwrap_or_default());
    let of =
        |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let vendor = of("vendor").and_then(Vendor::from_name);
    let instance = of("instance").unwrap_or_default();
    let done = || text(StatusCode::OK, false, "done\n".to_owned());
    let bad = |what: &str| text(StatusCode::BAD_REQUEST, false, format!("{what}\n"));
    Ok(match (request.method(), request.uri().path(), vendor) {
        (&Method::GET, "/", _) => text(StatusCode::OK, false, HELP.to_owned()),
        (&Method::POST, "/clear", _) => {
            for system in shared.every_system() {
                let mut system = lock(&system);
                system.clear_faults();
                system.clear_requests();
                system.unlock();
            }
            done()
        }
        (_, "/truth" | "/requests" | "/fault" | "/expire", None) => {
            bad("vendor= must name one of the five")
        }
        (&Method::GET, "/truth", Some(vendor)) => {
            let system = shared.system(vendor, instance);
            let mut system = lock(&system);
            system.live_on();
            let truth = json!(Truth::of(vendor, &system.population));
            text(StatusCode::OK, true, truth.to_string())
        }
        (&Method::GET, "/requests", Some(vendor)) => {
            let requests: Value = lock(&shared.system(vendor, instance))
                .requests()
                .iter()
                .map(|r| {
                    json!({
                        "at": crate::system::unix(r.at), "endpoint": r.endpoint, "method": r.method,
                        "path": r.path, "forbidden": r.forbidden, "status": r.status,
                    })
                })
                .collect();
            text(StatusCode::OK, true, requests.to_string())
        }
        (&Method::POST, "/expire", Some(vendor)) => {
            lock(&shared.system(vendor, instance)).expire_tokens();
            done()
        }
        (&Method::POST, "/fault", Some(vendor)) => {
            let Ok(times) = of("times").filter(|text| !text.is_empty()).map(str::parse).transpose()
            else {
                return Ok(bad("times= must be a number"));
            };
            let endpoint = of("endpoint").filter(|name| !name.is_empty());
            if endpoint.is_some_and(|name| !vendor.endpoints().contains(&name)) {
                return Ok(bad(&format!(
                    "endpoint= must be one of {}",
                    vendor.endpoints().join(", ")
                )));
            }
            let Some(faults) = named(vendor, of("fault").unwrap_or_default()) else {
                return Ok(bad("fault= must be one the help names; DingTalk has no lock-out"));
            };
            let system = shared.system(vendor, instance);
            let mut system = lock(&system);
            for (of_endpoint, fault) in faults {
                if endpoint.is_none() || of_endpoint.is_none() || of_endpoint == endpoint {
                    let endpoint = of_endpoint.or(endpoint).map(str::to_owned);
                    system.inject(Injected { endpoint, fault, times });
                }
            }
            done()
        }
        _ => text(StatusCode::NOT_FOUND, false, HELP.to_owned()),
    })
}

type Named = Vec<(Option<&'static str>, Fault)>;

/// The faults a name stands for, with the endpoint each belongs to.
fn named(vendor: Vendor, name: &str) -> Option<Named> {
    let every = |fault: Fault| Some(vec![(None, fault)]);
    match name {
        "hang" => every(Fault::Hang),
        "status-500" => every(Fault::Status(500)),
        "html" => every(Fault::Html),
        "close" => every(Fault::CloseBeforeAnswer),
        "reset" => every(Fault::ResetInsideBody),
        "truncate" => every(Fault::Truncate),
        "empty" => every(Fault::Empty),
        "endless" => every(Fault::Endless),
        "auth" => Some(refused(vendor, refused_login(vendor))),
        "throttle" => every(throttled(vendor)),
        "lockout" => Some(refused(vendor, locked_out(vendor)?)),
        _ => None,
    }
}

/// Every token is refused, and so is every login, in that way.
fn refused(vendor: Vendor, login: &'static str) -> Named {
    let token = match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => "20004",
        Vendor::YeastarP => "10004",
        Vendor::HuaweiMeeting => "USG.206020000",
        Vendor::Dingtalk => "InvalidAuthentication",
    };
    let code = |endpoint: &str| if vendor.logins().contains(&endpoint) { login } else { token };
    vendor.endpoints().iter().map(|e| (Some(*e), Fault::VendorError(code(e).to_owned()))).collect()
}

fn refused_login(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => "20003",
        Vendor::YeastarP => "-1",
        Vendor::HuaweiMeeting => "USG.206010025",
        Vendor::Dingtalk => "invalidClientIdOrSecret",
    }
}

fn locked_out(vendor: Vendor) -> Option<&'static str> {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => Some("20002"),
        Vendor::YeastarP => Some("70004"),
        Vendor::HuaweiMeeting => Some("USG.206030015"),
        Vendor::Dingtalk => None,
    }
}

/// The PBXs document no throttling: a proxy in front of them would say 429.
fn throttled(vendor: Vendor) -> Fault {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::YeastarP => {
            Fault::RetryAfter { status: 429, value: "30".to_owned() }
        }
        Vendor::HuaweiMeeting => Fault::VendorError("APIG.0308".to_owned()),
        Vendor::Dingtalk => {
            Fault::VendorError("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi".to_owned())
        }
    }
}
