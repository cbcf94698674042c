// SPDX-License-Identifier: Apache-2.0
//! What to do about a failure, in one line: for the status page and for `check --live`.
//!
//! Advice for the system's error code comes first, then that of its profile for the reason, then
//! that for all systems.

use std::borrow::Cow;

use crate::{config::Profile, model::Reason, net::Failure};

/// What to check when a source of the kind `profile` failed with `failure`.
pub fn advice(profile: &Profile, failure: &Failure) -> Cow<'static, str> {
    match failure {
        Failure::Request(error) => {
            let reason = error.fault.reason;
            if error.fault.at_proxy {
                return at_proxy(reason, error.fault.code.as_deref()).into();
            }
            let own = error.fault.advice;
            let own = own.or_else(|| profile.advice_for(reason, Some(error.call)));
            own.map_or_else(|| of_reason(profile, reason, error.detail), Cow::Borrowed)
        }
        Failure::Timeout => of_reason(profile, Reason::Timeout, None),
        Failure::BackingOff { failure, .. } => advice(profile, failure),
        Failure::HeldBack { reason, .. } => held_back(*reason).into(),
        Failure::Secret(_) => {
            "make the secret file readable for the exporter, with the secret in it".into()
        }
        Failure::Certificate(_) => {
            "make the certificate files readable and whole; without tls.ca_file, install ca-certificates"
                .into()
        }
        Failure::File(_) => "make the file readable for the exporter".into(),
        Failure::Panic => "a defect of the exporter: report it with the log".into(),
    }
}

fn held_back(reason: Reason) -> &'static str {
    match reason {
        Reason::Auth => {
            "correct the credentials: the next login then comes at once, without a restart"
        }
        Reason::LockedOut => {
            "nothing is sent until the lock-out has passed; correct the credentials meanwhile"
        }
        Reason::RateLimited => "scrape less often, or raise min_interval",
        Reason::Quota => "raise min_interval, or the quota at the vendor",
        Reason::Forbidden => "grant the missing permission, or allow the exporter's address",
        Reason::Timeout
        | Reason::Dns
        | Reason::Connect
        | Reason::Tls
        | Reason::Http4xx
        | Reason::Http5xx
        | Reason::Vendor
        | Reason::Decode
        | Reason::TooLarge
        | Reason::Redirect => "nothing is sent for a while after this answer; it ends by itself",
    }
}

fn of_reason(profile: &Profile, reason: Reason, detail: Option<&'static str>) -> Cow<'static, str> {
    let is_cloud = profile.is_cloud();
    let port = profile.usual_port;
    let [clear, secure] = profile.transport.schemes();
    let scheme = if profile.tls_port() == Some(port) { secure } else { clear };
    let text = match reason {
        Reason::Timeout if detail.is_some_and(|detail| detail.contains("through the proxy")) => {
            "does the proxy answer, and does it reach the system? NO_PROXY lists hosts to reach without it"
        }
        Reason::Timeout if detail.is_some_and(|detail| detail.contains("no greeting")) => {
            return format!(
                "is this the port of {clear} (usually {port})? a server that wants {secure} or is another service keeps silent"
            )
            .into();
        }
        Reason::Timeout if is_cloud => {
            "can this machine reach the internet on port 443? a proxy goes into proxy_url; else raise timeout"
        }
        Reason::Timeout => {
            "does a firewall drop the packets? else raise timeout and scrape_timeout"
        }
        Reason::Dns => "check the host name of base_url and this machine's resolver",
        Reason::Connect if is_cloud => {
            "can this machine reach the internet on port 443? a proxy goes into proxy_url"
        }
        Reason::Connect => {
            return format!(
                "check base_url (usually {scheme} and port {port}), and that the API is switched on"
            )
            .into();
        }
        Reason::Tls => return tls(profile, detail),
        Reason::Auth => "check the credentials of this source",
        Reason::LockedOut => "too many refused logins: wait, or let the administrator unlock it",
        Reason::Forbidden => "grant the missing permission, or allow the exporter's address",
        Reason::RateLimited => "scrape less often, or raise min_interval",
        Reason::Quota => "raise min_interval, or the quota at the vendor",
        Reason::Http4xx => {
            "check base_url and api_path: another system, or another version of the API, answers"
        }
        Reason::Http5xx if is_cloud => "trouble at the vendor; it usually passes",
        Reason::Http5xx => "the system or the proxy before it has trouble; look at its log",
        Reason::Vendor => "look the code up in the API documentation",
        Reason::Decode => {
            "is base_url the API, and not a login page or another device? else the firmware is not known yet"
        }
        Reason::TooLarge => "raise max_response_bytes",
        Reason::Redirect if is_cloud => "the address redirects: use the one it names as base_url",
        Reason::Redirect => {
            return format!(
                "the address redirects: use that of the API, usually {scheme} and port {port}"
            )
            .into();
        }
    };
    text.into()
}

/// What to check where the proxy failed and not the system.
fn at_proxy(reason: Reason, code: Option<&str>) -> &'static str {
    match (code, reason) {
        (Some("401" | "407"), _) => {
            "give the proxy's user and password in proxy_url, or in HTTP_PROXY and HTTPS_PROXY"
        }
        (Some("403"), _) => {
            "let the proxy allow this host and port, or name the host in NO_PROXY to reach it without"
        }
        (Some("429"), _) => {
            "the proxy limits requests: raise its limit, or name the host in NO_PROXY"
        }
        (Some("502" | "503" | "504"), _) => {
            "does the proxy resolve and reach this host? else name the host in NO_PROXY"
        }
        (_, Reason::Dns) => {
            "check the host name of the proxy in proxy_url, or in HTTP_PROXY and HTTPS_PROXY"
        }
        _ => {
            "check the proxy: proxy_url, or HTTP_PROXY and HTTPS_PROXY; NO_PROXY lists hosts without it"
        }
    }
}

