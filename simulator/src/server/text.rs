// SPDX-License-Identifier: Apache-2.0
//! Systems that speak a text protocol: one connection, message by message.

use super::socket::Socket;
use super::{LARGEST_REQUEST, Shared, lock};
use crate::body::{DRIP, ENDLESS, Payload, SETTLE};
use crate::call::Answer;
use crate::fault::{Fault, GREETING, Reply};
use crate::instance::Instance;
use crate::record::Request;
use crate::registry::{Conversation, Message, TextSystem, Vendor};
use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One connection, until either side ends it or the instance restarts.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    vendor: Vendor,
    system: &'static dyn TextSystem,
    instance: Arc<Mutex<Instance>>,
    socket: Socket,
) {
    let (restarted, conversation) = {
        let mut instance = lock(&instance);
        instance.advance();
        (instance.restarted(), system.connect(&mut instance))
    };
    let mut connection = Connection { shared, vendor, instance, socket, conversation };
    // How a connection ended is for the client to find out.
    let _ = restarted.run_until_cancelled(connection.converse()).await;
}

struct Connection {
    shared: Arc<Shared>,
    vendor: Vendor,
    instance: Arc<Mutex<Instance>>,
    socket: Socket,
    conversation: Box<dyn Conversation>,
}

impl Drop for Connection {
    /// However the connection ends, a login that lived in it ends too.
    fn drop(&mut self) {
        self.conversation.closed(&mut lock(&self.instance));
    }
}

impl Connection {
    async fn converse(&mut self) -> io::Result<()> {
        if self.greet().await?.is_break() {
            return Ok(());
        }
        let mut received = Vec::new();
        loop {
            while let Some(end) = self.conversation.message_end(&received) {
                let message: Vec<u8> = received.drain(..end).collect();
                if self.answer(&message).await?.is_break() {
                    return Ok(());
                }
            }
            if received.len() > LARGEST_REQUEST || self.socket.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn greet(&mut self) -> io::Result<ControlFlow<()>> {
        let (fault, greeting) = {
            let mut instance = lock(&self.instance);
            let Some(greeting) = self.conversation.greeting(&mut instance) else {
                return Ok(Continue(()));
            };
            (instance.take_fault(GREETING), greeting)
        };
        if let Some(Fault::JudgeLater(delay)) = fault {
            tokio::time::sleep(delay).await;
        }
        let message = Message { text: String::new(), now: Instant::now(), wall: SystemTime::now() };
        let hang_up = greeting.hang_up;
        let reply = self.reply(fault, Some(greeting), &message);
        self.send(reply, hang_up).await
    }

    async fn answer(&mut self, message: &[u8]) -> io::Result<ControlFlow<()>> {
        let mut message = Message {
            text: String::from_utf8_lossy(message).into_owned(),
            now: Instant::now(),
            wall: SystemTime::now(),
        };
        let name = self.conversation.name(&message);
        let (fault, number) = {
            let mut instance = lock(&self.instance);
            instance.advance();
            let fault = instance.take_fault(name.unwrap_or("other"));
            let record = || instance.recorded().begin(recorded(&message, name));
            let number = self.shared.options.record.then(record);
            (fault, number)
        };
        if let Some(Fault::JudgeLater(delay)) = fault {
            tokio::time::sleep(delay).await;
            (message.now, message.wall) = (Instant::now(), SystemTime::now());
        }
        let right = fault
            .as_ref()
            .is_none_or(Fault::needs_answer)
            .then(|| self.conversation.answer(&mut lock(&self.instance), name, &message));
        let forbidden = right.as_ref().is_some_and(|answer| answer.forbidden);
        let hang_up = right.as_ref().is_some_and(|answer| answer.hang_up);
        let reply = self.reply(fault, right, &message);
        if let Some(number) = number {
            lock(&self.instance).recorded().complete(number, forbidden, reply.begun());
        }
        self.send(reply, hang_up).await
    }

    fn reply(&self, fault: Option<Fault>, right: Option<Answer>, message: &Message) -> Reply {
        match fault {
            Some(fault) => {
                let failure = |code: &str| self.conversation.failure(code, message);
                fault.reply(right, &failure, &[], self.shared.description(self.vendor))
            }
            None => Reply::of(200, right.map(|answer| answer.body).unwrap_or_default()),
        }
    }

    /// Sends a reply; `Break` if the connection is to end with it.
    async fn send(&mut self, reply: Reply, hang_up: bool) -> io::Result<ControlFlow<()>> {
        let delay = self.shared.options.latency + reply.delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match reply.payload {
            Payload::Whole(body) | Payload::UntilClose(body) => {
                self.socket.write_all(&body).await?;
            }
            Payload::Drip(body) => {
                for byte in body {
                    tokio::time::sleep(DRIP).await;
                    self.socket.write_all(&[byte]).await?;
                }
            }
            Payload::Half { body, reset } => {
                self.socket.write_all(&body[..body.len() / 2]).await?;
                self.socket.reset().store(reset, Ordering::Release);
                tokio::time::sleep(SETTLE).await;
                return Ok(Break(()));
            }
            Payload::Endless => loop {
                self.socket.write_all(&ENDLESS).await?;
            },
            Payload::Never => {
                // Reads on, to see when the client leaves.
                let mut ignored = [0; 1024];
                while self.socket.read(&mut ignored).await? > 0 {}
                return Ok(Break(()));
            }
            Payload::Close => return Ok(Break(())),
        }
        Ok(if hang_up { Break(()) } else { Continue(()) })
    }
}

fn recorded(message: &Message, name: Option<&'static str>) -> Request {
    Request {
        at: message.wall,
        call: name.unwrap_or("other"),
        method: String::new(),
        path: String::new(),
        query: Vec::new(),
        headers: Vec::new(),
        body: message.text.clone(),
        forbidden: name.is_none(),
        status: 0,
    }
}
