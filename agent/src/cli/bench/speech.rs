//! Speech for a bench: a recording, or made once by the embedded speech worker.

use crate::cli::{Failure, Global};
use crate::cluster::{Cluster, Voice};
use crate::session::responder::Piece;
use crate::session::speech::{Affinity, Event, Order, speech};
use anyhow::{Context as _, anyhow};
use media::codec::EncoderSettings;
use media::resample::Resampler;
use media::{SAMPLE_RATE_HZ, wav};
use std::path::Path;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use workers::Embedded;

/// The voice that speaks for a caller.
const VOICE: &str = "flite:slt";
/// Samples above this magnitude are taken for sound: 40 dB under full scale.
const AUDIBLE: u16 = 328;

/// Sound at 48 kHz: the recording if there is one, `words` spoken otherwise.
///
/// # Errors
/// When there is neither, or nothing can be heard in it.
pub async fn speech_for(
    global: &Global,
    recording: Option<&Path>,
    words: &str,
) -> Result<Vec<i16>, Failure> {
    let sound = match recording {
        Some(path) => recorded(path)?,
        None => spoken(global, words).await?,
    };
    if onset(&sound).is_none() {
        return Err(Failure::Usage(
            "the recording is silent: there is nothing to measure with".into(),
        ));
    }
    Ok(sound)
}

/// A recording at 48 kHz.
///
/// # Errors
/// When it cannot be read.
pub fn recorded(path: &Path) -> anyhow::Result<Vec<i16>> {
    let sound = wav::read(path)
        .map_err(|error| anyhow!("cannot measure with {}: {error}", path.display()))?;
    let mut resampler = Resampler::new(sound.sample_rate_hz, SAMPLE_RATE_HZ)
        .with_context(|| format!("cannot resample {} Hz", sound.sample_rate_hz))?;
    let mut samples = Vec::new();
    resampler.process(&sound.samples, &mut samples);
    resampler.flush(&mut samples);
    Ok(samples)
}

async fn spoken(global: &Global, words: &str) -> Result<Vec<i16>, Failure> {
    // No recogniser is needed, and the scripted one needs no model.
    let config = global.load(vec![("stt.adapter".into(), "scripted".into())])?;
    let hint = "cannot make speech for the callers; give a recording with --wav";
    let embedded = Embedded::start(config.workers()).await.context(hint)?;
    let cluster = Cluster::of(&embedded);
    let (text, pieces) = mpsc::channel(1);
    let voice = Voice {
        id: VOICE.to_owned(),
        speed: None,
        is_must: true,
    };
    let order = Order {
        cluster,
        id: "bench".into(),
        voice,
        affinity: Affinity::default(),
    };
    let (mut handle, task) = speech(order, pieces);
    let tasks = TaskTracker::new();
    tasks.spawn(task);
    text.send(Piece::Text(words.to_owned()))
        .await
        .map_err(|_| anyhow!("the speech worker is gone"))?;
    drop(text);
    let mut samples = Vec::new();
    loop {
        match handle.events.recv().await {
            Some(Event::Clause(_) | Event::Word { .. }) => {}
            Some(Event::Frame { frame, .. }) => samples.extend_from_slice(frame.samples()),
            Some(Event::Done) => return Ok(samples),
            Some(Event::Failed(error)) => {
                return Err(Failure::Failed(anyhow::Error::new(error).context(hint)));
            }
            Some(Event::Broken(_)) | None => {
                return Err(Failure::Failed(
                    anyhow!("the speech worker is gone").context(hint),
                ));
            }
        }
    }
}

/// How a browser encodes a voice: as we do, but harder.
pub fn browser_encoder() -> EncoderSettings {
    EncoderSettings {
        complexity: 9,
        ..EncoderSettings::default()
    }
}

/// The first sample that can be heard.
pub fn onset(samples: &[i16]) -> Option<usize> {
    samples.iter().position(|sample| is_audible(*sample))
}

/// The part from the first to the last sample that can be heard.
pub fn audible(samples: &[i16]) -> &[i16] {
    let last = samples.iter().rposition(|sample| is_audible(*sample));
    onset(samples)
        .zip(last)
        .and_then(|(first, last)| samples.get(first..=last))
        .unwrap_or_default()
}

/// Whether a sample is taken for sound.
pub fn is_audible(sample: i16) -> bool {
    sample.unsigned_abs() > AUDIBLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_onset_is_the_first_sample_over_the_threshold() {
        let mut sound = vec![300; 500];
        assert_eq!(onset(&sound), None);
        assert!(audible(&sound).is_empty());
        sound[120] = -329;
        sound[130] = 0;
        sound[400] = i16::MIN;
        assert_eq!(onset(&sound), Some(120));
        assert_eq!(audible(&sound).len(), 281);
    }
}
