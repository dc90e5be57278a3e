//! What is heard of one person: frames go through the ear, and every utterance to a recogniser of its own.

use crate::cluster::{Cluster, Error};
use media::hear::{Ear, Floor, SpeechEvent};
use media::link::Speaker;
use media::{AudioFrame, FRAME};
use proto::stt::{AudioFrame as SttFrame, TranscriptEvent};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Sound that waits for a recogniser: ten seconds of 20 ms pieces. A recogniser further behind loses the newest sound, counted.
const UTTERANCE_FRAMES: usize = 500;
/// Results that wait for the session: partials come a few times a second.
const RESULTS: usize = 32;

/// How late the caller's sound may be before the ear is told that there is none: a transport may say nothing for silence.
const MISSING_AFTER: Duration = Duration::from_millis(60);

/// What was recorded before the agent was there goes to a recogniser in pieces of a second: it comes all at once, and as
/// 20 ms pieces it would not fit into the queue.
const RECORDED_PIECE_SAMPLES: usize = 16_000;

/// What recognition says about an utterance.
#[derive(Debug)]
pub struct Recognised {
    /// Who spoke.
    pub speaker: Speaker,
    /// Counts the call's utterances from 1.
    pub utterance: u64,
    /// The result.
    pub result: Outcome,
}

/// What became of an utterance so far.
#[derive(Debug)]
pub enum Outcome {
    /// The words so far; more or other ones may follow.
    Partial(String),
    /// The words of the whole utterance; may be empty.
    Final(String),
    /// The utterance could not be recognised.
    Failed(Error),
}

/// What all ears of a call share: how their utterances are recognised.
#[derive(Clone)]
pub struct Recognition {
    cluster: Cluster,
    session_id: String,
    tracker: TaskTracker,
    ended: CancellationToken,
    results: mpsc::Sender<Recognised>,
}

impl Recognition {
    /// A call's recognition; its tasks run on `tracker` and end with `ended`. The results come through the receiver.
    pub fn new(
        cluster: Cluster,
        session_id: String,
        tracker: TaskTracker,
        ended: CancellationToken,
    ) -> (Self, mpsc::Receiver<Recognised>) {
        let (results, receiver) = mpsc::channel(RESULTS);
        let recognition = Self {
            cluster,
            session_id,
            tracker,
            ended,
            results,
        };
        (recognition, receiver)
    }

    /// Opens a recogniser for an utterance. Dropping the sender tells it that the utterance is over.
    fn begin(&self, speaker: Speaker, utterance: u64) -> mpsc::Sender<SttFrame> {
        let (audio, frames) = mpsc::channel(UTTERANCE_FRAMES);
        let recognise = recognise(
            self.cluster.clone(),
            (speaker, utterance),
            frames,
            self.results.clone(),
        );
        let ended = self.ended.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = recognise => {}
            }
        });
        audio
    }
}

/// One person's ear and the recogniser behind it.
pub struct Uplink {
    speaker: Speaker,
    /// Names the person to the recogniser.
    name: String,
    ear: Ear,
    recognition: Recognition,
    audio: Option<mpsc::Sender<SttFrame>>,
    /// Sound of a recording that is not sent yet.
    gathered: Vec<i16>,
    source: Source,
    /// Up to when the caller's sound has come. It may be ahead of the clock: a client may send a second at a time.
    heard_until: Duration,
    muted: bool,
    muted_frames: u64,
    overrun_frames: u64,
}

/// Where a frame comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Microphone,
    Recording,
}

impl Uplink {
    /// The ear of `speaker`.
    pub fn new(speaker: Speaker, ear: Ear, recognition: Recognition) -> Self {
        let name = match speaker {
            Speaker::CALLER => recognition.session_id.clone(),
            Speaker(number) => format!("{}-p{number}", recognition.session_id),
        };
        Self {
            speaker,
            name,
            ear,
            recognition,
            audio: None,
            gathered: Vec::new(),
            source: Source::Microphone,
            heard_until: Duration::ZERO,
            muted: false,
            muted_frames: 0,
            overrun_frames: 0,
        }
    }

    /// Takes 20 ms of the caller that came at `now`. An event says what became of the caller's speech with this frame;
    /// speech that starts is utterance number `next`.
    pub fn hear(&mut self, now: Duration, frame: &AudioFrame, next: u64) -> Option<SpeechEvent> {
        self.heard_until = (self.heard_until + FRAME).max(now);
        self.listen(frame, next)
    }

    /// Takes 20 ms that were recorded before. [`Uplink::recording_ends`] is to follow the last of them.
    pub fn hear_recorded(&mut self, frame: &AudioFrame, next: u64) -> Option<SpeechEvent> {
        self.source = Source::Recording;
        self.listen(frame, next)
    }

    /// What follows is sound of `now`.
    pub fn recording_ends(&mut self, now: Duration) {
        self.send_gathered(false);
        self.source = Source::Microphone;
        self.heard_until = now;
    }

