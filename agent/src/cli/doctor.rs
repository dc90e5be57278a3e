//! `parlor doctor`.

mod checks;
mod livekit;
mod processes;

use super::{Failure, Global, out};
use crate::server::engines;
use clap::Args;
use out::Colour;
use serde::Serialize;

/// Says what is there, what is missing, and what to type.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Present,
    /// Something else does its work less well, or nothing needs it.
    Missing,
    /// Calls cannot work without it.
    Needed,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    status: Status,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Doctor {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        let loaded = global.load_with_sources(Vec::new())?;
        let config = &loaded.config;
        let file = loaded
            .file
            .as_ref()
            .map_or("the defaults; no file".into(), |file| {
                file.display().to_string()
            });
        let mut findings = vec![Finding::present("configuration", file)];
        let inventory = workers::inventory(&config.workers().places());
        let default_voice = checks::default_voice(config, &inventory);
        findings.extend(inventory.into_iter().map(|item| {
            let fix = (!item.present).then(|| item.fix.clone());
            let status = if item.present {
                Status::Present
            } else {
                Status::Missing
            };
            Finding {
                what: format!("{} {}", item.kind, item.name),
                status,
                found: item.note,
                fix,
            }
        }));
        let speaks = findings.iter().any(|f| {
            f.what.starts_with("tts ") && !f.what.ends_with("mock") && f.status == Status::Present
        });
        let hears = findings.iter().any(|f| {
            f.what.starts_with("stt ")
                && !f.what.ends_with("scripted")
                && f.status == Status::Present
        });
        for finding in &mut findings {
            let lacking = (finding.what.starts_with("tts ") && !speaks)
                || (finding.what.starts_with("stt ") && !hears);
            if lacking && finding.status == Status::Missing {
                finding.status = Status::Needed;
            }
        }
        findings.push(default_voice);
        findings.extend(processes::processes(config));
        findings.push(checks::model_file(
            "Silero voice detector",
            engines::find_model("silero-vad/silero_vad.onnx"),
            "webrtc-vad is used instead; type ./just setup",
        ));
        findings.push(checks::model_file(
            "ONNX Runtime",
            engines::onnx_runtime(),
            "only a Silero file of another version than 5 and 6 needs it; to have it, type ./just setup",
        ));
        let vad = engines::open_vad(config);
        findings.push(Finding::present(
            "voice detection",
            vad.note.map_or_else(
                || vad.name.to_owned(),
                |note| format!("{} ({note})", vad.name),
            ),
        ));
        findings.push(checks::http_port(config.server.listen));
        findings.push(checks::media_port(config));
        findings.push(checks::page());
        findings.push(checks::recorder(config));
        findings.push(checks::responder(config).await);
        findings.push(livekit::livekit(config).await);
        findings.push(checks::go(std::env::var_os("PATH")));
        let lacking = findings
            .iter()
            .filter(|finding| finding.status == Status::Needed)
            .count();
        if self.json {
            out::json(&findings)?;
        } else {
            for finding in &findings {
                out::line(&line(finding))?;
            }
        }
        match lacking {
            0 => Ok(()),
            n => Err(Failure::CheckFailed(format!(
                "{n} things that calls need are missing"
            ))),
        }
    }
}

impl Finding {
    fn present(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            status: Status::Present,
            found: found.into(),
            fix: None,
        }
    }

    fn missing(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            status: Status::Missing,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }

    /// Calls cannot work as they are asked for without it.
    fn needed(self) -> Self {
        Self {
            status: Status::Needed,
            ..self
        }
    }
}

fn line(finding: &Finding) -> String {
    let (mark, colour) = match finding.status {
        Status::Present => ("ok     ", Colour::Green),
        Status::Missing => ("missing", Colour::Yellow),
        Status::Needed => ("NEEDED ", Colour::Red),
    };
    let mark = out::coloured(mark, colour);
    let fix = finding
        .fix
        .as_ref()
        .map_or_else(String::new, |fix| format!("\n           {fix}"));
    format!("{mark}  {:<24} {}{fix}", finding.what, finding.found)
}
