//! A caller's connection, whatever the transport: 20 ms pieces out, packets with the time of their arrival in.

use super::livekit::{LiveKitLine, Rooms};
use super::observed::Packet;
use super::webrtc::WebRtcLine;
use super::websocket::WebSocketLine;
use anyhow::Context as _;
use bytes::Bytes;
use clap::ValueEnum;
use serde::Serialize;

/// How callers reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Opus over UDP, events on a data channel.
    #[value(name = "webrtc")]
    WebRtc,
    /// PCM and events on one TCP connection.
    #[value(name = "websocket")]
    WebSocket,
    /// A room of the LiveKit server that the settings name, for each call.
    #[value(name = "livekit")]
    LiveKit,
}

/// Why there is no call.
#[derive(Debug)]
pub enum NoCall {
    /// The server said that it takes no more.
    Refused,
    /// Anything else.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for NoCall {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// What comes from the server.
#[derive(Debug)]
pub enum Heard {
    /// 20 ms of its voice.
    Packet(Packet),
    /// One of its JSON messages.
    Message(String),
    /// It is gone, and why.
    Closed(String),
}

/// One caller's connection.
#[derive(Debug)]
pub enum Line {
    /// Over a WebSocket.
    WebSocket(Box<WebSocketLine>),
    /// Over WebRTC.
    WebRtc(WebRtcLine),
    /// In a room.
    LiveKit(Box<LiveKitLine>),
}

impl Line {
    /// Calls the server at `url`.
    ///
    /// # Errors
    /// Why there is no call.
    pub async fn connect(
        transport: Transport,
        url: &str,
        key: Option<&str>,
        rooms: Option<&Rooms>,
    ) -> Result<Self, NoCall> {
        Ok(match transport {
            Transport::WebSocket => {
                Self::WebSocket(Box::new(WebSocketLine::connect(url, key).await?))
            }
            Transport::WebRtc => Self::WebRtc(WebRtcLine::connect(url, key).await?),
            Transport::LiveKit => {
                let rooms = rooms.context("there is no LiveKit server to call through")?;
                Self::LiveKit(Box::new(LiveKitLine::connect(rooms).await?))
            }
        })
    }

    /// The next thing from the server. Cancel-safe.
    pub async fn recv(&mut self) -> Heard {
        match self {
            Self::WebSocket(line) => line.recv().await,
            Self::WebRtc(line) => line.recv().await,
            Self::LiveKit(line) => line.recv().await,
        }
    }

    /// Sends 20 ms. What a broken connection does not take is lost: `recv` tells.
    pub async fn send(&mut self, frame: Bytes) {
        match self {
            Self::WebSocket(line) => line.send(frame).await,
            Self::WebRtc(line) => line.send(frame).await,
            Self::LiveKit(line) => line.send(frame).await,
        }
    }

    /// Leaves the call.
    pub async fn hang_up(self) {
        match self {
            Self::WebSocket(line) => line.hang_up().await,
            Self::WebRtc(line) => line.hang_up().await,
            Self::LiveKit(line) => line.hang_up().await,
        }
    }
}