    fn listen(&mut self, frame: &AudioFrame, next: u64) -> Option<SpeechEvent> {
        let heard = self.ear.hear(frame);
        if self.muted {
            // The noise gate goes on learning the room; what else the ear makes of it is nobody's business.
            self.muted_frames += 1;
            return None;
        }
        match heard.event {
            Some(SpeechEvent::Start { .. }) => self.begin_utterance(next),
            Some(SpeechEvent::End { .. }) => {
                self.send_last_frame();
                self.end_utterance();
            }
            Some(SpeechEvent::Lull { .. } | SpeechEvent::Voice { .. }) | None => {
                if self.audio.is_some() {
                    let samples = *self.ear.samples();
                    self.send(&samples);
                }
            }
        }
        heard.event
    }

    /// When sound that does not come is to be taken for silence; none while silence would change nothing.
    pub fn next_timeout(&self) -> Option<Duration> {
        (!self.muted && !self.ear.is_settled()).then(|| self.heard_until + MISSING_AFTER)
    }

    /// Nothing came in time: 20 ms of silence for the ear, so that speech ends although its caller stopped sending. The
    /// recogniser gets none of it: if the sound was only late, its words are not torn apart.
    pub fn miss(&mut self) -> Option<SpeechEvent> {
        self.heard_until += FRAME;
        let event = self.ear.hear(&AudioFrame::silence()).event;
        if matches!(event, Some(SpeechEvent::End { .. })) {
            self.end_utterance();
        }
        event
    }

    /// The caller says that the utterance is over: its words are to be recognised now. `false` if none was open.
    pub fn close_speech(&mut self) -> bool {
        let closed = !self.muted && self.ear.close_speech();
        if closed {
            self.end_utterance();
        }
        closed
    }

    /// Which multiplier the ear applies.
    pub fn set_floor(&mut self, floor: Floor) {
        self.ear.set_floor(floor);
    }

    /// Mute-on-speak: from now on the caller's sound is discarded, and the utterance in flight is cut off.
    pub fn mute(&mut self) {
        self.muted = true;
        self.end_utterance();
    }

    /// Hears the caller again, from now on: what was said into a muted microphone is no speech's beginning.
    pub fn unmute(&mut self) {
        self.muted = false;
        self.ear.forget_speech();
    }

    /// What the ear counted.
    pub fn statistics(&self) -> media::hear::EarStatistics {
        self.ear.statistics()
    }

    /// Frames discarded while muted.
    pub fn muted_frames(&self) -> u64 {
        self.muted_frames
    }

    /// Frames that no recogniser took in time.
    pub fn overrun_frames(&self) -> u64 {
        self.overrun_frames
    }

    fn begin_utterance(&mut self, number: u64) {
        self.audio = Some(self.recognition.begin(self.speaker, number));
        self.send(&self.ear.preroll());
    }

    fn end_utterance(&mut self) {
        self.send_gathered(false);
        // Closing the queue is what tells the recogniser that the utterance is over.
        self.audio = None;
    }

    fn send(&mut self, samples: &[i16]) {
        match self.source {
            Source::Microphone => self.send_frame(samples, false),
            Source::Recording => {
                self.gathered.extend_from_slice(samples);
                if self.gathered.len() >= RECORDED_PIECE_SAMPLES {
                    self.send_gathered(false);
                }
            }
        }
    }

    fn send_last_frame(&mut self) {
        let samples = *self.ear.samples();
        match self.source {
            Source::Microphone => self.send_frame(&samples, true),
            Source::Recording => {
                self.gathered.extend_from_slice(&samples);
                self.send_gathered(true);
            }
        }
    }

    fn send_gathered(&mut self, is_last: bool) {
        let samples = std::mem::take(&mut self.gathered);
        if !samples.is_empty() {
            self.send_frame(&samples, is_last);
        }
    }

    fn send_frame(&mut self, samples: &[i16], is_last: bool) {
        let Some(audio) = &self.audio else { return };
        let frame = SttFrame {
            session_id: self.name.clone(),
            data: samples
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .collect(),
            is_last,
            ..Default::default()
        };
        if audio.try_send(frame).is_err() {
            self.overrun_frames += 1;
        }
    }
}

