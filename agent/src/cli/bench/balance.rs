//! `parlor bench balance`: how evenly the replies of many calls are spread over equal workers.

use super::deployment::{Deployment, Wanted};
use super::redis::RedisServer;
use super::report::{self, Promise, Report, Shown, Spread};
use super::sentence::{self, Lost};
use super::statistics::{Figure, shown};
use crate::cli::{Failure, Global};
use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;

/// What calls have said: replies of different lengths, so that not all of them begin at the same time for ever.
const TEXTS: [&str; 4] = [
    "Good morning.",
    "The ferry leaves at seven.",
    "It is a little colder than it was yesterday.",
    "Yes.",
];
/// By how much a worker's part may differ from an even one, in percent of that.
const TOLERANCE_PERCENT: f64 = 10.0;

/// Replies of many calls over equal workers.
#[derive(Debug, Args)]
pub struct Balance {
    /// Workers on this host.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=16))]
    workers: u32,
    /// Calls at a time.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    calls: u32,
    /// What each of them has said, one after the other.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    replies: u32,
    /// The workers' engine.
    #[arg(long, default_value = "flite", value_name = "ADAPTER")]
    adapter: String,
    #[command(flatten)]
    shown: Shown,
}

/// The figures.
#[derive(Debug, Serialize)]
struct Figures {
    adapter: String,
    calls: u32,
    replies: u64,
    /// Replies that were not heard to their end.
    failed: u64,
    workers: Vec<Share>,
    /// Replies that none of the workers spoke: the engine inside the server did.
    elsewhere: u64,
    /// By how much the part of the worker that is furthest from it differs from an even one, in percent of that.
    uneven_percent: Option<Figure>,
    /// The longest gap in each reply.
    gap_ms: Spread,
}

/// One worker's part.
#[derive(Debug, Serialize)]
struct Share {
    name: String,
    replies: u64,
    percent: Figure,
}

impl Balance {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        super::warn_of_slow_build(global);
        let figures = report::unless_interrupted(Box::pin(self.measure(global))).await?;
        report::tell("balance", &figures, &self.shown)
    }

    async fn measure(&self, global: &Global) -> Result<Figures, Failure> {
        let redis = RedisServer::start().await?;
        let wanted = Wanted {
            redis: redis.url(),
            prefix: "bench-balance-worker:".to_owned(),
            adapter: self.adapter.clone(),
            voice: String::new(),
            workers: self.workers as usize,
            recognisers: (0, ""),
            calls: self.calls as usize,
        };
        let deployment = Deployment::start(global, wanted).await?;
        let measured = self.talk(&deployment).await;
        // Also when it failed: no server is left behind.
        deployment.stop().await;
        Ok(measured?)
    }

    async fn talk(&self, deployment: &Deployment) -> anyhow::Result<Figures> {
        deployment.until_all_speak().await?;
        let before = spoken(deployment).await?;
        let url = &deployment.server.url;
        let calls = (0..self.calls as usize).map(|number| self.call(url, number));
        let calls = join_all(calls).await;
        let after = spoken(deployment).await?;
        let (mut gaps, mut failed) = (Vec::new(), 0);
        for call in calls {
            let call = call?;
            failed += u64::from(self.replies) - call.len() as u64;
            gaps.extend(call);
        }
        let each: Vec<u64> = after
            .iter()
            .zip(&before)
            .map(|(after, before)| (after - before).max(0.0) as u64)
            .collect();
        let all: u64 = each.iter().sum();
        let percent = |part: u64| 100.0 * part as f64 / all.max(1) as f64;
        let workers = deployment.workers.iter().zip(&each);
        let workers = workers.map(|(worker, replies)| Share {
            name: worker.name.clone(),
            replies: *replies,
            percent: Figure(percent(*replies)),
        });
        Ok(Figures {
            adapter: self.adapter.clone(),
            calls: self.calls,
            replies: u64::from(self.calls) * u64::from(self.replies),
            failed,
            workers: workers.collect(),
            elsewhere: (u64::from(self.calls) * u64::from(self.replies)).saturating_sub(all),
            uneven_percent: uneven(&each).map(Figure),
            gap_ms: Spread::of(gaps),
        })
    }

    /// One call; the longest gap of each of its replies that came to its end.
    async fn call(&self, url: &str, number: usize) -> anyhow::Result<Vec<f64>> {
        let mut line = sentence::call(url).await?;
        let mut gaps = Vec::new();
        let texts = TEXTS.iter().cycle().skip(number);
        for text in texts.take(self.replies as usize) {
            match sentence::say(&mut line, text, |_| ()).await {
                Ok(said) if said.is_whole => gaps.push(said.longest_gap_ms()),
                Ok(_) | Err(Lost::Reply(_)) => {}
                Err(lost @ Lost::Call(_)) => return Err(lost.into()),
            }
        }
        line.hang_up().await;
        Ok(gaps)
    }
}

/// What each worker has said so far.
async fn spoken(deployment: &Deployment) -> anyhow::Result<Vec<f64>> {
    let mut spoken = Vec::new();
    for worker in &deployment.workers {
        spoken.push(worker.metric("syntheses_total").await?);
    }
    Ok(spoken)
}

/// By how much the part furthest from an even one differs from that, in percent of it; none where there is nothing to part.
fn uneven(parts: &[u64]) -> Option<f64> {
    let all: u64 = parts.iter().sum();
    if all == 0 {
        return None;
    }
    let even = all as f64 / parts.len() as f64;
    let differences = parts.iter().map(|part| (*part as f64 - even).abs() / even);
    Some(100.0 * differences.fold(0.0, f64::max))
}

impl Report for Figures {
    fn rows(&self) -> Vec<(String, String)> {
        let mut rows = vec![(
            "replies".to_owned(),
            format!(
                "{} of {} calls, {} failed, {} spoken by the engine inside",
                self.replies, self.calls, self.failed, self.elsewhere
            ),
        )];
        let workers = self.workers.iter();
        rows.extend(workers.map(|worker| {
            let percent = shown(Some(worker.percent));
            let share = format!("{} replies, {percent} %", worker.replies);
            (worker.name.clone(), share)
        }));
        rows.push(("gap".to_owned(), self.gap_ms.shown("ms")));
        rows
    }

    fn promises(&self) -> Vec<Promise> {
        let uneven = self.uneven_percent;
        vec![
            Promise::at_most("differs from an even part", TOLERANCE_PERCENT, "%", uneven),
            Promise::none("replies failed", self.failed),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unevenness_is_told_in_percent_of_an_even_part() {
        assert_eq!(uneven(&[50, 50]), Some(0.0));
        assert_eq!(uneven(&[55, 45]), Some(10.0));
        assert_eq!(uneven(&[0, 0, 30]), Some(200.0));
        assert_eq!(uneven(&[0, 0]), None);
    }
}
