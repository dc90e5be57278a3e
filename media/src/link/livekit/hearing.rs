//! The people's sound: packets of each track in, frames of each speaker out. No IO.

use crate::codec;
use crate::frame::{AudioFrame, FRAME};
use crate::jitter::{JitterSettings, JitterStatistics, Packet};
use crate::level::LevelMeter;
use crate::link::webrtc::Playout;
use crate::link::{RECORDED_FRAMES, Speaker};
use rand::Rng as _;
use std::time::Duration;

/// Tracks heard at a time in one room.
const TRACKS: usize = 32;
/// How long a track's sound waits for the recording of what was said before it.
const RECORDING_WAIT: Duration = Duration::from_secs(3);
/// Without a packet for so long a track's beat rests: whoever is muted costs nothing.
const REST_AFTER: Duration = Duration::from_secs(1);
/// Frames between two looks at how loud somebody is: 200 ms, as often as an eye wants a meter to move.
const LEVEL_FRAMES: u32 = 10;
/// What is not louder is silence, of which only the first is told.
const AUDIBLE_DBFS: f32 = -60.0;

/// One track.
struct Track {
    sid: String,
    /// As packets name it; known once its first packet is on its way.
    id: Option<String>,
    speaker: Speaker,
    playout: Playout,
    last_packet: Duration,
    /// Frames that wait for the recording, and until when they do.
    waiting: Option<(Vec<AudioFrame>, Duration)>,
    loudness: Loudness,
}

/// How loud a track is, told while it is not silent.
#[derive(Debug, Default)]
struct Loudness {
    meter: LevelMeter,
    frames: u32,
    is_audible: bool,
}

impl Loudness {
    /// Hears a frame. The level in dBFS where it is to be told now.
    fn hear(&mut self, frame: &AudioFrame) -> Option<f32> {
        self.meter.update(frame.samples());
        self.frames += 1;
        if self.frames < LEVEL_FRAMES {
            return None;
        }
        self.frames = 0;
        let level = self.meter.dbfs();
        let is_audible = level > AUDIBLE_DBFS;
        let was_audible = std::mem::replace(&mut self.is_audible, is_audible);
        (is_audible || was_audible).then_some(level)
    }
}

/// What becomes of sound.
#[derive(Debug)]
pub(super) enum Heard {
    /// 20 ms of somebody's.
    Frame(Speaker, AudioFrame),
    /// All that was said before, and since.
    Recorded(Speaker, Vec<AudioFrame>),
    /// How loud somebody is who is not silent, in dBFS, every 200 ms.
    Level(Speaker, f32),
}

/// All tracks of a room that are heard.
pub(super) struct Hearing {
    settings: JitterSettings,
    tracks: Vec<Track>,
    /// What tracks that are not wanted yet are called in packets: the connection may be faster than the room's news.
    names: Vec<(String, String)>,
    /// Of tracks that are gone.
    past: JitterStatistics,
    undecodable: u64,
}

impl Hearing {
    /// Nobody is heard yet.
    pub(super) fn new(settings: JitterSettings) -> Self {
        Self {
            settings,
            tracks: Vec::new(),
            names: Vec::new(),
            past: JitterStatistics::default(),
            undecodable: 0,
        }
    }

    /// Hears a track from now on. `false` if too many are heard already.
    pub(super) fn add(
        &mut self,
        now: Duration,
        sid: String,
        speaker: Speaker,
        is_recorded: bool,
    ) -> Result<bool, codec::Error> {
        if self.tracks.len() >= TRACKS {
            return Ok(false);
        }
        // Each beat has a phase of its own, so that forty people do not wake us at once.
        let phase = FRAME.mul_f64(rand::rng().random());
        let name = self.names.iter().find(|(_, of)| *of == sid);
        self.tracks.push(Track {
            id: name.map(|(id, _)| id.clone()),
            sid,
            speaker,
            playout: Playout::new(self.settings, phase)?,
            last_packet: now,
            waiting: is_recorded.then(|| (Vec::new(), now + RECORDING_WAIT)),
            loudness: Loudness::default(),
        });
        Ok(true)
    }

    /// Hears a track no more.
    pub(super) fn remove(&mut self, sid: &str) {
        let Some(at) = self.tracks.iter().position(|track| track.sid == sid) else {
            return;
        };
        let track = self.tracks.swap_remove(at);
        self.past = self.past + track.playout.statistics();
        self.undecodable += track.playout.undecodable();
        self.names.retain(|(_, of)| of != sid);
    }

