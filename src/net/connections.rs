// SPDX-License-Identifier: Apache-2.0
//! The connections to one host, and when they are no longer trusted.
//!
//! The HTTP client keeps connections for the next request, and cannot be told to forget one. So each
//! host has a client of its own, and gets a new one, whose connections are all new, when there is
//! reason to: when the connections are [`MAX_CONNECTION_AGE`] old, or when one of them was lost or fell
//! silent. The old client is dropped with the last request that uses it, and its connections with it.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long connections are used. A name may stand for another address by then, and the old one may
/// still answer: clouds move their services like that.
pub(super) const MAX_CONNECTION_AGE: Duration = Duration::from_secs(5 * 60);

/// Most connections that are remembered for having been used: those to systems that close theirs
/// without a word are not kept, and are remembered all the same.
const MOST_REMEMBERED: usize = 16 * 1024;

/// The connections to one host.
#[derive(Default)]
pub(super) struct Connections {
    current: Mutex<Option<Generation>>,
}

/// Connections that were opened by one client.
struct Generation {
    /// Generations are counted from 1.
    number: u64,
    client: reqwest::Client,
    /// What the client was made of.
    settings: [u8; 32],
    /// Until when new requests use it.
    ends: Instant,
    /// When an answer last came by it.
    answered: Option<Instant>,
    used: Arc<Used>,
}

/// The local addresses of connections over which an answer came. Also known to requests whose
/// generation has been replaced: connections are often lost all at once.
#[derive(Default)]
struct Used(Mutex<HashSet<SocketAddr>>);

impl Used {
    fn lock(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client for one request.
#[derive(Clone)]
pub(super) struct Lease {
    /// The client.
    pub(super) client: reqwest::Client,
    /// The generation; 0: none, the client is for this request alone.
    number: u64,
    since: Instant,
    used: Arc<Used>,
}

impl Lease {
    /// Whether an answer has come over the connection from the address `local`.
    pub(super) fn has_answered(&self, local: SocketAddr) -> bool {
        self.used.lock().contains(&local)
    }
}

impl Connections {
    /// The client for a request. `settings` are those for which `make` makes one.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn lease<E>(
        &self,
        settings: [u8; 32],
        make: impl FnOnce() -> Result<reqwest::Client, E>,
    ) -> Result<Lease, E> {
        let now = Instant::now();
        let mut current = self.lock();
        let old = match &*current {
            Some(generation) if generation.settings == settings && now < generation.ends => {
                return Ok(generation.lease(now));
            }
            Some(generation) => generation.number,
            None => 0,
        };
        // At a start all hosts get their first client at once. They are not all to get the next one
        // in the same scrape.
        let age_limit = if old == 0 { self.first_age_limit(settings) } else { MAX_CONNECTION_AGE };
        let generation = Generation {
            number: old + 1,
            client: make()?,
            settings,
            ends: now + age_limit,
            answered: None,
            used: Arc::default(),
        };
        let lease = generation.lease(now);
        *current = Some(generation);
        Ok(lease)
    }

    /// Notes that an answer came over the connection from the address `local`.
    pub(super) fn answered(&self, lease: &Lease, local: Option<SocketAddr>) {
        if let Some(generation) = self.lock().as_mut().filter(|now| now.number == lease.number) {
            generation.answered = Some(Instant::now());
        }
        let mut used = lease.used.lock();
        if used.len() >= MOST_REMEMBERED {
            used.clear();
        }
        used.extend(local);
    }

    /// Notes that a request was lost, or waited for an answer in vain: from now on requests get new
    /// connections. Not if others were answered meanwhile, which may be those of a thousand tenants
    /// of one cloud: then it is not the network, and new connections for all would be no better.
    pub(super) fn note_unanswered(&self, lease: &Lease) {
        let mut current = self.lock();
        if let Some(generation) = current.as_mut().filter(|now| now.number == lease.number)
            && generation.answered.is_none_or(|at| at <= lease.since)
        {
            generation.ends = Instant::now();
        }
    }

    /// The client for the same request once more, on a new connection, after it was lost with
    /// `lease`.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn lease_anew<E>(
        &self,
        lease: &Lease,
        settings: [u8; 32],
        make: impl Fn() -> Result<reqwest::Client, E>,
    ) -> Result<Lease, E> {
        self.note_unanswered(lease);
        let next = self.lease(settings, &make)?;
        if next.number != lease.number {
            return Ok(next);
        }
        Ok(Lease { client: make()?, number: 0, used: Arc::default(), ..next })
    }

