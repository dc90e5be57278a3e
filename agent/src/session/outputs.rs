//! Does what the dialog decides.

use super::downlink::{Correction, Heard};
use super::protocol::{ErrorCode, ServerMessage};
use super::responder::{APOLOGY, PIECES, Piece};
use super::tell::Finality;
use super::texts::Unfinished;
use super::{Session, speech};
use crate::telemetry::metrics as names;
use dialog::{Output, ReplyId, Saying, StateName, Words};
use media::hear::Floor;
use media::link::Outbound;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// How long a call that ends may take to deliver its last messages.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What is said without a responder.
#[derive(Debug, Clone, Default)]
pub struct Sayings {
    /// The first words of a call.
    pub greeting: String,
    /// Asked after a long silence.
    pub reprompt: String,
    /// Said before the machine hangs up.
    pub goodbye: String,
}

impl Session {
    pub(super) fn apply(&mut self, output: Output) {
        let now = self.clock.now();
        match output {
            Output::State(state) => self.enter(state),
            Output::Reply { id, words } => {
                self.turn.decided(now);
                let history = self.conversation.ask(&words);
                let responder = self.responder.clone();
                let (pieces_in, pieces) = mpsc::channel(PIECES);
                let ended = self.ended.clone();
                self.tracker.spawn(async move {
                    tokio::select! {
                        () = ended.cancelled() => {}
                        () = pieces_in.closed() => {}
                        () = responder.respond(&history, pieces_in.clone()) => {}
                    }
                });
                self.speak(id, pieces);
            }
            Output::Say { id, saying } => {
                self.turn.said();
                let text = match saying {
                    Saying::Greeting => self.sayings.greeting.clone(),
                    Saying::Reprompt => self.sayings.reprompt.clone(),
                    Saying::Apology => APOLOGY.to_owned(),
                    Saying::Goodbye => self.sayings.goodbye.clone(),
                    Saying::Text(words) => spoken(&words),
                };
                let (piece, pieces) = mpsc::channel(1);
                // The queue is empty and its receiver is in our hand: there is room for one.
                let _ = piece.try_send(Piece::Text(text));
                self.speak(id, pieces);
            }
            Output::Pause(_) => {
                self.downlink.hold();
                if let Some(onset) = self.barge_in_at {
                    metrics::histogram!(names::BARGE_IN_REACTION_SECONDS)
                        .record(now.saturating_sub(onset).as_secs_f64());
                }
            }
            Output::Resume(_) => {
                metrics::counter!(names::BARGE_INS_TOTAL, "outcome" => "false").increment(1);
                self.downlink.resume();
            }
            Output::Late(id) => self.on_late(id),
            Output::Cancel(id) => {
                if self.downlink.is_playing() {
                    // Whoever interrupts an utterance does not want the rest of it.
                    self.unfinished = Unfinished::default();
                }
                if self.downlink.is_held() {
                    metrics::counter!(names::BARGE_INS_TOTAL, "outcome" => "confirmed")
                        .increment(1);
                }
                let heard = self.downlink.cancel();
                self.account(id, heard);
            }
            Output::Mute => {
                self.people.mute();
                self.floor.clear();
            }
            Output::Unmute => self.people.unmute(),
            Output::End(reason) => self.ending = Some(reason),
        }
    }

    fn enter(&mut self, state: StateName) {
        debug!(session = %self.admission.id, state = state.state(), phase = state.phase(), "The dialog changed.");
        self.people.set_floor(match state {
            StateName::SpeakingPlaying => Floor::Speaking,
            StateName::BargedIn => Floor::BargedIn,
            StateName::Idle
            | StateName::Listening
            | StateName::SpeakingPreparing
            | StateName::WaitingForInput
            | StateName::Terminated => Floor::Listening,
        });
        let at_ms = self.session_time().as_ms();
        self.tell(ServerMessage::State {
            state: state.state(),
            phase: state.phase(),
            agent_state: state.agent_state(),
            at_ms,
            monotonic_ns: media::clock::monotonic_ns(),
        });
    }

    fn speak(&mut self, id: ReplyId, pieces: mpsc::Receiver<Piece>) {
        let name = format!("{}-r{id}", self.admission.id);
        let order = speech::Order {
            cluster: self.cluster.clone(),
            id: name,
            voice: self.voice.clone(),
            affinity: self.affinity.clone(),
        };
        let (handle, task) = speech::speech(order, pieces);
        self.tracker.spawn(task);
        self.downlink.begin(self.clock.now(), id, handle);
        self.withhold_while_away();
    }

    /// A reply is over: its words that were heard go into the history and to the caller.
    pub(super) fn account(&mut self, reply: ReplyId, heard: Option<Heard>) {
        let Some(Heard { text, cut }) = heard else {
            return;
        };
        self.conversation.answered(&text);
        if !text.is_empty() {
            self.tell_agent_words(reply, text, finality(cut));
        }
    }

