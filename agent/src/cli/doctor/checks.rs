//! What the doctor looks at besides the engines, each with what to type.

use super::Finding;
use crate::config::{Config, ResponderKind};
use crate::http::page as web_page;
use crate::session::recorder;
use secrecy::ExposeSecret as _;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;
use workers::inventory::Item;

/// How long the chat server may take to say anything at all.
const CHAT_SERVER_PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn model_file(what: &str, path: Option<PathBuf>, fix: &str) -> Finding {
    match path {
        Some(path) => Finding::present(what, path.display().to_string()),
        None => Finding::missing(what, "not there", fix),
    }
}

pub(super) fn http_port(listen: SocketAddr) -> Finding {
    let what = format!("port {}", listen.port());
    match TcpListener::bind(listen) {
        Ok(_) => Finding::present(what, format!("{listen} is free")),
        Err(error) => Finding::missing(
            what,
            format!("{listen}: {error}"),
            "is parlor running already? or choose another with --listen HOST:PORT",
        ),
    }
}

pub(super) fn media_port(config: &Config) -> Finding {
    if !config.webrtc.enabled {
        return Finding::present("WebRTC", "off (webrtc.enabled)");
    }
    let port = match config.webrtc.udp_port {
        0 => config.server.listen.port(),
        port => port,
    };
    let what = format!("UDP port {port}");
    match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)) {
        Ok(_) => Finding::present(what, "free, for WebRTC's sound"),
        Err(error) => Finding::missing(
            what,
            format!("WebRTC's sound: {error}"),
            "is parlor running already? or choose another with --set webrtc.udp_port=PORT",
        ),
    }
}

/// The toolchain that builds a LiveKit server where there is none; nothing else needs it.
pub(super) fn go(path: Option<OsString>) -> Finding {
    let what = "Go";
    let folders: Vec<PathBuf> = path
        .as_ref()
        .map_or_else(Vec::new, |path| std::env::split_paths(path).collect());
    let mut programs = folders.iter().map(|folder| folder.join("go"));
    match programs.find(|program| program.is_file()) {
        Some(program) => Finding::present(what, program.display().to_string()),
        None => Finding::missing(
            what,
            "not on the path: ./just run --livekit cannot start a LiveKit server, and its tests are left out",
            "only if you want those: install Go 1.26 or newer from https://go.dev/dl",
        ),
    }
}

pub(super) fn default_voice(config: &Config, inventory: &[Item]) -> Finding {
    let what = "default voice";
    let inside = config.tts.adapters.iter().map(ToString::to_string);
    let apart = config.local_workers().into_iter();
    let apart = apart.filter(|workers| workers.kind == workers::Kind::Tts);
    let mut voices = apart
        .map(|workers| workers.adapter)
        .chain(inside)
        .flat_map(|name| {
            inventory
                .iter()
                .filter(move |item| item.kind == workers::Kind::Tts && item.name == name)
                .flat_map(|item| &item.voices)
        });
    let asked = &config.tts.default_voice;
    let found = if asked.is_empty() {
        voices.next()
    } else {
        voices.find(|voice| voice.eq_ignore_ascii_case(asked))
    };
    match found {
        Some(voice) => Finding::present(what, voice),
        None if asked.is_empty() => Finding::missing(
            what,
            "none: no engine of tts.adapters is there",
            "apt install libflite1, or --set 'tts.adapters=[\"mock\"]' for a tone",
        )
        .needed(),
        None => Finding::missing(
            what,
            format!("{asked} is no voice of the engines that are there"),
            "choose one of parlor say --list-voices with --set tts.default_voice=VOICE",
        )
        .needed(),
    }
}

pub(super) fn page() -> Finding {
    if web_page::is_built() {
        Finding::present("page", "built in")
    } else {
        Finding::missing(
            "page",
            "not built in: the address shows how to build it",
            "type ./just run, or ./just web and then cargo build -p parlor",
        )
    }
}

