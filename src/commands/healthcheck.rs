// SPDX-License-Identifier: Apache-2.0
//! `healthcheck`: whether the exporter on this machine is healthy. For containers without curl.

use std::{error::Error as StdError, time::Duration};

use reqwest::{Client, redirect::Policy};
use rustls::{AlertDescription, Error};
use tokio::runtime::Builder;

use super::fail;
use crate::{
    cli::{Exit, Here, Options},
    net::causes,
};

/// Longest the exporter may take to say that it is healthy.
const TIME: Duration = Duration::from_secs(5);

/// Asks `/-/healthy` at the first of the listen addresses.
pub fn ask(options: &Options) -> Exit {
    let Some(address) = options.listen_addresses.first() else {
        return fail("no listen address", Exit::Failed);
    };
    let here = address.from_here();
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), Exit::Failed),
    };
    match runtime.block_on(status(&here, options)) {
        Ok(200) => Exit::Done,
        Ok(status) => fail(&format!("{here} answered {status}"), Exit::Failed),
        Err(error) => fail(&format!("{here}: {error}"), Exit::Failed),
    }
}

/// What the exporter that listens at `here` answers, started with these options.
///
/// # Errors
/// It does not answer within 5 seconds, or not as an HTTP server does.
pub(super) async fn status(here: &Here, options: &Options) -> Result<u16, String> {
    let has_web_config = options.web_config_file.0.is_some();
    let prefix = options.prefix();
    // What the file says now may not be what the exporter runs with: try.
    if has_web_config && let Ok(status) = status_by("https", here, prefix).await {
        return Ok(status);
    }
    status_by("http", here, prefix).await.map_err(|error| {
        // The library's own words quote the URL; what happened is in the innermost ones.
        let cause = causes(&error).last().map(ToString::to_string);
        if error.is_timeout() { "no answer".to_owned() } else { cause.unwrap_or_default() }
    })
}

async fn status_by(scheme: &str, here: &Here, prefix: &str) -> reqwest::Result<u16> {
    let client = Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(Policy::none())
        .timeout(TIME / 2)
        // The connection does not leave the machine and carries nothing secret.
        .tls_danger_accept_invalid_certs(true);
    let (client, host) = match here {
        Here::Tcp(host, port) if host.contains(':') => (client, format!("[{host}]:{port}")),
        Here::Tcp(host, port) => (client, format!("{host}:{port}")),
        Here::Unix(path) => (client.unix_socket(path.as_path()), "localhost".to_owned()),
    };
    let asked = client.build()?.get(format!("{scheme}://{host}{prefix}/-/healthy")).send().await;
    match asked {
        // It serves, only not to clients without a certificate.
        Err(error) if wants_certificate(&error) => Ok(200),
        asked => Ok(asked?.status().as_u16()),
    }
}

fn wants_certificate(error: &(dyn StdError + 'static)) -> bool {
    let wanted = [AlertDescription::CertificateRequired, AlertDescription::HandshakeFailure];
    causes(error)
        .filter_map(|cause| cause.downcast_ref())
        .any(|error| matches!(error, Error::AlertReceived(alert) if wanted.contains(alert)))
}
