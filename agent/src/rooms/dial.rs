//! The WebSocket over which a LiveKit server gives rooms.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use media::link::livekit::token::{self, Keys};
use media::link::livekit::worker;
use secrecy::ExposeSecret as _;
use std::pin::Pin;
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long connecting may take.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// The token opens this one connection.
const TOKEN_TTL: Duration = Duration::from_secs(300);
/// A message holds one job with its metadata and its room's, each of 64 kB at most.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DialError {
    /// Nobody answered, or not in time.
    #[error("{0}")]
    Unreachable(String),
    /// The server does not know the key, or knows another secret of it.
    #[error("the server refuses the API key")]
    WrongKey,
    /// Somebody answered who takes no workers.
    #[error("it answers {0}, as no LiveKit server does")]
    Refused(u16),
}

/// What came over the connection.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message.
    Message(Bytes),
    /// Anything else: the other side lives.
    SignOfLife,
}

/// An open connection. It is lost when a stream ends or an error comes.
pub(super) struct Socket {
    /// What comes.
    pub(super) incoming: BoxStream<'static, Result<Incoming, String>>,
    /// What goes.
    pub(super) outgoing: Pin<Box<dyn Sink<Bytes, Error = String> + Send>>,
}

/// Makes connections.
pub(super) trait Dial: Send + Sync {
    /// Tries once.
    fn dial(&self) -> BoxFuture<'static, Result<Socket, DialError>>;
}

/// A LiveKit server.
pub(super) struct Server {
    address: String,
    host: String,
    keys: Keys,
}

impl Server {
    /// The server at `url`; `None` if that is no address.
    pub(super) fn new(url: &str, keys: Keys) -> Option<Self> {
        let address = worker::address(url)?;
        let (_, behind) = address.split_once("://")?;
        let authority = behind.split('/').next()?;
        // What stands before an @ is a secret.
        let host = authority.rsplit('@').next()?.to_owned();
        Some(Self {
            address,
            host,
            keys,
        })
    }

    /// Host and port, for logs.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

impl Dial for Server {
    fn dial(&self) -> BoxFuture<'static, Result<Socket, DialError>> {
        let (address, keys) = (self.address.clone(), self.keys.clone());
        Box::pin(async move {
            tokio::time::timeout(CONNECTED_WITHIN, connect(&address, &keys))
                .await
                .unwrap_or_else(|_| Err(DialError::Unreachable("it does not answer".into())))
        })
    }
}

async fn connect(address: &str, keys: &Keys) -> Result<Socket, DialError> {
    let token = token::worker(keys, TOKEN_TTL).map_err(|_| DialError::WrongKey)?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| DialError::WrongKey)?;
    bearer.set_sensitive(true);
    let mut request = address
        .into_client_request()
        .map_err(|error| DialError::Unreachable(error.to_string()))?;
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    // Answers are small and the server waits for them: they are not held back to fill a packet.
    let (socket, _) = tokio_tungstenite::connect_async_with_config(request, Some(config), true)
        .await
        .map_err(refused)?;
    let (outgoing, incoming) = socket.split();
    let incoming = incoming.map(|message| match message {
        Ok(Message::Binary(bytes)) => Ok(Incoming::Message(bytes)),
        Ok(Message::Close(_)) => Err("the server closed the connection".to_owned()),
        Ok(_) => Ok(Incoming::SignOfLife),
        Err(error) => Err(error.to_string()),
    });
    let outgoing = outgoing
        .sink_map_err(|error: Error| error.to_string())
        .with(|bytes: Bytes| std::future::ready(Ok(Message::Binary(bytes))));
    Ok(Socket {
        incoming: incoming.boxed(),
        outgoing: Box::pin(outgoing),
    })
}

fn refused(error: Error) -> DialError {
    match error {
        Error::Http(response) => match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => DialError::WrongKey,
            status => DialError::Refused(status.as_u16()),
        },
        error => DialError::Unreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn server(url: &str) -> Option<Server> {
        let keys = Keys {
            api_key: "key".into(),
            api_secret: "secret".to_owned().into(),
        };
        Server::new(url, keys)
    }

    /// Dials somebody who answers the request with `answer`; gives what was asked, and the outcome.
    async fn answered(answer: &'static str) -> (String, DialError) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialed = server(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let answering = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        };
        let (request, dialed) = tokio::join!(answering, dialed.dial());
        let Err(error) = dialed else {
            panic!("there is no connection");
        };
        (request, error)
    }

    #[tokio::test]
    async fn whoever_refuses_is_told_apart_from_whoever_is_not_there() {
        let unauthorized = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        let (request, error) = answered(unauthorized).await;
        assert_eq!(error, DialError::WrongKey);
        assert!(request.starts_with("GET /agent HTTP/1.1\r\n"), "{request}");
        assert!(
            request
                .to_lowercase()
                .contains("\r\nauthorization: bearer ")
        );

        let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(answered(missing).await.1, DialError::Refused(404));
        let (_, error) = answered("SSH-2.0-something\r\n").await;
        assert!(matches!(error, DialError::Unreachable(_)), "{error:?}");

        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr();
        let error = server(&format!("ws://{}", gone.unwrap()))
            .unwrap()
            .dial()
            .await;
        assert!(matches!(error, Err(DialError::Unreachable(_))));
    }

    #[tokio::test]
    async fn messages_go_both_ways_until_the_server_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialed = server(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
        let accept = async {
            let (socket, _) = listener.accept().await.unwrap();
            tokio_tungstenite::accept_async(socket).await.unwrap()
        };
        let (mut accepted, dialed) = tokio::join!(accept, dialed.dial());
        let Ok(mut socket) = dialed else {
            panic!("there is a connection");
        };
        socket
            .outgoing
            .send(Bytes::from_static(b"up"))
            .await
            .unwrap();
        assert_eq!(
            accepted.next().await.unwrap().unwrap(),
            Message::Binary(Bytes::from_static(b"up"))
        );
        for message in [
            Message::Ping(Bytes::new()),
            Message::Binary(Bytes::from_static(b"down")),
        ] {
            accepted.send(message).await.unwrap();
        }
        let came = socket.incoming.next().await.unwrap();
        assert!(matches!(came, Ok(Incoming::SignOfLife)));
        let came = socket.incoming.next().await.unwrap();
        assert!(matches!(came, Ok(Incoming::Message(bytes)) if bytes == "down"));
        accepted.close(None).await.unwrap();
        assert!(matches!(socket.incoming.next().await, Some(Err(_))));
    }

    #[test]
    fn a_log_names_the_host_and_no_password() {
        let server = server("https://me:pass@rooms.example:7880/livekit/").unwrap();
        assert_eq!(server.host(), "rooms.example:7880");
        assert_eq!(
            server.address,
            "wss://me:pass@rooms.example:7880/livekit/agent"
        );
        assert!(self::server("rooms.example").is_none());
    }
}