    fn first_age_limit(&self, settings: [u8; 32]) -> Duration {
        let mut hasher = DefaultHasher::new();
        (std::ptr::from_ref(self).addr(), settings).hash(&mut hasher);
        MAX_CONNECTION_AGE / 2
            + (MAX_CONNECTION_AGE / 2).mul_f64((hasher.finish() % 1_000) as f64 / 1e3)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Generation>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generation {
    fn lease(&self, now: Instant) -> Lease {
        let used = Arc::clone(&self.used);
        Lease { client: self.client.clone(), number: self.number, since: now, used }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const SETTINGS: [u8; 32] = [1; 32];

    fn make() -> Result<reqwest::Client, Infallible> {
        Ok(reqwest::Client::new())
    }

    fn lease(connections: &Connections) -> Lease {
        connections.lease(SETTINGS, make).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_replaced_after_five_minutes_and_not_all_at_once() {
        let hosts: Vec<_> = (0..100).map(|_| Connections::default()).collect();
        let step = Duration::from_secs(10);
        let mut renewed = Vec::new();
        let mut ages = vec![Duration::ZERO; hosts.len()];
        for _ in 0..90 {
            let mut count = 0;
            for (host, age) in hosts.iter().zip(&mut ages) {
                let before = host.lock().as_ref().map(|generation| generation.number);
                let now = lease(host).number;
                let is_new = before.is_some_and(|before| before != now);
                *age = if is_new { Duration::ZERO } else { *age + step };
                assert!(*age <= MAX_CONNECTION_AGE + step);
                count += usize::from(is_new);
            }
            renewed.push(count);
            tokio::time::advance(step).await;
        }
        let most = renewed.iter().max().copied().unwrap();
        assert!((1..=30).contains(&most), "{renewed:?}");
        assert!(hosts.iter().all(|host| lease(host).number >= 3), "{renewed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_ends_connections_unless_others_are_answered() {
        let connections = Connections::default();
        let (silent, other) = (lease(&connections), lease(&connections));
        assert_eq!(silent.number, other.number);
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.answered(&other, None);
        connections.note_unanswered(&silent);
        assert_eq!(lease(&connections).number, silent.number, "others were answered");

        let (silent, other) = (lease(&connections), lease(&connections));
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.note_unanswered(&silent);
        connections.note_unanswered(&other);
        let next = lease(&connections);
        assert_eq!(next.number, silent.number + 1, "once for all that waited in vain");
        connections.answered(&silent, None);
        connections.note_unanswered(&silent);
        assert_eq!(lease(&connections).number, next.number, "the old ones are gone");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_lost_gets_a_new_connection_of_its_own_or_for_all() {
        let connections = Connections::default();
        let (lost, other) = (lease(&connections), lease(&connections));
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.answered(&other, None);
        let alone = connections.lease_anew(&lost, SETTINGS, make).unwrap();
        assert_ne!(alone.number, lost.number);
        assert_eq!(lease(&connections).number, lost.number, "the others keep theirs");

        let lost = lease(&connections);
        let next = connections.lease_anew(&lost, SETTINGS, make).unwrap();
        assert_eq!(lease(&connections).number, next.number);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_was_used_once_an_answer_came_over_it() {
        let connections = Connections::default();
        let before = lease(&connections);
        let [one, other] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        connections.answered(&before, Some(one));
        assert!(before.has_answered(one));
        assert!(!before.has_answered(other));
        tokio::time::advance(MAX_CONNECTION_AGE).await;
        let after = lease(&connections);
        assert!(!after.has_answered(one), "another one from the same address");
        assert!(before.has_answered(one), "a request on the connection from before");
    }

    #[tokio::test(start_paused = true)]
    async fn other_settings_get_other_connections() {
        let connections = Connections::default();
        let before = lease(&connections);
        let after = connections.lease([2; 32], make).unwrap();
        assert_ne!(before.number, after.number);
    }
}