pub(super) fn recorder(config: &Config) -> Finding {
    let what = "recorder";
    let directory = &config.recorder.directory;
    if directory.as_os_str().is_empty() {
        return Finding::present(what, "off: calls are not recorded (recorder.directory)");
    }
    let shown = directory.display();
    match recorder::probe(directory) {
        Ok(()) => Finding::present(what, format!("calls are written into {shown}")),
        Err(error) => Finding::missing(
            what,
            format!("cannot write in {shown}: {error}"),
            "make it writable, or choose another with --set recorder.directory=FOLDER",
        )
        .needed(),
    }
}

/// Whether the chat server answers; nothing is asked of its model.
pub(super) async fn responder(config: &Config) -> Finding {
    let settings = &config.responder;
    if settings.kind == ResponderKind::Builtin {
        return Finding::present("responder", "built in");
    }
    let what = "chat server";
    let url = format!("{}/models", settings.base_url.trim_end_matches('/'));
    // Twice is fine: a test may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = async {
        let client = reqwest::Client::builder()
            .timeout(CHAT_SERVER_PATIENCE)
            .build()?;
        let mut request = client.get(&url);
        if let Some(key) = &settings.api_key {
            request = request.bearer_auth(key.expose_secret());
        }
        request.send().await
    };
    match asked.await {
        Ok(answer) if matches!(answer.status().as_u16(), 401 | 403) => Finding::missing(
            what,
            format!("{url} answers {}", answer.status()),
            "its key is wrong: set OPENAI_API_KEY or responder.api_key",
        )
        .needed(),
        // A server need not list its models; that it answers is what matters.
        Ok(_) => Finding::present(what, format!("{} answers", settings.base_url)),
        Err(error) => Finding::missing(
            what,
            format!(
                "{} does not answer: {}",
                settings.base_url,
                innermost(&error)
            ),
            "start it, or set responder.base_url to where it is",
        )
        .needed(),
    }
}

/// The system's own words, without the address that would be said twice.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_taken_media_port_is_found() {
        let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let mut config = Config::default();
        config.webrtc.udp_port = taken.local_addr().unwrap().port();
        let finding = media_port(&config);
        assert_eq!(finding.status, Status::Missing);
        assert!(finding.fix.unwrap().contains("webrtc.udp_port"));
        drop(taken);
        assert_eq!(media_port(&config).status, Status::Present);
    }

    #[test]
    fn a_voice_that_there_is_not_is_needed() {
        let inventory = workers::inventory(&workers::Places::default());
        let mut config = Config::default();
        config.tts.default_voice = "mock:440hz".into();
        assert_eq!(default_voice(&config, &inventory).status, Status::Present);
        config.tts.default_voice = "mock:nobody".into();
        assert_eq!(default_voice(&config, &inventory).status, Status::Needed);
        config.tts.default_voice = String::new();
        assert_eq!(default_voice(&config, &inventory).status, Status::Present);
    }

    #[test]
    fn go_is_found_on_the_path_and_only_missed_where_it_is_not() {
        let empty = tempfile::tempdir().unwrap();
        let finding = go(Some(empty.path().into()));
        assert_eq!(finding.status, Status::Missing);
        assert!(finding.fix.unwrap().contains("go.dev"));
        assert_eq!(go(None).status, Status::Missing);
        std::fs::write(empty.path().join("go"), "").unwrap();
        assert_eq!(go(Some(empty.path().into())).status, Status::Present);
    }

    #[tokio::test]
    async fn a_chat_server_that_is_not_there_is_needed() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::default();
        assert_eq!(responder(&config).await.status, Status::Present);
        config.responder.kind = ResponderKind::OpenAi;
        config.responder.base_url = format!("http://{}/v1", free.local_addr().unwrap());
        drop(free);
        let finding = responder(&config).await;
        assert_eq!(finding.status, Status::Needed);
        assert!(finding.fix.unwrap().contains("responder.base_url"));
    }
}
