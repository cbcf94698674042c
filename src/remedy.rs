//! What to do about a failure, in one line: for the status page and for `check --live`.

use crate::{
    api::{Failure, Reason},
    model::Vendor,
};

/// What a person should look at when a source of `vendor` failed with `failure`.
pub fn remedy(vendor: Vendor, failure: &Failure) -> &'static str {
    match failure {
        Failure::Request(error) => {
            of_reason(vendor, error.fault.reason, error.detail, error.endpoint.as_str())
        }
        Failure::Timeout => of_reason(vendor, Reason::Timeout, None, ""),
        Failure::HeldBack { reason, .. } => held_back(*reason),
        Failure::BackingOff { failure, .. } => remedy(vendor, failure),
        Failure::Secret(_) => {
            "make the secret file readable for the exporter, with the secret in it"
        }
        Failure::File(_) => "make the file readable for the exporter",
        Failure::Panic => "a defect of the exporter: please report it with the log",
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

fn of_reason(
    vendor: Vendor,
    reason: Reason,
    detail: Option<&'static str>,
    endpoint: &str,
) -> &'static str {
    let is_cloud = match vendor {
        Vendor::HuaweiMeeting | Vendor::Dingtalk => true,
        Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::YeastarP => false,
    };
    match reason {
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
        Reason::Connect => connect(vendor),
        Reason::Tls => tls(vendor, detail),
        Reason::Auth => auth(vendor, endpoint),
        Reason::LockedOut => locked_out(vendor),
        Reason::Forbidden => forbidden(vendor),
        Reason::RateLimited => "scrape less often, or raise min_interval",
        Reason::Quota => "raise min_interval, or the quota at the vendor",
        Reason::Http4xx => {
            "check base_url and api_path: another system, or another version of the API, answers"
        }
        Reason::Http5xx if is_cloud => "trouble at the vendor; it usually passes",
        Reason::Http5xx => "the system or the proxy before it has trouble; look at its log",
        Reason::Vendor => vendor_code(vendor),
        Reason::Decode => {
            "is base_url the API, and not a login page or another device? else the firmware is not known yet"
        }
        Reason::TooLarge => "raise max_response_bytes",
        Reason::Redirect if is_cloud => "the address redirects: use the one it names as base_url",
        Reason::Redirect => redirect(vendor),
    }
}

fn connect(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => {
            "check host and port of base_url (usually https and 8088), and that the API is switched on in the PBX"
        }
        Vendor::YeastarP => {
            "check host and port of base_url (usually https and 8088), and that the API is switched on: Integrations > API"
        }
        Vendor::HuaweiMeeting | Vendor::Dingtalk => "check base_url and proxy_url",
    }
}

fn redirect(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::YeastarP => {
            "the address redirects: use https and port 8088"
        }
        Vendor::HuaweiMeeting | Vendor::Dingtalk => {
            "the address redirects: use the one it names as base_url"
        }
    }
}

