// SPDX-License-Identifier: Apache-2.0
//! Names to addresses, with the system's resolver: a lookup blocks a thread, and cannot be
//! cancelled.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::spawn_blocking,
    time::timeout,
};

/// Names looked up at once. A lookup keeps a thread waiting, and the same threads read files and
/// compress answers.
const MOST_LOOKUPS: usize = 64;

static LOOKUPS: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(ask_the_system));

fn ask_the_system(host: &str) -> Found {
    Some((host, 0).to_socket_addrs().ok()?.collect())
}

/// How long one of several addresses is tried before the next one. A lost packet is sent again after
/// one second, and an answer from the other side of the world takes a third of one.
const ADDRESS_TIME: Duration = Duration::from_millis(1_250);

/// The address that last answered.
pub(super) type Peer = Arc<Mutex<Option<SocketAddr>>>;

/// The addresses of `host`, without ports, in the order in which they are to be tried one after the
/// other, with equal parts of `connect_timeout`. `None`: the name is not resolved, which is known before
/// that time ends, so that a name server that does not answer is told from a system that does not.
pub(super) async fn look_up(
    host: &str,
    peer: &Peer,
    connect_timeout: Duration,
) -> Option<Vec<SocketAddr>> {
    let addresses = LOOKUPS.look_up_within(host.to_owned(), connect_timeout * 9 / 10).await?;
    if addresses.is_empty() {
        return None;
    }
    let peer = *peer.lock().unwrap_or_else(PoisonError::into_inner);
    Some(in_turn(addresses, peer, connect_timeout))
}

/// `addresses` in the order in which they are to be tried, `peer` first.
///
/// They are tried one after the other, each for an equal part of `connect_timeout`. So that an address
/// that does not answer does not take half of it, each is listed several times where time allows.
fn in_turn(
    mut addresses: Vec<SocketAddr>,
    peer: Option<SocketAddr>,
    connect_timeout: Duration,
) -> Vec<SocketAddr> {
    if addresses.len() < 2 {
        return addresses;
    }
    // False comes before true, and equal ones keep their order.
    addresses.sort_by_key(|address| Some(address.ip()) != peer.map(|peer| peer.ip()));
    let turns = connect_timeout.div_duration_f64(ADDRESS_TIME * addresses.len() as u32) as usize;
    addresses.repeat(turns.max(1))
}

/// What was found for a name; `None`: nothing.
type Found = Option<Vec<SocketAddr>>;

/// The lookups under way.
struct Lookups {
    /// Each of these names is looked up by one thread. Further requests for it wait for the same
    /// answer: a name that no server answers for occupies one thread, however often it is wanted.
    under_way: Mutex<HashMap<String, Shared<BoxFuture<'static, Found>>>>,
    /// One permit for each thread. A lookup that is dropped while it waits for one never starts.
    threads: Semaphore,
    /// The blocking lookup.
    ask: fn(&str) -> Found,
}

impl Lookups {
    fn new(ask: fn(&str) -> Found) -> Self {
        Self { under_way: Mutex::default(), threads: Semaphore::new(MOST_LOOKUPS), ask }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Shared<BoxFuture<'static, Found>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks `host` up, and waits for `limit` at most.
    async fn look_up_within(&'static self, host: String, limit: Duration) -> Found {
        timeout(limit, self.look_up(host)).await.ok().flatten()
    }

    /// Looks `host` up; an address at once.
    async fn look_up(&'static self, host: String) -> Found {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(vec![(address, 0).into()]);
        }
        let under_way = self.under_way().get(&host).cloned();
        if let Some(lookup) = under_way {
            return lookup.await;
        }
        let permit = self.threads.acquire().await.ok()?;
        self.start(host, permit).await
    }

    /// The lookup of `host`: the one that another task has started meanwhile, or a new one.
    fn start(
        &'static self,
        host: String,
        permit: SemaphorePermit<'static>,
    ) -> Shared<BoxFuture<'static, Found>> {
        let mut under_way = self.under_way();
        if let Some(lookup) = under_way.get(&host) {
            return lookup.clone();
        }
        let thread = LookupThread { lookups: self, host: host.clone(), _permit: permit };
        // The result goes to the tasks that wait now; it is not cached for later ones.
        let found = spawn_blocking(move || (thread.lookups.ask)(&thread.host));
        let lookup = found.map(|found| found.ok().flatten()).boxed().shared();
        under_way.insert(host, lookup.clone());
        lookup
    }
}

