//! A caller over WebRTC: offers as a browser does, through the HTTP surface.

use crate::{PATIENCE, TestServer};
use media::codec::Decoder;
use media::link::webrtc::caller::{Caller, CallerSettings, Heard, Mouth, dial};
use serde_json::Value;
use std::sync::OnceLock;

/// A sample of this size is no noise of a codec's.
const AUDIBLE: u16 = 1000;

/// A caller in a call.
pub struct WebRtcCaller {
    /// Where the call is, as the server said.
    pub location: String,
    caller: Caller,
    mouth: Mouth,
}

impl WebRtcCaller {
    /// Calls a server and waits until sound and messages can flow.
    pub async fn call(server: &TestServer) -> Self {
        let location = OnceLock::new();
        let post = async |offer: String| {
            let request = reqwest::Client::new()
                .post(server.url("/v1/realtime/calls"))
                .header("Content-Type", "application/sdp")
                .body(offer);
            let response = request.send().await?.error_for_status()?;
            location
                .set(response.headers()["location"].clone())
                .unwrap();
            response.text().await
        };
        let caller = Box::pin(dial(CallerSettings::default(), post))
            .await
            .expect("the call is taken");
        let location = location.into_inner().expect("there is an answer");
        Self {
            location: location.to_str().unwrap().to_owned(),
            mouth: caller.mouth(),
            caller,
        }
    }

    /// Sends a message on the data channel.
    pub async fn send(&self, text: &str) {
        assert!(self.mouth.message(text).await, "the call goes on");
    }

    async fn next(&mut self) -> Heard {
        let heard = tokio::time::timeout(PATIENCE, self.caller.heard.recv()).await;
        heard.expect("something comes").unwrap_or(Heard::Closed)
    }

    async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await {
                Heard::Message(text) => {
                    let value = serde_json::from_str(&text).expect("JSON");
                    if fits(&value) {
                        return value;
                    }
                }
                Heard::Packet(_) => {}
                Heard::Closed => panic!("the call was closed"),
            }
        }
    }

    /// The next message of a type; what comes before is skipped.
    pub async fn until_type(&mut self, kind: &str) -> Value {
        self.until(|value| value["type"] == kind).await
    }

    /// Waits for a state.
    pub async fn until_state(&mut self, state: &str) -> Value {
        self.until(|value| value["type"] == "state" && value["state"] == state)
            .await
    }

    /// Waits for sound that can be heard.
    pub async fn until_sound(&mut self) {
        let mut decoder = Decoder::new().unwrap();
        loop {
            match self.next().await {
                Heard::Packet(packet) => {
                    let samples = decoder.decode(&packet.payload).expect("Opus");
                    if samples.iter().any(|sample| sample.unsigned_abs() > AUDIBLE) {
                        return;
                    }
                }
                Heard::Message(_) => {}
                Heard::Closed => panic!("the call was closed"),
            }
        }
    }

    /// Waits until the server is gone from the call.
    pub async fn until_closed(&mut self) {
        while !matches!(self.next().await, Heard::Closed) {}
    }
}

/// An offer that nobody will follow up.
pub async fn offer() -> String {
    let offer = OnceLock::new();
    let keep = async |made: String| {
        offer.set(made).unwrap();
        Err::<String, _>("it is only wanted on paper")
    };
    let unanswered = Box::pin(dial(CallerSettings::default(), keep)).await;
    assert!(unanswered.is_err());
    offer.into_inner().expect("an offer was made")
}
