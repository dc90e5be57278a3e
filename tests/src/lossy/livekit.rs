//! A LiveKit server behind a bad network.
//!
//! The server tells callers its UDP port in its signalling, so the signalling goes through a proxy, too, which writes the
//! lossy port in its place. Both numbers have the same length, so no message becomes longer. The server makes no
//! connectivity checks of its own (ICE lite), or it would find a way around.

mod frames;

use super::{Carried, Impairment, Lossy};
use crate::livekit::LiveKitServer;
use frames::Rewriter;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Far more than any request's or answer's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Would let the server pack its messages, and hide the port.
const EXTENSIONS: &str = "sec-websocket-extensions:";

/// The server as those see it who are behind the bad network; the network ends with the value.
#[derive(Debug)]
pub struct LossyLiveKit {
    /// Sound and data.
    pub media: Lossy,
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    _running: DropGuard,
}

impl Lossy {
    /// A bad network in front of a LiveKit server.
    ///
    /// # Panics
    /// When the server checks connections itself.
    pub async fn livekit(server: &LiveKitServer, impairment: Impairment) -> LossyLiveKit {
        assert!(
            server.options().ice_lite,
            "start the server with ice_lite, or it finds a way around"
        );
        let media = Self::between(server.media_address(), impairment).await;
        let told = |address: SocketAddr| format!("{} {} typ ", address.ip(), address.port());
        let rewriter = Rewriter::new(&told(server.media_address()), &told(media.address));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("its address");
        let stop = CancellationToken::new();
        let (is_cut, cut) = watch::channel(false);
        let tasks = TaskTracker::new();
        let proxy = Proxy {
            server: server.signal_address(),
            rewriter,
            cut,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(proxy.run(listener));
        LossyLiveKit {
            media,
            address,
            is_cut,
            _running: stop.drop_guard(),
        }
    }
}

impl LossyLiveKit {
    /// The server's address, for `livekit.url`.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// What became of the packets of sound and data so far.
    pub fn carried(&self) -> Carried {
        self.media.carried()
    }

    /// Makes the network another from now on.
    pub fn set(&self, impairment: Impairment) {
        self.media.set(impairment);
    }

    /// Cuts everything, signalling too: connections break, and new ones are not taken until [`LossyLiveKit::heal`].
    pub fn cut(&self) {
        self.media.cut();
        self.is_cut.send_replace(true);
    }

    /// Breaks the signalling's connections alone; new ones are taken.
    pub fn cut_signalling(&self) {
        self.is_cut.send_replace(true);
        self.is_cut.send_replace(false);
    }

    /// Ends a cut.
    pub fn heal(&self) {
        self.media.heal();
        self.is_cut.send_replace(false);
    }
}

/// What runs for the signalling.
#[derive(Clone)]
struct Proxy {
    server: SocketAddr,
    rewriter: Rewriter,
    cut: watch::Receiver<bool>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Proxy {
    async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            let Ok((caller, _)) = accepted else {
                continue;
            };
            if *self.cut.borrow() {
                continue;
            }
            let (proxy, mut cut) = (self.clone(), self.cut.clone());
            cut.mark_unchanged();
            self.tasks.spawn(async move {
                tokio::select! {
                    // However it ends: dropping both connections tells both ends.
                    _ = proxy.carry(caller) => {}
                    _ = cut.changed() => {}
                    () = proxy.stop.cancelled() => {}
                }
            });
        }
    }

    async fn carry(&self, caller: TcpStream) -> std::io::Result<()> {
        let server = TcpStream::connect(self.server).await?;
        for stream in [&caller, &server] {
            stream.set_nodelay(true)?;
        }
        let (from_caller, to_caller) = caller.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            ended = up(from_caller, to_server) => ended,
            ended = self.down(from_server, to_caller) => ended,
        }
    }

    /// What the server says: as it stands until it is a WebSocket, then message by message.
    async fn down(
        &self,
        mut server: OwnedReadHalf,
        mut caller: OwnedWriteHalf,
    ) -> std::io::Result<()> {
        let (head, rest) = read_head(&mut server).await?;
        caller.write_all(head.as_bytes()).await?;
        if !head.starts_with("HTTP/1.1 101 ") {
            caller.write_all(&rest).await?;
            return tokio::io::copy(&mut server, &mut caller).await.map(drop);
        }
        self.rewriter
            .copy(&mut rest.as_slice().chain(&mut server), &mut caller)
            .await
    }
}

/// What the caller says, but for its offer to pack messages.
async fn up(mut caller: OwnedReadHalf, mut server: OwnedWriteHalf) -> std::io::Result<()> {
    let (head, rest) = read_head(&mut caller).await?;
    let kept: String = head
        .split_inclusive("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with(EXTENSIONS))
        .collect();
    server.write_all(kept.as_bytes()).await?;
    server.write_all(&rest).await?;
    tokio::io::copy(&mut caller, &mut server).await.map(drop)
}

/// A request's or answer's head with the empty line that ends it, and what came with it.
async fn read_head(stream: &mut OwnedReadHalf) -> std::io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(at + 4);
            let head = String::from_utf8(read).map_err(std::io::Error::other)?;
            return Ok((head, rest));
        }
        if read.len() > HEAD_BYTES || stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
