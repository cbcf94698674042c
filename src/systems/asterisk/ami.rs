// SPDX-License-Identifier: Apache-2.0
//! The Asterisk Manager Interface: blocks of `Key: Value`, answers that carry the id of their action.
//!
//! Source: the manager interface's documentation (docs.asterisk.org, "AMI"), and the answers of an
//! Asterisk 16.28 and a 22.10 in `tests/data/asterisk`.

use zeroize::Zeroizing;

use crate::{
    model::Reason,
    net::{
        Wiped,
        lines::{Block, Problem, Protocol, Wire},
    },
};

/// What the interface says first; the version of the interface follows, which is not Asterisk's.
const BANNER: &str = "Asterisk Call Manager/";

/// An action: its lines but the one with its id.
pub struct Action(Zeroizing<String>);

impl Action {
    pub(super) fn new(name: &str) -> Self {
        Self(Zeroizing::new(String::new())).with("Action", name)
    }

    /// The same action and one line more. `value` is one line.
    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        for part in [key, ": ", value, "\r\n"] {
            self.0.push_str(part);
        }
        self
    }
}

/// One connection, and how many actions were sent on it.
#[derive(Debug, Default)]
pub struct Ami {
    actions: u32,
}

impl Protocol for Ami {
    type Request = Action;

    async fn greeted(&mut self, wire: &mut Wire) -> Result<(), Problem> {
        if wire.text().await?.starts_with(BANNER) {
            return Ok(());
        }
        Err(Problem::new(Reason::Decode, "not an Asterisk Manager Interface"))
    }

    /// An answer is `{"response": {}, "events": [{}], "complete": {}}`; only a list has the last two.
    async fn exchange(&mut self, wire: &mut Wire, action: &Action) -> Result<Wiped, Problem> {
        self.actions += 1;
        let id = self.actions.to_string();
        let text = Zeroizing::new(format!("{}ActionID: {id}\r\n\r\n", *action.0));
        wire.send(text.as_bytes()).await?;
        let response = answer_to(&id, wire).await?;
        let mut json = Wiped::from(br#"{"response":"#.to_vec());
        response.write_to(&mut json);
        if event_list(&response, "start") {
            json.extend(br#","events":["#);
            let mut separator: &[u8] = b"";
            let complete = loop {
                let event = answer_to(&id, wire).await?;
                if event_list(&event, "Complete") {
                    break event;
                }
                json.extend(separator);
                event.write_to(&mut json);
                separator = b",";
            };
            json.extend(br#"],"complete":"#);
            complete.write_to(&mut json);
        }
        json.extend(b"}");
        Ok(json)
    }
}

/// The next block that belongs to the action `id`. Events come at any time, also to those who asked
/// for none, and carry no id or that of another action.
async fn answer_to(id: &str, wire: &mut Wire) -> Result<Block, Problem> {
    loop {
        let block = wire.block().await?;
        match block.value("ActionID") {
            Some(of) if of == id => return Ok(block),
            None if block.value("Response").is_some() => {
                return Err(Problem::new(Reason::Decode, "an answer to no action"));
            }
            Some(_) | None => {}
        }
    }
}

fn event_list(block: &Block, word: &str) -> bool {
    block.value("EventList").is_some_and(|value| value.eq_ignore_ascii_case(word))
}
