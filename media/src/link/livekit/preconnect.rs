//! What somebody said before the agent was there: a recording that comes as a byte stream.
//!
//! Browsers record into WebM, Safari into MP4, other clients send samples or a file. Everything ends as frames.

mod aac;
mod mp4;
mod webm;

use crate::codec::{Decoder, packet_samples};
use crate::frame::AudioFrame;
use crate::framer::Framer;
use crate::link::RECORDED_FRAMES;
use crate::resample::Resampler;
use crate::wav::{self, Limits};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The topic of such a byte stream.
pub(super) const TOPIC: &str = "lk.agent.pre-connect-audio-buffer";
/// The largest recording: ten seconds of stereo samples at 48 kHz are 2 MB.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// Packets that are decoded: what may be kept, in the shortest packets that Opus has (2.5 ms).
const PACKETS: usize = 8 * RECORDED_FRAMES;

/// Why a recording cannot be heard.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the recording cannot be read: {0}")]
pub(super) struct Unreadable(String);

/// Decodes a recording of the MIME type `mime`; the stream's attributes tell how plain samples are laid out. At most
/// [`RECORDED_FRAMES`] are taken, the last ones.
pub(super) fn decode(
    mime: &str,
    attributes: &HashMap<String, String>,
    bytes: Vec<u8>,
) -> Result<Vec<AudioFrame>, Unreadable> {
    let kind = mime.split(';').next().unwrap_or_default().trim();
    // The decoders are safe code, but written for honest files: arithmetic on a damaged one may panic inside them.
    let decoded = catch_unwind(AssertUnwindSafe(|| match kind {
        "audio/webm" | "video/webm" | "audio/x-matroska" => opus(webm::packets(&bytes)),
        "audio/mp4" | "video/mp4" | "audio/m4a" | "audio/x-m4a" => recorded_mp4(&bytes),
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/flac" | "audio/ogg" => file(bytes),
        _ => samples(attributes, &bytes),
    }));
    decoded.unwrap_or_else(|_| Err(Unreadable("it contradicts itself".into())))
}

/// Collects sound of any rate as frames.
struct Collector {
    resampler: Option<Resampler>,
    framer: Framer,
    frames: Vec<AudioFrame>,
    resampled: Vec<i16>,
}

impl Collector {
    fn new(rate_hz: u32) -> Result<Self, Unreadable> {
        let resampler = match rate_hz {
            crate::frame::SAMPLE_RATE_HZ => None,
            _ => {
                let resampler = Resampler::new(rate_hz, crate::frame::SAMPLE_RATE_HZ);
                Some(resampler.map_err(|error| Unreadable(error.to_string()))?)
            }
        };
        Ok(Self {
            resampler,
            framer: Framer::new(),
            frames: Vec::new(),
            resampled: Vec::new(),
        })
    }

    fn push(&mut self, samples: &[i16]) {
        match &mut self.resampler {
            None => self.framer.push(samples),
            Some(resampler) => {
                self.resampled.clear();
                resampler.process(samples, &mut self.resampled);
                self.framer.push(&self.resampled);
            }
        }
        while let Some(frame) = self.framer.pop() {
            self.frames.push(frame);
        }
        if self.frames.len() > 2 * RECORDED_FRAMES {
            self.frames.drain(..self.frames.len() - RECORDED_FRAMES);
        }
    }

    fn finish(mut self) -> Vec<AudioFrame> {
        if let Some(resampler) = &mut self.resampler {
            self.resampled.clear();
            resampler.flush(&mut self.resampled);
            self.framer.push(&self.resampled);
        }
        while let Some(frame) = self.framer.pop().or_else(|| self.framer.flush()) {
            self.frames.push(frame);
        }
        let surplus = self.frames.len().saturating_sub(RECORDED_FRAMES);
        self.frames.drain(..surplus);
        self.frames
    }
}

/// What Safari's recorder writes: AAC or Opus in MP4.
fn recorded_mp4(bytes: &[u8]) -> Result<Vec<AudioFrame>, Unreadable> {
    let Some(mp4::Recording { coding, packets }) = mp4::read(bytes) else {
        return Err(Unreadable("there is no AAC or Opus in it".into()));
    };
    match coding {
        mp4::Coding::Opus => opus(packets.into_iter()),
        mp4::Coding::Aac { config } => aac::decode(config, &packets),
    }
}

