// SPDX-License-Identifier: Apache-2.0
//! Listeners and what all connections share.

pub(crate) mod http;
mod socket;
pub(crate) mod text;

use crate::Options;
use crate::instance::Instance;
use crate::registry::{Description, Protocol, SimulatedSystem, Vendor};
use socket::Socket;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The largest request, or message of a text protocol, that is read.
const LARGEST_REQUEST: usize = 1 << 20;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) options: Arc<Options>,
    pub(crate) open: AtomicUsize,
    pub(crate) stop: CancellationToken,
    /// In the order of the registry.
    systems: Vec<Simulated>,
}

/// One kind of system and its instances by name.
struct Simulated {
    system: &'static dyn SimulatedSystem,
    instances: RwLock<HashMap<String, Arc<Mutex<Instance>>>>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        let simulated =
            |system: &&'static _| Simulated { system: *system, instances: RwLock::default() };
        Self {
            systems: options.registry.systems().iter().map(simulated).collect(),
            options: Arc::new(options),
            open: AtomicUsize::new(0),
            stop: CancellationToken::new(),
        }
    }

    /// The place of a system in the registry.
    ///
    /// # Panics
    ///
    /// If it is not in there: a test asks about a system this simulator does not simulate.
    fn index(&self, vendor: Vendor) -> usize {
        let name = vendor.as_str();
        match self.systems.iter().position(|kind| kind.system.description().name == name) {
            Some(index) => index,
            None => panic!("{name} is none of {:?}", self.options.registry),
        }
    }

    /// The instance of that name, created when first asked for.
    pub(crate) fn instance(&self, vendor: Vendor, name: &str) -> Arc<Mutex<Instance>> {
        let kind = &self.systems[self.index(vendor)];
        let read = kind.instances.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(instance) = read.get(name) {
            return instance.clone();
        }
        drop(read);
        let new = || Arc::new(Mutex::new(Instance::new(kind.system, name, self.options.clone())));
        let mut write = kind.instances.write().unwrap_or_else(PoisonError::into_inner);
        write.entry(name.to_owned()).or_insert_with(new).clone()
    }

    pub(crate) fn description(&self, vendor: Vendor) -> &'static Description {
        self.systems[self.index(vendor)].system.description()
    }

    pub(crate) fn protocol(&self, vendor: Vendor) -> Protocol {
        self.systems[self.index(vendor)].system.protocol()
    }

    pub(crate) fn speaks_http(&self, vendor: Vendor) -> bool {
        matches!(self.protocol(vendor), Protocol::Http(_))
    }

    pub(crate) fn every_instance(&self) -> Vec<Arc<Mutex<Instance>>> {
        let read = |kind: &Simulated| -> Vec<_> {
            let instances = kind.instances.read().unwrap_or_else(PoisonError::into_inner);
            instances.values().cloned().collect()
        };
        self.systems.iter().flat_map(read).collect()
    }
}

/// A test that panicked while editing a population has failed already; the others go on.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts until stopped, and serves each connection in a task of its own that ends with the simulator.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    shared: Arc<Shared>,
    counted: bool,
    serve: impl Fn(Socket) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely; some will come back.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let connection = serve(Socket::new(stream, counted.then(|| shared.clone())));
        let stop = shared.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = connection => {}
                () = stop.cancelled() => {}
            }
        });
    }
}
