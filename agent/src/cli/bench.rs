//! `parlor bench`: measures this machine, so that figures can be compared with the budgets in docs/performance.md.

mod balance;
mod calls;
mod control;
mod deployment;
mod failover;
mod fleet;
mod frame;
mod hang;
mod networks;
mod partition;
mod redis;
mod registry;
mod report;
mod sentence;
mod speech;
mod statistics;
mod worker;

use super::{Failure, Global, out};
use clap::{Args, Subcommand};

/// Measures this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parlor bench frame                              what 20 ms of one call cost, stage by stage
  parlor bench calls --transport websocket        three calls over loopback, with interruptions
  parlor bench calls --transport webrtc --sessions 40 --seconds 60 --json --max-p95 5
  parlor bench failover --kills 200 --at-once 4   workers that are killed in mid-sentence
  parlor bench registry --fault partition         calls while the registry of their workers is cut off
  parlor bench worker --adapter flite             frames per second and core

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
    /// Workers that are killed in mid-sentence: which calls survive, the gap, the words that were lost or said twice.
    Failover(failover::Failover),
    /// Workers that hang in mid-sentence: which calls survive, and the gap.
    Hang(hang::Hang),
    /// Live calls while the registry is killed, emptied, cut off or read-only, and how soon workers are in it again.
    Registry(registry::Registry),
    /// How evenly the replies of many calls are spread over equal workers.
    Balance(balance::Balance),
    /// How soon a worker with many busy sessions obeys PAUSE, RESUME and STOP.
    Control(control::Control),
    /// How much sound a speech worker makes, and how soon the first of it is there.
    Worker(worker::Worker),
    /// What synthesis costs with networks of the size and make of Piper's and Kokoro's, with random weights.
    Networks(networks::Networks),
}

impl Bench {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        match self.what {
            What::Frame(frame) => frame.run(global).await,
            What::Calls(calls) => calls.run(global).await,
            What::Failover(failover) => failover.run(global).await,
            What::Hang(hang) => hang.run(global).await,
            What::Registry(registry) => registry.run(global).await,
            What::Balance(balance) => balance.run(global).await,
            What::Control(control) => control.run(global).await,
            What::Worker(worker) => worker.run(global).await,
            What::Networks(networks) => networks.run(global).await,
        }
    }
}

/// Says that figures of this build mean nothing, where they do.
fn warn_of_slow_build(global: &Global) {
    if cfg!(debug_assertions) && !global.quiet {
        out::note("This is a development build: its figures say nothing about a release build.");
    }
}
