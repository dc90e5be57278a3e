//! Calls in LiveKit rooms whose other end is not ours: the official Python packages, through the real server.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use e2e::livekit::{LiveKitOptions, LiveKitServer};
use e2e::lossy::{Impairment, Lossy};
use e2e::peers::Peers;
use e2e::{TestServer, config, speech};
use media::SAMPLE_RATE_HZ;
use media::link::livekit::LEVELS;
use media::link::livekit::token::{self, Grant};
use media::wav::WavWriter;
use parlor::config::Config;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// A fraction of this on an idle machine; without an interruption the story would go on for a minute.
const INTERRUPTED_WITHIN_MS: u64 = 5000;

/// A LiveKit server, parlor beside it, and peers; recordings for them.
struct House {
    livekit: LiveKitServer,
    peers: Peers,
    recordings: TempDir,
}

impl House {
    async fn open(options: LiveKitOptions) -> Option<Self> {
        let peers = Peers::find()?;
        Some(Self {
            livekit: LiveKitServer::start(options).await?,
            peers,
            recordings: tempfile::tempdir().unwrap(),
        })
    }

    /// The settings of a parlor that hears these turns, one after the other.
    fn config(&self, turns: &[&str]) -> Config {
        let mut config = config();
        self.livekit.configure(&mut config);
        config.stt.script = turns.iter().map(|turn| (*turn).into()).collect();
        config
    }

    /// For somebody who wants to know how loud they arrive.
    fn token(&self, room: &str) -> SecretString {
        let grant = Grant {
            room: room.into(),
            identity: "ada".into(),
            ttl: Duration::from_secs(3600),
            attributes: [(LEVELS.to_owned(), "true".to_owned())].into(),
            ..Grant::default()
        };
        token::caller(&self.livekit.keys, &grant).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.recordings.path().join(name)
    }

    /// A recording of somebody who says `text`.
    async fn recording(&self, text: &str) -> String {
        let path = self.file(&format!("{}.wav", text.replace(' ', "-")));
        let mut writer = WavWriter::create(&path, SAMPLE_RATE_HZ).unwrap();
        for frame in speech::say(text).await {
            writer.write(frame.samples()).unwrap();
        }
        writer.finalize().unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A call of somebody with the official SDK; what it reports.
    async fn call(&self, room: &str, arguments: &[&str]) -> Value {
        let (url, token) = (self.livekit.url(), self.token(room));
        let mut all = vec!["--url", &url, "--token", token.expose_secret()];
        all.extend(["--seconds", "120"]);
        all.extend(arguments);
        let report = self.peers.run("caller.py", all).await;
        assert_eq!(report["timed_out"], false, "{report}");
        report
    }

    /// What LiveKit's own package for its API answers.
    async fn api(&self, room: &str, arguments: &[&str]) -> Value {
        let (url, keys) = (self.livekit.url(), &self.livekit.keys);
        let mut all = vec!["--url", &url, "--key", &keys.api_key, "--room", room];
        all.extend(["--secret", keys.api_secret.expose_secret()]);
        all.extend(arguments);
        self.peers.run("api.py", all).await
    }
}

fn list<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report[name].as_array().unwrap()
}

/// Whether the agent was in these states, in this order; others may lie between.
fn was(report: &Value, states: &[&str]) -> bool {
    let mut seen = list(report, "states").iter().map(|state| &state["state"]);
    states.iter().all(|state| seen.any(|was| was == state))
}

/// The last words of a segment that will not change any more, if they fit.
fn final_words(report: &Value, fit: impl Fn(&str) -> bool) -> Option<&Value> {
    list(report, "transcriptions")
        .iter()
        .filter(|told| told["final"] == "true")
        .find(|told| told["text"].as_str().is_some_and(&fit))
}

fn said(report: &Value, what: &str) -> Value {
    let mut all = list(report, "said").iter();
    all.find(|said| said["what"] == what).unwrap().clone()
}

