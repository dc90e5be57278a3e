//! A lost connection: resumed where the server still knows us, made anew otherwise.
//!
//! ```text
//!   Waiting(until) ──► Connecting ──► Media(deadline) ──► mended
//!        ▲                │                │
//!        └── next attempt ┴────────────────┘      ten attempts, then the call is over
//! ```

use super::super::attempts::Attempts;
use super::super::signal::{Signal, resume};
use super::super::streams::Streams;
use super::super::transport::{PAYLOAD_TYPE, RELIABLE, Transport};
use super::{Participant, TRACK};
use crate::link::Closed;
use crate::link::livekit::JoinError;
use crate::link::webrtc::Voice;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::{
    DataChannelInfo, JoinResponse, ReconnectResponse, SessionDescription, SignalTarget, SyncState,
    TrackPublishedResponse, UpdateSubscription,
};
use livekit_signaling::SignalEvent;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

/// How long one attempt may take. The signalling's own limits are shorter, but not for everything.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(15);
/// How long the others may take to come back to a server that began anew, at least.
const RETURN_WITHIN: Duration = Duration::from_secs(10);
/// How long media may take to flow again.
const MEDIA_WITHIN: Duration = Duration::from_secs(10);

/// How the connection came back.
pub(super) enum Mended {
    /// The server knows us still.
    Resumed(Result<ReconnectResponse, JoinError>),
    /// A new stay.
    Rejoined(Result<Box<(Signal, JoinResponse)>, JoinError>),
}

type Attempt = Pin<Box<dyn Future<Output = Mended> + Send>>;

enum Step {
    Waiting(Duration),
    Connecting(Attempt),
    Media(Duration),
}

/// A connection that is being mended.
pub(super) struct Mending {
    attempts: Attempts,
    /// Whether the server may still know us.
    may_resume: bool,
    step: Step,
}

impl Mending {
    /// Begins with a resume.
    pub(super) fn resume() -> Self {
        Self {
            attempts: Attempts::default(),
            may_resume: true,
            step: Step::Waiting(Duration::ZERO),
        }
    }

    /// Begins with a new stay.
    pub(super) fn rejoin() -> Self {
        Self {
            may_resume: false,
            ..Self::resume()
        }
    }

    /// The server does not know us any more. `false` if that was known already.
    pub(super) fn begin_anew(&mut self) -> bool {
        let is_news = std::mem::take(&mut self.may_resume);
        if is_news {
            self.step = Step::Waiting(Duration::ZERO);
        }
        is_news
    }

    /// When something is to be done.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        match self.step {
            Step::Waiting(until) | Step::Media(until) => Some(until),
            Step::Connecting(_) => None,
        }
    }

    fn is_connecting(&self) -> bool {
        matches!(self.step, Step::Connecting(_))
    }
}

/// Waits for the attempt in progress; for ever if there is none. Cancel-safe.
pub(super) async fn finish(mending: &mut Option<Mending>) -> Mended {
    match mending {
        Some(Mending {
            step: Step::Connecting(attempt),
            ..
        }) => attempt.await,
        _ => std::future::pending().await,
    }
}

impl Participant {
    /// Whether what the server says concerns the present stay.
    pub(super) fn hears_signal(&self) -> bool {
        !self.mending.as_ref().is_some_and(Mending::is_connecting)
    }

    pub(super) fn away(&mut self, mut mending: Mending) {
        let now = self.clock.now();
        self.counted.breaks += 1;
        mending.attempts = self.steadiness.lost(now);
        self.mending = Some(mending);
        self.tell_presence();
        self.next_attempt(now);
        self.mend(now);
    }

    /// Does what is due about a lost connection.
    pub(super) fn mend(&mut self, now: Duration) {
        let Some(mending) = &mut self.mending else {
            return;
        };
        match mending.step {
            Step::Waiting(until) if until <= now => self.attempt(),
            Step::Media(_) if self.publisher.is_connected() => self.back(),
            Step::Media(until) if until <= now => {
                // What was resumed without media is not worth another resume.
                mending.may_resume = false;
                self.next_attempt(now);
            }
            _ => {}
        }
    }

    fn attempt(&mut self) {
        // The server renews it now and then.
        let token = self.signal.token();
        let Some(mending) = &mut self.mending else {
            return;
        };
        let attempt: Attempt = match mending.may_resume {
            true => {
                let client = self.signal.client();
                Box::pin(async move {
                    let resumed = timeout(ATTEMPT_WITHIN, resume(client)).await;
                    // A socket that takes nothing holds the client up; a new stay has a new one.
                    let stuck = || Err(JoinError::Refused("no answer".to_owned()));
                    Mended::Resumed(resumed.unwrap_or_else(|_| stuck()))
                })
            }
            false => {
                let (url, tasks) = (self.settings.url.clone(), self.tasks.clone());
                Box::pin(async move {
                    let joined =
                        timeout(ATTEMPT_WITHIN, Signal::connect(&url, &token, &tasks)).await;
                    let stuck = || Err(JoinError::Unreachable("no answer".to_owned()));
                    Mended::Rejoined(joined.unwrap_or_else(|_| stuck()).map(Box::new))
                })
            }
        };
        mending.step = Step::Connecting(attempt);
    }

