//! From the addresses of the command line, or from systemd, to listening sockets.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::cli::ListenAddress;

/// Connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Address {
        /// Which address.
        address: String,
        /// What the system said.
        error: io::Error,
    },
    /// systemd passed no socket.
    #[error(
        "--web.systemd-socket: systemd passed no socket (is the service started by its .socket unit?)"
    )]
    NoSocket,
    /// systemd passed something else.
    #[error("--web.systemd-socket: socket {index} cannot be used: {error}")]
    Socket {
        /// Which socket, from 0.
        index: usize,
        /// Why.
        error: io::Error,
    },
}

/// Listens on all of `addresses`.
///
/// # Errors
/// An address that cannot be listened on.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<TcpListener>, ListenError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let failed = |error| ListenError::Address { address: address.to_string(), error };
        listeners.extend(bind_one(address).map_err(failed)?);
    }
    Ok(listeners)
}

/// The sockets systemd passed.
///
/// # Errors
/// None were passed, or one is no TCP socket.
pub fn from_systemd() -> Result<Vec<TcpListener>, ListenError> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::with_capacity(passed.len());
    for index in 0..passed.len() {
        let unusable = |error| ListenError::Socket { index, error };
        if let Some(listener) = passed.take_tcp_listener(index).map_err(unusable)? {
            listener.set_nonblocking(true).map_err(unusable)?;
            listeners.push(TcpListener::from_std(listener).map_err(unusable)?);
        }
    }
    if listeners.is_empty() { Err(ListenError::NoSocket) } else { Ok(listeners) }
}

fn bind_one(address: &ListenAddress) -> io::Result<Vec<TcpListener>> {
    match address {
        ListenAddress::Everywhere(port) => everywhere(*port).map(|listener| vec![listener]),
        ListenAddress::Address(address) => listener(*address, true).map(|listener| vec![listener]),
        ListenAddress::Name(name, port) => {
            let mut listeners = Vec::new();
            let mut absent = None;
            for address in (name.as_str(), *port).to_socket_addrs()? {
                match listener(address, true) {
                    Ok(listener) => listeners.push(listener),
                    // `localhost` has an IPv6 address even where the machine has not.
                    Err(error) if is_absent(&error) => absent = Some(error),
                    Err(error) => return Err(error),
                }
            }
            match absent {
                Some(error) if listeners.is_empty() => Err(error),
                _ if listeners.is_empty() => Err(io::ErrorKind::NotFound.into()),
                _ => Ok(listeners),
            }
        }
    }
}

/// One socket for IPv4 and IPv6, whatever the system's default; IPv4 alone where there is no IPv6.
fn everywhere(port: u16) -> io::Result<TcpListener> {
    match listener(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), false) {
        Err(error) if is_absent(&error) => {
            listener(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), true)
        }
        bound => bound,
    }
}

/// Whether the machine does not have the address, or its family.
fn is_absent(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn listener(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // A restart must not wait for the old connections' time to pass.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
