//! What is asked of a worker beside the speech itself: to pause, go on or stop, and whether it is there. Nothing waits for the
//! answers: a worker that hangs must not keep the reply from noticing it.

use crate::cluster::SpeechSession;
use proto::tts::ControlCommand;
use std::pin::Pin;
use std::time::Duration;

type Doing<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Commands on their way to a worker, one at a time and in their order. Of those that wait only the newest matters, and a STOP
/// is the last.
#[derive(Default)]
pub(super) struct Orders {
    now: Option<Doing<()>>,
    next: Option<ControlCommand>,
}

impl Orders {
    /// Gives a command.
    pub(super) fn give(&mut self, session: &SpeechSession, command: ControlCommand) {
        if self.now.is_none() {
            self.now = Some(send(session.clone(), command));
        } else if self.next != Some(ControlCommand::Stop) {
            self.next = Some(command);
        }
    }

    /// Waits for the worker to obey; for ever where nothing is asked of it. Cancel-safe.
    pub(super) async fn obeyed(&mut self) {
        match &mut self.now {
            Some(now) => now.await,
            None => std::future::pending().await,
        }
        self.now = None;
    }

    /// Sends what waited until the command before it was obeyed.
    pub(super) fn go_on(&mut self, session: Option<&SpeechSession>) {
        if let (Some(session), Some(command)) = (session, self.next.take()) {
            self.give(session, command);
        }
    }
}

fn send(session: SpeechSession, command: ControlCommand) -> Doing<()> {
    Box::pin(async move {
        // A worker that no longer knows the session says so on the stream.
        let _ = session.control(command).await;
    })
}

/// Whether a quiet worker is there.
#[derive(Default)]
pub(super) struct Pulse(Option<(Duration, Doing<bool>)>);

impl Pulse {
    /// Asks the worker, at `now`.
    pub(super) fn ask(&mut self, now: Duration, session: SpeechSession) {
        self.0 = Some((now, Box::pin(async move { session.is_alive().await })));
    }

    /// Whether it was asked and has not answered.
    pub(super) fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Waits for the answer: when it was asked, and whether it is alive. For ever where nothing was asked. Cancel-safe.
    pub(super) async fn answered(&mut self) -> (Duration, bool) {
        let answer = match &mut self.0 {
            Some((asked, answer)) => (*asked, answer.await),
            None => std::future::pending().await,
        };
        self.0 = None;
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ControlCommand::{Pause, Resume, Stop};

    #[tokio::test]
    async fn of_the_commands_that_wait_the_newest_is_sent_and_a_stop_is_the_last() {
        let nowhere = tonic::transport::Endpoint::from_static("http://127.0.0.1:9").connect_lazy();
        let session = SpeechSession::at(nowhere);
        let mut orders = Orders::default();
        for (given, waits) in [
            (Pause, None),
            (Resume, Some(Resume)),
            (Pause, Some(Pause)),
            (Stop, Some(Stop)),
            (Resume, Some(Stop)),
        ] {
            orders.give(&session, given);
            assert_eq!(orders.next, waits);
        }
        orders.obeyed().await;
        orders.go_on(Some(&session));
        assert!(orders.now.is_some() && orders.next.is_none());
    }
}
