//! A connection from a client, and whether it is still there.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::Connected;

/// A connection from a client. When it is dropped, the [`Peer`] of every call that came by it knows.
pub(crate) struct Connection {
    io: TcpStream,
    peer: Peer,
    _end: DropGuard,
}

/// Who is at the other end of a connection. Every call that came by it has it among its extensions; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer(CancellationToken);

impl Peer {
    /// Whether the connection has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.is_cancelled()
    }

    /// The connection has ended.
    #[cfg(test)]
    pub(crate) fn goes(&self) {
        self.0.cancel();
    }
}

impl Connection {
    pub(crate) fn new(io: TcpStream) -> Self {
        let peer = Peer::default();
        Self {
            io,
            _end: peer.0.clone().drop_guard(),
            peer,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
