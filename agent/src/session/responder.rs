//! Who thinks of the answer: the built-in responder or a chat server that speaks OpenAI's API.

pub mod builtin;
pub mod openai;

use super::conversation::Message;
use tokio::sync::mpsc;

/// Text waits here between responder and synthesis: a few sentences; a faster responder is held back.
pub const PIECES: usize = 32;

/// Said in the place of an answer that does not come.
pub const APOLOGY: &str =
    "Sorry, I cannot think of an answer right now. Please try again in a moment.";

/// A part of an answer as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// More text.
    Text(String),
    /// The responder failed; these words are said in its place.
    Failed(&'static str),
}

/// A source of answers, shared by all calls.
#[derive(Debug)]
pub enum Responder {
    /// Needs nothing.
    Builtin(builtin::Builtin),
    /// Any OpenAI-compatible chat server.
    OpenAi(openai::Client),
    /// Repeats what it is asked, and keeps it for a test.
    #[cfg(test)]
    Parrot(std::sync::Mutex<Vec<Vec<Message>>>),
}

impl Responder {
    /// Answers the last message of `history`, piece by piece into `out`. Returns early once nobody listens any more.
    pub async fn respond(&self, history: &[Message], out: mpsc::Sender<Piece>) {
        match self {
            Self::Builtin(builtin) => {
                let text = builtin.answer(history, &jiff::Zoned::now());
                // The receiver may have gone: the reply was withdrawn.
                let _ = out.send(Piece::Text(text)).await;
            }
            Self::OpenAi(client) => client.respond(history, &out).await,
            #[cfg(test)]
            Self::Parrot(asked) => {
                let last = history.last().map(|message| message.text.clone());
                asked.lock().unwrap().push(history.to_vec());
                let _ = out.send(Piece::Text(last.unwrap_or_default())).await;
            }
        }
    }

    /// What `parlor doctor`, the page and the log call it. Holds no secret.
    pub fn name(&self) -> String {
        match self {
            Self::Builtin(_) => "built-in".into(),
            Self::OpenAi(client) => format!("{} (OpenAI-compatible)", client.model()),
            #[cfg(test)]
            Self::Parrot(_) => "parrot".into(),
        }
    }
}
