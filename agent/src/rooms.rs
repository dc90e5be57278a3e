//! LiveKit rooms: `parlor serve` is given them by the server, `parlor join` chooses one. Both carry a room the same way.
//!
//! ```text
//!   LiveKit server ──► Line (WebSocket) ──► Worker (media, sans-IO) ──► Dispatch: a place? ──► carry: enter ──► talk
//! ```

mod backoff;
mod dial;
mod dispatch;
mod house;
mod jobs;
mod line;
mod load;
mod standing;
#[cfg(test)]
mod tests;
mod wishes;

use crate::config::Config;
use crate::server::App;
use crate::session::{CallOptions, Events};
use crate::sessions::Admission;
use crate::telemetry::metrics as names;
use anyhow::Context as _;
use dial::Server;
use dispatch::Dispatch;
use house::Parlor;
use media::jitter::JitterSettings;
use media::link::livekit::{JoinError, JoinSettings, Joined, Role, Room, worker};
use media::{Clock, FRAME};
use secrecy::SecretString;
use std::pin::pin;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the agent is called in a room where the settings give it no name.
pub const NAME: &str = "parlor";

/// The rooms that a LiveKit server gives to this program.
pub struct Rooms {
    dispatch: Dispatch<Parlor>,
    meter: load::Meter,
}

impl Rooms {
    /// Gets ready to take rooms; `None` where no LiveKit server is configured, or none is to give rooms.
    ///
    /// # Errors
    /// When the server's address is none.
    pub fn open(app: &App) -> anyhow::Result<Option<Self>> {
        let livekit = &app.config.livekit;
        if !livekit.dispatch {
            return Ok(None);
        }
        let Some(keys) = livekit.keys().filter(|_| livekit.is_configured()) else {
            return Ok(None);
        };
        let server = Server::new(&livekit.url, keys)
            .with_context(|| format!("livekit.url: {} is no LiveKit address", livekit.url))?;
        let (meter, load) = load::meter();
        let settings = dispatch::Settings {
            server: server.host().to_owned(),
            agent_name: livekit.agent_name.clone(),
            places: app.config.server.max_sessions,
        };
        let house = Parlor::new(app.clone());
        Ok(Some(Self {
            dispatch: Dispatch::new(settings, Box::new(server), house, load),
            meter,
        }))
    }

    /// Takes rooms until `draining` is cancelled; stays connected until `closed` is, so that the server hears how the last
    /// calls went.
    pub async fn run(self, draining: CancellationToken, closed: CancellationToken) {
        let tasks = TaskTracker::new();
        // On the runtime's own threads, among the calls: there it is as late as they are.
        tasks.spawn(self.meter.run(closed.clone()));
        tasks.close();
        self.dispatch.run(draining, closed).await;
        tasks.wait().await;
    }
}

/// Whether `url` can be a LiveKit server's.
pub fn is_address(url: &str) -> bool {
    worker::address(url).is_some()
}

/// What people see as the agent's name: its own, or [`NAME`].
pub fn called(agent_name: &str) -> &str {
    match agent_name {
        "" => NAME,
        name => name,
    }
}

/// How a call in a room goes unless somebody wishes otherwise.
pub fn options(config: &Config) -> CallOptions {
    CallOptions {
        mode: config.turn.mode,
        voice: None,
        events: Events::Room,
    }
}

/// Joins a room; `None` if the call was to end before the agent was in it.
///
/// # Errors
/// Why the room could not be joined.
pub async fn enter(
    app: &App,
    admission: &Admission,
    url: Option<String>,
    token: SecretString,
) -> Result<Option<Joined>, JoinError> {
    let livekit = &app.config.livekit;
    let settings = JoinSettings {
        stay: Duration::from_secs(livekit.stay_seconds),
        url: url.unwrap_or_else(|| livekit.url.clone()),
        token,
        role: Role::Agent,
        agent_name: livekit.agent_name.clone(),
        audio: app.config.encoder(),
        jitter: JitterSettings::default(),
    };
    let hangup = admission.hangup();
    tokio::select! {
        joined = Box::pin(Room::join(settings, app.sessions.tracker())) => joined.map(Some),
        () = hangup.cancelled() => Ok(None),
    }
}

/// Talks in a room until the call is over, and says why it is. `asked` was started when the agent was asked to come.
pub async fn talk(
    app: &App,
    admission: Admission,
    joined: Joined,
    options: CallOptions,
    asked: Clock,
) -> String {
    let Joined { link, room, .. } = joined;
    let admission = admission.with_room(&room.name);
    let hangup = admission.hangup();
    let patience = Duration::from_secs(app.config.session.idle_timeout_seconds);
    // The dialog's clock starts when somebody can hear it: nobody is greeted into an empty room.
    let nobody = tokio::select! {
        heard = room.until_heard() => heard.err().map(|closed| closed.reason()),
        () = hangup.cancelled() => Some("hung-up"),
        () = asked.until(asked.now() + patience) => Some("idle-timeout"),
    };
    let reason = match nobody {
        None => {
            let mut call = pin!(app.start_session(admission, link, options));
            let reason = tokio::select! {
                reason = &mut call => Some(reason),
                () = first_frame(&room) => None,
            };
            match reason {
                Some(reason) => reason,
                None => {
                    // Without a greeting the first to speak is the caller, who takes whatever time it takes.
                    if !app.config.turn.greeting.is_empty() {
                        metrics::histogram!(names::LIVEKIT_FIRST_FRAME_SECONDS)
                            .record(asked.now().as_secs_f64());
                    }
                    call.await
                }
            }
        }
        Some(reason) => {
            room.hang_up();
            drop((admission, link));
            reason.to_owned()
        }
    };
    // The call's last words are still on their way; a drain waits for them.
    room.ended().await;
    reason
}

/// Waits until the first frame of the agent's voice has left.
async fn first_frame(room: &Room) {
    let clock = Clock::start();
    while room.statistics().frames_sent == 0 {
        clock.until(clock.now() + FRAME).await;
    }
}
