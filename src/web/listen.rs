// SPDX-License-Identifier: Apache-2.0
//! From the addresses of the command line, or from systemd, to listening sockets.

use std::{
    fmt, fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;
use tracing::warn;

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

/// A connection.
pub(super) type Stream = Either<TcpStream, UnixStream>;

/// A socket that is listened on.
pub struct Listener {
    socket: Either<TcpListener, UnixListener>,
    address: ListenAddress,
    /// The file of a Unix socket that was made here.
    _file: Option<SocketFile>,
}

impl Listener {
    fn tcp(socket: TcpListener) -> io::Result<Self> {
        let address = ListenAddress::Address(socket.local_addr()?);
        Ok(Self { socket: Either::Left(socket), address, _file: None })
    }

    fn unix(socket: UnixListener, file: Option<SocketFile>) -> io::Result<Self> {
        let path = socket.local_addr()?.as_pathname().map(Path::to_owned).unwrap_or_default();
        Ok(Self { socket: Either::Right(socket), address: ListenAddress::Unix(path), _file: file })
    }

    /// The address, with the port that the system chose.
    pub const fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The next connection.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Either::Left(socket) => Ok(Either::Left(socket.accept().await?.0)),
            Either::Right(socket) => Ok(Either::Right(socket.accept().await?.0)),
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.address).finish()
    }
}

/// The file of a Unix socket. It is removed when the socket is not listened on any more.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another exporter may have put its own in this place.
        let is_ours = fs::metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// Listens on all of `addresses`.
///
/// # Errors
/// An address that cannot be listened on.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<Listener>, ListenError> {
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
/// None were passed, or one is neither a TCP nor a Unix socket.
pub fn from_systemd() -> Result<Vec<Listener>, ListenError> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::with_capacity(passed.len());
    for index in 0..passed.len() {
        let listener = take(&mut passed, index);
        listeners.extend(listener.map_err(|error| ListenError::Socket { index, error })?);
    }
    if listeners.is_empty() { Err(ListenError::NoSocket) } else { Ok(listeners) }
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<Option<Listener>> {
    // It puts back what is of another kind.
    if let Ok(socket) = passed.take_tcp_listener(index) {
        let Some(socket) = socket else { return Ok(None) };
        socket.set_nonblocking(true)?;
        return Listener::tcp(TcpListener::from_std(socket)?).map(Some);
    }
    let Some(socket) = passed.take_unix_listener(index)? else { return Ok(None) };
    socket.set_nonblocking(true)?;
    // Its file is systemd's.
    Listener::unix(UnixListener::from_std(socket)?, None).map(Some)
}

fn bind_one(address: &ListenAddress) -> io::Result<Vec<Listener>> {
    match address {
        ListenAddress::Everywhere(port) => Ok(vec![Listener::tcp(everywhere(*port)?)?]),
        ListenAddress::Address(address) => Ok(vec![Listener::tcp(listener(*address, true)?)?]),
        ListenAddress::Unix(path) => Ok(vec![unix(path)?]),
        ListenAddress::Name(name, port) => {
            let mut listeners = Vec::new();
            let mut absent = None;
            for address in (name.as_str(), *port).to_socket_addrs()? {
                match listener(address, true) {
                    Ok(listener) => listeners.push(Listener::tcp(listener)?),
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

/// A Unix socket at `path`, in place of one that nobody listens on any more.
fn unix(path: &Path) -> io::Result<Listener> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::other("there is a file of that name, and it is no socket"));
        }
        Ok(_) => match StdUnixStream::connect(path) {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
            }
            Err(error) => return Err(error),
        },
    }
    let socket = UnixListener::bind(path)?;
    let file = SocketFile { path: path.to_owned(), inode: fs::metadata(path)?.ino() };
    Listener::unix(socket, Some(file))
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
