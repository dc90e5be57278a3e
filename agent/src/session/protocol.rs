//! parlor's own dialect: the JSON that a caller and a session exchange, over a WebSocket or a data channel alike.

use media::link::Speaker;
use serde::{Deserialize, Serialize};

/// The most characters that a caller may ask to be spoken or answered in one message.
pub const MAX_TEXT_CHARS: usize = 100_000;

/// What a caller may say besides sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// Words to be spoken as they stand.
    Text {
        /// The words; more of the same utterance follow unless `is_final`.
        text: String,
        /// Whether the utterance is complete.
        is_final: bool,
    },
    /// A question for the responder.
    Ask(String),
    /// A button: hold, go on, or end what is being spoken.
    Control(Command),
    /// Push-to-talk was let go: the turn ends now.
    Commit,
    /// The caller leaves.
    Hangup,
}

/// The buttons of a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Command {
    /// Hold what is being spoken.
    Pause,
    /// Go on with it.
    Resume,
    /// End it.
    Stop,
}

impl ClientMessage {
    /// Reads one message.
    ///
    /// # Errors
    /// A sentence for the caller that says what is wrong. It quotes field names and types, never what somebody said.
    pub fn parse(json: &str) -> Result<Self, String> {
        let value: serde_json::Value = serde_json::from_str(json)
            .map_err(|error| format!("the message is not JSON: {}", position(&error)))?;
        let serde_json::Value::Object(fields) = value else {
            return Err("a message is a JSON object with a \"type\"".into());
        };
        let kind = match fields.get("type") {
            Some(serde_json::Value::String(kind)) => kind.as_str(),
            Some(_) => return Err("\"type\" must be a string".into()),
            None => return Err("a message needs a \"type\"".into()),
        };
        match kind {
            "text" => {
                let is_final = match fields.get("is_final") {
                    None => true,
                    Some(serde_json::Value::Bool(is_final)) => *is_final,
                    Some(_) => return Err("text: \"is_final\" must be true or false".into()),
                };
                Ok(Self::Text {
                    text: words(&fields, "text")?,
                    is_final,
                })
            }
            "ask" => match words(&fields, "ask")? {
                text if text.trim().is_empty() => Err(blank("ask")),
                text => Ok(Self::Ask(text)),
            },
            "control" => match fields.get("command") {
                Some(command) => Command::deserialize(command)
                    .map(Self::Control)
                    .map_err(|_| "control: \"command\" must be PAUSE, RESUME or STOP".into()),
                None => Err("control needs a \"command\": PAUSE, RESUME or STOP".into()),
            },
            "commit" => Ok(Self::Commit),
            "hangup" => Ok(Self::Hangup),
            "audio" => Err("audio travels as sound here, not as a message".into()),
            other => Err(format!(
                "unknown type \"{}\"; known are text, ask, audio, control, commit and hangup",
                other.chars().take(40).collect::<String>()
            )),
        }
    }
}

fn words(
    fields: &serde_json::Map<String, serde_json::Value>,
    kind: &str,
) -> Result<String, String> {
    let text = match fields.get("text") {
        Some(serde_json::Value::String(text)) => text,
        Some(_) => return Err(format!("{kind}: \"text\" must be a string")),
        None => return Err(format!("{kind} needs \"text\"")),
    };
    check_length(kind, text)?;
    Ok(text.clone())
}

fn check_length(kind: &str, text: &str) -> Result<(), String> {
    let chars = text.chars().count();
    if chars == 0 {
        return Err(format!("{kind}: \"text\" must have at least 1 character"));
    }
    if chars > MAX_TEXT_CHARS {
        return Err(format!(
            "{kind}: \"text\" has {chars} characters, at most {MAX_TEXT_CHARS} are taken"
        ));
    }
    Ok(())
}

fn blank(kind: &str) -> String {
    format!("{kind}: \"text\" must be more than blanks")
}

/// Whether words that somebody typed into a room's chat can be answered.
///
/// # Errors
/// A sentence that says why not, without quoting them.
pub fn check_chat(text: &str) -> Result<(), String> {
    check_length("chat", text)?;
    match text.trim() {
        "" => Err(blank("chat")),
        _ => Ok(()),
    }
}

