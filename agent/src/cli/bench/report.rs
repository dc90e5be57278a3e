//! How a bench of workers tells what it measured: lines for people or one of JSON, and which promises were kept.

use super::statistics::{Figure, Sample, shown};
use crate::cli::{Failure, interrupted, out};
use clap::Args;
use serde::Serialize;

/// How the figures are told.
#[derive(Debug, Clone, Args)]
pub struct Shown {
    /// Prints the figures as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// Exits with 4 if a promise was not kept.
    #[arg(long)]
    check: bool,
}

/// Something that shall hold, and what was measured of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Promise {
    /// What is promised.
    pub what: String,
    /// What it must be, with its unit.
    pub must: String,
    /// What it was.
    pub is: String,
    /// Whether it was kept.
    pub holds: bool,
}

impl Promise {
    /// A figure that must not exceed a limit; one that was not measured is no promise kept.
    pub fn at_most(what: &str, limit: f64, unit: &str, is: Option<Figure>) -> Self {
        Self {
            what: what.to_owned(),
            must: format!("at most {limit} {unit}"),
            is: shown(is),
            holds: is.is_some_and(|Figure(is)| is <= limit),
        }
    }

    /// So many of so many; of none at all nothing is known.
    pub fn all(what: &str, is: u64, of: u64) -> Self {
        Self {
            what: what.to_owned(),
            must: format!("all of {of}"),
            is: is.to_string(),
            holds: of > 0 && is == of,
        }
    }

    /// Something that must not happen.
    pub fn none(what: &str, is: u64) -> Self {
        Self {
            what: what.to_owned(),
            must: "none".to_owned(),
            is: is.to_string(),
            holds: is == 0,
        }
    }
}

/// The median, the 95th percentile and the largest of what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// How many figures there are.
    pub count: usize,
    /// The median.
    pub p50: Option<Figure>,
    /// What 95 of 100 do not exceed.
    pub p95: Option<Figure>,
    /// The largest.
    pub max: Option<Figure>,
}

impl Spread {
    /// That of these figures.
    pub fn of(figures: Vec<f64>) -> Self {
        let sample = Sample::new(figures);
        let percentile = |percent| sample.percentile(percent).map(Figure);
        Self {
            count: sample.len(),
            p50: percentile(50.0),
            p95: percentile(95.0),
            max: percentile(100.0),
        }
    }

    /// For people.
    pub fn shown(&self, unit: &str) -> String {
        let Self {
            count,
            p50,
            p95,
            max,
        } = self;
        let [p50, p95, max] = [p50, p95, max].map(|figure| shown(*figure));
        format!("p50 {p50}, p95 {p95}, most {max} {unit} ({count})")
    }
}

/// What a bench measured.
pub trait Report: Serialize {
    /// What people are shown: a name and a figure a line.
    fn rows(&self) -> Vec<(String, String)>;

    /// What must hold.
    fn promises(&self) -> Vec<Promise>;
}

#[derive(Serialize)]
struct Told<'a, R> {
    bench: &'a str,
    #[serde(flatten)]
    report: &'a R,
    promises: &'a [Promise],
}

/// Tells a report as it was asked for; `bench` is the command that made it.
///
/// # Errors
/// When nobody reads any more, and where it was asked for when a promise was not kept.
pub fn tell<R: Report>(bench: &str, report: &R, shown: &Shown) -> Result<(), Failure> {
    let promises = report.promises();
    if shown.json {
        out::json(&Told {
            bench,
            report,
            promises: &promises,
        })?;
    } else {
        let rows = report.rows();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or_default();
        for (name, figure) in rows {
            out::line(&format!("{name:width$}  {figure}"))?;
        }
        for promise in &promises {
            let kept = match promise.holds {
                true => out::coloured("kept", out::Colour::Green),
                false => out::coloured("broken", out::Colour::Red),
            };
            let Promise { what, must, is, .. } = promise;
            out::line(&format!("{kept}: {what}: {is}, must be: {must}"))?;
        }
    }
    let broken: Vec<&str> = promises
        .iter()
        .filter(|promise| !promise.holds)
        .map(|promise| promise.what.as_str())
        .collect();
    if shown.check && !broken.is_empty() {
        return Err(Failure::CheckFailed(format!(
            "not as promised: {}",
            broken.join("; ")
        )));
    }
    Ok(())
}

/// Does the work, unless the program is told to end first: then the work is dropped, and its processes with it.
///
/// # Errors
/// Those of the work, or that it was interrupted.
pub async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        () = interrupted() => Err(Failure::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_no_promise_kept() {
        assert!(!Promise::at_most("gap", 300.0, "ms", None).holds);
        assert!(Promise::at_most("gap", 300.0, "ms", Some(Figure(300.0))).holds);
        assert!(!Promise::at_most("gap", 300.0, "ms", Some(Figure(300.1))).holds);
        assert!(!Promise::all("calls", 0, 0).holds);
        assert!(Promise::all("calls", 7, 7).holds);
        assert!(!Promise::none("drops", 1).holds);
    }

    #[test]
    fn the_largest_is_told_beside_the_percentiles() {
        let spread = Spread::of((1..=200).map(f64::from).collect());
        assert_eq!(spread.shown("ms"), "p50 100, p95 190, most 200 ms (200)");
        assert_eq!(
            Spread::of(Vec::new()).shown("ms"),
            "p50 -, p95 -, most - ms (0)"
        );
    }

    #[test]
    fn json_holds_figures_and_promises_side_by_side() {
        #[derive(Serialize)]
        struct Figures {
            calls: u32,
        }
        let told = Told {
            bench: "balance",
            report: &Figures { calls: 3 },
            promises: &[Promise::none("drops", 0)],
        };
        assert_eq!(
            serde_json::to_value(&told).unwrap(),
            serde_json::json!({
                "bench": "balance",
                "calls": 3,
                "promises": [{"what": "drops", "must": "none", "is": "0", "holds": true}],
            })
        );
    }
}
