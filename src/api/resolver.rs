//! Names to addresses, with the system's resolver: a lookup keeps a thread waiting, and cannot be
//! called off.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Mutex, MutexGuard, PoisonError},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

/// Names looked up at once. A lookup keeps a thread waiting, and the same threads read files and
/// compress answers.
const MOST_LOOKUPS: usize = 64;

static LOOKUPS: Lookups = Lookups::new(ask_the_system);

fn ask_the_system(host: &str) -> Option<Vec<SocketAddr>> {
    Some((host, 0).to_socket_addrs().ok()?.collect())
}

/// The system's resolver, with errors that can be told from failed connections.
pub(super) struct Resolver {
    /// Resolve this host, whatever is asked for.
    pub(super) host: Option<String>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = self.host.clone().unwrap_or_else(|| name.as_str().to_owned());
        Box::pin(async move {
            let addresses = LOOKUPS.look_up(host).await.ok_or(DnsError)?;
            if addresses.is_empty() {
                return Err(DnsError.into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// A name was not resolved.
#[derive(Debug)]
pub(super) struct DnsError;

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("name not resolved")
    }
}

impl std::error::Error for DnsError {}

/// Lookups under way and to come.
struct Lookups {
    state: Mutex<State>,
    /// What a thread does with a name.
    ask: fn(&str) -> Option<Vec<SocketAddr>>,
}

struct State {
    /// The names that no thread has taken yet, in the order of asking.
    queue: VecDeque<String>,
    /// Who waits for each name that is in the queue or with a thread: a dead name that is asked
    /// for again and again keeps one thread, and not all of them.
    waiting: BTreeMap<String, Vec<Waiter>>,
    threads: usize,
}

type Waiter = oneshot::Sender<Option<Vec<SocketAddr>>>;

impl Lookups {
    const fn new(ask: fn(&str) -> Option<Vec<SocketAddr>>) -> Self {
        let state = State { queue: VecDeque::new(), waiting: BTreeMap::new(), threads: 0 };
        Self { state: Mutex::new(state), ask }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks `host` up; an address at once. Each thread takes one name after the other: with a
    /// blocking task for each name, the next one starts before the thread of the last one is free,
    /// on half as many threads more.
    async fn look_up(&'static self, host: String) -> Option<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(vec![(address, 0).into()]);
        }
        let (tell, told) = oneshot::channel();
        if self.note(host, tell) {
            let thread = LookupThread { lookups: self, host: None, ended: false };
            tokio::task::spawn_blocking(move || thread.run());
        }
        told.await.ok().flatten()
    }

    /// Notes who waits for `host`; whether one more thread is needed.
    fn note(&self, host: String, waiter: Waiter) -> bool {
        let mut state = self.state();
        if let Some(waiting) = state.waiting.get_mut(&host) {
            waiting.push(waiter);
        } else {
            state.queue.push_back(host.clone());
            state.waiting.insert(host, vec![waiter]);
        }
        let one_more = state.threads < state.waiting.len().min(MOST_LOOKUPS);
        state.threads += usize::from(one_more);
        one_more
    }
}

/// One of the threads. Dropped before it ran, because the runtime stopped, it counts no longer.
struct LookupThread {
    lookups: &'static Lookups,
    /// What it looks up.
    host: Option<String>,
    ended: bool,
}

impl LookupThread {
    /// Looks up what waits, until nothing does.
    fn run(mut self) {
        let ask = self.lookups.ask;
        while let Some(host) = self.next() {
            let found = ask(host);
            for waiter in self.settle() {
                let _ = waiter.send(found.clone());
            }
        }
    }

    /// In one step with the end of the thread: what is wanted next must find another one.
    fn next(&mut self) -> Option<&str> {
        let mut state = self.lookups.state();
        while let Some(host) = state.queue.pop_front() {
            // Whoever ran out of time needs no answer.
            let open = |waiters: &Vec<Waiter>| waiters.iter().any(|waiter| !waiter.is_closed());
            if state.waiting.get(&host).is_some_and(open) {
                return Some(self.host.insert(host));
            }
            state.waiting.remove(&host);
        }
        state.threads -= 1;
        self.ended = true;
        None
    }

    /// Who waits for what was looked up. Whoever comes now has it looked up anew.
    fn settle(&mut self) -> Vec<Waiter> {
        let host = self.host.take();
        host.and_then(|host| self.lookups.state().waiting.remove(&host)).unwrap_or_default()
    }
}

impl Drop for LookupThread {
    fn drop(&mut self) {
        self.settle();
        if !self.ended {
            self.lookups.state().threads -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, pin::pin, sync::Condvar, time::Duration};

    use futures_util::{FutureExt, future::join_all, poll};

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

    async fn all_threads_end(lookups: &Lookups) {
        let ended = async {
            while lookups.state().threads > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("threads end");
        let state = lookups.state();
        assert!(state.queue.is_empty() && state.waiting.is_empty());
    }

    #[tokio::test]
    async fn every_name_is_looked_up_once_and_threads_end() {
        static SERVER: Server = Server::new();
        static LOOKUPS: Lookups = Lookups::new(|host| SERVER.ask(host));
        let silence = SERVER.silence();
        let names: Vec<_> = (0..1_000).map(|number| format!("name-{number}")).collect();
        let mut found = pin!(join_all(names.iter().map(|name| LOOKUPS.look_up(name.clone()))));
        assert!(poll!(&mut found).is_pending());
        assert_eq!(LOOKUPS.state().threads, MOST_LOOKUPS);
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
    async fn an_address_does_not_wait_for_dead_names() {
        static SERVER: Server = Server::new();
        static LOOKUPS: Lookups = Lookups::new(|host| SERVER.ask(host));
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
        static LOOKUPS: Lookups = Lookups::new(|host| SERVER.ask(host));
        let silence = SERVER.silence();
        let mut given_up = Box::pin(LOOKUPS.look_up("name-1".to_owned()));
        assert!(poll!(&mut given_up).is_pending());
        drop(given_up);
        let mut found = pin!(join_all((0..100).map(|_| LOOKUPS.look_up("name-1".to_owned()))));
        assert!(poll!(&mut found).is_pending());
        assert_eq!(LOOKUPS.state().threads, 1);
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
        static LOOKUPS: Lookups = Lookups::new(|host| SERVER.ask(host));
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

    /// A runtime that stops may take along a thread that it has not started yet.
    #[tokio::test]
    async fn a_name_left_behind_is_looked_up_for_the_next_who_wants_it() {
        static LOOKUPS: Lookups = Lookups::new(|_| Some(Vec::new()));
        let (tell, _) = oneshot::channel();
        assert!(LOOKUPS.note("name".to_owned(), tell));
        drop(LookupThread { lookups: &LOOKUPS, host: None, ended: false });
        let found = LOOKUPS.look_up("name".to_owned());
        let found = tokio::time::timeout(PATIENCE, found).await;
        assert_eq!(found, Ok(Some(Vec::new())));
        all_threads_end(&LOOKUPS).await;
    }
}
