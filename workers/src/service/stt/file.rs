//! Whole recordings.

use super::{check_hints, language, samples, status, words};
use crate::blocking::on_a_thread;
use crate::stt::segments::{is_silent, segments};
use crate::stt::slots::Slots;
use crate::stt::{Hints, Language, RATE_HZ, Segment, Speaker, Task, Transcript};
use media::resample::Resampler;
use media::wav::{self, Limits};
use proto::stt as wire;
use std::ops::Range;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How a recording's container is known; anything else is bare samples.
const CONTAINERS: [&[u8; 4]; 3] = [b"RIFF", b"fLaC", b"OggS"];
/// How long a recording that is being transcribed waits for its next turn.
const BETWEEN_PIECES: Duration = Duration::from_secs(30);
const FORMATS: [&str; 6] = ["", "json", "verbose_json", "text", "srt", "vtt"];

/// Samples brought to 16 kHz between two looks at whether anybody still waits: a second or so.
const PART: usize = 48_000;

/// Transcribes a recording, cut at its pauses. Dropping it stops the work at its next piece.
pub(super) async fn transcribe(
    slots: &Slots,
    request: wire::TranscribeFileRequest,
) -> Result<wire::TranscribeFileResponse, Status> {
    let mut hints = check(slots, &request)?;
    let wants = |what: &str| {
        request.timestamp_granularities.is_empty()
            || request
                .timestamp_granularities
                .iter()
                .any(|asked| asked == what)
    };
    let (wants_segments, wants_words) = (wants("segment"), wants("word"));
    let data = request.audio_data.clone();
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    // A few megabytes of FLAC are an hour of sound to decode.
    let sound = on_a_thread("parlor-decode", move || sound(data, &stop))
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
            let mut utterance = slots.borrow_within(wait, speaker, hints.clone()).await?;
            utterance.only_final();
            utterance.hear(piece).await?;
            utterance.finish().await
        };
        let transcript = transcript.await.map_err(|error| status(&error))?;
        // Half a recording is none: what was begun is finished, also when callers come in between.
        wait = wait.max(BETWEEN_PIECES);
        if transcript.text.is_empty() {
            continue;
        }
        if let Some(language) = &transcript.language {
            if response.text.is_empty() {
                response.language.clone_from(language);
            }
            // What one speaks is spoken in the other pieces too, unless the client says that it changes.
            if hints.language == Language::Unknown
                && hints.task == Task::Transcribe
                && request.language != "mixed"
            {
                hints.language = Language::Is(language.clone());
            }
        }
        if !response.text.is_empty() {
            response.text.push(' ');
        }
        response.text.push_str(&transcript.text);
        if wants_segments {
            let told = transcript.segments.iter();
            let mut segments: Vec<_> = told
                .map(|segment| told_segment(segment, time(range.start)))
                .collect();
            if segments.is_empty() {
                segments.push(segment(&range, &transcript));
            }
            for mut segment in segments {
                segment.id = i32::try_from(response.segments.len()).unwrap_or(i32::MAX);
                response.segments.push(segment);
            }
        }
        if wants_words {
            response.words.extend(words(&transcript, time(range.start)));
        }
    }
    Ok(response)
}

/// What the client says about the recording; refuses what the engine cannot do.
fn check(slots: &Slots, request: &wire::TranscribeFileRequest) -> Result<Hints, Status> {
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
    let task = match request.task.as_str() {
        "" | "transcribe" => Task::Transcribe,
        "translate" => Task::Translate,
        task => {
            return Err(Status::invalid_argument(format!(
                "there is no task {task:?}; there is transcribe and translate"
            )));
        }
    };
    if !(0.0..=1.0).contains(&request.temperature) {
        return Err(Status::invalid_argument(format!(
            "temperature is {}; it is from 0 to 1",
            request.temperature
        )));
    }
    check_hints(&request.initial_prompt, &request.hot_words)?;
    if request.audio_data.is_empty() {
        return Err(Status::invalid_argument("there is no audio in the request"));
    }
    Ok(Hints {
        language: match asked.as_str() {
            "" => Language::AsSet,
            "auto" | "mixed" => Language::Unknown,
            _ => Language::Is(asked),
        },
        prompt: request.initial_prompt.clone(),
        hot_words: request.hot_words.clone(),
        task,
        temperature: request.temperature,
    })
}

/// The recording at 16 kHz, unless nobody wants it any more.
fn sound(bytes: bytes::Bytes, stop: &CancellationToken) -> Result<Vec<i16>, Status> {
    if !CONTAINERS.iter().any(|magic| bytes.starts_with(*magic)) {
        return samples(&bytes);
    }
    let refused = |error: &dyn std::error::Error| Status::invalid_argument(error.to_string());
    let go_on = || !stop.is_cancelled();
    let sound = match wav::read_bytes_while(bytes.into(), Limits::default(), &go_on) {
        Ok(sound) => sound,
        Err(wav::Error::Stopped) => return Err(super::cancelled()),
        Err(error) => return Err(refused(&error)),
    };
    let mut resampler =
        Resampler::new(sound.sample_rate_hz, RATE_HZ).map_err(|error| refused(&error))?;
    let mut at_16k = Vec::with_capacity(sound.samples.len());
    for part in sound.samples.chunks(PART) {
        if stop.is_cancelled() {
            return Err(super::cancelled());
        }
        resampler.process(part, &mut at_16k);
    }
    resampler.flush(&mut at_16k);
    Ok(at_16k)
}

/// What the engine heard as one, in a piece that begins at `by`.
fn told_segment(segment: &Segment, by: Duration) -> wire::Segment {
    wire::Segment {
        id: 0,
        start: (segment.start + by).as_secs_f32(),
        end: (segment.end + by).as_secs_f32(),
        text: segment.text.clone(),
        avg_logprob: segment.avg_logprob,
        no_speech_prob: segment.no_speech_prob,
        compression_ratio: segment.compression_ratio,
    }
}

/// A piece as a segment, where the engine tells of none.
fn segment(range: &Range<usize>, transcript: &Transcript) -> wire::Segment {
    // A word of probability 0 would make the mean endless.
    let logs = transcript
        .words
        .iter()
        .map(|word| word.probability.max(1e-4).ln());
    let words = transcript.words.len().max(1) as f32;
    wire::Segment {
        id: 0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    /// A second of sound at 8 kHz in a WAV file.
    fn wav() -> bytes::Bytes {
        let mut file = b"RIFF\xa4\x3e\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        file.extend(b"\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x80\x3e\0\0");
        file.resize(44 + 16_000, 7);
        file.into()
    }

    #[test]
    fn a_recording_that_nobody_waits_for_is_not_decoded() {
        let stop = CancellationToken::new();
        assert_eq!(sound(wav(), &stop).unwrap().len(), 16_000);
        stop.cancel();
        assert_eq!(sound(wav(), &stop).unwrap_err().code(), Code::Cancelled);
    }
}
