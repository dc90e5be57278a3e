//! `parlor worker --parent`: a worker process that `parlor serve` has started.

use super::{Failure, Global, Kind, Worker, failure, listen};
use crate::cluster::local::Parent;
use crate::telemetry;
use anyhow::Context as _;
use workers::{Options, Settings};

impl Worker {
    /// Serves until the program that started it says so, or is gone.
    pub(super) async fn run_as_child(self, global: &Global) -> Result<(), Failure> {
        let (parent, handover) = Parent::heed()
            .await
            .map_err(|why| Failure::Usage(format!("--parent is for parlor serve: {why}")))?;
        telemetry::init(&handover.telemetry, global.verbose);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut settings = handover.settings();
        self.limit(&mut settings);
        let options = Options {
            name: self.name.clone(),
            gpu: self.gpu,
            default_model: self.default_model.clone(),
            preload: self.preload.clone(),
            token: Some(handover.token()),
            announcer: Some(parent.announcer()),
            rhythm: parent.rhythm(),
            ..Options::default()
        };
        let working = self.work(settings, options, &parent);
        tokio::select! {
            worked = working => worked,
            () = parent.is_gone() => Ok(()),
        }
    }

    async fn work(
        &self,
        settings: Settings,
        options: Options,
        parent: &Parent,
    ) -> Result<(), Failure> {
        let address = listen::resolve("--listen", &self.listen).await?;
        let kind = self.kind.into();
        let worker = workers::Worker::bind(kind, &self.adapter, address, settings, options)
            .await
            .map_err(|error| failure(&self.adapter, error))?;
        let end = async {
            tokio::select! {
                // Whoever ends a whole service tells each of its processes; the calls end before their workers do.
                never = ignore_interrupts() => never,
                () = parent.wants_an_end() => {}
            }
        };
        worker
            .run(end)
            .await
            .with_context(|| format!("the {} worker failed", self.adapter))?;
        Ok(())
    }

    fn limit(&self, settings: &mut Settings) {
        match (self.kind, self.max_sessions) {
            (_, None) => {}
            (Kind::Tts, most) => settings.tts.max_sessions = most,
            (Kind::Stt, Some(most)) => {
                settings.stt.slots = usize::try_from(most).unwrap_or(usize::MAX);
            }
        }
    }
}

/// Takes all that would end the process and goes on.
async fn ignore_interrupts() {
    loop {
        super::interrupted().await;
    }
}
