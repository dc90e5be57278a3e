//! One UDP socket for either family of addresses.

use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;

/// A UDP socket on every interface. The system chooses the route; the other side answers to where packets come from.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UdpSocket,
    port: u16,
    /// Whether IPv4 goes through an IPv6 socket.
    is_dual: bool,
}

impl Socket {
    /// Binds any free port, for both families where the system has both. Must be called on a tokio runtime.
    pub(super) fn bind() -> io::Result<Self> {
        dual().map_or_else(|_| single(), Ok)
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until there is something to read; for ever once the system has taken the socket away. Cancel-safe.
    pub(super) async fn readable(&self) {
        if self.socket.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The next datagram that waits, into `buffer`.
    pub(super) fn try_recv<'a>(&self, buffer: &'a mut [u8]) -> Option<(&'a [u8], SocketAddr)> {
        let (length, from) = self.socket.try_recv_from(buffer).ok()?;
        Some((buffer.get(..length)?, plain(from)))
    }

    /// Sends a datagram. What the system does not take at once is lost, as on any network.
    pub(super) fn send(&self, datagram: &[u8], to: SocketAddr) {
        let to = if self.is_dual { mapped(to) } else { to };
        if let Err(error) = self.socket.try_send_to(datagram, to) {
            tracing::trace!(%error, "A packet was not taken.");
        }
    }
}

/// The address of this machine from which the system sends to `to`. Nothing is sent.
pub(super) fn route_to(to: SocketAddr) -> Option<IpAddr> {
    let any = match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn dual() -> io::Result<Socket> {
    let socket = RawSocket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(false)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
    finish(socket, true)
}

fn single() -> io::Result<Socket> {
    let socket = RawSocket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    finish(socket, false)
}

fn finish(socket: RawSocket, is_dual: bool) -> io::Result<Socket> {
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket.into())?;
    let port = socket.local_addr()?.port();
    Ok(Socket {
        socket,
        port,
        is_dual,
    })
}

/// IPv4 as an IPv6 socket writes it.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(v4) => SocketAddr::from((v4.to_ipv6_mapped(), address.port())),
        IpAddr::V6(_) => address,
    }
}

/// The same address without IPv6 around IPv4.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_families_reach_it() {
        let (here, there) = (Socket::bind().unwrap(), Socket::bind().unwrap());
        let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, there.port()))];
        if there.is_dual && std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, there.port())));
        }
        for to in addresses {
            // The runtime learns only while somebody waits that there is room.
            here.socket.writable().await.unwrap();
            here.send(b"hello", to);
            let mut buffer = [0; 32];
            let (datagram, from) = loop {
                there.readable().await;
                let mut attempt = [0; 32];
                if let Some((datagram, from)) = there.try_recv(&mut attempt) {
                    buffer[..datagram.len()].copy_from_slice(datagram);
                    break (datagram.len(), from);
                }
            };
            assert_eq!(&buffer[..datagram], b"hello");
            assert_eq!((from.ip(), from.port()), (to.ip(), here.port()));
        }
    }
}
