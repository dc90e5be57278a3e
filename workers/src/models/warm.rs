//! The warm-up: an engine's first clause takes several times as long as the next ones, so no caller gets it.

use crate::tts::{Clause, Error, Portion, TtsAdapter};
use std::time::Duration;

/// So much speech is enough for caches to be filled and kernels to be chosen.
const ENOUGH: Duration = Duration::from_millis(300);
/// Every language has words for digits.
const TEXT: &str = "1, 2, 3.";

/// Has a model say about 300 ms and throws them away. An engine that takes its text as it stands needs none of this.
///
/// # Errors
/// Why the engine could not speak: then it cannot for callers either.
pub(super) async fn up(adapter: &dyn TtsAdapter, model: &str) -> Result<(), Error> {
    if adapter.portion() == Portion::Chunk {
        return Ok(());
    }
    let voices = adapter.voices();
    let Some(voice) = voices.into_iter().find(|voice| voice.model == model) else {
        return Ok(());
    };
    let mut speech = adapter.speak(Clause {
        text: TEXT.to_owned(),
        voice: voice.name,
        speed: 1.0,
    })?;
    let mut said = Duration::ZERO;
    while said < ENOUGH
        && let Some(piece) = speech.next().await
    {
        let piece = piece?;
        said += Duration::from_secs(piece.samples.len() as u64) / piece.rate_hz.max(1);
    }
    Ok(())
}