    fn on_late(&mut self, reply: ReplyId) {
        warn!(session = %self.admission.id, %reply, "A reply was not heard in time.");
        metrics::counter!(names::REPLIES_FAILED_TOTAL).increment(1);
        let (code, who) = if self.downlink.has_words() {
            (
                ErrorCode::SynthesisFailed,
                "the speech worker made no sound",
            )
        } else {
            (ErrorCode::InternalError, "the responder said nothing")
        };
        self.tell_error(code, format!("the reply came too late: {who} in time"));
    }

    /// The link kept back frames of a reply that is over: what was said of it is put right.
    pub(super) fn correct(&mut self, correction: Correction) {
        let Correction {
            reply,
            thought,
            heard: Heard { text, cut },
        } = correction;
        self.conversation.correct(&thought, &text);
        self.tell_agent_words(reply, text, finality(cut));
    }

    /// Says goodbye to the transport, writes the recording, counts the call, and says why it ended.
    pub(super) async fn finish(mut self) -> String {
        let reason = self
            .ending
            .take()
            .map_or_else(|| "hung-up".into(), |reason| reason.to_string());
        self.ended.cancel();
        let id = self.admission.id.clone();
        self.tell(ServerMessage::SessionEnd {
            session_id: id.clone(),
            reason: reason.clone(),
        });
        self.outbox.push_back(Outbound::Close {
            code: 1000,
            reason: reason.clone(),
        });
        let outbound = self.link.outbound.clone();
        let outbox = std::mem::take(&mut self.outbox);
        let deliver = async move {
            for item in outbox {
                if outbound.send(item).await.is_err() {
                    break;
                }
            }
        };
        let clock = self.clock;
        let deadline = clock.now() + LAST_WORDS;
        tokio::select! {
            () = deliver => {}
            () = clock.until(deadline) => {}
        }
        if let Some(recorder) = self.recorder.take() {
            recorder.finish().await;
        }
        let duration = self.clock.now();
        self.count(&reason, duration);
        info!(session = %id, reason, seconds = duration.as_secs(), "A call ended.");
        reason
    }

    fn count(&self, reason: &str, duration: Duration) {
        let transport = self.admission.transport().name();
        // A caller may hang up with any words; a label must come from a small set.
        let reason = match reason {
            "completed" | "left" | "silence" | "idle-timeout" | "duration-limit"
            | "message-limit" | "too-slow" | "connection-lost" | "hung-up" | "removed"
            | "room-closed" | "replaced" | "token-expired" => reason.to_owned(),
            _ => "other".to_owned(),
        };
        metrics::counter!(names::SESSIONS_TOTAL, "transport" => transport, "reason" => reason)
            .increment(1);
        metrics::histogram!(names::SESSION_DURATION_SECONDS).record(duration.as_secs_f64());
        let down = self.downlink.statistics();
        metrics::counter!(names::AUDIO_FRAMES_TOTAL, "direction" => "out").increment(down.frames);
        metrics::counter!(names::AUDIO_FRAMES_DROPPED_TOTAL, "direction" => "out", "reason" => "unsent").increment(down.unsent);
        metrics::counter!(names::PLAYOUT_UNDERRUNS_TOTAL).increment(down.underruns);
        let heard = self.people.statistics();
        let up = heard.ears;
        metrics::counter!(names::AUDIO_FRAMES_TOTAL, "direction" => "in")
            .increment(up.all().frames);
        metrics::counter!(names::AUDIO_FRAMES_DROPPED_TOTAL, "direction" => "in", "reason" => "inbox")
            .increment(self.link.inbox.dropped());
        metrics::counter!(names::AUDIO_FRAMES_DROPPED_TOTAL, "direction" => "in", "reason" => "recogniser")
            .increment(heard.overrun_frames);
        metrics::counter!(names::AUDIO_FRAMES_DROPPED_TOTAL, "direction" => "in", "reason" => "no-ear")
            .increment(heard.unheard_frames);
        metrics::counter!(names::STT_MUTED_FRAMES_TOTAL).increment(heard.muted_frames);
        let floors = [
            ("speaking", up.speaking),
            ("listening", up.listening),
            ("barged_in", up.barged_in),
        ];
        for (floor, heard) in floors.into_iter().filter(|(_, heard)| heard.frames > 0) {
            metrics::histogram!(names::VAD_SPEECH_RATIO, "floor" => floor)
                .record(heard.speech_ratio());
            metrics::histogram!(names::VAD_STATE_GATING_RATIO, "floor" => floor)
                .record(heard.state_gating_ratio());
        }
        if up.gate.frames > 0 {
            metrics::histogram!(names::VAD_GATING_RATIO).record(up.gate.ratio());
        }
        for floor_rms in self.people.noise_floors() {
            metrics::histogram!(names::NOISE_FLOOR_RMS).record(f64::from(floor_rms));
        }
    }
}

fn finality(cut: bool) -> Finality {
    if cut {
        Finality::Interrupted
    } else {
        Finality::Whole
    }
}

/// The words of a text as they are to be spoken; a recording without words has none, and never reaches a live call.
fn spoken(words: &Words) -> String {
    words.text().unwrap_or_default().to_owned()
}
