//! `parlor bench frame`: what 20 ms of one call cost, stage by stage, on real speech.

use super::speech::{browser_encoder, speech_for};
use super::statistics::{Figure, Sample, TwoPercentiles, shown};
use crate::cli::{Failure, Global, out};
use crate::config::Config;
use crate::server::engines;
use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use media::clock::monotonic_ns;
use media::codec::{Decoder, Encoder};
use media::framer::Framer;
use media::hear::{Denoiser, Ear, NoiseGate, VAD_FRAME_SAMPLES, Vad};
use media::resample::Downsampler48To16;
use media::{AudioFrame, FRAME, level};
use serde::{Serialize, Serializer};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

/// About half a minute of speech; it is repeated as often as needed.
const WORDS: &str = "The quick brown fox jumps over the lazy dog, and the dog, who has seen this many times, does not get up. \
Good morning. I would like to know when the next train leaves, and whether I have to change on the way. \
Four hundred and twelve people were asked, and most of them said that they would rather wait for the rain to stop. \
Would you mind saying that again? I was not sure if you meant the second or the third of August. \
She sells sea shells on the shore, he fetches fresh fish from the ferry, and both of them are home by half past six.";
/// Frames heard before anything counts: caches fill, and the gate and the networks leave their beginnings behind.
const WARM_UP: usize = 200;
/// Samples at 16 kHz that Silero judges at once: 32 ms.
const SILERO_WINDOW: usize = 512;

/// What 20 ms of one call cost, stage by stage.
#[derive(Debug, Args)]
pub struct Frame {
    /// Speech to measure with, instead of flite's: WAV, FLAC or OGG.
    #[arg(long, value_name = "FILE")]
    wav: Option<PathBuf>,
    /// How much sound to run through every stage; 3000 frames are the least.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(60..=3600))]
    seconds: u64,
    /// Prints the figures as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// What is measured, in the order of the sound's way through a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Decode,
    Gate,
    Denoise,
    Resample,
    /// One judgement of the detector: 32 ms for Silero, 20 ms for webrtc-vad.
    Vad,
    Encode,
    /// What the detector costs a frame: Silero judges in five of eight.
    VadFrame,
    /// Everything that is heard: denoiser (if it is on), level, gate, resampling, detector and timers.
    Ear,
}

impl Stage {
    const ALL: [Self; 8] = [
        Self::Decode,
        Self::Gate,
        Self::Denoise,
        Self::Resample,
        Self::Vad,
        Self::Encode,
        Self::VadFrame,
        Self::Ear,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Gate => "gate",
            Self::Denoise => "denoise",
            Self::Resample => "resample",
            Self::Vad => "vad",
            Self::Encode => "encode",
            Self::VadFrame => "vad_per_frame",
            Self::Ear => "ear",
        }
    }

    /// What the 95th percentile must be and should be, in microseconds.
    fn budget(self) -> Option<(u32, u32)> {
        match self {
            Self::Gate => Some((50, 15)),
            Self::Denoise => Some((400, 150)),
            Self::Vad => Some((500, 50)),
            Self::Decode | Self::Resample | Self::Encode | Self::VadFrame | Self::Ear => None,
        }
    }
}

/// One stage's figures in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Cost {
    p50_us: Option<Figure>,
    p95_us: Option<Figure>,
    mean_us: Option<Figure>,
}

impl From<&Sample> for Cost {
    fn from(sample: &Sample) -> Self {
        let TwoPercentiles { p50, p95 } = sample.two();
        Self {
            p50_us: p50,
            p95_us: p95,
            mean_us: sample.mean().map(Figure),
        }
    }
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    stages: Stages<'a>,
    frames: usize,
    vad_engine: &'a str,
}

/// The stages by their names, in the order of the sound's way.
#[derive(Debug)]
struct Stages<'a>(&'a [(Stage, Cost)]);

impl Serialize for Stages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(stage, cost)| (stage.key(), cost)))
    }
}

