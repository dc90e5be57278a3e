//! The warm-up: an engine's first clause takes several times as long as the next ones, so no caller gets it.

use crate::tts::{Class, Clause, Error, Portion, Speech, TtsAdapter};
use std::time::Duration;

/// So much speech is enough for caches to be filled and kernels to be chosen.
const ENOUGH: Duration = Duration::from_millis(300);
/// Every language has words for digits.
const TEXT: &str = "1, 2, 3.";

/// What a model says to get warm; none for an engine that takes its text as it stands, and for a model without voices.
pub(super) fn clause(adapter: &dyn TtsAdapter, model: &str) -> Option<Clause> {
    if adapter.portion() == Portion::Chunk {
        return None;
    }
    let mut voices = adapter.voices().into_iter();
    let voice = voices.find(|voice| voice.model == model)?;
    Some(Clause {
        text: TEXT.to_owned(),
        voice: voice.name,
        speed: 1.0,
        class: Class::RealTime,
    })
}

/// Takes about 300 ms of what a model says, and throws them away.
///
/// # Errors
/// Why it could not speak: then it cannot for callers either.
pub(super) async fn hear(mut speech: Speech) -> Result<(), Error> {
    let mut said = Duration::ZERO;
    while said < ENOUGH
        && let Some(piece) = speech.next().await
    {
        let piece = piece?;
        said += Duration::from_secs(piece.samples.len() as u64) / piece.rate_hz.max(1);
    }
    Ok(())
}
