// SPDX-License-Identifier: Apache-2.0
//! What the targets for the vendors' answers share.

use std::cell::OnceCell;

use conferencing_exporter::fuzzing::Target;
use tokio::runtime::{Builder, Runtime};

/// The statuses an input may choose from, most of them a success.
const STATUSES: [u16; 10] = [200, 200, 200, 401, 403, 423, 429, 404, 500, 302];

/// A vendor's source and its right answers.
pub struct Vendor {
    /// The configuration of one source with everything on.
    pub yaml: &'static str,
    /// Calls and what they answer when nothing is wrong.
    pub right: &'static [(&'static str, &'static str)],
}

thread_local! {
    static READY: OnceCell<(Runtime, Target)> = const { OnceCell::new() };
}

/// Lets one call answer with `data` and all others rightly. The first byte of `data` chooses the
/// call, the second the status and whether it is the first answer only that is wrong.
pub fn collect(vendor: &'static Vendor, data: &[u8]) {
    let [call, how, body @ ..] = data else { return };
    READY.with(|ready| {
        let (runtime, target) = ready.get_or_init(|| {
            let runtime = Builder::new_current_thread().enable_time().build();
            let target = Target::new(vendor.yaml);
            (runtime.expect("a runtime"), target.expect("a valid configuration"))
        });
        let calls = target.calls();
        let chosen = calls[usize::from(call.wrapping_sub(b'0')) % calls.len()];
        let how = usize::from(how.wrapping_sub(b'0'));
        let status = STATUSES[how % STATUSES.len()];
        let only_once = how / STATUSES.len() % 2 == 1;
        let body = body.to_vec();
        let answered = std::sync::atomic::AtomicBool::new(false);
        let outcomes = runtime.block_on(target.collect(move |call| {
            let before = answered.load(std::sync::atomic::Ordering::Relaxed);
            if call == chosen && !(only_once && before) {
                answered.store(true, std::sync::atomic::Ordering::Relaxed);
                return (status, body.clone());
            }
            let right = vendor.right.iter().find(|(name, _)| *name == call);
            (200, right.map_or_else(Vec::new, |(_, body)| body.as_bytes().to_vec()))
        }));
        for problem in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert!(problem.len() < 300 && !problem.contains('\n'), "{problem}");
        }
    });
}
