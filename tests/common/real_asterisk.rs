// SPDX-License-Identifier: Apache-2.0
//! A real Asterisk as it was recorded.

use super::script::Script;

pub const BANNER: &str = "Asterisk Call Manager/11.0.0\r\n";

/// What a real Asterisk answered, for the request that the exporter sends.
fn recorded(text: &str, request: &str) -> Vec<u8> {
    let (_, received) = text.split_once("# received\n").unwrap();
    let id = request.lines().find(|line| line.starts_with("ActionID: ")).unwrap();
    let lines = received.lines().map(|line| if line.starts_with("ActionID: ") { id } else { line });
    let mut answer: String = lines.map(|line| format!("{line}\r\n")).collect();
    answer.push_str("\r\n");
    answer.into_bytes()
}

fn is_action(request: &str, action: &str) -> bool {
    request.lines().any(|line| line == format!("Action: {action}"))
}

/// Answers to the login and to the log-off.
pub fn session(request: &str) -> Option<Vec<u8>> {
    const LOGIN: &str = include_str!("../data/asterisk/ami-login-md5.txt");
    let (challenge, login) = LOGIN.split_once("# sent\nAction: Login").unwrap();
    if is_action(request, "Challenge") {
        Some(recorded(challenge, request))
    } else if is_action(request, "Login") {
        Some(recorded(login, request))
    } else if is_action(request, "Logoff") {
        Some(recorded(include_str!("../data/asterisk/ami-logoff.txt"), request))
    } else {
        None
    }
}

/// An Asterisk that answers as recorded: with `rooms`, and for each of them with its list.
pub async fn playing(
    rooms: &'static str,
    lists: &'static [(&'static str, &'static str)],
) -> Script {
    Script::start(BANNER, move |request| {
        if let Some(answer) = session(request) {
            return Some(answer);
        }
        if is_action(request, "ConfbridgeListRooms") {
            return Some(recorded(rooms, request));
        }
        let (_, list) = lists.iter().find(|(room, _)| request.contains(room)).unwrap();
        Some(recorded(list, request))
    })
    .await
}
