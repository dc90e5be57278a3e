//! All calls on one UDP port: a socket for each of our addresses, and a queue for each call.

use super::route::Path;
use super::stun;
use super::table::{Entry, Kind, Stray, Table};
use crate::clock::Clock;
use bytes::BytesMut;
use rtc::crypto::RTCCryptoProvider;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Packets of one call that wait for its task: over two seconds of speech and reports. More is a flood or a stalled
/// task, and then the newest are dropped and counted.
const QUEUE: usize = 256;
/// No packet of a WebRTC call is longer: its parts keep under an Ethernet frame.
const DATAGRAM_BYTES: usize = 2048;
/// How many ports are tried when any will do and one is taken on some address.
const PORT_ATTEMPTS: usize = 16;
/// The pause after a socket failed to receive, so that a broken one does not spin.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// A packet for a call.
#[derive(Debug)]
pub(super) struct Arrived {
    /// When it was read from the socket.
    pub(super) at: Duration,
    /// The addresses that it went between.
    pub(super) path: Path,
    /// What it is to the call.
    pub(super) kind: Kind,
    /// Its bytes.
    pub(super) datagram: BytesMut,
}

/// Where a call's packets wait, and how many did not fit.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<Arrived>,
    overflowed: AtomicU64,
}

/// Packets that went to no call, or could not be sent, by reason.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// Neither STUN nor DTLS nor RTP.
    pub(super) malformed: AtomicU64,
    /// Of no present call.
    pub(super) unknown: AtomicU64,
    /// Checks and answers that were not signed as they must be.
    pub(super) unsigned: AtomicU64,
    /// Checks from too many addresses.
    pub(super) too_many_sources: AtomicU64,
    /// For a call whose queue was full.
    pub(super) overflowed: AtomicU64,
    /// That the system did not take for sending.
    pub(super) unsent: AtomicU64,
}

/// The sockets on the shared port and the calls behind them.
pub(super) struct Mux {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    table: Mutex<Table<Queue>>,
    crypto: Arc<dyn RTCCryptoProvider>,
    clock: Clock,
    pub(super) dropped: Dropped,
}

impl Mux {
    /// Binds `port` (0: any that is free on all of them) on every one of `addresses`.
    ///
    /// # Errors
    /// The address that could not be bound, with the system's reason.
    pub(super) fn bind(
        addresses: &[IpAddr],
        port: u16,
        capacity: usize,
        crypto: Arc<dyn RTCCryptoProvider>,
        clock: Clock,
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let mut attempt = 1;
        let sockets = loop {
            match bind_all(addresses, port) {
                Err(_) if port == 0 && attempt < PORT_ATTEMPTS => attempt += 1,
                result => break result?,
            }
        };
        let table = Mutex::new(Table::new(capacity));
        Ok(Self {
            sockets,
            table,
            crypto,
            clock,
            dropped: Dropped::default(),
        })
    }

    /// The addresses bound, all with the same port.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address)
    }

    fn table(&self) -> MutexGuard<'_, Table<Queue>> {
        // Every change of the table is whole before anything can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls present.
    pub(super) fn calls(&self) -> usize {
        self.table().calls()
    }

    /// Addresses and checks remembered for the calls present.
    pub(super) fn traces(&self) -> usize {
        self.table().traces()
    }

    /// Whether one more call may join.
    pub(super) fn has_room(&self) -> bool {
        self.table().has_room()
    }

    /// Lets a call in; `None` when all places are taken.
    pub(super) fn join(
        self: &Arc<Self>,
        ufrag: String,
        password: String,
        their_password: String,
    ) -> Option<Port> {
        let (sender, arrived) = mpsc::channel(QUEUE);
        let queue = Queue {
            sender,
            overflowed: AtomicU64::new(0),
        };
        let entry = Arc::new(Entry {
            ufrag,
            password,
            their_password,
            queue,
        });
        self.table().join(entry.clone()).then(|| Port {
            entry,
            arrived,
            mux: self.clone(),
        })
    }

    /// Reads one socket until the task is dropped.
    pub(super) async fn read(self: Arc<Self>, index: usize) {
        let Some((local, socket)) = self.sockets.get(index) else {
            return;
        };
        let mut buffer = [0; DATAGRAM_BYTES];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((length, remote)) => {
                    let path = Path {
                        local: *local,
                        remote,
                    };
                    self.deliver(path, buffer.get(..length).unwrap_or_default());
                }
                Err(error) => {
                    tracing::debug!(%local, %error, "A media socket failed to receive.");
                    self.clock.until(self.clock.now() + AFTER_FAILURE).await;
                }
            }
        }
    }

    fn deliver(&self, path: Path, datagram: &[u8]) {
        let routed = self
            .table()
            .route(path.remote, datagram, self.crypto.crypto());
        let dropped = match routed {
            Ok((entry, kind)) => {
                let at = self.clock.now();
                let arrived = Arrived {
                    at,
                    path,
                    kind,
                    datagram: BytesMut::from(datagram),
                };
                if entry.queue.sender.try_send(arrived).is_ok() {
                    return;
                }
                entry.queue.overflowed.fetch_add(1, Ordering::Relaxed);
                &self.dropped.overflowed
            }
            Err(Stray::Malformed) => &self.dropped.malformed,
            Err(Stray::Unknown) => &self.dropped.unknown,
            Err(Stray::Unsigned) => &self.dropped.unsigned,
            Err(Stray::TooManySources) => &self.dropped.too_many_sources,
        };
        dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn bind_all(
    addresses: &[IpAddr],
    port: u16,
) -> Result<Vec<(SocketAddr, UdpSocket)>, (SocketAddr, io::Error)> {
    let mut port = port;
    let mut sockets = Vec::with_capacity(addresses.len());
    for ip in addresses {
        let wanted = SocketAddr::new(*ip, port);
        let (bound, socket) = bind_one(wanted).map_err(|error| (wanted, error))?;
        port = bound.port();
        sockets.push((bound, socket));
    }
    Ok(sockets)
}

/// Binds a non-blocking socket on the present runtime.
pub(super) fn bind_one(address: SocketAddr) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    let bound = socket.local_addr()?;
    Ok((bound, UdpSocket::from_std(socket)?))
}

/// One call's place on the shared port. Dropping it removes everything that leads to the call.
pub(super) struct Port {
    entry: Arc<Entry<Queue>>,
    arrived: mpsc::Receiver<Arrived>,
    mux: Arc<Mux>,
}

impl Port {
    /// Waits for the call's next packet. Cancel-safe.
    pub(super) async fn recv(&mut self) -> Option<Arrived> {
        self.arrived.recv().await
    }

    /// The call's next packet, if one waits already.
    pub(super) fn try_recv(&mut self) -> Option<Arrived> {
        self.arrived.try_recv().ok()
    }

    /// Sends a packet. What the system does not take at once is lost, as on any network, and counted.
    pub(super) fn send(&self, path: Path, datagram: &[u8]) {
        if let Some(id) = stun::asked(datagram) {
            self.mux.table().ask(&self.entry.ufrag, id, path.remote);
        }
        let socket = self
            .mux
            .sockets
            .iter()
            .find(|(address, _)| *address == path.local);
        let is_sent =
            socket.is_some_and(|(_, socket)| socket.try_send_to(datagram, path.remote).is_ok());
        if !is_sent {
            self.mux.dropped.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Packets of this call that were dropped because its queue was full.
    pub(super) fn overflowed(&self) -> u64 {
        self.entry.queue.overflowed.load(Ordering::Relaxed)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.mux.table().leave(&self.entry.ufrag);
    }
}
