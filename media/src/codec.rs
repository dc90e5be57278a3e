//! Opus, the codec of WebRTC: 20 ms frames in, packets out, and back.

#[cfg(test)]
mod tests;

use crate::frame::{AudioFrame, FRAME_SAMPLES, SAMPLE_RATE_HZ};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The longest Opus packet: 120 ms.
const MAX_PACKET_SAMPLES: usize = 6 * FRAME_SAMPLES;
/// The most bytes that one 20 ms frame can take (RFC 6716, 3.2.1), and less than any network's packet.
const MAX_FRAME_BYTES: usize = 1275;

/// Why sound could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libopus refused to start or a setting is out of its range.
    #[error("cannot set up Opus with {setting}: {reason}")]
    Setup {
        /// The setting, with its value.
        setting: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A frame could not be encoded.
    #[error("cannot encode a frame: {0}")]
    Encode(opus::Error),
    /// A packet without any byte.
    #[error("an Opus packet is empty")]
    Empty,
    /// A packet is not Opus.
    #[error("a packet of {bytes} bytes is not Opus: {source}")]
    Garbage {
        /// Its size.
        bytes: usize,
        /// What libopus says.
        source: opus::Error,
    },
}

/// How speech is encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderSettings {
    /// How hard the encoder tries, 0 to 10. Complexity 10 takes three times the time of 1, and speech gains little.
    pub complexity: u8,
    /// Bits a second, 6000 to 510 000.
    pub bitrate_bps: i32,
    /// Whether packets carry a small copy of the one before, for when that is lost.
    pub fec: bool,
    /// Whether silence is sent as next to nothing (packets of one or two bytes, which need not be sent at all).
    pub dtx: bool,
    /// How many packets in a hundred are expected to be lost, 0 to 100: it decides how large the copies are.
    pub expected_loss_percent: u8,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self {
            complexity: 1,
            bitrate_bps: 32_000,
            fec: true,
            dtx: false,
            expected_loss_percent: 5,
        }
    }
}

/// Encodes one stream of speech: 48 kHz, mono, 20 ms a packet.
#[derive(Debug)]
pub struct Encoder {
    opus: opus::Encoder,
}

impl Encoder {
    /// An encoder for one stream.
    ///
    /// # Errors
    /// [`Error::Setup`] names the setting that libopus refuses.
    pub fn new(settings: EncoderSettings) -> Result<Self, Error> {
        let EncoderSettings {
            complexity,
            bitrate_bps,
            fec,
            dtx,
            expected_loss_percent,
        } = settings;
        // libopus would quietly take a rate out of range for the nearest it knows.
        if !(6_000..=510_000).contains(&bitrate_bps) {
            return Err(Error::Setup {
                setting: format!("a bit rate of {bitrate_bps}"),
                reason: "it must lie between 6000 and 510000".to_owned(),
            });
        }
        // Copies of lost packets exist only in Opus's speech mode (SILK), and Voip leads the encoder to it.
        let application = opus::Application::Voip;
        let mut opus = opus::Encoder::new(SAMPLE_RATE_HZ, opus::Channels::Mono, application)
            .map_err(|error| refused("48 kHz mono speech", error))?;
        opus.set_signal(opus::Signal::Voice)
            .map_err(|error| refused("the voice signal type", error))?;
        opus.set_complexity(complexity.into())
            .map_err(|error| refused(format_args!("complexity {complexity} (0 to 10)"), error))?;
        opus.set_bitrate(opus::Bitrate::Bits(bitrate_bps))
            .map_err(|error| refused(format_args!("a bit rate of {bitrate_bps}"), error))?;
        opus.set_inband_fec(fec)
            .map_err(|error| refused(format_args!("fec {fec}"), error))?;
        opus.set_packet_loss_perc(expected_loss_percent.into())
            .map_err(|error| {
                refused(
                    format_args!("a loss of {expected_loss_percent} % (0 to 100)"),
                    error,
                )
            })?;
        opus.set_dtx(dtx)
            .map_err(|error| refused(format_args!("dtx {dtx}"), error))?;
        Ok(Self { opus })
    }