/// Decodes what browsers' recorders write: packets of Opus.
fn opus<'a>(packets: impl Iterator<Item = &'a [u8]>) -> Result<Vec<AudioFrame>, Unreadable> {
    let mut decoder = Decoder::new().map_err(|error| Unreadable(error.to_string()))?;
    let mut collector = Collector::new(crate::frame::SAMPLE_RATE_HZ)?;
    // A recording that breaks off is heard as far as it goes.
    for packet in packets.take(PACKETS) {
        if packet_samples(packet).is_some()
            && let Ok(samples) = decoder.decode(packet)
        {
            collector.push(samples);
        }
    }
    let frames = collector.finish();
    match frames.is_empty() {
        true => Err(Unreadable("there is no Opus in it".into())),
        false => Ok(frames),
    }
}

fn file(bytes: Vec<u8>) -> Result<Vec<AudioFrame>, Unreadable> {
    let sound =
        wav::read_bytes(bytes, Limits::default()).map_err(|error| Unreadable(error.to_string()))?;
    let mut collector = Collector::new(sound.sample_rate_hz)?;
    collector.push(&sound.samples);
    Ok(collector.finish())
}

/// 16-bit little-endian samples, the channels interleaved.
fn samples(
    attributes: &HashMap<String, String>,
    bytes: &[u8],
) -> Result<Vec<AudioFrame>, Unreadable> {
    let number = |key: &str, default: u32| match attributes.get(key) {
        None => Ok(default),
        Some(text) => text
            .parse::<u32>()
            .map_err(|_| Unreadable(format!("its {key} is no number"))),
    };
    let rate_hz = number("sampleRate", crate::frame::SAMPLE_RATE_HZ)?;
    let channels = number("channels", 1)?;
    if !(8_000..=192_000).contains(&rate_hz) || !(1..=8).contains(&channels) {
        return Err(Unreadable("no such rate or number of channels".into()));
    }
    let samples: Vec<i16> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|pair| i16::from_le_bytes(*pair))
        .collect();
    let mut collector = Collector::new(rate_hz)?;
    for second in mix(&samples, channels as usize).chunks(rate_hz as usize) {
        collector.push(second);
    }
    Ok(collector.finish())
}

fn mix(interleaved: &[i16], channels: usize) -> Vec<i16> {
    let channels = channels.max(1);
    let mean = |frame: &[i16]| {
        let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
        // The mean of 16-bit numbers is one.
        (sum / channels as i32) as i16
    };
    interleaved.chunks_exact(channels).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::rms;

    fn attributes(rate: &str, channels: &str) -> HashMap<String, String> {
        [("sampleRate", rate), ("channels", channels)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    fn tone(rate_hz: u32, channels: usize, seconds: u32) -> Vec<u8> {
        (0..rate_hz * seconds)
            .flat_map(|n| {
                let at = n as f32 / rate_hz as f32;
                let sample = ((at * 440.0 * std::f32::consts::TAU).sin() * 8000.0) as i16;
                std::iter::repeat_n(sample, channels)
            })
            .flat_map(i16::to_le_bytes)
            .collect()
    }

    #[test]
    fn plain_samples_of_any_rate_become_frames() {
        for (rate, channels) in [(48_000, 1), (16_000, 1), (44_100, 2)] {
            let attributes = attributes(&rate.to_string(), &channels.to_string());
            let frames = decode("audio/pcm", &attributes, tone(rate, channels, 2)).unwrap();
            assert!((99..=102).contains(&frames.len()), "{}", frames.len());
            assert!((rms(frames[50].samples()) - 5657.0).abs() < 300.0);
        }
    }

    #[test]
    fn only_the_last_half_minute_is_kept() {
        let frames = decode("", &attributes("8000", "1"), tone(8_000, 1, 60)).unwrap();
        assert_eq!(frames.len(), RECORDED_FRAMES);
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        for (mime, bytes) in [
            ("audio/webm;codecs=opus", vec![0; 4000]),
            ("video/mp4", b"hello".to_vec()),
            ("audio/wav", Vec::new()),
        ] {
            assert!(decode(mime, &HashMap::new(), bytes).is_err(), "{mime}");
        }
        assert!(decode("", &attributes("7", "1"), vec![0; 8]).is_err());
        assert!(decode("", &attributes("many", "1"), vec![0; 8]).is_err());
    }
}
