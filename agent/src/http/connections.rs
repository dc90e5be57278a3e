//! How many connections may be open, and how long one may be silent before it asks for something.

use axum_server::Server;
use axum_server::accept::Accept;
use hyper_util::rt::TokioTimer;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tracing::debug;

/// How long a request's head may take to arrive, from the first moment it could.
pub const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Connections beside those of the calls: pages being loaded, offers, health checks.
pub const BESIDE_CALLS: usize = 256;
/// How often an HTTP/2 connection is asked whether it is still there, and then how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// HTTP/2 begins with this many bytes, and no request of HTTP/1.1 is shorter; until they are there the HTTP library, which
/// wants to know which of the two it is, waits without a limit of its own.
const FIRST_BYTES: usize = 24;

/// Room for connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connections {
    places: Arc<Semaphore>,
}

impl Connections {
    /// Room for `calls` WebSocket calls and [`BESIDE_CALLS`] connections more.
    pub fn new(calls: usize) -> Self {
        let places = calls.saturating_add(BESIDE_CALLS);
        Self {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Lets a server take no more connections than there is room for, and none that are silent.
    pub fn guard<A>(self, mut server: Server<SocketAddr, A>) -> Server<SocketAddr, Guarded<A>> {
        let builder = server.http_builder();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN);
        server.map(|acceptor| Guarded {
            acceptor,
            connections: self,
        })
    }
}

/// An acceptor that gives each connection a place, or closes it at once.
#[derive(Debug, Clone)]
pub struct Guarded<A> {
    acceptor: A,
    connections: Connections,
}

impl<A, S> Accept<TcpStream, S> for Guarded<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
{
    type Stream = Placed<A::Stream>;
    type Service = A::Service;
    type Future =
        Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send + 'static>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = self.connections.places.clone().try_acquire_owned() else {
            debug!("A connection was closed: too many are open.");
            return Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) });
        };
        let accepted = self.acceptor.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            Ok((Placed::new(stream, place), service))
        })
    }
}

/// A connection with its place. It fails when its first bytes do not come in time.
#[derive(Debug)]
pub struct Placed<S> {
    stream: S,
    /// When the first bytes must be there, and how many are.
    first: Option<(Pin<Box<Sleep>>, usize)>,
    _place: OwnedSemaphorePermit,
}

impl<S> Placed<S> {
    fn new(stream: S, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            first: Some((Box::pin(tokio::time::sleep(HEAD_WITHIN)), 0)),
            _place: place,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Placed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some((deadline, bytes)) = &mut self.first else {
            return read;
        };
        if read.is_pending() {
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        *bytes += buffer.filled().len() - before;
        if *bytes >= FIRST_BYTES {
            self.first = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Placed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum_server::accept::DefaultAcceptor;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn guarded(places: usize) -> Guarded<DefaultAcceptor> {
        Guarded {
            acceptor: DefaultAcceptor,
            connections: Connections {
                places: Arc::new(Semaphore::new(places)),
            },
        }
    }

    #[tokio::test]
    async fn a_connection_too_many_is_closed_and_a_place_is_free_again_with_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = guarded(1);
        let mut callers = Vec::new();
        let mut knock = async || {
            callers.push(TcpStream::connect(address).await.unwrap());
            let (stream, _) = listener.accept().await.unwrap();
            acceptor.accept(stream, ()).await
        };
        let first = knock().await.unwrap();
        assert!(knock().await.is_err());
        drop(first);
        assert!(knock().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_first_bytes_must_come_in_time() {
        let (mut caller, stream) = tokio::io::duplex(64);
        let places = Arc::new(Semaphore::new(1));
        let mut placed = Placed::new(stream, places.try_acquire_owned().unwrap());
        let mut bytes = [0; 64];
        caller.write_all(b"PRI * HTTP/2.0").await.unwrap();
        assert_eq!(placed.read(&mut bytes).await.unwrap(), 14);
        let waiting = tokio::time::timeout(HEAD_WITHIN / 2, placed.read(&mut bytes));
        assert!(waiting.await.is_err());
        caller.write_all(b"\r\n\r\nSM\r\n\r\n").await.unwrap();
        assert_eq!(placed.read(&mut bytes).await.unwrap(), 10);
        // From here on the HTTP library keeps the time.
        let waiting = tokio::time::timeout(HEAD_WITHIN * 10, placed.read(&mut bytes));
        assert!(waiting.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_fails() {
        let (_caller, stream) = tokio::io::duplex(64);
        let places = Arc::new(Semaphore::new(1));
        let mut placed = Placed::new(stream, places.try_acquire_owned().unwrap());
        let mut bytes = [0; 8];
        let read = tokio::time::timeout(HEAD_WITHIN * 2, placed.read(&mut bytes));
        let error = read.await.expect("it gives up").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
