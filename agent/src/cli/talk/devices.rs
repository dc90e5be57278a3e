//! Microphone and loudspeaker, for `parlor talk --mic`.

use super::super::{Failure, out};
use anyhow::{Context as _, anyhow};
use cpal::traits::{DeviceTrait as _, HostTrait as _, StreamTrait as _};
use cpal::{Device, SampleFormat, Stream, StreamConfig};
use media::framer::Framer;
use media::resample::Resampler;
use media::{AudioFrame, SAMPLE_RATE_HZ};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Sound that waits for the loudspeaker: at most 60 ms, older sound is dropped, so that an interruption is heard at once.
const PLAY_AHEAD_MS: usize = 60;
/// Sound that waits for the network: one second.
const CAPTURE_SAMPLES: usize = SAMPLE_RATE_HZ as usize;

/// An open microphone and loudspeaker.
pub struct Devices {
    captured: Arc<Mutex<VecDeque<i16>>>,
    to_play: Arc<Mutex<VecDeque<i16>>>,
    resampler: Option<Resampler>,
    play_resampler: Mutex<Option<Resampler>>,
    play_limit: usize,
    framer: Framer,
    _input: Stream,
    _output: Stream,
}

/// Prints the devices' names.
pub fn list_devices() -> Result<(), Failure> {
    let host = cpal::default_host();
    for (kind, devices) in [
        (
            "input",
            host.input_devices()
                .context("cannot list the input devices")?
                .collect::<Vec<_>>(),
        ),
        (
            "output",
            host.output_devices()
                .context("cannot list the output devices")?
                .collect(),
        ),
    ] {
        for device in devices {
            out::line(&format!(
                "{kind}  {}",
                device.name().context("a device has no name")?
            ))?;
        }
    }
    Ok(())
}

/// Opens the named devices, or the system's own.
pub fn open_devices(input: Option<&str>, output: Option<&str>) -> Result<Devices, Failure> {
    let host = cpal::default_host();
    let input = find(
        host.input_devices()
            .context("cannot list the input devices")?,
        input,
        host.default_input_device(),
        "input",
    )?;
    let output = find(
        host.output_devices()
            .context("cannot list the output devices")?,
        output,
        host.default_output_device(),
        "output",
    )?;
    let in_config = input
        .default_input_config()
        .context("the microphone has no usable format")?;
    let out_config = output
        .default_output_config()
        .context("the loudspeaker has no usable format")?;
    let captured = Arc::new(Mutex::new(VecDeque::new()));
    let to_play = Arc::new(Mutex::new(VecDeque::new()));
    let (in_rate, out_rate) = (in_config.sample_rate().0, out_config.sample_rate().0);
    let input_stream = capture(
        &input,
        in_config.sample_format(),
        &in_config.into(),
        captured.clone(),
    )?;
    let output_stream = play(
        &output,
        out_config.sample_format(),
        &out_config.into(),
        to_play.clone(),
    )?;
    let resampler = |from, to| match from == to {
        true => Ok(None),
        false => Resampler::new(from, to)
            .map(Some)
            .context("cannot resample the device's rate"),
    };
    Ok(Devices {
        captured,
        to_play,
        resampler: resampler(in_rate, SAMPLE_RATE_HZ)?,
        play_resampler: Mutex::new(resampler(SAMPLE_RATE_HZ, out_rate)?),
        play_limit: out_rate as usize * PLAY_AHEAD_MS / 1000,
        framer: Framer::new(),
        _input: input_stream,
        _output: output_stream,
    })
}

impl Devices {
    /// The next 20 ms of the microphone, if they are there.
    pub fn next_frame(&mut self) -> Option<AudioFrame> {
        let samples: Vec<i16> = self
            .captured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect();
        match &mut self.resampler {
            None => self.framer.push(&samples),
            Some(resampler) => {
                let mut resampled = Vec::new();
                resampler.process(&samples, &mut resampled);
                self.framer.push(&resampled);
            }
        }
        self.framer.pop()
    }

