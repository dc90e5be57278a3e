//! Who is in the call, and an ear for everyone who is heard.

use super::uplink::{Recognised, Recognition, Uplink};
use crate::telemetry::metrics as names;
use media::hear::{Ear, EarStatistics, Floor, FloorStatistics, SpeechEvent};
use media::link::{Person, RECORDED_FRAMES, Speaker};
use media::{AudioFrame, FRAME};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// People heard at a time. Who comes after them is not, until one of them leaves; their frames are counted.
const HEARD: usize = 16;
/// People whose names are known at a time. Beyond it people are heard and answered without a name.
const KNOWN: usize = 1024;
/// The most characters of a name.
const NAME_CHARS: usize = 64;

/// Makes one person's ear.
pub type EarFactory = Arc<dyn Fn() -> Ear + Send + Sync>;

/// What became of somebody's speech.
#[derive(Debug, Clone, Copy)]
pub struct HeardSpeech {
    /// Who speaks.
    pub speaker: Speaker,
    /// Counts the call's utterances from 1; for a start that of this one.
    pub utterance: u64,
    /// What happened.
    pub event: SpeechEvent,
    /// When the frame ended in which it was noticed.
    pub at: Duration,
}

/// There is no ear left for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyPeople;

/// What the ears of a call have counted, those of people who left with them.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeopleStatistics {
    /// The ears' figures, summed. The noise floor is left out: every room has its own.
    pub ears: EarStatistics,
    /// Frames discarded while muted.
    pub muted_frames: u64,
    /// Frames that no recogniser took in time.
    pub overrun_frames: u64,
    /// Frames of people for whom there was no ear, or of recordings that were too long.
    pub unheard_frames: u64,
}

/// The people of a call.
pub struct People {
    make_ear: EarFactory,
    recognition: Recognition,
    results: mpsc::Receiver<Recognised>,
    known: BTreeMap<Speaker, Known>,
    heard: BTreeMap<Speaker, Uplink>,
    utterances: u64,
    /// What is still recognised of this utterance and those before it concerns nobody: the microphones were muted since.
    discarded: u64,
    floor: Floor,
    muted: bool,
    /// Whether it was told that there are too many.
    too_many_told: bool,
    counted: PeopleStatistics,
}

#[derive(Debug, Default)]
struct Known {
    name: Option<Arc<str>>,
    /// Whether it was counted that there is no ear for them.
    unheard: bool,
    /// Whether what they said before the agent came was heard.
    recording_heard: bool,
}

impl People {
    /// Nobody yet.
    pub fn new(
        make_ear: EarFactory,
        (recognition, results): (Recognition, mpsc::Receiver<Recognised>),
    ) -> Self {
        Self {
            make_ear,
            recognition,
            results,
            known: BTreeMap::new(),
            heard: BTreeMap::new(),
            utterances: 0,
            discarded: 0,
            floor: Floor::default(),
            muted: false,
            too_many_told: false,
            counted: PeopleStatistics::default(),
        }
    }

    /// Somebody is there, or is called otherwise than before. An ear they get with their first sound.
    pub fn joined(&mut self, speaker: Speaker, person: &Person) {
        if self.known.len() < KNOWN || self.known.contains_key(&speaker) {
            self.known.entry(speaker).or_default().name = called(person);
        }
    }

    /// Somebody is there no more. What they were saying is over, and `true` says that there was something.
    pub fn left(&mut self, speaker: Speaker) -> bool {
        self.known.remove(&speaker);
        let Some(mut uplink) = self.heard.remove(&speaker) else {
            return false;
        };
        let spoke = uplink.close_speech();
        uplink.count(&mut self.counted);
        if let Some(floor_rms) = noise_floor(&uplink) {
            metrics::histogram!(names::NOISE_FLOOR_RMS).record(f64::from(floor_rms));
        }
        spoke
    }

    /// What somebody is called, as far as it is known.
    pub fn name(&self, speaker: Speaker) -> Option<Arc<str>> {
        self.known.get(&speaker)?.name.clone()
    }

    /// Takes 20 ms of somebody that came at `now`.
    ///
    /// # Errors
    /// [`TooManyPeople`] with the call's first frame of somebody for whom there is no ear; what follows is only counted.
    pub fn hear(
        &mut self,
        now: Duration,
        speaker: Speaker,
        frame: &AudioFrame,
    ) -> Result<Option<HeardSpeech>, TooManyPeople> {
        let next = self.utterances + 1;
        let Some(uplink) = self.uplink(speaker) else {
            return self.refuse(speaker, 1).map(|()| None);
        };
        let event = uplink.hear(now, frame, next);
        Ok(self.noticed(speaker, event, now))
    }

    /// Takes what somebody said before the agent was there, up to `now`: at most [`RECORDED_FRAMES`], and once.
    ///
    /// # Errors
    /// [`TooManyPeople`] as for [`People::hear`].
    pub fn hear_recorded(
        &mut self,
        now: Duration,
        speaker: Speaker,
        frames: &[AudioFrame],
    ) -> Result<Vec<HeardSpeech>, TooManyPeople> {
        if self.uplink(speaker).is_none() {
            return self.refuse(speaker, frames.len()).map(|()| Vec::new());
        }
        let again = match self.known.get_mut(&speaker) {
            Some(known) => std::mem::replace(&mut known.recording_heard, true),
            // A transport that does not say who is there has no recordings either.
            None => true,
        };
        let taken = if again {
            0
        } else {
            frames.len().min(RECORDED_FRAMES)
        };
        self.counted.unheard_frames += (frames.len() - taken) as u64;
        let mut noticed = Vec::new();
        let mut ago = FRAME * u32::try_from(taken).unwrap_or(u32::MAX);
        for frame in frames.iter().take(taken) {
            ago = ago.saturating_sub(FRAME);
            let next = self.utterances + 1;
            let Some(uplink) = self.heard.get_mut(&speaker) else {
                break;
            };
            let event = uplink.hear_recorded(frame, next);
            noticed.extend(self.noticed(speaker, event, now.saturating_sub(ago)));
        }
        if let Some(uplink) = self.heard.get_mut(&speaker) {
            uplink.recording_ends(now);
        }
        Ok(noticed)
    }

