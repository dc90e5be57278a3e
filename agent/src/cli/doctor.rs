//! `parlor doctor`.

use super::{Failure, Global, out};
use crate::server::engines;
use clap::Args;
use serde::Serialize;
use std::net::TcpListener;

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
        let mut findings = vec![Finding {
            what: "configuration".into(),
            status: Status::Present,
            found: loaded
                .file
                .as_ref()
                .map_or("the defaults; no file".into(), |file| {
                    file.display().to_string()
                }),
            fix: None,
        }];
        findings.extend(workers::inventory().into_iter().map(|item| {
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
        findings.push(file(
            "ONNX Runtime",
            engines::onnx_runtime(),
            "webrtc-vad is used instead; type ./just setup",
        ));
        findings.push(file(
            "Silero voice detector",
            engines::find_model("silero-vad/silero_vad.onnx"),
            "webrtc-vad is used instead; type ./just setup",
        ));
        let vad = engines::open_vad(config);
        findings.push(Finding {
            what: "voice detection".into(),
            status: Status::Present,
            found: vad.note.map_or_else(
                || vad.name.to_owned(),
                |note| format!("{} ({note})", vad.name),
            ),
            fix: None,
        });
        findings.push(port(config.server.listen));
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

fn line(finding: &Finding) -> String {
    let mark = match finding.status {
        Status::Present => "ok     ",
        Status::Missing => "missing",
        Status::Needed => "NEEDED ",
    };
    let fix = finding
        .fix
        .as_ref()
        .map_or_else(String::new, |fix| format!("\n           {fix}"));
    format!("{mark}  {:<24} {}{fix}", finding.what, finding.found)
}

fn file(what: &str, path: Option<std::path::PathBuf>, fix: &str) -> Finding {
    match path {
        Some(path) => Finding {
            what: what.into(),
            status: Status::Present,
            found: path.display().to_string(),
            fix: None,
        },
        None => Finding {
            what: what.into(),
            status: Status::Missing,
            found: "not there".into(),
            fix: Some(fix.into()),
        },
    }
}

fn port(listen: std::net::SocketAddr) -> Finding {
    let what = format!("port {}", listen.port());
    match TcpListener::bind(listen) {
        Ok(_) => Finding {
            what,
            status: Status::Present,
            found: format!("{listen} is free"),
            fix: None,
        },
        Err(error) => Finding {
            what,
            status: Status::Missing,
            found: format!("{listen}: {error}"),
            fix: Some(
                "is parlor running already? or choose another with --listen HOST:PORT".into(),
            ),
        },
    }
}