/// A thread that looks up a name. A runtime that stops may drop it before it ran; in any case the
/// name can be looked up again.
struct LookupThread {
    lookups: &'static Lookups,
    host: String,
    _permit: SemaphorePermit<'static>,
}

impl Drop for LookupThread {
    fn drop(&mut self) {
        self.lookups.under_way().remove(&self.host);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, pin::pin, sync::Condvar};

    use futures_util::{future::join_all, poll};

    use super::*;

    /// Far longer than anything here takes, unless it never ends.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A name server that remembers what it was asked for.
    struct Server {
        asked: Mutex<Vec<String>>,
        silent: Mutex<bool>,
        spoke: Condvar,
    }

    /// While it lives, the server does not answer; nor does a test that fails leave it so.
    struct Silence(&'static Server);

    impl Drop for Silence {
        fn drop(&mut self) {
            *self.0.silent.lock().unwrap() = false;
            self.0.spoke.notify_all();
        }
    }

    impl Server {
        const fn new() -> Self {
            Self { asked: Mutex::new(Vec::new()), silent: Mutex::new(false), spoke: Condvar::new() }
        }

        fn silence(&'static self) -> Silence {
            *self.silent.lock().unwrap() = true;
            Silence(self)
        }

        /// Finds 127.0.X.Y under `name-N`.
        fn ask(&self, host: &str) -> Option<Vec<SocketAddr>> {
            self.asked.lock().unwrap().push(host.to_owned());
            drop(self.spoke.wait_while(self.silent.lock().unwrap(), |silent| *silent).unwrap());
            let number: u16 = host.strip_prefix("name-")?.parse().unwrap();
            Some(vec![address(number)])
        }

        fn asked(&self) -> Vec<String> {
            let mut asked = self.asked.lock().unwrap().clone();
            asked.sort_unstable();
            asked
        }
    }

    fn address(number: u16) -> SocketAddr {
        let [high, low] = number.to_be_bytes();
        (Ipv4Addr::new(127, 0, high, low), 0).into()
    }

    /// How many threads are asking.
    fn threads(lookups: &Lookups) -> usize {
        MOST_LOOKUPS - lookups.threads.available_permits()
    }

    async fn all_threads_end(lookups: &Lookups) {
        let ended = async {
            while threads(lookups) > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, ended).await.expect("threads end");
        assert!(lookups.under_way().is_empty());
    }

    #[tokio::test]
    async fn every_name_is_looked_up_once_and_threads_end() {
        static SERVER: Server = Server::new();
        static LOOKUPS: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(|host| SERVER.ask(host)));
        let silence = SERVER.silence();
        let names: Vec<_> = (0..1_000).map(|number| format!("name-{number}")).collect();
        let mut found = pin!(join_all(names.iter().map(|name| LOOKUPS.look_up(name.clone()))));
        assert!(poll!(&mut found).is_pending());
        assert_eq!(threads(&LOOKUPS), MOST_LOOKUPS);
        drop(silence);
        let expected: Vec<_> = (0..1_000).map(|number| Some(vec![address(number)])).collect();
        assert_eq!(found.await, expected);
        let mut once = names;
        once.sort_unstable();
        assert_eq!(SERVER.asked(), once);
        assert_eq!(LOOKUPS.look_up("nobody".to_owned()).await, None);
        all_threads_end(&LOOKUPS).await;
    }

