// SPDX-License-Identifier: Apache-2.0
//! Secrets: a type that cannot be printed or logged, and where its value comes from.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use secrecy::{ExposeSecret, SecretString};
use tokio::{sync, task::spawn_blocking};

use super::{ProxyUrl, io_reason};
use crate::files;

/// Longest secret file, in bytes: a token or password is never longer, a wrong path may be.
pub const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Where a secret comes from: exactly one of `X`, `X_file`, `X_env`.
#[derive(Clone)]
pub enum SecretSource {
    /// Written in the configuration file, or taken from the environment when it was loaded.
    Literal(SecretString),
    /// Read again at each login; a byte order mark and one trailing newline are dropped.
    File(PathBuf),
}

/// Why a secret could not be read. Carries no content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {}: {}", path.display(), io_reason(source))]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is empty.
    #[error("{} is empty", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// The file is longer than [`MAX_SECRET_BYTES`].
    #[error("{} is longer than 64 KiB: not a secret", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The file is not UTF-8.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
    },
}

impl SecretSource {
    /// The secret as it is now. A file that cannot be read to its end (on a network share whose
    /// server is down, for example) keeps one thread waiting, however often it is asked for.
    ///
    /// # Errors
    /// A file that is missing, empty, too long or not text.
    pub async fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let turn = read_lock_of(path).lock_owned().await;
                let file = path.clone();
                let read = spawn_blocking(move || {
                    let secret = read_file(&file);
                    drop(turn);
                    secret
                });
                let stopped = |_| SecretError::Unreadable {
                    path: path.clone(),
                    source: io::Error::other("the exporter stops"),
                };
                read.await.map_err(stopped)?
            }
        }
    }

    /// As [`SecretSource::read`], for use while a configuration is loaded.
    ///
    /// # Errors
    /// As [`SecretSource::read`].
    pub fn read_now(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::File(path) => read_file(path),
        }
    }
}

/// Whether every user of this machine may read the file. A file that another user put into memory
/// (tmpfs) does not count: container runtimes provide secrets so, with modes that the operator did
/// not choose.
pub(super) fn is_world_readable(path: &Path) -> bool {
    const EVERYBODY: u32 = 0o004;
    const TMPFS: u64 = 0x0102_1994;
    let Ok(file) = fs::metadata(path) else { return false };
    let is_others = file.uid() != rustix::process::geteuid().as_raw();
    let is_in_memory =
        || rustix::fs::statfs(path).is_ok_and(|system| u64::try_from(system.f_type) == Ok(TMPFS));
    file.mode() & EVERYBODY != 0 && !(is_others && is_in_memory())
}

/// A lock for each file that is being read.
static BEING_READ: Mutex<BTreeMap<PathBuf, Weak<sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// The lock that keeps a file from being read twice at the same time. A file on a network share that
/// does not answer then blocks one thread, and not one for each login that needs it.
fn read_lock_of(path: &Path) -> Arc<sync::Mutex<()>> {
    let mut read = BEING_READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(turn) = read.get(path).and_then(Weak::upgrade) {
        return turn;
    }
    read.retain(|_, turn| turn.strong_count() > 0);
    let turn = Arc::default();
    read.insert(path.to_owned(), Arc::downgrade(&turn));
    turn
}

fn read_file(path: &Path) -> Result<SecretString, SecretError> {
    let owned = || path.to_owned();
    let bytes = files::read(path, MAX_SECRET_BYTES).map_err(|source| {
        if source.kind() == io::ErrorKind::FileTooLarge {
            SecretError::TooLong { path: owned() }
        } else {
            SecretError::Unreadable { path: owned(), source }
        }
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText { path: owned() })?;
    // Some editors write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err(SecretError::Empty { path: owned() });
    }
    Ok(SecretString::from(text))
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("Literal(<secret>)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl PartialEq for SecretSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(two)) => one.expose_secret() == two.expose_secret(),
            (Self::File(one), Self::File(two)) => one == two,
            (Self::Literal(_), Self::File(_)) | (Self::File(_), Self::Literal(_)) => false,
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl(<secret>)")
    }
}

impl PartialEq for ProxyUrl {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}