impl Frame {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let config = global.load(Vec::new())?;
        let speech = frames(&speech_for(global, self.wav.as_deref(), WORDS).await?);
        let packets = encoded_by_browser(&speech)?;
        let mut chain = Chain::new(&config)?;
        let wanted =
            usize::try_from(Duration::from_secs(self.seconds).as_millis() / FRAME.as_millis())
                .unwrap_or(usize::MAX);
        for (number, (frame, packet)) in speech
            .iter()
            .zip(&packets)
            .cycle()
            .take(WARM_UP + wanted)
            .enumerate()
        {
            if number == WARM_UP {
                chain.costs.clear();
            }
            chain.step(frame, packet)?;
        }
        let costs = Stage::ALL.map(|stage| (stage, Cost::from(&chain.sample(stage))));
        if self.json {
            out::json(&Report {
                stages: Stages(&costs),
                frames: wanted,
                vad_engine: chain.vad.name(),
            })?;
        } else {
            table(&costs, wanted, chain.vad.name())?;
        }
        Ok(())
    }
}

/// One call's stages, each with a state of its own, so that each is fed the same sound as in a call.
struct Chain {
    decoder: Decoder,
    gate: NoiseGate,
    denoiser: Denoiser,
    downsampler: Downsampler48To16,
    vad: Box<dyn Vad>,
    encoder: Encoder,
    ear: Ear,
    samples_16k: [i16; VAD_FRAME_SAMPLES],
    windows: Windows,
    costs: Vec<(Stage, f64)>,
}

impl Chain {
    fn new(config: &Config) -> anyhow::Result<Self> {
        let detector = engines::open_vad(config);
        if let Some(note) = &detector.note {
            out::note(note);
        }
        Ok(Self {
            decoder: Decoder::new()?,
            gate: NoiseGate::new(config.vad.noise_gate.clone()),
            denoiser: Denoiser::new(),
            downsampler: Downsampler48To16::new(),
            vad: (detector.factory)(),
            encoder: Encoder::new(config.encoder())?,
            ear: Ear::new(config.ear(), (detector.factory)()),
            samples_16k: [0; VAD_FRAME_SAMPLES],
            windows: Windows::default(),
            costs: Vec::new(),
        })
    }

    /// Runs 20 ms through every stage.
    fn step(&mut self, frame: &AudioFrame, packet: &Bytes) -> anyhow::Result<()> {
        let mut clock = Stopwatch::default();
        let decoded = clock.time(|| self.decoder.decode(black_box(packet)).map(<[i16]>::len));
        black_box(decoded.context("cannot decode what was just encoded")?);
        self.note(Stage::Decode, clock);

        clock.time(|| {
            let level = level::rms(black_box(frame).samples());
            let gated = self.gate.blocks(level, 1.0);
            self.gate.count(gated);
            self.gate.learn(level, None);
            black_box(gated)
        });
        self.note(Stage::Gate, clock);

        black_box(clock.time(|| self.denoiser.denoise(black_box(frame))));
        self.note(Stage::Denoise, clock);

        clock.time(|| {
            self.downsampler
                .process(black_box(frame), &mut self.samples_16k)
        });
        self.note(Stage::Resample, clock);

        clock.time(|| black_box(self.vad.hear(black_box(&self.samples_16k))));
        self.note(Stage::VadFrame, clock);
        if self.vad.name() != "silero" || self.windows.completed_by_a_frame() {
            self.note(Stage::Vad, clock);
        }

        let encoded = clock.time(|| self.encoder.encode(black_box(frame)));
        black_box(encoded.context("cannot encode")?);
        self.note(Stage::Encode, clock);

        clock.time(|| black_box(self.ear.hear(black_box(frame))));
        self.note(Stage::Ear, clock);
        Ok(())
    }

    fn note(&mut self, stage: Stage, clock: Stopwatch) {
        self.costs.push((stage, clock.microseconds));
    }

