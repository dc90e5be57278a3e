//! `parlor.worker.v1.Admin`: lets nobody new in, and takes callers again, while the worker stays up.

use super::Service;
use proto::registry::metric;
use proto::worker as wire;
use proto::worker::admin_server;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::info;

/// What whoever runs a worker may ask of it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Admin {
    service: Service,
    changed: Arc<Notify>,
    ending: CancellationToken,
}

impl Admin {
    pub(super) fn new(service: Service) -> Self {
        Self {
            service,
            changed: Arc::default(),
            ending: CancellationToken::new(),
        }
    }

    /// Told whenever the worker's record is no longer true, for whoever keeps it.
    pub(super) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// The process ends: nobody new is taken, and there is no way back.
    pub(super) fn end(&self) {
        // In this order, so that a Resume that is under way sees the one or is undone by the other.
        self.ending.cancel();
        self.service.drain();
    }

    /// Cancelled when the process ends.
    pub(super) fn ending(&self) -> CancellationToken {
        self.ending.clone()
    }

    fn is_ending(&self) -> Result<(), Status> {
        match self.ending.is_cancelled() {
            true => Err(Status::failed_precondition(
                "the worker was told to end and takes nobody any more; start it again",
            )),
            false => Ok(()),
        }
    }

    fn state(&self) -> Response<wire::State> {
        let record = self.service.record("", "");
        Response::new(wire::State {
            draining: record.is_draining(),
            open: record.metric(metric::SLOTS_IN_USE) as i32,
            idle: self.service.is_idle(),
        })
    }
}

#[tonic::async_trait]
impl admin_server::Admin for Admin {
    async fn drain(
        &self,
        _request: Request<wire::DrainRequest>,
    ) -> Result<Response<wire::State>, Status> {
        self.service.drain();
        self.changed.notify_one();
        info!("Worker draining: it was asked to, and stays up.");
        Ok(self.state())
    }

    async fn resume(
        &self,
        _request: Request<wire::ResumeRequest>,
    ) -> Result<Response<wire::State>, Status> {
        self.is_ending()?;
        self.service.resume();
        if self.ending.is_cancelled() {
            self.service.drain();
        }
        self.is_ending()?;
        self.changed.notify_one();
        info!("Worker taking callers again.");
        Ok(self.state())
    }

    async fn get_state(
        &self,
        _request: Request<wire::GetStateRequest>,
    ) -> Result<Response<wire::State>, Status> {
        Ok(self.state())
    }
}
