//! Whole recordings.

use super::{language, samples, status, words};
use crate::blocking::on_a_thread;
use crate::stt::segments::{is_silent, segments};
use crate::stt::slots::Slots;
use crate::stt::{RATE_HZ, Speaker, Transcript};
use media::resample::Resampler;
use media::wav::{self, Limits};
use proto::stt as wire;
use std::ops::Range;
use std::time::Duration;
use tonic::Status;

/// How a recording's container is known; anything else is bare samples.
const CONTAINERS: [&[u8; 4]; 3] = [b"RIFF", b"fLaC", b"OggS"];
/// How long a recording that is being transcribed waits for its next turn.
const BETWEEN_PIECES: Duration = Duration::from_secs(30);
const FORMATS: [&str; 6] = ["", "json", "verbose_json", "text", "srt", "vtt"];

/// Transcribes a recording, cut at its pauses.
pub(super) async fn transcribe(
    slots: &Slots,
    request: wire::TranscribeFileRequest,
) -> Result<wire::TranscribeFileResponse, Status> {
    check(slots, &request)?;
    let wants = |what: &str| {
        request.timestamp_granularities.is_empty()
            || request
                .timestamp_granularities
                .iter()
                .any(|asked| asked == what)
    };
    let (wants_segments, wants_words) = (wants("segment"), wants("word"));
    let data = request.audio_data.clone();
    // A few megabytes of FLAC are an hour of sound to decode.
    let sound = on_a_thread("parlor-decode", move || sound(data))
        .await
        .map_err(|error| Status::internal(error.to_string()))??;
    let mut response = wire::TranscribeFileResponse {
        language: language(slots),
        duration: time(sound.len()).as_secs_f32(),
        ..Default::default()
    };
    let mut wait = slots.wait();
    for range in segments(&sound) {
        let piece = sound.get(range.clone()).unwrap_or_default();
        if is_silent(piece) {
            continue;
        }
        // Borrowed for each piece, so that a long recording lets callers in between.
        let speaker = Speaker(request.request_id.clone());
        let transcript = async {
            let mut utterance = slots.borrow_within(wait, speaker).await?;
            utterance.hear(piece).await?;
            utterance.finish().await
        };
        let transcript = transcript.await.map_err(|error| status(&error))?;
        // Half a recording is none: what was begun is finished, also when callers come in between.
        wait = wait.max(BETWEEN_PIECES);
        if transcript.text.is_empty() {
            continue;
        }
        if !response.text.is_empty() {
            response.text.push(' ');
        }
        response.text.push_str(&transcript.text);
        if wants_segments {
            let id = i32::try_from(response.segments.len()).unwrap_or(i32::MAX);
            response.segments.push(segment(id, &range, &transcript));
        }
        if wants_words {
            response.words.extend(words(&transcript, time(range.start)));
        }
    }
    Ok(response)
}

/// Refuses what the engine cannot do.
fn check(slots: &Slots, request: &wire::TranscribeFileRequest) -> Result<(), Status> {
    let known = slots.adapter().languages();
    let asked = request
        .language
        .split(['-', '_'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let any = known.is_empty() || matches!(asked.as_str(), "" | "auto" | "mixed");
    if !any && !known.contains(&asked.as_str()) {
        return Err(Status::invalid_argument(format!(
            "{} does not understand {:?}; it understands {}",
            slots.adapter().engine(),
            request.language,
            known.join(", ")
        )));
    }
    if !FORMATS.contains(&request.response_format.as_str()) {
        return Err(Status::invalid_argument(format!(
            "there is no format {:?}; there is json, verbose_json, text, srt and vtt",
            request.response_format
        )));
    }
    if !matches!(request.task.as_str(), "" | "transcribe" | "translate") {
        return Err(Status::invalid_argument(format!(
            "there is no task {:?}; there is transcribe and translate",
            request.task
        )));
    }
    if request.audio_data.is_empty() {
        return Err(Status::invalid_argument("there is no audio in the request"));
    }
    Ok(())
}

/// The recording at 16 kHz.
fn sound(bytes: bytes::Bytes) -> Result<Vec<i16>, Status> {
    if !CONTAINERS.iter().any(|magic| bytes.starts_with(*magic)) {
        return samples(&bytes);
    }
    let refused = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
    let sound =
        wav::read_bytes(bytes.into(), Limits::default()).map_err(|error| refused(&error))?;
    let mut resampler =
        Resampler::new(sound.sample_rate_hz, RATE_HZ).map_err(|error| refused(&error))?;
    let mut at_16k = Vec::with_capacity(sound.samples.len());
    resampler.process(&sound.samples, &mut at_16k);
    resampler.flush(&mut at_16k);
    Ok(at_16k)
}

fn segment(id: i32, range: &Range<usize>, transcript: &Transcript) -> wire::Segment {
    // A word of probability 0 would make the mean endless.
    let logs = transcript
        .words
        .iter()
        .map(|word| word.probability.max(1e-4).ln());
    let words = transcript.words.len().max(1) as f32;
    wire::Segment {
        id,
        start: time(range.start).as_secs_f32(),
        end: time(range.end).as_secs_f32(),
        text: transcript.text.clone(),
        avg_logprob: logs.sum::<f32>() / words,
        no_speech_prob: 0.0,
        // Words are not compressed here; 1 says that nothing repeats.
        compression_ratio: 1.0,
    }
}

fn time(samples: usize) -> Duration {
    Duration::from_micros(samples as u64 * 1_000_000 / u64::from(RATE_HZ))
}
