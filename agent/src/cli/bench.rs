//! `parlor bench`: measures this machine, so that figures can be compared with the budgets in docs/performance.md.

mod calls;
mod failover;
mod frame;
mod speech;
mod statistics;

use super::{Failure, Global, out};
use clap::{Args, Subcommand};

/// Measures this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parlor bench frame                              what 20 ms of one call cost, stage by stage
  parlor bench calls --transport websocket        three calls over loopback, with interruptions
  parlor bench calls --transport webrtc --sessions 40 --seconds 60 --json --max-p95 5

Measure with a release build on an otherwise idle machine; docs/performance.md says how and lists the budgets.")]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What 20 ms of one call cost, stage by stage.
    Frame(frame::Frame),
    /// Real calls over sockets on loopback: lateness, interruptions, CPU and memory of a server in its own process.
    Calls(calls::Calls),
    /// Workers that are killed in mid-sentence: which calls survive, the gap, how much longer or shorter the sentence is.
    Failover(failover::Failover),
}

impl Bench {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        match self.what {
            What::Frame(frame) => frame.run(global).await,
            What::Calls(calls) => calls.run(global).await,
            What::Failover(failover) => failover.run(global).await,
        }
    }
}

/// Says that figures of this build mean nothing, where they do.
fn warn_of_slow_build(global: &Global) {
    if cfg!(debug_assertions) && !global.quiet {
        out::note("This is a development build: its figures say nothing about a release build.");
    }
}
