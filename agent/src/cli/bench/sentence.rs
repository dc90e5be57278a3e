//! One sentence of a call, as its caller hears it.

use super::calls::line::{Heard, NoCall};
use super::calls::websocket::WebSocketLine;
use bytes::Bytes;
use media::clock::FrameTicks;
use media::{Clock, FRAME};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::timeout;

/// Three clauses, of nine seconds in flite's first voice.
pub const TEXT: &str = "The quick brown fox jumps over the lazy dog, and then it walks all the way home again, \
                        because it has forgotten what it wanted there.";
/// Longer than anything here takes between two things that a caller hears.
const PATIENCE: Duration = Duration::from_secs(30);
/// Frames that a caller makes up for after a stall of its own, as a sound card would.
const MAX_CATCH_UP: u64 = 50;

/// What was heard of a sentence.
#[derive(Debug, Default)]
pub struct Said {
    /// When each frame came, in milliseconds of the machine's monotonic clock.
    pub came_ms: Vec<f64>,
    /// The sound, at 48 kHz.
    pub samples: Vec<i16>,
    /// The server says that all its words were heard.
    pub is_whole: bool,
}

impl Said {
    /// From each frame to the next, less the 20 ms that there always are, in milliseconds.
    pub fn gaps_ms(&self) -> impl Iterator<Item = f64> {
        let frame_ms = FRAME.as_secs_f64() * 1e3;
        self.came_ms
            .array_windows()
            .map(move |[one, next]| next - one - frame_ms)
    }

    /// The longest of these gaps, 0 where there is none.
    pub fn longest_gap_ms(&self) -> f64 {
        self.gaps_ms().fold(0.0, f64::max)
    }
}

/// Why a sentence was not heard to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// There is no call any more, or none came about.
    #[error("the call was lost: {0}")]
    Call(String),
    /// The call goes on without it.
    #[error("the reply failed: {0}")]
    Reply(String),
}

/// What matters here of the server's messages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    role: String,
    is_final: bool,
    text: String,
    code: String,
}

/// Calls the server at `url`.
///
/// # Errors
/// [`Lost::Call`] when it takes no call.
pub async fn call(url: &str) -> Result<WebSocketLine, Lost> {
    match timeout(PATIENCE, WebSocketLine::connect(url, None)).await {
        Ok(Ok(line)) => Ok(line),
        Ok(Err(NoCall::Refused)) => Err(Lost::Call("the server is full".to_owned())),
        Ok(Err(NoCall::Failed(error))) => Err(Lost::Call(format!("{error:#}"))),
        Err(_) => Err(Lost::Call("no call came about in time".to_owned())),
    }
}

/// Has a call say `text`, and hears it out. `on_frame` is told of each frame that comes, counted from 1.
///
/// # Errors
/// What became of it.
pub async fn say(
    line: &mut WebSocketLine,
    text: &str,
    on_frame: impl FnMut(usize),
) -> Result<Said, Lost> {
    let message = serde_json::json!({ "type": "text", "text": text });
    let told = line.tell(message.to_string()).await;
    told.map_err(|error| Lost::Call(format!("{error:#}")))?;
    hear_out(line, text, on_frame).await
}

/// A call of its own for one sentence.
///
/// # Errors
/// What became of it.
pub async fn say_alone(url: &str, text: &str, on_frame: impl FnMut(usize)) -> Result<Said, Lost> {
    let mut line = call(url).await?;
    let said = say(&mut line, text, on_frame).await?;
    line.hang_up().await;
    Ok(said)
}

/// Speaks to a call, 20 ms a frame in real time and silence after the last, and hears out what it answers; `answer` is what it
/// shall be.
///
/// # Errors
/// What became of it.
pub async fn ask(
    line: &mut WebSocketLine,
    speech: &[Bytes],
    silence: &Bytes,
    answer: &str,
) -> Result<Said, Lost> {
    let clock = Clock::start();
    let mut ticks = FrameTicks::new(clock.now(), Duration::ZERO);
    let mut frames = speech.iter();
    let mut said = Said::default();
    let mut patience = clock.now() + PATIENCE;
    loop {
        tokio::select! {
            biased;
            // First, because the time of an arrival is taken here.
            heard = line.recv() => {
                patience = clock.now() + PATIENCE;
                if said.takes(line.sound(), heard, answer)? {
                    return Ok(said);
                }
            }
            () = clock.until(patience) => return Err(nothing_came()),
            () = clock.until(ticks.next_timeout()) => {
                let missed = ticks.handle_timeout(clock.now()).unwrap_or_default();
                // A microphone that was late makes up for it.
                for _ in 0..=missed.min(MAX_CATCH_UP) {
                    line.send(frames.next().unwrap_or(silence).clone()).await;
                }
            }
        }
    }
}

