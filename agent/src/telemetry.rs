//! Logs and metrics. What people say never gets into either.

pub mod metrics;

use crate::config::{LogFormat, Telemetry};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::Uptime;

/// Starts logging to standard error. `RUST_LOG` wins over `verbosity` (0 info, 1 debug, 2 trace of parlor's own crates).
pub fn init(settings: &Telemetry, verbosity: u8) {
    let level = match verbosity {
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    // The WebRTC stack reports every refused candidate; that is its business and not an operator's.
    let own = format!(
        "warn,parlor={level},media={level},workers={level},webrtc=error,rtc=error,rtc_ice=error"
    );
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(own));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(crate::cli::out::colours())
        .with_target(false);
    // A second start, as in tests, keeps the first one's settings.
    let _ = match settings.log_format {
        LogFormat::Text => builder.with_timer(Uptime::default()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
