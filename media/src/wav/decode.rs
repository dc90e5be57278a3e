//! Decodes a file whose header has been checked, and mixes it to mono.

use super::ogg::Stream;
use super::{Error, Limits, Sound};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use symphonia::core::audio::SampleBuffer;
use symphonia::core::codecs::{CODEC_TYPE_VORBIS, CodecParameters, Decoder, DecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::{FormatReader, Packet};
use symphonia::core::io::MediaSourceStream;
use symphonia::default::formats::{FlacReader, WavReader};

/// Decodes a WAV file.
pub(super) fn wav(
    bytes: Vec<u8>,
    limits: Limits,
    go_on: &dyn Fn() -> bool,
) -> Result<Sound, Error> {
    guarded("WAV", || file::<WavReader>("WAV", bytes, limits, go_on))
}

/// Decodes a FLAC file.
pub(super) fn flac(
    bytes: Vec<u8>,
    limits: Limits,
    go_on: &dyn Fn() -> bool,
) -> Result<Sound, Error> {
    guarded("FLAC", || file::<FlacReader>("FLAC", bytes, limits, go_on))
}

/// Decodes a Vorbis stream.
pub(super) fn vorbis(
    mut stream: Stream<'_>,
    limits: Limits,
    go_on: &dyn Fn() -> bool,
) -> Result<Sound, Error> {
    guarded("Ogg", || {
        let mut params = CodecParameters::new();
        params
            .for_codec(CODEC_TYPE_VORBIS)
            .with_sample_rate(stream.sample_rate_hz)
            .with_extra_data(std::mem::take(&mut stream.headers).into_boxed_slice());
        let mut mixer = Mixer::new("Ogg", stream.sample_rate_hz, limits, go_on);
        let mut decoder = decoder("Ogg", &params)?;
        while let Some(packet) = stream.packet() {
            let packet = Packet::new_from_boxed_slice(0, 0, 0, packet.into_boxed_slice());
            mixer.add(decoder.as_mut(), &packet)?;
        }
        let mut sound = mixer.finish()?;
        // A block is always decoded whole; the last page tells where in it the sound ends.
        if let Some(end) = stream.end().and_then(|end| usize::try_from(end).ok()) {
            sound.samples.truncate(end.max(1));
        }
        Ok(sound)
    })
}

/// The decoders are safe code, but written for honest files: arithmetic on a damaged one may panic inside them.
fn guarded(
    kind: &'static str,
    decode: impl FnOnce() -> Result<Sound, Error>,
) -> Result<Sound, Error> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        Err(Error::Damaged {
            kind,
            what: "it contradicts itself".to_owned(),
        })
    })
}

fn file<R: FormatReader>(
    kind: &'static str,
    bytes: Vec<u8>,
    limits: Limits,
    go_on: &dyn Fn() -> bool,
) -> Result<Sound, Error> {
    let failed = |error: SymphoniaError| Error::Damaged {
        kind,
        what: error.to_string(),
    };
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut reader = R::try_new(source, &Default::default()).map_err(failed)?;
    let params = match reader.default_track() {
        Some(track) => track.codec_params.clone(),
        None => return Err(failed(SymphoniaError::DecodeError("no track"))),
    };
    let mut mixer = Mixer::new(kind, params.sample_rate.unwrap_or(0), limits, go_on);
    let mut decoder = decoder(kind, &params)?;
    // An error here is the end of the file, whether it came too early or not.
    while let Ok(packet) = reader.next_packet() {
        mixer.add(decoder.as_mut(), &packet)?;
    }
    mixer.finish()
}

fn decoder(kind: &'static str, params: &CodecParameters) -> Result<Box<dyn Decoder>, Error> {
    symphonia::default::get_codecs()
        .make(params, &DecoderOptions::default())
        .map_err(|error| Error::Damaged {
            kind,
            what: error.to_string(),
        })
}

/// Mixes what is decoded and keeps account of it.
struct Mixer<'a> {
    kind: &'static str,
    sound: Sound,
    limits: Limits,
    go_on: &'a dyn Fn() -> bool,
    most_samples: usize,
    /// Interleaved samples of one packet.
    buffer: Option<SampleBuffer<f32>>,
    damage: Option<String>,
}

impl<'a> Mixer<'a> {
    fn new(
        kind: &'static str,
        sample_rate_hz: u32,
        limits: Limits,
        go_on: &'a dyn Fn() -> bool,
    ) -> Self {
        let most = u64::from(limits.seconds) * u64::from(sample_rate_hz);
        Self {
            kind,
            sound: Sound {
                sample_rate_hz,
                samples: Vec::new(),
            },
            limits,
            go_on,
            most_samples: usize::try_from(most).unwrap_or(usize::MAX),
            buffer: None,
            damage: None,
        }
    }

    /// Decodes a packet and adds its sound; a packet that cannot be decoded is left out.
    fn add(&mut self, decoder: &mut dyn Decoder, packet: &Packet) -> Result<(), Error> {
        if !(self.go_on)() {
            return Err(Error::Stopped);
        }
        let decoded = match decoder.decode(packet) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.damage.get_or_insert(error.to_string());
                return Ok(());
            }
        };
        let spec = *decoded.spec();
        let channels = spec.channels.count();
        if decoded.frames() == 0 || channels == 0 {
            return Ok(());
        }
        let needed = decoded.capacity() * channels;
        let buffer = match &mut self.buffer {
            Some(buffer) if buffer.capacity() >= needed => buffer,
            buffer => buffer.insert(SampleBuffer::new(decoded.capacity() as u64, spec)),
        };
        buffer.copy_interleaved_ref(decoded);
        for frame in buffer.samples().chunks_exact(channels) {
            let mixed = frame.iter().sum::<f32>() / channels as f32;
            self.sound.samples.push((mixed * 32_768.0).round() as i16);
        }
        if self.sound.samples.len() > self.most_samples {
            return Err(Error::TooLong {
                limit_seconds: self.limits.seconds,
            });
        }
        Ok(())
    }

    /// The whole sound, unless nothing but damage was found.
    fn finish(self) -> Result<Sound, Error> {
        match self.damage {
            Some(what) if self.sound.samples.is_empty() => Err(Error::Damaged {
                kind: self.kind,
                what,
            }),
            Some(_) | None => Ok(self.sound),
        }
    }
}
