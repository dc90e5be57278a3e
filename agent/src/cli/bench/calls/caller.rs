//! One caller's task: speaks as its talker says, and writes down what it sees.

use super::line::{Heard, Line, NoCall, Transport};
use super::livekit::Rooms;
use super::observed::{Answer, Decision, Floor, Observed, Take};
use super::script::Script;
use super::talker::{Mark, Said, Talker};
use anyhow::anyhow;
use media::clock::{FrameTicks, monotonic_ns};
use media::{Clock, FRAME};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long a call may take to begin.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// How long a goodbye may take.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// An agent that is not heard for so long has stopped speaking.
const SILENT_AFTER: Duration = Duration::from_millis(300);
/// Frames that a caller makes up for after a stall of its own, as a sound card would.
const MAX_CATCH_UP: u64 = 50;

/// What all callers of a bench share.
#[derive(Debug)]
pub struct Shared {
    /// The server's address.
    pub url: String,
    /// The rooms, for calls over LiveKit.
    pub rooms: Option<Rooms>,
    /// The server's key, if it wants one.
    pub key: Option<String>,
    /// How to call.
    pub transport: Transport,
    /// What to say.
    pub script: Arc<Script>,
    /// Cancelled when the callers shall hang up.
    pub stop: CancellationToken,
}

/// Calls after `delay`, tells by dropping `waiting` that the call has begun (or will not), and talks until it is stopped.
///
/// # Errors
/// Why there was no call.
pub async fn call(
    shared: Arc<Shared>,
    number: u64,
    delay: Duration,
    waiting: mpsc::Sender<()>,
) -> Result<Observed, NoCall> {
    let clock = Clock::start();
    clock.until(delay).await;
    let called_at = monotonic_ns();
    let connecting = Line::connect(
        shared.transport,
        &shared.url,
        shared.key.as_deref(),
        shared.rooms.as_ref(),
    );
    let line = tokio::select! {
        line = connecting => line?,
        () = clock.until(delay + CONNECT_WITHIN) => return Err(anyhow!("no call after {CONNECT_WITHIN:?}").into()),
    };
    drop(waiting);
    // The same callers say the same things at the same times in every run.
    let mut random = StdRng::seed_from_u64(number);
    let phase = FRAME.mul_f64(random.random());
    let now = clock.now();
    let talker = Talker::new(shared.script.clone(), random, now);
    let mut caller = Caller {
        clock,
        ticks: FrameTicks::new(now, phase),
        line,
        talker,
        says_no_states: shared.url.is_empty(),
        sounded_at: None,
        observed: Observed {
            called_at,
            ..Observed::default()
        },
    };
    caller.talk(&shared.stop).await;
    let Caller { line, observed, .. } = caller;
    let deadline = clock.now() + GOODBYE_WITHIN;
    tokio::select! {
        () = line.hang_up() => {}
        () = clock.until(deadline) => {}
    }
    Ok(observed)
}

struct Caller {
    clock: Clock,
    ticks: FrameTicks,
    line: Line,
    talker: Talker,
    /// Whoever is called does not tell when it speaks: it is heard.
    says_no_states: bool,
    sounded_at: Option<Duration>,
    observed: Observed,
}

impl Caller {
    async fn talk(&mut self, stop: &CancellationToken) {
        let clock = self.clock;
        while self.observed.broke.is_none() {
            tokio::select! {
                biased;
                // First, because the time of an arrival is taken here.
                heard = self.line.recv() => self.hear(heard),
                () = clock.until(self.ticks.next_timeout()) => self.speak().await,
                () = stop.cancelled() => return,
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Packet(packet) => {
                self.observed.packets.push(packet);
                if packet.sounds && self.says_no_states {
                    self.sounded_at = Some(self.clock.now());
                    self.talker.on_floor(self.clock.now(), Floor::Playing);
                }
            }
            Heard::Message(message) => self.read(&message),
            Heard::Closed(why) => self.observed.broke = Some(why),
        }
    }

    fn read(&mut self, message: &str) {
        let Ok(message) = serde_json::from_str::<Message>(message) else {
            self.observed.errors.push("not JSON".to_owned());
            return;
        };
        match &*message.kind {
            "state" => {
                let floor = message.floor();
                self.observed.decisions.push(Decision {
                    at: message.monotonic_ns.unwrap_or_default(),
                    floor,
                });
                self.talker.on_floor(self.clock.now(), floor);
            }
            "timings" => {
                let Message {
                    total_ms, tts_ms, ..
                } = message;
                self.observed.answers.push(Answer {
                    at: monotonic_ns(),
                    total_ms,
                    tts_ms,
                });
            }
            "error" => self
                .observed
                .errors
                .push(message.code.unwrap_or_default().into_owned()),
            _ => {}
        }
    }

    async fn speak(&mut self) {
        let now = self.clock.now();
        if self.sounded_at.is_some_and(|at| now > at + SILENT_AFTER) {
            self.sounded_at = None;
            self.talker.on_floor(now, Floor::Silent);
        }
        let Some(missed) = self.ticks.handle_timeout(now) else {
            return;
        };
        for _ in 0..=missed.min(MAX_CATCH_UP) {
            let Said { frame, mark } = self.talker.next(now);
            let at = monotonic_ns();
            match (mark, self.observed.takes.last_mut()) {
                (
                    Mark::Onset {
                        over_speech,
                        before_end,
                    },
                    _,
                ) => {
                    self.observed.takes.push(Take {
                        onset: at - before_end.as_nanos() as u64,
                        end: u64::MAX,
                        over_speech,
                    });
                }
                (Mark::End, Some(take)) => take.end = at,
                (Mark::End | Mark::None, _) => {}
            }
            self.line.send(frame).await;
        }
    }
}

/// As much of the server's messages as a bench reads.
#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    #[serde(borrow)]
    phase: Option<Cow<'a, str>>,
    monotonic_ns: Option<u64>,
    total_ms: Option<u64>,
    tts_ms: Option<u64>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

impl Message<'_> {
    fn floor(&self) -> Floor {
        match (self.state.as_deref(), self.phase.as_deref()) {
            (Some("Speaking"), Some("playing")) => Floor::Playing,
            (Some("BargedIn"), _) => Floor::BargedIn,
            (_, _) => Floor::Silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_playing_state_is_playing() {
        let floor = |json: &str| serde_json::from_str::<Message>(json).unwrap().floor();
        assert_eq!(
            floor(r#"{"type":"state","state":"Speaking","phase":"playing","monotonic_ns":7}"#),
            Floor::Playing
        );
        assert_eq!(
            floor(r#"{"type":"state","state":"Speaking","phase":"preparing"}"#),
            Floor::Silent
        );
        assert_eq!(
            floor(r#"{"type":"state","state":"BargedIn","agent_state":"listening"}"#),
            Floor::BargedIn
        );
        assert_eq!(
            floor(r#"{"type":"state","state":"WaitingForInput"}"#),
            Floor::Silent
        );
    }
}
