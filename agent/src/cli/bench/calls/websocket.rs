//! A caller over a WebSocket. It does little more than to take the time: the callers share the machine with the server.

use super::line::{Heard, NoCall};
use super::observed::Packet;
use crate::cli::bench::speech::is_audible;
use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use media::clock::monotonic_ns;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// A caller's connection.
#[derive(Debug)]
pub struct WebSocketLine {
    socket: WebSocketStream<TcpStream>,
    /// The first message, read while connecting.
    first: Option<String>,
    packets: u64,
    /// The sound of the last packet.
    sound: Bytes,
}

impl WebSocketLine {
    /// Calls the server at `url` and waits for its first message, by which it takes the call or refuses it.
    ///
    /// # Errors
    /// Why there is no call.
    pub async fn connect(url: &str, key: Option<&str>) -> Result<Self, NoCall> {
        let host = url
            .strip_prefix("http://")
            .ok_or_else(|| anyhow!("callers need plain HTTP, not {url}"))?;
        let mut request = format!("ws://{host}/ws?events=1&binary=1")
            .into_client_request()
            .context("cannot form the request")?;
        if let Some(key) = key {
            let value = format!("Bearer {key}")
                .parse()
                .map_err(|_| anyhow!("the API key cannot be sent in a header"))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let stream = TcpStream::connect(host)
            .await
            .with_context(|| format!("cannot reach {host}"))?;
        stream
            .set_nodelay(true)
            .context("cannot configure a socket")?;
        // It is cleared for every read, which would cost more than the reading.
        let config = WebSocketConfig::default().read_buffer_size(8 * 1024);
        let (socket, _) =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config))
                .await
                .context("the server did not take the WebSocket")?;
        let mut line = Self {
            socket,
            first: None,
            packets: 0,
            sound: Bytes::new(),
        };
        match line.recv().await {
            Heard::Message(message) if message.contains("\"session_start\"") => {
                line.first = Some(message)
            }
            Heard::Message(message) if message.contains("\"WORKER_UNAVAILABLE\"") => {
                return Err(NoCall::Refused);
            }
            Heard::Message(message) => {
                return Err(anyhow!("the server began with {message}").into());
            }
            Heard::Packet(_) => return Err(anyhow!("the server began with sound").into()),
            Heard::Closed(why) => return Err(anyhow!("the server closed: {why}").into()),
        }
        Ok(line)
    }

    /// The next thing from the server. Cancel-safe.
    pub async fn recv(&mut self) -> Heard {
        if let Some(first) = self.first.take() {
            return Heard::Message(first);
        }
        loop {
            let message = self.socket.next().await;
            let at = monotonic_ns();
            return match message {
                Some(Ok(Message::Binary(pcm))) => {
                    self.packets += 1;
                    let packet = Packet {
                        at,
                        number: self.packets,
                        sounds: sounds(&pcm),
                    };
                    self.sound = pcm;
                    Heard::Packet(packet)
                }
                Some(Ok(Message::Text(text))) => Heard::Message(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    Heard::Closed(frame.map_or_else(String::new, |frame| {
                        format!("{} ({})", frame.reason, frame.code)
                    }))
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Err(error)) => Heard::Closed(error.to_string()),
                None => Heard::Closed("the connection was closed".to_owned()),
            };
        }
    }

    /// The samples of the last packet that came, as 16-bit little-endian PCM at 48 kHz.
    pub fn sound(&self) -> &[u8] {
        &self.sound
    }

    /// Sends 20 ms of PCM.
    pub async fn send(&mut self, pcm: Bytes) {
        // `recv` tells why the connection is gone.
        let _ = self.socket.send(Message::Binary(pcm)).await;
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn tell(&mut self, message: String) -> anyhow::Result<()> {
        let sent = self.socket.send(Message::Text(message.into())).await;
        sent.context("the server took no message")
    }

    /// Leaves the call.
    pub async fn hang_up(mut self) {
        // A server that is gone already has nothing left to hear.
        let _ = self
            .socket
            .send(Message::Text(r#"{"type":"hangup"}"#.into()))
            .await;
        while !matches!(self.recv().await, Heard::Closed(_)) {}
    }
}

/// Whether anything can be heard: mostly the first sample tells, and only silence is read to its end.
fn sounds(pcm: &[u8]) -> bool {
    pcm.as_chunks::<2>()
        .0
        .iter()
        .any(|pair| is_audible(i16::from_le_bytes(*pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_sounds_when_one_sample_can_be_heard() {
        let mut pcm = vec![0; 1920];
        assert!(!sounds(&pcm));
        pcm[1001] = 2;
        assert!(sounds(&pcm));
        pcm[1001] = 1;
        assert!(!sounds(&pcm));
    }
}
