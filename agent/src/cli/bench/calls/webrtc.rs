//! A caller over WebRTC. The words are Opus already and no packet is decoded: the callers share the machine with the server.

use super::line::{Heard, NoCall};
use super::observed::Packet;
use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use media::link::webrtc::caller::{
    Caller, CallerSettings, DialError, Heard as FromServer, HeardPacket, Mouth, dial,
};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// A caller's connection.
#[derive(Debug)]
pub struct WebRtcLine {
    caller: Caller,
    mouth: Mouth,
    numbers: Numbers,
}

impl WebRtcLine {
    /// Calls the server at `url` and waits until sound and messages can flow.
    ///
    /// # Errors
    /// Why there is no call.
    pub async fn connect(url: &str, key: Option<&str>) -> Result<Self, NoCall> {
        let is_full = AtomicBool::new(false);
        let post = async |offer| {
            let answer = post(url, key, offer).await;
            is_full.store(matches!(answer, Err(NoCall::Refused)), Ordering::Relaxed);
            answer.map_err(|refused| match refused {
                NoCall::Refused => anyhow!("the server is full"),
                NoCall::Failed(error) => error,
            })
        };
        // On the heap: the future holds the whole WebRTC stack.
        match Box::pin(dial(CallerSettings::default(), post)).await {
            Ok(caller) => Ok(Self {
                mouth: caller.mouth(),
                caller,
                numbers: Numbers::default(),
            }),
            Err(DialError::Refused(_)) if is_full.load(Ordering::Relaxed) => Err(NoCall::Refused),
            Err(error) => Err(anyhow::Error::new(error).into()),
        }
    }

    /// The next thing from the server. Cancel-safe.
    pub async fn recv(&mut self) -> Heard {
        match self.caller.heard.recv().await {
            Some(FromServer::Packet(HeardPacket {
                arrived_ns,
                sequence,
                ..
            })) => {
                // The server sends nothing between utterances, so every packet counts as sound. Its length would not tell
                // (a copy of the packet before makes silence long), and decoding them all would cost as much as the server.
                Heard::Packet(Packet {
                    at: arrived_ns,
                    number: self.numbers.extend(sequence),
                    sounds: true,
                })
            }
            Some(FromServer::Message(message)) => Heard::Message(message),
            Some(FromServer::Closed) | None => Heard::Closed("the server hung up".to_owned()),
        }
    }

    /// Sends 20 ms of Opus.
    pub async fn send(&mut self, opus: Bytes) {
        // `recv` tells when the call is over.
        self.mouth.opus(opus).await;
    }

    /// Leaves the call.
    pub async fn hang_up(self) {
        let Self { caller, mouth, .. } = self;
        drop(mouth);
        caller.hang_up().await;
    }
}

/// The bench's HTTP client: all callers share its connections.
pub fn http() -> &'static reqwest::Client {
    static HTTP: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // Twice is fine; reqwest wants one even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::new()
    });
    &HTTP
}

async fn post(url: &str, key: Option<&str>, offer: String) -> Result<String, NoCall> {
    let mut request = http()
        .post(format!("{url}/v1/realtime/calls"))
        .header("content-type", "application/sdp")
        .body(offer);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let response = request.send().await.context("cannot send the offer")?;
    let status = response.status();
    let body = response.text().await.context("cannot read the answer")?;
    match status {
        reqwest::StatusCode::CREATED => Ok(body),
        reqwest::StatusCode::SERVICE_UNAVAILABLE => Err(NoCall::Refused),
        status => Err(anyhow!("the server answered {status}: {body}").into()),
    }
}

/// RTP's sequence numbers without their wrapping.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    last: Option<u64>,
}

impl Numbers {
    /// A packet's place in the stream.
    pub(super) fn extend(&mut self, sequence: u16) -> u64 {
        // Beginning one round up leaves room for a packet from before the first.
        let last = self.last.unwrap_or(u64::from(sequence) + (1 << 16));
        let step = sequence.wrapping_sub(last as u16) as i16;
        let number = last.saturating_add_signed(step.into());
        self.last = Some(last.max(number));
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_go_on_where_they_wrap() {
        let mut numbers = Numbers::default();
        let extended = [65_534, 65_535, 1, 0, 2].map(|sequence| numbers.extend(sequence));
        let first = extended[0];
        assert_eq!(extended.map(|number| number - first), [0, 1, 3, 2, 4]);
    }
}