async fn recognise(
    cluster: Cluster,
    (speaker, utterance): (Speaker, u64),
    frames: mpsc::Receiver<SttFrame>,
    results: mpsc::Sender<Recognised>,
) {
    let tell = |result| {
        results.send(Recognised {
            speaker,
            utterance,
            result,
        })
    };
    let (events_in, mut events) = mpsc::channel::<TranscriptEvent>(RESULTS);
    let transcribed = async move {
        // Its end closes the events.
        cluster.transcribe(frames, &events_in).await
    };
    let collected = async {
        let mut finals = String::new();
        while let Some(event) = events.recv().await {
            if event.event_type == "final" {
                if !finals.is_empty() && !event.text.is_empty() {
                    finals.push(' ');
                }
                finals.push_str(&event.text);
                continue;
            }
            let text = if finals.is_empty() {
                event.text
            } else {
                format!("{finals} {}", event.text)
            };
            // A closed receiver means that the session is gone, and its end ends this too.
            let _ = tell(Outcome::Partial(text)).await;
        }
        finals
    };
    let (transcribed, finals) = tokio::join!(transcribed, collected);
    let outcome = match transcribed {
        Ok(()) => Outcome::Final(finals),
        // What is recognised for good stays so.
        Err(_) if !finals.is_empty() => Outcome::Final(finals),
        Err(error) => Outcome::Failed(error),
    };
    let _ = tell(outcome).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Access, Fleet};
    use media::FRAME_SAMPLES;
    use media::hear::{EarSettings, VAD_FRAME_SAMPLES, Vad};

    /// Takes whatever is loud for voice.
    struct Loud;

    impl Vad for Loud {
        fn hear(&mut self, samples: &[i16; VAD_FRAME_SAMPLES]) -> f32 {
            f32::from(u8::from(samples.iter().any(|sample| sample.abs() > 1000)))
        }

        fn has_probability(&self) -> bool {
            true
        }

        fn reset(&mut self) {}

        fn name(&self) -> &'static str {
            "loud"
        }
    }

    fn uplink() -> Uplink {
        // Nobody is there; whatever an utterance was, it is not recognised.
        let nobody = Fleet::new(String::new(), Access::default());
        let (recognition, _) = Recognition::new(
            Cluster::new(nobody),
            "test".into(),
            TaskTracker::new(),
            CancellationToken::new(),
        );
        let ear = Ear::new(EarSettings::default(), Box::new(Loud));
        Uplink::new(Speaker::CALLER, ear, recognition)
    }

    /// A square wave of this height, which is its level.
    fn sound(height: i16) -> AudioFrame {
        AudioFrame::padded(&std::array::from_fn::<_, FRAME_SAMPLES, _>(|n| {
            if n % 96 < 48 { height } else { -height }
        }))
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn speech_ends_although_its_caller_stopped_sending() {
        let mut uplink = uplink();
        let mut now = ms(1000);
        let mut begun = false;
        assert_eq!(uplink.next_timeout(), None);
        for _ in 0..20 {
            now += FRAME;
            let event = uplink.hear(now, &sound(5000), 1);
            begun |= matches!(event, Some(SpeechEvent::Start { .. }));
        }
        assert!(begun);
        assert_eq!(uplink.next_timeout(), Some(now + ms(60)));
        let mut silent = 0;
        let end = loop {
            silent += 1;
            match uplink.miss() {
                Some(event) => break event,
                None => assert_eq!(uplink.next_timeout(), Some(now + ms(60) + FRAME * silent)),
            }
        };
        assert_eq!(end, SpeechEvent::End { last_ago: ms(300) });
        // The step to 16 kHz may carry the last sound into the first silence.
        assert!((15..=16).contains(&silent), "{silent}");
        assert_eq!(uplink.next_timeout(), None);
    }

    #[tokio::test]
    async fn sound_that_came_ahead_of_time_is_not_missed_before_its_time() {
        let mut uplink = uplink();
        for _ in 0..50 {
            uplink.hear(ms(1000), &sound(5000), 1);
        }
        let covered = uplink.next_timeout().unwrap();
        assert!(covered >= ms(1000) + FRAME * 49 + ms(60), "{covered:?}");
    }

    #[tokio::test]
    async fn what_the_caller_closes_is_over_at_once_and_only_once() {
        let mut uplink = uplink();
        assert!(!uplink.close_speech());
        for n in 0..10 {
            uplink.hear(ms(20 * n), &sound(5000), 1);
        }
        assert!(uplink.audio.is_some());
        assert!(uplink.close_speech());
        assert!(uplink.audio.is_none() && !uplink.close_speech());
    }

    #[tokio::test]
    async fn a_muted_ear_goes_on_learning_the_room_and_begins_afresh() {
        let mut uplink = uplink();
        uplink.mute();
        for n in 0..200 {
            assert_eq!(uplink.hear(ms(20 * n), &sound(600), 1), None);
        }
        let floor = uplink.statistics().gate.floor_rms;
        assert!((500.0..700.0).contains(&floor), "{floor}");
        // Somebody speaks into the muted microphone, and still does when it is open again.
        for n in 200..220 {
            assert_eq!(uplink.hear(ms(20 * n), &sound(9000), 1), None);
        }
        assert_eq!(uplink.next_timeout(), None);
        uplink.unmute();
        let started = (220..230)
            .map(|n| uplink.hear(ms(20 * n), &sound(9000), 1))
            .position(|event| matches!(event, Some(SpeechEvent::Start { .. })));
        assert_eq!(started, Some(4), "100 ms after the microphone was opened");
    }
}