    /// When somebody's sound that does not come is to be taken for silence; none while silence would change nothing.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.heard.values().filter_map(Uplink::next_timeout).min()
    }

    /// Somebody's sound did not come in time: 20 ms of silence for their ear.
    pub fn miss(&mut self, now: Duration) -> Option<HeardSpeech> {
        let (speaker, uplink) = self
            .heard
            .iter_mut()
            .filter(|(_, uplink)| uplink.next_timeout().is_some_and(|at| at <= now))
            .min_by_key(|(_, uplink)| uplink.next_timeout())?;
        let (speaker, event) = (*speaker, uplink.miss());
        self.noticed(speaker, event, now)
    }

    /// Everybody's utterance is over: the words are to be recognised now. Who was speaking.
    pub fn close_speech(&mut self) -> Vec<Speaker> {
        let speaking = self
            .heard
            .iter_mut()
            .filter_map(|(speaker, uplink)| uplink.close_speech().then_some(*speaker));
        speaking.collect()
    }

    /// Which multiplier the ears apply.
    pub fn set_floor(&mut self, floor: Floor) {
        self.floor = floor;
        for uplink in self.heard.values_mut() {
            uplink.set_floor(floor);
        }
    }

    /// Mute-on-speak: from now on all sound is discarded, and the utterances in flight with it.
    pub fn mute(&mut self) {
        self.muted = true;
        self.discarded = self.utterances;
        self.heard.values_mut().for_each(Uplink::mute);
    }

    /// Hears people again, from now on.
    pub fn unmute(&mut self) {
        self.muted = false;
        self.heard.values_mut().for_each(Uplink::unmute);
    }

    /// The next result of recognition. Cancel-safe.
    pub async fn recv(&mut self) -> Recognised {
        loop {
            match self.results.recv().await {
                Some(result) if result.utterance <= self.discarded => {}
                Some(result) => return result,
                // Never closed: the people themselves hold a sender.
                None => std::future::pending().await,
            }
        }
    }

    /// What was counted so far.
    pub fn statistics(&self) -> PeopleStatistics {
        let mut all = self.counted;
        for uplink in self.heard.values() {
            uplink.count(&mut all);
        }
        all
    }

    /// How loud the rooms are of those who are there; none of those who were not heard for long enough.
    pub fn noise_floors(&self) -> impl Iterator<Item = f32> {
        self.heard.values().filter_map(noise_floor)
    }

    /// The ear of somebody, made now if they have none; none if there are too many.
    fn uplink(&mut self, speaker: Speaker) -> Option<&mut Uplink> {
        if !self.heard.contains_key(&speaker) {
            if self.heard.len() >= HEARD {
                return None;
            }
            let mut uplink = Uplink::new(speaker, (self.make_ear)(), self.recognition.clone());
            uplink.set_floor(self.floor);
            if self.muted {
                uplink.mute();
            }
            self.heard.insert(speaker, uplink);
        }
        self.heard.get_mut(&speaker)
    }

    fn refuse(&mut self, speaker: Speaker, frames: usize) -> Result<(), TooManyPeople> {
        self.counted.unheard_frames += frames as u64;
        if let Some(known) = self.known.get_mut(&speaker)
            && !std::mem::replace(&mut known.unheard, true)
        {
            metrics::counter!(names::PEOPLE_UNHEARD_TOTAL).increment(1);
        }
        match std::mem::replace(&mut self.too_many_told, true) {
            true => Ok(()),
            false => Err(TooManyPeople),
        }
    }

    fn noticed(
        &mut self,
        speaker: Speaker,
        event: Option<SpeechEvent>,
        at: Duration,
    ) -> Option<HeardSpeech> {
        let event = event?;
        if matches!(event, SpeechEvent::Start { .. }) {
            self.utterances += 1;
        }
        Some(HeardSpeech {
            speaker,
            utterance: self.utterances,
            event,
            at,
        })
    }
}

impl Uplink {
    /// Adds what this ear counted.
    fn count(&self, all: &mut PeopleStatistics) {
        let one = self.statistics();
        let sum = &mut all.ears;
        add(&mut sum.speaking, one.speaking);
        add(&mut sum.listening, one.listening);
        add(&mut sum.barged_in, one.barged_in);
        sum.starts += one.starts;
        sum.gate.frames += one.gate.frames;
        sum.gate.gated += one.gate.gated;
        all.muted_frames += self.muted_frames();
        all.overrun_frames += self.overrun_frames();
    }
}

fn add(sum: &mut FloorStatistics, one: FloorStatistics) {
    sum.frames += one.frames;
    sum.speech += one.speech;
    sum.state_gated += one.state_gated;
}

fn noise_floor(uplink: &Uplink) -> Option<f32> {
    let floor_rms = uplink.statistics().gate.floor_rms;
    (floor_rms > 0.0).then_some(floor_rms)
}

/// What to call a person in front of a language model: people choose their names, so it is one line and short.
fn called(person: &Person) -> Option<Arc<str>> {
    let words: Vec<&str> = person
        .called()
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let name: String = words.join(" ").chars().take(NAME_CHARS).collect();
    (!name.is_empty()).then(|| Arc::from(name.trim_end()))
}
