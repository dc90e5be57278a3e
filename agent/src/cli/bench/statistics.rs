//! Percentiles of what was measured, and how they are printed.

use serde::{Serialize, Serializer};

/// Figures of one kind, all in the same unit, to be asked for percentiles.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    sorted: Vec<f64>,
}

impl Sample {
    /// All figures that were measured, in any order. What is not a number is left out.
    pub fn new(mut figures: Vec<f64>) -> Self {
        figures.retain(|figure| figure.is_finite());
        figures.sort_unstable_by(f64::total_cmp);
        Self { sorted: figures }
    }

    /// The smallest figure that is not exceeded by `percent` of all (nearest rank); none without figures.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let rank = (percent / 100.0 * self.sorted.len() as f64).ceil() as usize;
        self.sorted
            .get(rank.max(1) - 1)
            .or(self.sorted.last())
            .copied()
    }

    /// The arithmetic mean; none without figures.
    pub fn mean(&self) -> Option<f64> {
        (!self.sorted.is_empty())
            .then(|| self.sorted.iter().sum::<f64>() / self.sorted.len() as f64)
    }

    /// How many figures there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The median and the 95th percentile.
    pub fn two(&self) -> TwoPercentiles {
        TwoPercentiles {
            p50: self.percentile(50.0).map(Figure),
            p95: self.percentile(95.0).map(Figure),
        }
    }

    /// The median, the 95th and the 99th percentile.
    pub fn three(&self) -> ThreePercentiles {
        let TwoPercentiles { p50, p95 } = self.two();
        ThreePercentiles {
            p50,
            p95,
            p99: self.percentile(99.0).map(Figure),
        }
    }
}

/// A figure as it is printed: with three decimals, since clocks and machines are noisier than that.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Figure(pub f64);

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0 * 1000.0).round() / 1000.0)
    }
}

/// The median and the 95th percentile; none where nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TwoPercentiles {
    /// The median.
    pub p50: Option<Figure>,
    /// What 95 of 100 do not exceed.
    pub p95: Option<Figure>,
}

/// The median, the 95th and the 99th percentile; none where nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ThreePercentiles {
    /// The median.
    pub p50: Option<Figure>,
    /// What 95 of 100 do not exceed.
    pub p95: Option<Figure>,
    /// What 99 of 100 do not exceed.
    pub p99: Option<Figure>,
}

/// A figure for people: one decimal where it is small, a dash where nothing was measured.
pub fn shown(figure: Option<Figure>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(Figure(figure)) if figure.abs() < 100.0 => format!("{figure:.1}"),
        Some(Figure(figure)) => format!("{figure:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_figure_that_was_measured() {
        let sample = Sample::new((1..=100).rev().map(f64::from).collect());
        assert_eq!(sample.percentile(50.0), Some(50.0));
        assert_eq!(sample.percentile(95.0), Some(95.0));
        assert_eq!(sample.percentile(99.0), Some(99.0));
        assert_eq!(sample.percentile(100.0), Some(100.0));
        assert_eq!(sample.percentile(0.0), Some(1.0));
        assert_eq!(sample.mean(), Some(50.5));
    }

    #[test]
    fn few_figures_have_percentiles_and_none_have_none() {
        let one = Sample::new(vec![7.0]);
        assert_eq!(
            [50.0, 95.0, 99.0].map(|percent| one.percentile(percent)),
            [Some(7.0); 3]
        );
        let two = Sample::new(vec![9.0, 1.0]);
        assert_eq!(
            (two.percentile(50.0), two.percentile(95.0)),
            (Some(1.0), Some(9.0))
        );
        let none = Sample::new(vec![f64::NAN]);
        assert_eq!(
            (none.percentile(50.0), none.mean(), none.len()),
            (None, None, 0)
        );
    }

    #[test]
    fn what_was_not_measured_is_null() {
        let json = serde_json::to_string(&Sample::default().two()).unwrap();
        assert_eq!(json, r#"{"p50":null,"p95":null}"#);
        let json = serde_json::to_string(&Sample::new(vec![1.23456]).two()).unwrap();
        assert_eq!(json, r#"{"p50":1.235,"p95":1.235}"#);
    }
}