    /// Encodes 20 ms. With DTX on, a packet of at most two bytes says that the talker is silent and need not be sent.
    ///
    /// # Errors
    /// [`Error::Encode`] if libopus fails.
    pub fn encode(&mut self, frame: &AudioFrame) -> Result<Bytes, Error> {
        let mut packet = [0; MAX_FRAME_BYTES];
        let bytes = self
            .opus
            .encode(frame.samples(), &mut packet)
            .map_err(Error::Encode)?;
        Ok(Bytes::copy_from_slice(
            packet.get(..bytes).unwrap_or_default(),
        ))
    }
}

fn refused(setting: impl std::fmt::Display, error: opus::Error) -> Error {
    Error::Setup {
        setting: setting.to_string(),
        reason: error.to_string(),
    }
}

/// Decodes one stream to 48 kHz mono, whatever the packets' length (2.5 to 120 ms), bandwidth and channels.
///
/// Samples come in the decoder's own buffer: put them through a [`Framer`](crate::framer::Framer).
#[derive(Debug)]
pub struct Decoder {
    opus: opus::Decoder,
    samples: Box<[i16; MAX_PACKET_SAMPLES]>,
    /// Length of the last packet: a lost one is taken to have been as long.
    last_samples: usize,
}

impl Decoder {
    /// A decoder for one stream.
    ///
    /// # Errors
    /// [`Error::Setup`] if libopus cannot start.
    pub fn new() -> Result<Self, Error> {
        let opus = opus::Decoder::new(SAMPLE_RATE_HZ, opus::Channels::Mono)
            .map_err(|error| refused("48 kHz mono", error))?;
        Ok(Self {
            opus,
            samples: Box::new([0; MAX_PACKET_SAMPLES]),
            last_samples: FRAME_SAMPLES,
        })
    }

    /// Decodes a packet.
    ///
    /// # Errors
    /// [`Error::Empty`] and [`Error::Garbage`]; the next good packet decodes as if the bad one had been lost.
    pub fn decode(&mut self, packet: &[u8]) -> Result<&[i16], Error> {
        // libopus would take no bytes for a lost packet.
        if packet.is_empty() {
            return Err(Error::Empty);
        }
        let samples = self
            .opus
            .decode(packet, self.samples.as_mut_slice(), false)
            .map_err(|source| garbage(packet, source))?;
        self.last_samples = samples;
        Ok(self.samples.get(..samples).unwrap_or_default())
    }

    /// Decodes the copy of a lost packet that `next`, the very next one, carries; without a copy the sound is made up.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_fec(&mut self, next: &[u8]) -> Result<&[i16], Error> {
        if next.is_empty() {
            return Err(Error::Empty);
        }
        let Self {
            opus,
            samples,
            last_samples,
        } = self;
        let lost = samples.get_mut(..*last_samples).unwrap_or_default();
        let decoded = opus
            .decode(next, lost, true)
            .map_err(|source| garbage(next, source))?;
        Ok(samples.get(..decoded).unwrap_or_default())
    }

    /// Makes up 20 ms in place of sound that did not come: the voice goes on for a moment and dies away.
    pub fn conceal(&mut self) -> AudioFrame {
        let mut frame = AudioFrame::silence();
        if self.opus.decode(&[], frame.samples_mut(), false).is_err() {
            // libopus conceals with any state; should it ever refuse, silence is right.
            frame.samples_mut().fill(0);
        }
        frame
    }
}

fn garbage(packet: &[u8], source: opus::Error) -> Error {
    Error::Garbage {
        bytes: packet.len(),
        source,
    }
}

/// Opus sends one or two bytes instead of a frame when the talker is silent (DTX), and then nothing for up to 400 ms.
pub const DTX_BYTES: usize = 2;

/// How many samples at 48 kHz a packet holds (120 to 5760), read from its first bytes; none if it is not Opus, or says
/// that it holds nothing.
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let samples = opus::packet::get_nb_samples(packet, SAMPLE_RATE_HZ).ok()?;
    u32::try_from(samples).ok().filter(|samples| *samples > 0)
}
