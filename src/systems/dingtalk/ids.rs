// SPDX-License-Identifier: Apache-2.0
//! The file with the ids of meetings to watch.

use std::{collections::HashSet, io, path::Path};

use tokio::task::spawn_blocking;

use crate::{config::io_reason, files, net::Failure};

/// Longest file of ids, in bytes: some forty thousand of them.
const MAX_BYTES: u64 = 1024 * 1024;

/// Longest id. Those of the documentation have 24 characters.
const MAX_ID_LENGTH: usize = 128;

/// Reads the ids of `path`, one a line; blank lines and what follows a `#` do not count.
///
/// # Errors
/// [`Failure::File`] with what [`read_now`] says.
pub(super) async fn read(path: &Path) -> Result<Vec<String>, Failure> {
    let path = path.to_owned();
    let read = spawn_blocking(move || read_now(&path)).await;
    read.unwrap_or_else(|_| Err("the exporter stops".to_owned())).map_err(Failure::File)
}

/// As [`read`], for use while a configuration is loaded.
///
/// # Errors
/// A file that cannot be read, is too long, or has a line that is no id. The message names the line
/// and not what is in it: a wrong path may lead to a file with secrets.
pub(super) fn read_now(path: &Path) -> Result<Vec<String>, String> {
    let name = path.display();
    let bytes = files::read(path, MAX_BYTES).map_err(|error| {
        if error.kind() == io::ErrorKind::FileTooLarge {
            format!("{name} is longer than 1 MiB: not a list of ids")
        } else {
            format!("cannot read {name}: {}", io_reason(&error))
        }
    })?;
    parse(&bytes).map_err(|line| format!("{name}: line {line} is not a conference id"))
}

/// The ids, or the number of the first line that is none.
fn parse(bytes: &[u8]) -> Result<Vec<String>, usize> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut ids = Vec::new();
    let mut seen = HashSet::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let id = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        if id.is_empty() {
            continue;
        }
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let id = std::str::from_utf8(id)
            .ok()
            .filter(|id| id.len() <= MAX_ID_LENGTH && id.as_bytes().iter().all(allowed))
            .ok_or(index + 1)?;
        if seen.insert(id) {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_a_line_with_comments() {
        let text = b"\xEF\xBB\xBF# ours\r\n65f0-a_1\r\n\n  65f0b2  # board\n   # none\n65f0-a_1\n";
        assert_eq!(parse(text), Ok(vec!["65f0-a_1".to_owned(), "65f0b2".to_owned()]));
        assert_eq!(parse(b""), Ok(vec![]));
        assert_eq!(parse(b"last"), Ok(vec!["last".to_owned()]));
    }

    #[test]
    fn the_first_line_that_is_no_id_is_named() {
        assert_eq!(parse(b"a\nb c\n"), Err(2));
        assert_eq!(parse(b"a\n\n# x\n\xFF\n"), Err(4));
        assert_eq!(parse(b"https://example.com/\n"), Err(1));
        assert_eq!(parse("x".repeat(128).as_bytes()).map(|ids| ids.len()), Ok(1));
        assert_eq!(parse("x".repeat(129).as_bytes()), Err(1));
    }

    #[tokio::test]
    async fn a_message_names_the_file_and_the_line_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let message = async || match read(&path).await {
            Err(Failure::File(message)) => message.replace(&path.display().to_string(), "FILE"),
            other => panic!("{other:?}"),
        };
        assert!(message().await.starts_with("cannot read FILE: "));
        std::fs::write(&path, "good\npassword: hunter2\n").unwrap();
        assert_eq!(message().await, "FILE: line 2 is not a conference id");
        std::fs::write(&path, "a".repeat(MAX_BYTES as usize + 1)).unwrap();
        assert_eq!(message().await, "FILE is longer than 1 MiB: not a list of ids");
    }
}