    pub(super) fn on_mended(&mut self, mended: Mended) {
        let now = self.clock.now();
        let taken_up = match mended {
            Mended::Resumed(Ok(response)) => {
                // The old connection was closed for this one, and says so; what else it brought still counts.
                while let Ok(event) = self.signal.events.try_recv() {
                    if let SignalEvent::Message(message) = event {
                        self.on_signal(Some(SignalEvent::Message(message)));
                    }
                }
                self.expects_everybody = true;
                self.on_resumed(&response)
            }
            Mended::Rejoined(Ok(joined)) => self.on_rejoined(*joined),
            Mended::Resumed(Err(error)) => {
                tracing::debug!(%error, "A room could not be resumed.");
                if let Some(mending) = &mut self.mending {
                    // The server answered: it does not know us. One that cannot be reached may still.
                    mending.may_resume =
                        matches!(error, JoinError::Unreachable(_)) && mending.may_resume;
                }
                return self.next_attempt(now);
            }
            Mended::Rejoined(Err(error)) => {
                tracing::debug!(%error, "A room could not be joined again.");
                return match error {
                    JoinError::Unauthorized(_) => self.end(Closed::TokenExpired),
                    JoinError::Refused(why) if why.starts_with("404") => {
                        self.end(Closed::RoomClosed);
                    }
                    _ => self.next_attempt(now),
                };
            }
        };
        match (taken_up, &mut self.mending) {
            (Ok(()), Some(mending)) => mending.step = Step::Media(now + MEDIA_WITHIN),
            (Err(error), Some(mending)) => {
                tracing::debug!(%error, "A connection could not be taken up again.");
                mending.may_resume = false;
                self.next_attempt(now);
            }
            (_, None) => {}
        }
    }

    pub(super) fn next_attempt(&mut self, now: Duration) {
        let Some(mending) = &mut self.mending else {
            return;
        };
        match mending.attempts.next() {
            Some(wait) => mending.step = Step::Waiting(now + wait),
            None => self.end(Closed::Failed(
                "the room could not be reached again in ten attempts".to_owned(),
            )),
        }
    }

    /// The server knows us: it is told what we have, and media finds a way anew.
    fn on_resumed(&mut self, response: &ReconnectResponse) -> Result<(), JoinError> {
        let description = |kind: &str, sdp: String| SessionDescription {
            r#type: kind.to_owned(),
            sdp,
            ..SessionDescription::default()
        };
        let answer = self
            .subscriber
            .remote_sdp()
            .map(|_| description("answer", self.subscriber.local_sdp()));
        let offer = self.subscriber.remote_sdp();
        let offer = offer.map(|sdp| description("offer", sdp));
        let track = self
            .track_sid
            .clone()
            .map(|sid| livekit_protocol::TrackInfo {
                sid,
                name: TRACK.to_owned(),
                ..Default::default()
            });
        self.signal.send(Request::SyncState(SyncState {
            answer,
            offer,
            subscription: Some(UpdateSubscription {
                track_sids: self.crowd.wanted().cloned().collect(),
                subscribe: true,
                ..UpdateSubscription::default()
            }),
            publish_tracks: vec![TrackPublishedResponse {
                cid: TRACK.to_owned(),
                track,
            }],
            data_channels: vec![DataChannelInfo {
                label: RELIABLE.to_owned(),
                id: 0,
                target: SignalTarget::Publisher.into(),
            }],
            datachannel_receive_states: self.packets.receive_states(),
            ..SyncState::default()
        }));
        self.packets.repeat_after(response.last_message_seq);
        self.offer(true)
            .map_err(|error| JoinError::NoMedia(error.to_string()))
    }

    /// A new stay: new connections, everything said again that is not said with words.
    fn on_rejoined(&mut self, (signal, join): (Signal, JoinResponse)) -> Result<(), JoinError> {
        let now = self.clock.instant(self.clock.now());
        let failed = |error: String| JoinError::NoMedia(error);
        self.publisher.close();
        self.subscriber.close();
        self.publisher =
            Transport::publisher(now, TRACK).map_err(|error| failed(error.to_string()))?;
        self.subscriber = Transport::subscriber(now).map_err(|error| failed(error.to_string()))?;
        self.voice = Voice::new(
            self.settings.audio.clone(),
            PAYLOAD_TYPE,
            self.publisher.ssrc(),
        )
        .map_err(|error| failed(error.to_string()))?;
        self.preroll.restart(self.clock.now());
        self.signal = signal;
        self.track_sid = None;
        // The new track is not muted, whatever the old one was.
        self.is_muted = false;
        self.expects_everybody = false;
        self.streams = Streams::default();
        self.reliable = None;
        self.lossy = None;
        self.deaf_until = None;
        self.packets.begin_anew();
        self.captions.begin_anew();
        self.introduce(&join)?;
        let before = self.crowd.present();
        let changes = self.crowd.rejoined(&join.other_participants);
        // Whoever was there comes back as we do, a little later perhaps.
        self.follow(changes, self.crowd.present() < before);
        if self.is_deserted {
            let patience = self.settings.stay.max(RETURN_WITHIN);
            self.alone_until = Some(self.clock.now() + patience);
        }
        Ok(())
    }

    /// Media flows again.
    fn back(&mut self) {
        if let Some(mending) = self.mending.take() {
            let now = self.clock.now();
            self.steadiness.mended(now, mending.attempts);
        }
        self.tell_presence();
        let client = self.signal.client();
        self.tasks
            .spawn(async move { client.set_reconnected().await });
    }
}
