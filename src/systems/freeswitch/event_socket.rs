// SPDX-License-Identifier: Apache-2.0
//! FreeSWITCH's event socket: blocks of `Key: Value`, some followed by as many bytes as they say.
//!
//! Source: the documentation of `mod_event_socket` (developer.signalwire.com/freeswitch), and the
//! answers of a FreeSWITCH 1.10.12 in `tests/data/freeswitch`.

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::{
    model::Reason,
    net::{
        Fault, Wiped,
        lines::{Block, Problem, Protocol, Wire},
    },
};

/// What is said to an address that `apply-inbound-acl` does not let in.
const REJECTION: &str = "text/rude-rejection";

/// A command, in one line.
pub struct Command(pub(super) Zeroizing<String>);

/// One connection.
#[derive(Debug, Default)]
pub struct EventSocket;

impl Protocol for EventSocket {
    type Request = Command;

    async fn greeted(&mut self, wire: &mut Wire) -> Result<(), Problem> {
        match wire.block().await?.value("Content-Type").as_deref() {
            Some("auth/request") => Ok(()),
            Some(REJECTION) => Err(Fault::new(Reason::Forbidden).into()),
            Some(_) | None => Err(Problem::new(Reason::Decode, "not an event socket")),
        }
    }

    /// An answer is `{"header": {}, "body": ...}`. The body is the JSON that came, or else the text;
    /// an answer without a length has none.
    async fn exchange(&mut self, wire: &mut Wire, command: &Command) -> Result<Wiped, Problem> {
        let text = Zeroizing::new(format!("{}\n\n", *command.0));
        wire.send(text.as_bytes()).await?;
        loop {
            let header = wire.block().await?;
            let body = wire.bytes(length(&header)?).await?;
            match header.value("Content-Type").as_deref() {
                Some("command/reply" | "api/response") => return Ok(json(&header, &body)),
                Some("text/disconnect-notice" | REJECTION) => {
                    let detail = "the system ended the connection";
                    return Err(Problem::new(Reason::Connect, detail));
                }
                // Events and lines of the log, which nobody asked for.
                Some(_) => {}
                None => return Err(Problem::new(Reason::Decode, "a block without a type")),
            }
        }
    }
}

/// How many bytes follow a block.
fn length(header: &Block) -> Result<usize, Problem> {
    let Some(length) = header.value("Content-Length") else { return Ok(0) };
    length.parse().map_err(|_| Problem::new(Reason::Decode, "a length that is no number"))
}

fn json(header: &Block, body: &[u8]) -> Wiped {
    let mut json = Wiped::from(br#"{"header":"#.to_vec());
    header.write_to(&mut json);
    json.extend(br#","body":"#);
    // Its texts may be in another encoding: that is seen to with the whole answer.
    let is_json = serde_json::from_str::<IgnoredAny>(&String::from_utf8_lossy(body)).is_ok();
    if is_json {
        json.extend(body);
    } else {
        json.append(&String::from_utf8_lossy(body));
    }
    json.extend(b"}");
    json
}
