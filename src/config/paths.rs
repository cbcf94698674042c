// SPDX-License-Identifier: Apache-2.0
//! Which files make the configuration, and whether they have changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{LoadError, Problem, load::MAX_FILE_BYTES, section::io_reason};
use crate::files;

/// The files that `paths` stand for: those of a folder are its `*.yaml`, by name, without hidden
/// ones. And what is wrong with the folders.
pub(super) fn files(paths: &[impl AsRef<Path>]) -> (Vec<PathBuf>, Vec<Problem>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let path = path.as_ref();
        if !path.is_dir() {
            files.push(path.to_owned());
            continue;
        }
        match of_folder(path) {
            Ok(found) if found.is_empty() => {
                let message = "no file of this folder is called `*.yaml`".to_owned();
                let remedy = "write `sources: []` into one if there are none yet";
                problems.extend(LoadError::of_file(path, message, Some(remedy)).problems);
            }
            Ok(found) => files.extend(found),
            Err(error) => {
                let message = format!("the folder cannot be read: {}", io_reason(&error));
                problems.extend(LoadError::of_file(path, message, None).problems);
            }
        }
    }
    (files, problems)
}

fn of_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden =
            path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension() == Some("yaml".as_ref()) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Equal as long as `paths` stand for the same files, with the same contents. What cannot be read
/// counts as empty.
pub fn fingerprint(paths: &[impl AsRef<Path>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for path in files(paths).0 {
        let bytes = files::read(&path, MAX_FILE_BYTES).ok();
        for part in [path.as_os_str().as_encoded_bytes(), bytes.as_ref().map_or(&[], |b| &b[..])] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}
