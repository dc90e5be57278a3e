//! A room that was joined.

use super::participant::{Participant, Parts};
use super::signal::Signal;
use super::{HeardPacket, JoinError, JoinSettings};
use crate::clock::Clock;
use crate::jitter::JitterStatistics;
use crate::link::{Closed, Link, pair};
use secrecy::ExposeSecret as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the way to the room's media may take to be found, and how often it is looked for.
const MEDIA_WITHIN: Duration = Duration::from_secs(6);
const MEDIA_ATTEMPTS: u32 = 3;

/// Packets that wait for whoever measures.
const PROBED: usize = 1024;

/// A room that was joined, and the session's end of it.
#[derive(Debug)]
pub struct Joined {
    /// The session's end.
    pub link: Link,
    /// The room.
    pub room: Room,
    /// Everyone's packets as they come, for a [`Role::Probe`](super::Role::Probe). What nobody takes is dropped beyond
    /// 20 s of it.
    pub packets: mpsc::Receiver<HeardPacket>,
}

/// What has happened in a room so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RoomStatistics {
    /// Frames of our voice that left.
    pub frames_sent: u64,
    /// Frames of our voice that did not leave.
    pub frames_unsent: u64,
    /// What became of all people's packets.
    pub jitter: JitterStatistics,
    /// Packets that were no Opus.
    pub undecodable_packets: u64,
    /// Packets that nobody known had sent.
    pub strange_packets: u64,
    /// Messages to the room that were lost because it took none.
    pub messages_dropped: u64,
    /// Messages from people that were refused because they were too many.
    pub messages_refused: u64,
    /// Times that the connection was lost.
    pub breaks: u64,
}

/// How far a room is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// The agent is in it.
    Joined,
    /// Somebody can hear the agent.
    Heard,
    /// It is over.
    Ended(Closed),
}

/// A room that the agent is in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// The agent's identity in it.
    pub identity: String,
    hang_up: CancellationToken,
    phase: watch::Receiver<Phase>,
    statistics: Arc<Mutex<RoomStatistics>>,
}

impl Room {
    /// Joins the room of the token; what carries it runs on `tasks`. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// Why the room could not be joined.
    pub async fn join(settings: JoinSettings, tasks: &TaskTracker) -> Result<Joined, JoinError> {
        for _ in 1..MEDIA_ATTEMPTS {
            match Self::attempt(settings.clone(), tasks).await {
                // Where many packets are lost a handshake may stick; another one seldom does.
                Err(JoinError::NoMedia(why)) => {
                    tracing::debug!(why, "A room has no media yet; it is joined anew.");
                }
                decided => return decided,
            }
        }
        Self::attempt(settings, tasks).await
    }

    async fn attempt(settings: JoinSettings, tasks: &TaskTracker) -> Result<Joined, JoinError> {
        let token = settings.token.expose_secret();
        let (signal, join) = Signal::connect(&settings.url, token, tasks).await?;
        let clock = Clock::start();
        let (link, wire) = pair();
        let (phase, watched) = watch::channel(Phase::Joined);
        let (packets_in, packets) = mpsc::channel(PROBED);
        let room = Self {
            name: join
                .room
                .as_ref()
                .map(|it| it.name.clone())
                .unwrap_or_default(),
            identity: join
                .participant
                .as_ref()
                .map(|it| it.identity.clone())
                .unwrap_or_default(),
            hang_up: CancellationToken::new(),
            phase: watched,
            statistics: Arc::default(),
        };
        let mut participant = Box::new(Participant::new(Parts {
            settings,
            clock,
            signal,
            join,
            wire,
            hang_up: room.hang_up.clone(),
            packets: packets_in,
            phase,
            statistics: room.statistics.clone(),
            tasks: tasks.clone(),
        })?);
        let deadline = clock.now() + MEDIA_WITHIN;
        loop {
            participant.settle();
            if participant.is_ready() {
                break;
            }
            let over = participant.closed();
            if over.is_some() || clock.now() >= deadline {
                participant.leave();
                return Err(match over {
                    Some(closed) => JoinError::Refused(format!("the room ended it ({closed:?})")),
                    None => JoinError::NoMedia(format!(
                        "none within {} s; is the server's UDP port open?",
                        MEDIA_WITHIN.as_secs()
                    )),
                });
            }
            participant.step(Some(deadline)).await;
        }
        tasks.spawn(async move { participant.run().await });
        Ok(Joined {
            link,
            room,
            packets,
        })
    }

    /// Waits until somebody can hear the agent.
    ///
    /// # Errors
    /// Why the room was over before anybody could.
    pub async fn until_heard(&self) -> Result<(), Closed> {
        let mut phase = self.phase.clone();
        let phase = phase.wait_for(|phase| *phase != Phase::Joined).await;
        match phase.as_deref() {
            Ok(Phase::Ended(closed)) => Err(closed.clone()),
            Ok(Phase::Joined | Phase::Heard) => Ok(()),
            Err(_) => Err(Closed::Failed("what carried the room is gone".to_owned())),
        }
    }

    /// Leaves the room.
    pub fn hang_up(&self) {
        self.hang_up.cancel();
    }

    /// Waits until the room is over.
    pub async fn ended(&self) {
        let mut phase = self.phase.clone();
        // An error means that the sender is gone, and the room with it.
        let _ = phase
            .wait_for(|phase| matches!(phase, Phase::Ended(_)))
            .await;
    }

    /// What has happened so far.
    pub fn statistics(&self) -> RoomStatistics {
        *self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