/// Hears what is being said, to its end; `text` is what it shall be.
async fn hear_out(
    line: &mut WebSocketLine,
    text: &str,
    mut on_frame: impl FnMut(usize),
) -> Result<Said, Lost> {
    let mut said = Said::default();
    loop {
        let Ok(heard) = timeout(PATIENCE, line.recv()).await else {
            return Err(nothing_came());
        };
        let is_frame = matches!(heard, Heard::Packet(_));
        if said.takes(line.sound(), heard, text)? {
            return Ok(said);
        }
        if is_frame {
            on_frame(said.came_ms.len());
        }
    }
}

fn nothing_came() -> Lost {
    Lost::Reply(format!("nothing came for {PATIENCE:?}"))
}

impl Said {
    /// Takes what came from the server; whether the reply has ended with it.
    fn takes(&mut self, sound: &[u8], heard: Heard, text: &str) -> Result<bool, Lost> {
        match heard {
            Heard::Packet(packet) => {
                self.came_ms.push(packet.at as f64 / 1e6);
                let samples = sound.as_chunks::<2>().0.iter();
                let samples = samples.map(|pair| i16::from_le_bytes(*pair));
                self.samples.extend(samples);
            }
            Heard::Message(message) => {
                let told: Told = serde_json::from_str(&message).unwrap_or_default();
                if told.kind == "error" {
                    return Err(Lost::Reply(told.code));
                }
                if told.kind == "transcript" && told.role == "agent" && told.is_final {
                    self.is_whole = told.text == text;
                    return Ok(true);
                }
            }
            Heard::Closed(why) => return Err(Lost::Call(why)),
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls::observed::Packet;
    use super::*;

    fn packet(at_ms: u64) -> Heard {
        Heard::Packet(Packet {
            at: at_ms * 1_000_000,
            number: 1,
            sounds: true,
        })
    }

    fn message(text: &str) -> Heard {
        Heard::Message(text.to_owned())
    }

    #[test]
    fn a_reply_is_whole_when_all_its_words_were_heard() {
        let last = r#"{"type":"transcript","role":"agent","text":"one two","is_final":true}"#;
        for (text, is_whole) in [("one two", true), ("one two three", false)] {
            let mut said = Said::default();
            let user = r#"{"type":"transcript","role":"user","text":"x","is_final":true}"#;
            assert_eq!(said.takes(&[], message(user), text), Ok(false));
            assert_eq!(said.takes(&[1, 0, 255, 255], packet(20), text), Ok(false));
            assert_eq!(said.takes(&[], message(last), text), Ok(true));
            assert_eq!((said.is_whole, said.samples), (is_whole, vec![1, -1]));
        }
    }

    #[test]
    fn a_gap_is_what_exceeds_a_frame() {
        let mut said = Said::default();
        assert_eq!(said.longest_gap_ms(), 0.0);
        for at_ms in [100, 120, 380, 390] {
            said.takes(&[], packet(at_ms), "").unwrap();
        }
        assert_eq!(said.gaps_ms().collect::<Vec<_>>(), [0.0, 240.0, -10.0]);
        assert_eq!(said.longest_gap_ms(), 240.0);
    }

    #[test]
    fn a_lost_reply_is_not_a_lost_call() {
        let mut said = Said::default();
        let failed = r#"{"type":"error","code":"SYNTHESIS_FAILED","message":"m"}"#;
        assert_eq!(
            said.takes(&[], message(failed), ""),
            Err(Lost::Reply("SYNTHESIS_FAILED".to_owned()))
        );
        assert_eq!(
            said.takes(&[], Heard::Closed("gone".to_owned()), ""),
            Err(Lost::Call("gone".to_owned()))
        );
    }
}