/// From when somebody spoke into an answer until its sound ended.
fn reaction_ms(report: &Value) -> u64 {
    let stopped = said(report, "interruption")["began_ms"].as_u64().unwrap();
    let mut sounds = list(&report["audio"], "speaking_ms").iter();
    let cut = sounds.find(|sound| {
        sound[0].as_u64().unwrap() <= stopped && sound[1].as_u64().unwrap() >= stopped
    });
    let cut = cut.unwrap_or_else(|| panic!("nothing was interrupted: {report}"));
    cut[1].as_u64().unwrap() - stopped
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_with_the_official_sdk_asks_interrupts_and_types() {
    let Some(house) = House::open(LiveKitOptions::default()).await else {
        return;
    };
    let parlor = TestServer::start(house.config(&["tell me a long story", "stop"])).await;
    let (story, stop) = (
        house.recording("tell me a long story").await,
        house.recording("stop").await,
    );
    let report = house
        .call(
            "kitchen",
            &[
                ["--wav", &story],
                ["--interrupt-wav", &stop],
                ["--chat", "what time is it"],
            ]
            .concat(),
        )
        .await;
    assert_eq!(report["errors"], serde_json::json!([]), "{report}");

    // Who came is an agent, and speaks into a microphone.
    assert_eq!(report["agent"]["kind"], "agent");
    assert_eq!(report["track"]["source"], "SOURCE_MICROPHONE");
    let one_turn = ["thinking", "speaking", "listening"];
    let states = ["listening"].into_iter().chain([one_turn; 3].concat());
    assert!(was(&report, &states.collect::<Vec<_>>()), "{report}");

    // The story was told until it was interrupted.
    let reaction_ms = reaction_ms(&report);
    assert!(reaction_ms < INTERRUPTED_WITHIN_MS, "{reaction_ms} ms");
    assert_eq!(report["audio"]["clicks"], 0);
    let loudness = report["audio"]["loud_dbfs"].as_f64().unwrap();
    assert!((-40.0..-6.0).contains(&loudness), "{loudness} dBFS");

    // Everything is told in words: what was said, and of what was answered what was heard.
    for words in ["tell me a long story", "stop"] {
        let told = final_words(&report, |text| text == words);
        let told = told.unwrap_or_else(|| panic!("{words}: {report}"));
        assert_eq!(told["from"], "ada");
        assert!(told["segment"].is_string() && told["track"].is_string());
    }
    let told = final_words(&report, |text| text.starts_with("Once upon")).unwrap();
    assert!(!told["text"].as_str().unwrap().contains("end of the story"));
    assert_eq!(told["track"], report["track"]["sid"]);
    assert!(
        told["pieces"].as_array().unwrap().len() > 1,
        "the words come with the sound"
    );
    assert!(final_words(&report, |text| text.contains("I stopped")).is_some());
    assert!(
        final_words(&report, |text| text.starts_with("It is ")).is_some(),
        "what was typed is answered"
    );
    let legacy = list(&report, "legacy_transcriptions");
    assert!(
        legacy
            .iter()
            .any(|it| it["final"] == true && it["text"] == "tell me a long story"),
        "{legacy:?}"
    );
    let timings = list(&report, "data")
        .iter()
        .find(|it| it["topic"] == "parlor.timings");
    let timings: Value = serde_json::from_str(timings.unwrap()["text"].as_str().unwrap()).unwrap();
    assert!(timings["total_ms"].is_number(), "{timings}");

    // While somebody is loud they are told how loud they arrive, on the channel that may lose some.
    let told = list(&report, "data")
        .iter()
        .filter(|it| it["topic"] == "parlor.level");
    let levels: Vec<f64> = told
        .map(|it| {
            assert_eq!(it["lossy"], true, "{it}");
            let level: Value = serde_json::from_str(it["text"].as_str().unwrap()).unwrap();
            level["dbfs"].as_f64().unwrap()
        })
        .collect();
    assert!(levels.len() >= 5, "{levels:?}");
    assert!(
        levels.iter().any(|level| (-40.0..-3.0).contains(level)),
        "{levels:?}"
    );
    parlor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_microphone_is_heard_and_what_was_said_before_the_agent_came() {
    let Some(house) = House::open(LiveKitOptions::default()).await else {
        return;
    };
    let parlor = TestServer::start(house.config(&["what can you do"])).await;
    let question = house.recording("what can you do").await;
    let (narrow, stereo, early) = (
        ["--wav", &question, "--rate", "8000"],
        ["--wav", &question, "--stereo"],
        ["--preconnect", &question, "--rate", "16000"],
    );
    let reports = tokio::join!(
        house.call("narrow", &narrow),
        house.call("stereo", &stereo),
        house.call("early", &early),
    );
    for report in [reports.0, reports.1, reports.2] {
        assert!(
            final_words(&report, |text| text == "what can you do").is_some(),
            "{report}"
        );
        assert!(was(&report, &["thinking", "speaking", "listening"]));
        assert!(report["audio"]["loud_frames"].as_u64().unwrap() > 50);
    }
    parlor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_and_an_endless_message_keep_nobody_from_being_answered() {
    let Some(house) = House::open(LiveKitOptions::default()).await else {
        return;
    };
    let parlor = TestServer::start(house.config(&["what can you do"])).await;
    let question = house.recording("what can you do").await;
    let report = house
        .call(
            "kitchen",
            &[
                ["--flood", "3000"],
                ["--chat-bytes", "10000000"],
                ["--wav", &question],
            ]
            .concat(),
        )
        .await;
    let told = final_words(&report, |text| text.starts_with("I can tell you"));
    assert!(told.is_some(), "{report}");
    parlor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn livekits_own_api_asks_the_agent_in_lists_it_and_takes_it_out() {
    let Some(house) = House::open(LiveKitOptions::default()).await else {
        return;
    };
    let mut config = house.config(&[]);
    config.livekit.agent_name = "cook".into();
    let parlor = TestServer::start(config).await;
    let dispatch = ["dispatch", "--agent-name", "cook", "--metadata", "{}"];
    let dispatched = house.api("kitchen", &dispatch).await;
    assert_eq!(dispatched["agent_name"], "cook");

    let is_agent = |person: &Value| person["kind"] == "AGENT" && person["state"] == "ACTIVE";
    let fit = |people: &[Value]| people.iter().any(is_agent);
    house.livekit.until_participants("kitchen", fit).await;
    let listed = house.api("kitchen", &["participants"]).await;
    let agent = &listed["participants"][0];
    assert!(is_agent(agent), "{listed}");
    assert_eq!(agent["attributes"]["lk.agent.name"], "cook");

    let identity = agent["identity"].as_str().unwrap();
    let remove = ["remove", "--identity", identity];
    assert_eq!(house.api("kitchen", &remove).await, serde_json::json!({}));
    let fit = |people: &[Value]| !people.iter().any(is_agent);
    house.livekit.until_participants("kitchen", fit).await;
    parlor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_fifth_of_all_packets_lost_the_agent_is_understood_and_still_stops() {
    let options = LiveKitOptions {
        ice_lite: true,
        ..LiveKitOptions::default()
    };
    let Some(house) = House::open(options).await else {
        return;
    };
    let words = "tell me a long story about the sea and the old man";
    let turns = [
        &format!("repeat after me {words}"),
        "tell me a long story",
        "stop",
    ];
    let lossy = Lossy::livekit(&house.livekit, Impairment::default()).await;
    let mut config = house.config(&turns);
    config.livekit.url = lossy.url();
    config.livekit.agent_name = "cook".into();
    config.tts.adapters = vec![workers::TtsEngine::Flite];
    let parlor = TestServer::start(config).await;
    let mut recordings = Vec::new();
    for turn in turns {
        recordings.push(house.recording(turn).await);
    }
    house.livekit.create_dispatch("kitchen", "cook", "").await;
    let fit = |people: &[Value]| people.iter().any(|person| person["state"] == "ACTIVE");
    house.livekit.until_participants("kitchen", fit).await;
    lossy.set(Impairment {
        loss: 0.2,
        jitter: Duration::from_millis(20),
        reorder: 0.02,
        seed: 4,
        ..Impairment::default()
    });
    let before = lossy.carried();
    let answer = house.file("answer.wav");
    let report = house
        .call(
            "kitchen",
            &[
                ["--wav", &recordings[0]],
                ["--wav", &recordings[1]],
                ["--interrupt-wav", &recordings[2]],
                ["--interrupt-after", "2"],
                ["--save", answer.to_str().unwrap()],
            ]
            .concat(),
        )
        .await;
    let one_turn = ["thinking", "speaking", "listening"];
    assert!(was(&report, &[one_turn; 3].concat()), "{report}");
    let carried = lossy.carried();
    for (now, then) in [(carried.up, before.up), (carried.down, before.down)] {
        let (lost, received) = (now.lost - then.lost, now.received - then.received);
        assert!(lost * 10 > received, "{carried:?}");
    }

    let reaction_ms = reaction_ms(&report);
    assert!(reaction_ms < INTERRUPTED_WITHIN_MS, "{reaction_ms} ms");

    // Without loss every word is understood.
    let heard = transcribe(&answer).await;
    let mut rest = heard.split_whitespace();
    let understood = words
        .split(' ')
        .filter(|word| {
            let mut ahead = rest.clone();
            let found = ahead.any(|heard| heard == *word);
            if found {
                rest = ahead;
            }
            found
        })
        .count();
    assert!(understood >= 9, "{understood} of 12 words: {heard}");
    parlor.stop().await;
}

/// What PocketSphinx understands.
async fn transcribe(recording: &Path) -> String {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("parlor");
    let output = Command::new(program)
        .arg("transcribe")
        .arg(recording)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().to_lowercase()
}