fn tls(vendor: Vendor, detail: Option<&'static str>) -> &'static str {
    match detail {
        Some(detail) if detail.contains("self-signed") => {
            "give the system's certificate, or its CA's, as tls.ca_file"
        }
        Some(detail) if detail.contains("another name") => {
            "use the name of the certificate in base_url, or give it as tls.server_name"
        }
        Some(detail) if detail.contains("expired") => "renew the certificate of the system",
        Some(detail) if detail.contains("not valid yet") => {
            "set the clock of the system and of this machine"
        }
        Some(detail) if detail.contains("revoked") => "replace the certificate of the system",
        Some(detail) if detail.contains("not TLS") => {
            "no TLS at this port: use http in base_url, or the port of https (8088)"
        }
        Some(detail) if detail.contains("refused the handshake") => {
            "does the system ask for a client certificate? give tls.cert_file and tls.key_file"
        }
        Some(detail) if detail.contains("in common") => {
            "the system offers only TLS that is broken: update its firmware"
        }
        _ => match vendor {
            Vendor::OpenvoxUc | Vendor::YeastarS | Vendor::YeastarP => {
                "a self-signed certificate goes into tls.ca_file; is this the port of https (8088)?"
            }
            Vendor::HuaweiMeeting | Vendor::Dingtalk => {
                "does a proxy break TLS open? its CA goes into tls.ca_file"
            }
        },
    }
}

fn auth(vendor: Vendor, endpoint: &str) -> &'static str {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS if endpoint == "login" => {
            "check username and password of the API user (not of the web interface), and that the API is switched on"
        }
        Vendor::OpenvoxUc | Vendor::YeastarS => {
            "the token was refused: does something else log in with the same API user?"
        }
        Vendor::YeastarP => "check client_id and client_secret: Integrations > API",
        Vendor::HuaweiMeeting => {
            "check app_id and app_key (or account and password), and this machine's clock: logins are signed with the time"
        }
        Vendor::Dingtalk => "check app key and secret, and that the application is published",
    }
}

fn locked_out(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => {
            "too many refused logins: wait 10 minutes, or remove this machine from the blocked addresses of the PBX"
        }
        Vendor::YeastarP => {
            "remove this machine from Security > Security Rules > Blocked IPs; it does not end by itself"
        }
        Vendor::HuaweiMeeting => "the account is locked: wait, or let the administrator unlock it",
        Vendor::Dingtalk => "the address is banned for some minutes: scrape less often",
    }
}

fn forbidden(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => {
            "allow this machine's address in the API settings of the PBX"
        }
        Vendor::YeastarP => {
            "allow this machine's address in Integrations > API, and conferences among its permissions"
        }
        Vendor::HuaweiMeeting => {
            "only an enterprise administrator sees all meetings: use such a user, or scope: own"
        }
        Vendor::Dingtalk => {
            "grant the application the video conference permissions, and allow this machine's address"
        }
    }
}

fn vendor_code(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::OpenvoxUc | Vendor::YeastarS => {
            "look the code up in the PBX' API documentation; does this firmware have conferences in its API?"
        }
        Vendor::YeastarP => {
            "look the code up in the API documentation; an older firmware may need live: false"
        }
        Vendor::HuaweiMeeting | Vendor::Dingtalk => "look the code up in the API documentation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ApiError, Endpoint, Fault};

    #[test]
    fn there_is_one_short_line_for_everything() {
        for vendor in Vendor::ALL {
            for reason in Reason::ALL {
                for detail in
                    [None, Some("the certificate is self-signed or its issuer is unknown")]
                {
                    let fault = Fault::new(reason);
                    let failure = Failure::Request(ApiError {
                        endpoint: Endpoint("login"),
                        fault,
                        detail,
                        may_have_arrived: true,
                    });
                    let line = remedy(vendor, &failure);
                    assert!((10..=130).contains(&line.len()), "{vendor} {reason}: {line}");
                    assert!(!line.contains('\n') && !line.ends_with('.'), "{line}");
                }
            }
        }
    }

    #[test]
    fn names_the_key_that_helps() {
        let of = |vendor, reason, detail| {
            let fault = Fault::new(reason);
            remedy(
                vendor,
                &Failure::Request(ApiError {
                    endpoint: Endpoint("login"),
                    fault,
                    detail,
                    may_have_arrived: true,
                }),
            )
        };
        let self_signed = Some("the certificate is self-signed or its issuer is unknown");
        assert!(of(Vendor::YeastarS, Reason::Tls, self_signed).contains("tls.ca_file"));
        assert!(of(Vendor::YeastarP, Reason::Redirect, None).contains("8088"));
        assert!(!of(Vendor::Dingtalk, Reason::Redirect, None).contains("8088"));
        assert!(of(Vendor::HuaweiMeeting, Reason::Forbidden, None).contains("scope: own"));
    }
}