    /// Plays 20 ms.
    pub fn play(&self, frame: &AudioFrame) {
        let mut samples = Vec::new();
        match &mut *self
            .play_resampler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
        {
            None => samples.extend_from_slice(frame.samples()),
            Some(resampler) => resampler.process(frame.samples(), &mut samples),
        }
        let mut queue = self.to_play.lock().unwrap_or_else(PoisonError::into_inner);
        queue.extend(samples);
        let excess = queue.len().saturating_sub(self.play_limit);
        queue.drain(..excess);
    }
}

fn find(
    mut devices: impl Iterator<Item = Device>,
    name: Option<&str>,
    default: Option<Device>,
    kind: &str,
) -> anyhow::Result<Device> {
    match name {
        Some(name) => devices
            .find(|device| device.name().is_ok_and(|found| found == name))
            .ok_or_else(|| anyhow!("there is no {kind} device \"{name}\"; see --list-devices")),
        None => default.ok_or_else(|| anyhow!("there is no {kind} device; see --list-devices")),
    }
}

fn capture(
    device: &Device,
    format: SampleFormat,
    config: &StreamConfig,
    to: Arc<Mutex<VecDeque<i16>>>,
) -> anyhow::Result<Stream> {
    let channels = usize::from(config.channels).max(1);
    let failed = |error| out::note(&format!("the microphone failed: {error}"));
    let stream = match format {
        SampleFormat::I16 => device.build_input_stream(
            config,
            move |data: &[i16], _: &cpal::InputCallbackInfo| {
                store(
                    &to,
                    data.chunks(channels)
                        .map(|all| mean(all.iter().map(|s| i32::from(*s)), all.len())),
                )
            },
            failed,
            None,
        ),
        SampleFormat::F32 => device.build_input_stream(
            config,
            move |data: &[f32], _: &cpal::InputCallbackInfo| {
                store(
                    &to,
                    data.chunks(channels)
                        .map(|all| mean(all.iter().map(|s| (s * 32_767.0) as i32), all.len())),
                );
            },
            failed,
            None,
        ),
        other => return Err(anyhow!("the microphone's format {other} is not supported")),
    };
    let stream = stream.context("cannot open the microphone")?;
    stream.play().context("cannot start the microphone")?;
    Ok(stream)
}

fn play(
    device: &Device,
    format: SampleFormat,
    config: &StreamConfig,
    from: Arc<Mutex<VecDeque<i16>>>,
) -> anyhow::Result<Stream> {
    let channels = usize::from(config.channels).max(1);
    let failed = |error| out::note(&format!("the loudspeaker failed: {error}"));
    let stream = match format {
        SampleFormat::I16 => device.build_output_stream(
            config,
            move |data: &mut [i16], _: &cpal::OutputCallbackInfo| {
                fill(&from, data.chunks_mut(channels), |sample| sample)
            },
            failed,
            None,
        ),
        SampleFormat::F32 => device.build_output_stream(
            config,
            move |data: &mut [f32], _: &cpal::OutputCallbackInfo| {
                fill(&from, data.chunks_mut(channels), |sample| {
                    f32::from(sample) / 32_768.0
                });
            },
            failed,
            None,
        ),
        other => return Err(anyhow!("the loudspeaker's format {other} is not supported")),
    };
    let stream = stream.context("cannot open the loudspeaker")?;
    stream.play().context("cannot start the loudspeaker")?;
    Ok(stream)
}

fn mean(samples: impl Iterator<Item = i32>, count: usize) -> i16 {
    let sum: i32 = samples.sum();
    (sum / i32::try_from(count.max(1)).unwrap_or(1)).clamp(i32::from(i16::MIN), i32::from(i16::MAX))
        as i16
}

fn store(to: &Mutex<VecDeque<i16>>, samples: impl Iterator<Item = i16>) {
    let mut queue = to.lock().unwrap_or_else(PoisonError::into_inner);
    queue.extend(samples);
    let excess = queue.len().saturating_sub(CAPTURE_SAMPLES);
    queue.drain(..excess);
}

fn fill<'a, T: Copy + 'a>(
    from: &Mutex<VecDeque<i16>>,
    frames: impl Iterator<Item = &'a mut [T]>,
    convert: impl Fn(i16) -> T,
) {
    let mut queue = from.lock().unwrap_or_else(PoisonError::into_inner);
    for frame in frames {
        frame.fill(convert(queue.pop_front().unwrap_or(0)));
    }
}
