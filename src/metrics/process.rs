// SPDX-License-Identifier: Apache-2.0
//! Standard `process_*` metrics from `/proc`. Absent where there is none.
//!
//! The `prometheus` crate's own collector reports CPU time in whole seconds, so that the rate
//! of an exporter that uses little of it alternates between zero and peaks.

use std::{fs, io, sync::OnceLock};

use rustix::process::{Resource, getrlimit};

use super::{
    PROCESS_CPU_SECONDS, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY,
    PROCESS_START_TIME, PROCESS_THREADS, PROCESS_VIRTUAL_MEMORY,
    text::{Labels, Writer},
};

/// Clock ticks a second in `/proc/self/stat`: a constant of the kernel's interface on every
/// architecture Rust's Linux targets support (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Page size of `/proc/self/statm`, read from the auxiliary vector's entry 6 (`AT_PAGESZ`). `rustix` has
/// this too, but reads the memory that other entries point to, and crashes under valgrind, where they
/// are not those of this process.
fn page_size() -> u64 {
    static SIZE: OnceLock<u64> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let word = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).unwrap_or(0);
        let auxv = fs::read("/proc/self/auxv").unwrap_or_default();
        auxv.chunks_exact(2 * size_of::<usize>())
            .map(|entry| entry.split_at(size_of::<usize>()))
            .find(|(key, _)| word(key) == 6)
            .map_or(4096, |(_, value)| word(value) as u64)
    })
}

/// Writes what `/proc` says about this process.
pub fn write(writer: &mut Writer) {
    let labels = Labels::default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field, the command, may hold blanks and brackets: count behind it.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        writer.sample(PROCESS_CPU_SECONDS, &labels, None, (user + system) / TICKS);
    }
    if let Ok(open) = open_files() {
        writer.sample(PROCESS_OPEN_FDS, &labels, None, open);
    }
    let most_files = getrlimit(Resource::Nofile).current;
    writer.sample(
        PROCESS_MAX_FDS,
        &labels,
        None,
        most_files.map_or(f64::INFINITY, |most| most as f64),
    );
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = statm.split_whitespace().map_while(|text| text.parse::<u64>().ok());
    if let (Some(size), Some(resident)) = (pages.next(), pages.next()) {
        writer.sample(PROCESS_VIRTUAL_MEMORY, &labels, None, size * page_size());
        writer.sample(PROCESS_RESIDENT_MEMORY, &labels, None, resident * page_size());
    }
    if let (Some(boot), Some(started)) = (boot_time(), field(22)) {
        writer.sample(PROCESS_START_TIME, &labels, None, boot + started / TICKS);
    }
    if let Some(threads) = field(20) {
        writer.sample(PROCESS_THREADS, &labels, None, threads);
    }
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// How many file descriptors are open.
fn open_files() -> io::Result<u64> {
    const FOLDER: &str = "/proc/self/fd";
    // Since Linux 6.2 that is the folder's size. To list thousands takes a millisecond or more.
    match fs::metadata(FOLDER)?.len() {
        // One of them is the folder being read.
        0 => Ok((fs::read_dir(FOLDER)?.count() as u64).saturating_sub(1)),
        open => Ok(open),
    }
}
