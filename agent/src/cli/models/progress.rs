//! How a fetch is shown: a bar on a terminal, a line for every tenth elsewhere.

use super::shown::bytes;
use crate::cli::{Global, out};
use crate::models::{Event, Watch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::path::Path;

/// What the bar shows.
const BAR: &str = "{msg} {wide_bar} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";

/// Shows a fetch on standard error.
pub(super) enum Progress {
    /// Shows nothing.
    Quiet,
    /// Draws on a terminal.
    Bar(ProgressBar),
    /// Writes lines.
    Lines(Tenths),
}

/// Which tenths of a file were told.
#[derive(Debug, Default)]
pub(super) struct Tenths {
    name: String,
    size: u64,
    told: u64,
}

impl Progress {
    pub(super) fn new(global: &Global) -> Self {
        if global.quiet {
            Self::Quiet
        } else if std::io::stderr().is_terminal() {
            let target = ProgressDrawTarget::stderr();
            let bar = ProgressBar::with_draw_target(Some(0), target);
            // A pattern that could not be read would leave the bar as it is.
            if let Ok(style) = ProgressStyle::with_template(BAR) {
                bar.set_style(style);
            }
            Self::Bar(bar)
        } else {
            Self::Lines(Tenths::default())
        }
    }

    fn remark(&self, text: &str) {
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => bar.suspend(|| out::note(text)),
            Self::Lines(_) => out::note(text),
        }
    }
}

impl Watch for Progress {
    fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Kept { path } => self.remark(&format!("{} is there and right.", path.display())),
            Event::Waits { path } => self.remark(&format!(
                "{} is being fetched by another parlor; waiting for it.",
                path.display()
            )),
            Event::Begins { path, size, has } => {
                if *has > 0 {
                    let (has, size) = (bytes(*has), bytes(*size));
                    self.remark(&format!(
                        "{}: going on after {has} of {size}.",
                        path.display()
                    ));
                }
                self.begin(path, *size, *has);
            }
            Event::Has { bytes } => self.has(*bytes),
            Event::Again { reason, pause } => {
                let pause = pause.as_secs_f64();
                self.remark(&format!("{reason}; trying again in {pause:.1} s."));
            }
            Event::Done { path } => {
                if let Self::Bar(bar) = self {
                    bar.finish_and_clear();
                }
                self.remark(&format!("{} is whole and right.", path.display()));
            }
        }
    }
}

impl Progress {
    fn begin(&mut self, path: &Path, size: u64, has: u64) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => {
                bar.reset();
                bar.set_length(size);
                bar.set_position(has);
                // The speed is that of this fetch.
                bar.reset_eta();
                bar.set_message(name.into_owned());
            }
            Self::Lines(tenths) => {
                *tenths = Tenths {
                    name: name.into_owned(),
                    size,
                    told: tenth(has, size),
                };
            }
        }
    }

    fn has(&mut self, has: u64) {
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => bar.set_position(has),
            Self::Lines(tenths) => {
                let now = tenth(has, tenths.size);
                // Fewer than before: it began anew.
                if now != tenths.told {
                    tenths.told = now;
                    let (name, size) = (&tenths.name, bytes(tenths.size));
                    out::note(&format!("{name}: {} % of {size}", now * 10));
                }
            }
        }
    }
}

fn tenth(has: u64, size: u64) -> u64 {
    let tenth = u128::from(has) * 10 / u128::from(size.max(1));
    u64::try_from(tenth).unwrap_or(10)
}