/// The advice for what `net/broken.rs` found wrong with TLS.
fn tls(profile: &Profile, detail: Option<&'static str>) -> Cow<'static, str> {
    let detail = detail.unwrap_or_default();
    let [clear, secure] = profile.transport.schemes();
    let secure = match profile.tls_port() {
        Some(port) => format!("{secure} ({port})"),
        None => secure.to_owned(),
    };
    let known = [
        (
            "neither in tls.ca_file",
            "not the certificate or CA in tls.ca_file: fetch it with openssl s_client as the README shows",
        ),
        (
            "version 1",
            "put this very certificate into tls.ca_file, fetched with openssl s_client as the README shows",
        ),
        (
            "shorter than 2048",
            "issue the certificate anew with RSA 2048 or ECDSA; until then only tls.insecure_skip_verify helps",
        ),
        ("self-signed", "give the system's certificate, or its CA's, as tls.ca_file"),
        (
            "another name",
            "use the name of the certificate in base_url, or give it as tls.server_name",
        ),
        (
            "know the name",
            "use a name the system knows in base_url, or give one as tls.server_name",
        ),
        ("expired", "renew the certificate of the system"),
        ("not valid yet", "set the clock of the system and of this machine"),
        ("revoked", "replace the certificate of the system"),
        (
            "refused the handshake",
            "does the system ask for a client certificate? give tls.cert_file and tls.key_file",
        ),
        (
            "accept the client certificate",
            "renew the certificate of tls.cert_file, or have it issued by an authority that the system trusts",
        ),
        ("newer than", OLD_TLS),
        ("common cipher", OLD_TLS),
    ];
    if let Some((_, text)) = known.iter().find(|(words, _)| detail.contains(words)) {
        return (*text).into();
    }
    if detail.contains("not TLS") {
        return format!("no TLS at this port: use {clear} in base_url, or the port of {secure}")
            .into();
    }
    if detail.contains("closed during") {
        return format!(
            "is this the port of {secure}? if it offers less than TLS 1.2, use a reverse proxy"
        )
        .into();
    }
    if profile.is_cloud() {
        return "does a proxy break TLS open? its CA goes into tls.ca_file".into();
    }
    format!("a self-signed certificate goes into tls.ca_file; is this the port of {secure}?").into()
}

const OLD_TLS: &str =
    "update the system, or put a reverse proxy before it that offers TLS 1.2 or 1.3";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::CallName,
        net::{ApiError, Fault},
        systems::catalogue,
    };

    fn of(profile: &Profile, reason: Reason, detail: Option<&'static str>) -> String {
        let call = profile.calls[0];
        let error = ApiError { call, fault: Fault::new(reason), detail, may_have_arrived: true };
        advice(profile, &Failure::Request(error)).into_owned()
    }

    const SELF_SIGNED: Option<&str> =
        Some("the certificate is self-signed or its issuer is unknown");

    #[test]
    fn there_is_one_short_line_for_everything() {
        for profile in catalogue().profiles() {
            for reason in Reason::ALL {
                for detail in [None, SELF_SIGNED] {
                    let line = of(profile, reason, detail);
                    assert!((10..=130).contains(&line.len()), "{profile} {reason}: {line}");
                    assert!(!line.contains('\n') && !line.ends_with('.'), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_code_says_more_than_its_reason() {
        let fault = Fault::new(Reason::Vendor).advise(Some("switch it on"));
        let error =
            ApiError { call: CallName("login"), fault, detail: None, may_have_arrived: true };
        let profile = catalogue().profiles()[0];
        assert_eq!(advice(profile, &Failure::Request(error)), "switch it on");
    }

    #[test]
    fn names_the_key_that_helps() {
        let catalogue = catalogue();
        let named = |name| *catalogue.profiles().iter().find(|known| known.name == name).unwrap();
        assert!(of(named("yeastar_s"), Reason::Tls, SELF_SIGNED).contains("tls.ca_file"));
        assert!(of(named("yeastar_p"), Reason::Redirect, None).contains("8088"));
        assert!(!of(named("dingtalk"), Reason::Redirect, None).contains("8088"));
        assert!(of(named("huawei_meeting"), Reason::Forbidden, None).contains("scope: own"));
    }
}