    #[tokio::test]
    async fn an_address_does_not_wait_for_names_that_are_not_answered() {
        static SERVER: Server = Server::new();
        static LOOKUPS: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(|host| SERVER.ask(host)));
        let silence = SERVER.silence();
        let names = (0..100).map(|number| LOOKUPS.look_up(format!("name-{number}")));
        let mut found = pin!(join_all(names));
        assert!(poll!(&mut found).is_pending());
        for host in ["192.0.2.1", "2001:db8::1"] {
            let expected = SocketAddr::from((host.parse::<IpAddr>().unwrap(), 0));
            let found = LOOKUPS.look_up(host.to_owned()).now_or_never();
            assert_eq!(found, Some(Some(vec![expected])));
        }
        drop(silence);
        found.await;
        all_threads_end(&LOOKUPS).await;
    }

    #[tokio::test]
    async fn a_name_that_is_wanted_again_and_again_keeps_one_thread() {
        static SERVER: Server = Server::new();
        static LOOKUPS: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(|host| SERVER.ask(host)));
        let silence = SERVER.silence();
        let mut given_up = Box::pin(LOOKUPS.look_up("name-1".to_owned()));
        assert!(poll!(&mut given_up).is_pending());
        drop(given_up);
        let mut found = pin!(join_all((0..100).map(|_| LOOKUPS.look_up("name-1".to_owned()))));
        assert!(poll!(&mut found).is_pending());
        assert_eq!(threads(&LOOKUPS), 1);
        drop(silence);
        assert_eq!(found.await, vec![Some(vec![address(1)]); 100]);
        assert_eq!(SERVER.asked(), ["name-1"]);
        assert_eq!(LOOKUPS.look_up("name-1".to_owned()).await, Some(vec![address(1)]));
        assert_eq!(SERVER.asked().len(), 2, "an answer is not kept");
        all_threads_end(&LOOKUPS).await;
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_looked_up() {
        static SERVER: Server = Server::new();
        static LOOKUPS: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(|host| SERVER.ask(host)));
        let silence = SERVER.silence();
        let busy = (0..MOST_LOOKUPS).map(|number| LOOKUPS.look_up(format!("name-{number}")));
        let mut busy = pin!(join_all(busy));
        assert!(poll!(&mut busy).is_pending());
        let mut given_up = Box::pin(LOOKUPS.look_up("given-up".to_owned()));
        assert!(poll!(&mut given_up).is_pending());
        drop(given_up);
        drop(silence);
        busy.await;
        all_threads_end(&LOOKUPS).await;
        assert!(!SERVER.asked().contains(&"given-up".to_owned()));
    }

    /// A runtime that stops takes along what waits for a thread of it.
    #[test]
    fn a_name_left_behind_is_looked_up_for_the_next_who_wants_it() {
        static SERVER: Server = Server::new();
        static LOOKUPS: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(|host| SERVER.ask(host)));
        let runtime = |threads| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().max_blocking_threads(threads).build().unwrap()
        };
        let silence = SERVER.silence();
        let stopping = runtime(1);
        stopping.block_on(async {
            for number in 1..=2 {
                let mut found = Box::pin(LOOKUPS.look_up(format!("name-{number}")));
                assert!(poll!(&mut found).is_pending());
            }
        });
        stopping.shutdown_background();
        drop(silence);
        runtime(1).block_on(async {
            all_threads_end(&LOOKUPS).await;
            let found = LOOKUPS.look_up("name-2".to_owned());
            let found = timeout(PATIENCE, found).await;
            assert_eq!(found, Ok(Some(vec![address(2)])));
            all_threads_end(&LOOKUPS).await;
        });
    }

    #[tokio::test]
    async fn a_name_that_is_not_answered_in_time_is_not_resolved() {
        static SERVER: Server = Server::new();
        static LOOKUPS: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(|host| SERVER.ask(host)));
        let silence = SERVER.silence();
        let found = LOOKUPS.look_up_within("name-1".to_owned(), Duration::from_millis(10));
        assert_eq!(timeout(PATIENCE, found).await, Ok(None));
        drop(silence);
        let found = LOOKUPS.look_up_within("name-1".to_owned(), PATIENCE);
        assert_eq!(found.await, Some(vec![address(1)]));
        all_threads_end(&LOOKUPS).await;
    }

    #[test]
    fn each_of_several_addresses_has_its_turn_before_long() {
        const TIME: Duration = Duration::from_secs(5);
        let [one, two] = [address(1), address(2)];
        assert_eq!(in_turn(vec![one], None, TIME), [one], "there is nothing to choose");
        assert_eq!(in_turn(vec![one, two], None, TIME), [one, two, one, two]);
        let answered = SocketAddr::new(two.ip(), 8088);
        assert_eq!(in_turn(vec![one, two], Some(answered), TIME), [two, one, two, one]);
        let gone = Some(address(3));
        assert_eq!(in_turn(vec![one, two], gone, TIME / 5), [one, two], "little time");
        let many: Vec<_> = (1..=20).map(address).collect();
        assert_eq!(in_turn(many.clone(), None, TIME), many);
    }
}
