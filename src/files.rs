// SPDX-License-Identifier: Apache-2.0
//! Files that the configuration names and that are read again while running: secrets, certificates,
//! lists of ids. Reading one of them never waits, and never takes more than it should.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// The contents of the file at `path`.
///
/// # Errors
/// What the system says; what is no file; [`io::ErrorKind::FileTooLarge`] for a file of more than
/// `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // Before it is opened: opening a named pipe waits for whoever writes to it, and opening a
    // device may do anything.
    check_kind(fs::metadata(path)?.file_type())?;
    let file = open(path)?;
    // It may have been replaced meanwhile.
    let metadata = file.metadata()?;
    check_kind(metadata.file_type())?;
    // Room for all of it: a vector that grows leaves copies of a secret behind.
    let room = usize::try_from(metadata.len().min(most)).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Opens the file at `path` for reading. A named pipe is opened without waiting for somebody who writes to it, and until
/// that is changed, reading it does not wait either.
///
/// # Errors
/// What the system says.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let not_waiting = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(not_waiting).open(path)
}

fn check_kind(kind: FileType) -> io::Result<()> {
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::other(format!("it is {what} and not a file")))
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    length: u64,
    /// When the contents changed, seconds and nanoseconds.
    modified: (i64, i64),
    /// When anything about it changed: a copy may keep the time of its original.
    changed: (i64, i64),
}

impl Stamp {
    /// The present version of the file at `path`; `None`: there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, path::PathBuf};

    use super::*;

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, socket) = (folder.path().join("pipe"), folder.path().join("socket"));
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        let problem = |path: PathBuf| read(&path, 10).unwrap_err().to_string();
        assert_eq!(problem(pipe), "it is a named pipe and not a file");
        assert_eq!(problem(socket), "it is a socket and not a file");
        assert_eq!(problem("/dev/zero".into()), "it is a device and not a file");
        let of_folder = read(folder.path(), 10).unwrap_err();
        assert_eq!(of_folder.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_file_has_a_longest_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, 10).unwrap().as_slice(), b"0123456789");
        assert_eq!(read(&path, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        // Its length is said to be 0.
        assert!(read(Path::new("/proc/self/status"), 1 << 20).unwrap().starts_with(b"Name:"));
    }

    #[test]
    fn a_stamp_is_of_one_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(Stamp::of(&path), None);
        fs::write(&path, "one").unwrap();
        let first = Stamp::of(&path);
        assert_eq!(Stamp::of(&path), first);
        let other = folder.path().join("other");
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_ne!(Stamp::of(&path), first);
    }
}
