//! The connections to one host, and when they are no longer trusted.
//!
//! The HTTP client keeps connections for the next request, and cannot be told to forget one. So each
//! host has a client of its own, and gets a new one, whose connections are all new, when there is
//! reason to: when the connections are [`LONGEST_LIFE`] old, or when one of them was lost or fell
//! silent. The old client is dropped with the last request that uses it, and its connections with it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long connections are used. A name may stand for another address by then, and the old one may
/// still answer: clouds move their services like that.
pub(super) const LONGEST_LIFE: Duration = Duration::from_secs(5 * 60);

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
}

/// The client for one request.
#[derive(Clone)]
pub(super) struct Lease {
    /// The client.
    pub(super) client: reqwest::Client,
    /// Whether the request may get a connection that was used before.
    pub(super) may_reuse: bool,
    /// The generation; 0: none, the client is for this request alone.
    number: u64,
    since: Instant,
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
        let life = if old == 0 { self.first_life(settings) } else { LONGEST_LIFE };
        let generation = Generation {
            number: old + 1,
            client: make()?,
            settings,
            ends: now + life,
            answered: None,
        };
        let lease = generation.lease(now);
        *current = Some(generation);
        Ok(lease)
    }

    /// Notes that an answer came.
    pub(super) fn answered(&self, lease: &Lease) {
        if let Some(generation) = self.lock().as_mut().filter(|now| now.number == lease.number) {
            generation.answered = Some(Instant::now());
        }
    }

    /// Notes that a request was lost, or waited for an answer in vain: from now on requests get new
    /// connections. Not if others were answered meanwhile, which may be those of a thousand tenants
    /// of one cloud: then it is not the network, and new connections for all would be no better.
    pub(super) fn doubt(&self, lease: &Lease) {
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
        self.doubt(lease);
        let next = self.lease(settings, &make)?;
        if next.number != lease.number {
            return Ok(next);
        }
        Ok(Lease { client: make()?, may_reuse: false, number: 0, ..next })
    }

    fn first_life(&self, settings: [u8; 32]) -> Duration {
        let mut hasher = DefaultHasher::new();
        (std::ptr::from_ref(self).addr(), settings).hash(&mut hasher);
        LONGEST_LIFE / 2 + (LONGEST_LIFE / 2).mul_f64((hasher.finish() % 1_000) as f64 / 1e3)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Generation>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generation {
    fn lease(&self, now: Instant) -> Lease {
        Lease {
            client: self.client.clone(),
            may_reuse: self.answered.is_some(),
            number: self.number,
            since: now,
        }
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
                assert!(*age <= LONGEST_LIFE + step);
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
        connections.answered(&other);
        connections.doubt(&silent);
        assert_eq!(lease(&connections).number, silent.number, "others were answered");

        let (silent, other) = (lease(&connections), lease(&connections));
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.doubt(&silent);
        connections.doubt(&other);
        let next = lease(&connections);
        assert_eq!(next.number, silent.number + 1, "once for all that waited in vain");
        assert!(!next.may_reuse);
        connections.answered(&silent);
        connections.doubt(&silent);
        assert_eq!(lease(&connections).number, next.number, "the old ones are gone");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_lost_gets_a_new_connection_of_its_own_or_for_all() {
        let connections = Connections::default();
        let (lost, other) = (lease(&connections), lease(&connections));
        tokio::time::advance(Duration::from_secs(1)).await;
        connections.answered(&other);
        let alone = connections.lease_anew(&lost, SETTINGS, make).unwrap();
        assert!(!alone.may_reuse);
        assert_eq!(lease(&connections).number, lost.number, "the others keep theirs");

        let lost = lease(&connections);
        let next = connections.lease_anew(&lost, SETTINGS, make).unwrap();
        assert!(!next.may_reuse);
        assert_eq!(lease(&connections).number, next.number);
    }

    #[tokio::test(start_paused = true)]
    async fn other_settings_get_other_connections() {
        let connections = Connections::default();
        let before = lease(&connections);
        let after = connections.lease([2; 32], make).unwrap();
        assert_ne!(before.number, after.number);
    }
}