    /// Packets name the track `sid` by `id`.
    pub(super) fn name(&mut self, id: String, sid: String) {
        if let Some(track) = self.tracks.iter_mut().find(|track| track.sid == sid) {
            track.id = Some(id.clone());
        }
        self.names.retain(|(of, _)| *of != id);
        if self.names.len() >= 2 * TRACKS {
            self.names.remove(0);
        }
        self.names.push((id, sid));
    }

    /// Takes a packet that came at `now`. `false` if nobody is known to send it.
    pub(super) fn insert(&mut self, now: Duration, id: &str, packet: Packet) -> bool {
        let track = self
            .tracks
            .iter_mut()
            .find(|track| track.id.as_deref() == Some(id));
        let Some(track) = track else { return false };
        track.last_packet = now;
        track.playout.insert(now, packet);
        true
    }

    /// Whose track it is that waits for a recording, if it does.
    pub(super) fn awaits_recording(&self, sid: &str) -> Option<Speaker> {
        let track = self.tracks.iter().find(|track| track.sid == sid)?;
        track.waiting.is_some().then_some(track.speaker)
    }

    /// The recording of what the track's owner said before; it is heard before what waits.
    pub(super) fn recorded(&mut self, sid: &str, mut frames: Vec<AudioFrame>) -> Option<Heard> {
        let track = self.tracks.iter_mut().find(|track| track.sid == sid)?;
        // Too late: what came after it has been heard.
        let (since, _) = track.waiting.take()?;
        frames.extend(since);
        let surplus = frames.len().saturating_sub(RECORDED_FRAMES);
        frames.drain(..surplus);
        Some(Heard::Recorded(track.speaker, frames))
    }

    /// When the next frame is due.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let due = self.tracks.iter().filter_map(|track| {
            let waiting = track.waiting.as_ref().map(|(_, until)| *until);
            track
                .playout
                .next_timeout()
                .into_iter()
                .chain(waiting)
                .min()
        });
        due.min()
    }

    /// Hands over what is due.
    pub(super) fn handle_timeout(&mut self, now: Duration, mut hear: impl FnMut(Heard)) {
        for track in &mut self.tracks {
            let speaker = track.speaker;
            match &mut track.waiting {
                None => {
                    let loudness = &mut track.loudness;
                    track.playout.handle_timeout(now, |frame| {
                        let level = loudness.hear(&frame);
                        hear(Heard::Frame(speaker, frame));
                        if let Some(level) = level {
                            hear(Heard::Level(speaker, level));
                        }
                    });
                }
                Some((waiting, until)) => {
                    track
                        .playout
                        .handle_timeout(now, |frame| waiting.push(frame));
                    if *until <= now {
                        let waiting = std::mem::take(waiting);
                        track.waiting = None;
                        if !waiting.is_empty() {
                            hear(Heard::Recorded(speaker, waiting));
                        }
                    }
                }
            }
            if now.saturating_sub(track.last_packet) > REST_AFTER {
                track.playout.rest();
            }
        }
    }

    /// What the jitter buffers counted.
    pub(super) fn statistics(&self) -> JitterStatistics {
        let tracks = self.tracks.iter();
        tracks.fold(self.past, |all, track| all + track.playout.statistics())
    }

    /// Packets that were no Opus.
    pub(super) fn undecodable(&self) -> u64 {
        let tracks = self.tracks.iter();
        self.undecodable + tracks.map(|track| track.playout.undecodable()).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_loud_somebody_is_is_told_while_it_is_not_silent_and_once_more() {
        let mut loudness = Loudness::default();
        let mut told = |frame: &AudioFrame, frames: u32| -> Vec<f32> {
            (0..frames).filter_map(|_| loudness.hear(frame)).collect()
        };
        let loud = AudioFrame::padded(&[3277; crate::FRAME_SAMPLES]);
        assert!(told(&AudioFrame::silence(), 100).is_empty());
        let levels = told(&loud, 100);
        assert_eq!(levels.len(), 10);
        assert!(levels.iter().all(|level| (level + 20.0).abs() < 0.01));
        // The meter falls as an eye likes it, and then there is nothing to tell.
        let falling = told(&AudioFrame::silence(), 100);
        assert!((2..8).contains(&falling.len()), "{falling:?}");
        assert!(falling.is_sorted_by(|one, next| one > next));
        assert!(falling.last().is_some_and(|level| *level <= AUDIBLE_DBFS));
    }
}