// serde_json's own message may quote the input.
fn position(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// What a session tells its caller besides sound.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The first message of every connection.
    SessionStart {
        /// Names the call in logs and recordings.
        session_id: String,
    },
    /// Who has the floor now.
    State {
        /// One of the dialog's six states.
        state: &'static str,
        /// `preparing` or `playing`, in `Speaking` only.
        #[serde(skip_serializing_if = "Option::is_none")]
        phase: Option<&'static str>,
        /// The same in LiveKit's words.
        agent_state: &'static str,
        /// Milliseconds since the call began.
        at_ms: u64,
        /// CLOCK_MONOTONIC of the deciding machine, in nanoseconds.
        monotonic_ns: u64,
    },
    /// Words heard from the caller, or words of the agent that the caller has heard.
    Transcript {
        /// Who said it.
        role: Role,
        /// All the words of the segment so far: replace what was shown for it.
        text: String,
        /// Whether the segment is complete.
        is_final: bool,
        /// Which segment.
        segment_id: String,
        /// Which of several people said it, where that is known. Only a room's captions tell.
        #[serde(skip)]
        speaker: Option<Speaker>,
        /// The reply was cut off; only what was heard is in `text`.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        interrupted: bool,
    },
    /// How long each part of a turn took.
    Timings(Timings),
    /// Something went wrong that the caller should know.
    Error {
        /// What, and what to do next.
        message: String,
        /// Which of the five kinds.
        code: ErrorCode,
    },
    /// The last message.
    SessionEnd {
        /// The same id as in `session_start`.
        session_id: String,
        /// Why it ended.
        reason: String,
    },
}

impl ServerMessage {
    /// The message as it goes over the wire.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a message has string keys and finite numbers only")
    }

    /// Whether only a caller who asked for events gets it.
    pub fn is_event(&self) -> bool {
        matches!(
            self,
            Self::State { .. } | Self::Transcript { .. } | Self::Timings(_)
        )
    }
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The caller.
    User,
    /// The machine.
    Agent,
}

/// The kinds of error of the wire contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// Our fault.
    InternalError,
    /// The caller's message was refused; nothing else changed.
    InvalidMessage,
    /// No worker could be had.
    WorkerUnavailable,
    /// A reply could not be spoken to its end.
    SynthesisFailed,
    /// The connection itself is at fault.
    ConnectionError,
}

/// One turn's delays, in milliseconds from the end of the caller's speech; none where a part did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct Timings {
    /// Counts the replies of the call, from 1.
    pub turn: u64,
    /// From the last speech to the decision that the turn had ended.
    pub endpointing_ms: Option<u64>,
    /// From the last speech to the final transcript; runs beside endpointing.
    pub stt_ms: Option<u64>,
    /// From the decision to the reply's first clause.
    pub responder_ms: Option<u64>,
    /// From the first clause to its first sound.
    pub tts_ms: Option<u64>,
    /// From the last speech (or the question's arrival) to the first frame sent.
    pub total_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_message_is_final() {
        assert_eq!(
            ClientMessage::parse(r#"{"type":"text","text":"hi"}"#),
            Ok(ClientMessage::Text {
                text: "hi".into(),
                is_final: true
            })
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_words() {
        for bad in [
            "",
            "hello there secret",
            "[]",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"text"}"#,
            r#"{"type":"text","text":""}"#,
            r#"{"type":"text","text":7}"#,
            r#"{"type":"text","text":"secret","is_final":"yes"}"#,
            r#"{"type":"control","command":"DANCE"}"#,
            r#"{"type":"control"}"#,
            r#"{"type":"ask","text":" \n\t"}"#,
            r#"{"type":"sing","text":"secret"}"#,
        ] {
            let error = ClientMessage::parse(bad).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        let long = format!(
            r#"{{"type":"ask","text":"{}"}}"#,
            "x".repeat(MAX_TEXT_CHARS + 1)
        );
        assert!(ClientMessage::parse(&long).unwrap_err().contains("100001"));
        let most = format!(
            r#"{{"type":"ask","text":"{}"}}"#,
            "x".repeat(MAX_TEXT_CHARS)
        );
        assert!(ClientMessage::parse(&most).is_ok());
    }

    #[test]
    fn messages_have_the_shapes_of_the_contract() {
        let start = ServerMessage::SessionStart {
            session_id: "s".into(),
        };
        assert_eq!(
            start.to_json(),
            r#"{"type":"session_start","session_id":"s"}"#
        );
        let error = ServerMessage::Error {
            message: "m".into(),
            code: ErrorCode::InvalidMessage,
        };
        assert_eq!(
            error.to_json(),
            r#"{"type":"error","message":"m","code":"INVALID_MESSAGE"}"#
        );
    }
}
