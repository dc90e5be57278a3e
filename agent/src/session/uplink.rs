//! The caller's side of a call: frames go through the ear, and every utterance to a recogniser of its own.

use crate::cluster::{Cluster, Error};
use media::AudioFrame;
use media::hear::{Ear, Floor, SpeechEvent};
use proto::stt::AudioFrame as SttFrame;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Sound that waits for a recogniser: ten seconds of 20 ms pieces. A recogniser further behind loses the newest sound, counted.
const UTTERANCE_FRAMES: usize = 500;
/// Results that wait for the session: partials come a few times a second.
const RESULTS: usize = 32;

/// What recognition says about an utterance.
#[derive(Debug)]
pub enum Recognised {
    /// The words so far; more or other ones may follow.
    Partial {
        /// Counts the call's utterances from 1.
        utterance: u64,
        /// The words.
        text: String,
    },
    /// The words of the whole utterance; may be empty.
    Final {
        /// Counts the call's utterances from 1.
        utterance: u64,
        /// The words.
        text: String,
    },
    /// The utterance could not be recognised.
    Failed {
        /// Counts the call's utterances from 1.
        utterance: u64,
        /// Why.
        error: Error,
    },
}

/// The ear and the recogniser behind it.
pub struct Uplink {
    ear: Ear,
    cluster: Cluster,
    session_id: String,
    tracker: TaskTracker,
    ended: CancellationToken,
    utterance: u64,
    audio: Option<mpsc::Sender<SttFrame>>,
    results_in: mpsc::Sender<Recognised>,
    results: mpsc::Receiver<Recognised>,
    muted: bool,
    muted_frames: u64,
    overrun_frames: u64,
}

impl Uplink {
    /// A call's uplink; its tasks run on `tracker` and end with `ended`.
    pub fn new(
        ear: Ear,
        cluster: Cluster,
        session_id: String,
        tracker: TaskTracker,
        ended: CancellationToken,
    ) -> Self {
        let (results_in, results) = mpsc::channel(RESULTS);
        Self {
            ear,
            cluster,
            session_id,
            tracker,
            ended,
            utterance: 0,
            audio: None,
            results_in,
            results,
            muted: false,
            muted_frames: 0,
            overrun_frames: 0,
        }
    }

    /// Takes 20 ms of the caller. An event means that speech began or ended with this frame.
    pub fn hear(&mut self, frame: &AudioFrame) -> Option<SpeechEvent> {
        if self.muted {
            self.muted_frames += 1;
            // The ear's clock and noise floor go on; what it makes of silence is nobody's business.
            let _ = self.ear.hear(&AudioFrame::silence());
            return None;
        }
        let heard = self.ear.hear(frame);
        match heard.event {
            Some(SpeechEvent::Start { .. }) => self.begin_utterance(),
            Some(SpeechEvent::End { .. }) => {
                self.send_last_frame();
                // Closing the queue is what tells the recogniser that the utterance is over.
                self.audio = None;
            }
            None if self.audio.is_some() => self.send(self.ear.samples().to_vec()),
            None => {}
        }
        heard.event
    }

    /// Which multiplier the ear applies.
    pub fn set_floor(&mut self, floor: Floor) {
        self.ear.set_floor(floor);
    }

    /// Mute-on-speak: from now on the caller's sound is discarded, and the utterance in flight with it.
    pub fn mute(&mut self) {
        self.muted = true;
        self.audio = None;
    }

    /// Hears the caller again.
    pub fn unmute(&mut self) {
        self.muted = false;
    }

    /// Whether the caller's sound is being discarded.
    pub fn is_muted(&self) -> bool {
        self.muted
    }

    /// The next result of recognition. Cancel-safe.
    pub async fn recv(&mut self) -> Recognised {
        // Never closed: the uplink itself holds a sender.
        match self.results.recv().await {
            Some(result) => result,
            None => std::future::pending().await,
        }
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

    fn begin_utterance(&mut self) {
        self.utterance += 1;
        let (audio, frames) = mpsc::channel(UTTERANCE_FRAMES);
        self.audio = Some(audio);
        let recognise = recognise(
            self.cluster.clone(),
            self.utterance,
            ReceiverStream::new(frames),
            self.results_in.clone(),
        );
        let ended = self.ended.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = recognise => {}
            }
        });
        self.send(self.ear.preroll());
    }

    fn send(&mut self, samples: Vec<i16>) {
        self.send_frame(&samples, false);
    }

    fn send_last_frame(&mut self) {
        let samples = *self.ear.samples();
        self.send_frame(&samples, true);
    }

    fn send_frame(&mut self, samples: &[i16], is_last: bool) {
        let Some(audio) = &self.audio else { return };
        let frame = SttFrame {
            session_id: self.session_id.clone(),
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
    utterance: u64,
    frames: ReceiverStream<SttFrame>,
    results: mpsc::Sender<Recognised>,
) {
    // A closed receiver means that the session is gone; there is nobody left to tell.
    let mut events = match cluster.transcribe(frames).await {
        Ok(events) => events,
        Err(error) => {
            let _ = results.send(Recognised::Failed { utterance, error }).await;
            return;
        }
    };
    let mut finals = String::new();
    loop {
        match events.message().await {
            Ok(Some(event)) if event.event_type == "final" => {
                if !finals.is_empty() && !event.text.is_empty() {
                    finals.push(' ');
                }
                finals.push_str(&event.text);
            }
            Ok(Some(event)) => {
                let text = if finals.is_empty() {
                    event.text
                } else {
                    format!("{finals} {}", event.text)
                };
                if results
                    .send(Recognised::Partial { utterance, text })
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Ok(None) => {
                let _ = results
                    .send(Recognised::Final {
                        utterance,
                        text: finals,
                    })
                    .await;
                return;
            }
            Err(status) => {
                let _ = results
                    .send(Recognised::Failed {
                        utterance,
                        error: status.into(),
                    })
                    .await;
                return;
            }
        }
    }
}