    fn sample(&self, stage: Stage) -> Sample {
        Sample::new(
            self.costs
                .iter()
                .filter(|(of, _)| *of == stage)
                .map(|(_, us)| *us)
                .collect(),
        )
    }
}

/// Counts Silero's windows: 512 samples each, fed in frames of 320.
#[derive(Debug, Default)]
struct Windows {
    unjudged: usize,
}

impl Windows {
    /// Whether the next frame completes a window, so that the network runs.
    fn completed_by_a_frame(&mut self) -> bool {
        self.unjudged += VAD_FRAME_SAMPLES;
        let completed = self.unjudged >= SILERO_WINDOW;
        self.unjudged %= SILERO_WINDOW;
        completed
    }
}

/// Takes the time of one piece of work. The two readings of the clock add about 0.04 us.
#[derive(Debug, Clone, Copy, Default)]
struct Stopwatch {
    microseconds: f64,
}

impl Stopwatch {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = monotonic_ns();
        let result = work();
        self.microseconds = monotonic_ns().saturating_sub(began) as f64 / 1000.0;
        result
    }
}

fn frames(samples: &[i16]) -> Vec<AudioFrame> {
    let mut framer = Framer::new();
    framer.push(samples);
    std::iter::from_fn(|| framer.pop()).collect()
}

fn encoded_by_browser(speech: &[AudioFrame]) -> anyhow::Result<Vec<Bytes>> {
    let mut encoder = Encoder::new(browser_encoder())?;
    Ok(speech
        .iter()
        .map(|frame| encoder.encode(frame))
        .collect::<Result<_, _>>()?)
}

fn table(costs: &[(Stage, Cost)], frames: usize, vad: &str) -> std::io::Result<()> {
    out::line(&format!(
        "Microseconds per 20 ms frame of one call, {frames} frames; the detector is {vad}."
    ))?;
    out::line(&format!(
        "{:<24}{:>8}{:>8}{:>8}   {:>6}{:>6}",
        "", "p50", "p95", "mean", "must", "aim"
    ))?;
    for (stage, cost) in costs {
        let name = match stage {
            Stage::Vad if vad == "silero" => "vad, per 32 ms window",
            Stage::Vad => "vad, per judgement",
            Stage::VadFrame => "vad, per frame",
            Stage::Ear => "ear, whole",
            Stage::Gate => "gate and level",
            stage => stage.key(),
        };
        let (must, aim) = stage.budget().map_or_else(Default::default, |(must, aim)| {
            (must.to_string(), aim.to_string())
        });
        let Cost {
            p50_us,
            p95_us,
            mean_us,
        } = *cost;
        let (p50, p95, mean) = (shown(p50_us), shown(p95_us), shown(mean_us));
        out::line(&format!(
            "{name:<24}{p50:>8}{p95:>8}{mean:>8}   {must:>6}{aim:>6}"
        ))?;
    }
    out::line("Budgets are for the 95th percentile.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_names_every_stage_with_its_percentiles() {
        let costs = Stage::ALL.map(|stage| (stage, Cost::from(&Sample::new(vec![1.0, 2.0]))));
        let json = serde_json::to_string(&Stages(&costs)).unwrap();
        assert!(
            json.starts_with(r#"{"decode":{"p50_us":1.0,"p95_us":2.0,"mean_us":1.5},"gate":"#),
            "{json}"
        );
        let stages: serde_json::Value = serde_json::from_str(&json).unwrap();
        for key in ["decode", "gate", "denoise", "resample", "vad", "encode"] {
            assert!(stages[key]["p95_us"].is_number(), "{key}");
        }
    }

    #[test]
    fn silero_judges_in_five_of_eight_frames() {
        let mut windows = Windows::default();
        let judged = (0..80).filter(|_| windows.completed_by_a_frame());
        assert_eq!(judged.count(), 50);
    }
}
