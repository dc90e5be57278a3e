//! Keeps the fleet's copy of the registry fresh.

use super::Cluster;
use super::registry::Registry;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often the registry is read.
const EVERY: Duration = Duration::from_secs(2);
/// Many changes at once are read once.
const GATHER: Duration = Duration::from_millis(100);

/// Reads the registry until `stop`: every two seconds, and at once when it tells of a change. `each` is called before every
/// reading, for workers that are inside this program.
pub async fn watch(
    cluster: Cluster,
    registry: Registry,
    each: impl Fn() + Send,
    stop: CancellationToken,
) {
    let mut is_gone = false;
    loop {
        each();
        match registry.list().await {
            Ok(records) => {
                if std::mem::take(&mut is_gone) {
                    info!("The registry is there again.");
                }
                cluster.fleet().merge(records);
            }
            Err(error) => {
                // Said once: calls go on with what is known.
                if !std::mem::replace(&mut is_gone, true) {
                    warn!(%error, "The registry is gone; calls go on with the workers that are known.");
                }
            }
        }
        cluster.ask_voices().await;
        tokio::select! {
            () = stop.cancelled() => return,
            changed = timeout(EVERY, registry.changed()) => if changed.is_ok() {
                sleep(GATHER).await;
            },
        }
    }
}
