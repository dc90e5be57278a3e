//! What the dispatcher needs of the program: places, and somebody who carries a room.

use super::{enter, options, talk, wishes};
use crate::server::App;
use crate::sessions::{Admission, Sessions};
use media::Clock;
use media::link::livekit::worker::{Assignment, Outcome};
use tokio::sync::oneshot;
use tracing::warn;

/// Who has the places and carries the rooms.
pub(super) trait House: Send + Sync + 'static {
    /// The places.
    fn sessions(&self) -> &Sessions;

    /// Carries a room from joining it to its end. `running` is told once the agent is in it.
    fn carry(
        &self,
        admission: Admission,
        assignment: Assignment,
        running: oneshot::Sender<()>,
    ) -> impl Future<Output = Outcome> + Send + 'static;
}

/// This program.
pub(super) struct Parlor {
    app: App,
}

impl Parlor {
    /// With that app.
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }
}

impl House for Parlor {
    fn sessions(&self) -> &Sessions {
        &self.app.sessions
    }

    fn carry(
        &self,
        admission: Admission,
        assignment: Assignment,
        running: oneshot::Sender<()>,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let app = self.app.clone();
        async move {
            let asked = Clock::start();
            let Assignment { job, url, token } = assignment;
            let joined = match enter(&app, &admission, url, token).await {
                Ok(Some(joined)) => joined,
                Ok(None) => return Outcome::Failed("the call ended before it began".into()),
                Err(error) => {
                    warn!(job = %job.id, session = %admission.id, %error, "Cannot join a room.");
                    return Outcome::Failed(error.to_string());
                }
            };
            // The dispatcher may be gone; the call goes on.
            let _ = running.send(());
            let options = wishes::granted(&job.id, &job.metadata, options(&app.config), |voice| {
                app.has_voice(voice)
            });
            talk(&app, admission, joined, options, asked).await;
            Outcome::Succeeded
        }
    }
}
