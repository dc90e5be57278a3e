//! The worker that speaks a reply, or a part of it.

use super::Event;
use crate::cluster::{Error, SpeechSession};
use futures_util::{Stream, StreamExt as _};
use media::AudioFrame;
use proto::tts::TextChunk;
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;

/// Clauses on their way to the worker.
const TEXTS: usize = 8;

pub(super) type Sound = Pin<Box<dyn Stream<Item = Result<proto::tts::AudioFrame, Error>> + Send>>;
type Opening = Pin<Box<dyn Future<Output = Result<Sound, Error>> + Send>>;

/// The worker's answer stream: it opens only when the first text has arrived there.
enum Frames {
    Opening(Opening),
    Open(Sound),
}

/// What a worker sends.
pub(super) enum Came {
    /// Its stream has opened.
    Opened,
    /// Its stream has ended.
    Ended,
    /// 20 ms of speech.
    Frame {
        /// The number of the clause that it speaks, 0 if it did not say.
        clause: u64,
        /// The sound; none in the empty final frame of another worker.
        frame: Option<AudioFrame>,
        /// Words that begin in it.
        words: Vec<Event>,
        /// It is the last.
        is_final: bool,
    },
}

/// A worker in the middle of a reply.
pub(super) struct Worker {
    session: SpeechSession,
    /// Where clauses go to; dropped (half-closed) after the last one.
    text: Option<mpsc::Sender<TextChunk>>,
    frames: Frames,
    /// The number in the reply of each clause that it was handed.
    numbers: Vec<u64>,
    /// Where its sound begins, in samples of the reply.
    from_sample: u64,
    has_sounded: bool,
}

impl Worker {
    /// Begins to speak in `session`; its sound follows `from_sample` samples of the reply.
    pub(super) fn new(session: SpeechSession, from_sample: u64) -> Self {
        let (text, texts) = mpsc::channel(TEXTS);
        let opening = open(session.clone(), ReceiverStream::new(texts));
        Self::with(session, from_sample, text, Box::pin(opening))
    }

    pub(super) fn with(
        session: SpeechSession,
        from_sample: u64,
        text: mpsc::Sender<TextChunk>,
        opening: Opening,
    ) -> Self {
        Self {
            session,
            text: Some(text),
            frames: Frames::Opening(opening),
            numbers: Vec::new(),
            from_sample,
            has_sounded: false,
        }
    }

    pub(super) fn session(&self) -> &SpeechSession {
        &self.session
    }

    /// Where clauses go to; none once it has all.
    pub(super) fn text(&self) -> Option<mpsc::Sender<TextChunk>> {
        self.text.clone()
    }

    /// It has all text.
    pub(super) fn close_text(&mut self) {
        self.text = None;
    }

    /// A clause of the reply, as this worker is to get it.
    pub(super) fn chunk(&mut self, number: u64, text: String) -> TextChunk {
        self.numbers.push(number);
        let sequence = i64::try_from(self.numbers.len()).unwrap_or(i64::MAX);
        self.session.chunk(text, sequence)
    }

    /// Whether this is its first sound.
    pub(super) fn sounds_first(&mut self) -> bool {
        !std::mem::replace(&mut self.has_sounded, true)
    }

    /// Frees its slot, beside what follows.
    pub(super) fn leave(self) {
        let session = self.session;
        // It takes two seconds at most, and nobody waits for it.
        TaskTracker::new().spawn(async move { session.end().await });
    }

    /// What it sends next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Came, Error> {
        let frame = match &mut self.frames {
            Frames::Opening(opening) => {
                let sound = opening.await?;
                self.frames = Frames::Open(sound);
                return Ok(Came::Opened);
            }
            Frames::Open(sound) => match sound.next().await {
                Some(frame) => frame?,
                None => return Ok(Came::Ended),
            },
        };
        let sound = match frame.audio_data.is_empty() {
            true if frame.is_final => None,
            true => {
                return Err(Error::Failed("an empty frame came before the end".into()));
            }
            false => Some(
                AudioFrame::from_le_bytes(&frame.audio_data)
                    .map_err(|error| Error::Failed(format!("a bad frame came: {error}")))?,
            ),
        };
        let clause = usize::try_from(frame.chunk)
            .ok()
            .and_then(|chunk| self.numbers.get(chunk.checked_sub(1)?))
            .copied()
            .unwrap_or(0);
        let words = frame.words.iter().map(|word| Event::Word {
            clause,
            offset_chars: usize::try_from(word.offset_chars).unwrap_or(0),
            at_sample: self.from_sample + u64::try_from(word.at_sample).unwrap_or(0),
        });
        Ok(Came::Frame {
            clause,
            frame: sound,
            words: words.collect(),
            is_final: frame.is_final,
        })
    }
}

async fn open(session: SpeechSession, texts: ReceiverStream<TextChunk>) -> Result<Sound, Error> {
    let frames = session.synthesize(texts).await?;
    Ok(Box::pin(frames.map(|frame| frame.map_err(Error::from))))
}

/// Waits until the worker takes another clause; `None` when it takes no more.
pub(super) async fn reserve(
    text: &Option<mpsc::Sender<TextChunk>>,
) -> Option<mpsc::Permit<'_, TextChunk>> {
    match text {
        Some(text) => text.reserve().await.ok(),
        None => None,
    }
}
