//! `parlor talk` as people type it: the program in a process of its own, and what it prints, writes and ends with.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use e2e::{TestServer, config, speech};
use media::wav::{self, WavWriter};
use media::{AudioFrame, SAMPLE_RATE_HZ, level};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The program, which cargo puts beside the folder of the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("parlor");
    assert!(
        program.is_file(),
        "{} is not there; build it with cargo build -p parlor",
        program.display()
    );
    program
}

fn parlor(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env_remove("PARLOR_CONFIG")
        .env_remove("PARLOR_API_KEY")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end, with `typed` on its standard input.
async fn run(mut command: Command, typed: &'static str) -> Output {
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // A program that ended already reads nothing.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(path: &Path, frames: &[AudioFrame]) {
    let mut writer = WavWriter::create(path, SAMPLE_RATE_HZ).unwrap();
    for frame in frames {
        writer.write(frame.samples()).unwrap();
    }
    writer.finalize().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_heard_and_answered_aloud() {
    let mut config = config();
    config.stt.script = vec!["repeat after me the sea is wide".into()];
    let server = TestServer::start(config).await;
    let directory = tempfile::tempdir().unwrap();
    let (question, answer) = (
        directory.path().join("in.wav"),
        directory.path().join("out.wav"),
    );
    let said = speech::say("Repeat after me: the sea is wide.").await;
    write(&question, &said);
    let url = format!("ws://{}/ws", server.address);
    let output = run(
        parlor(&[
            "talk",
            "--url",
            &url,
            "--wav",
            question.to_str().unwrap(),
            "--out",
            answer.to_str().unwrap(),
            "--json",
        ]),
        "",
    )
    .await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    server.stop().await;

    let lines = lines(&output);
    let of = |event: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["event"] == event).collect()
    };
    assert_eq!(lines[0]["event"], "session");
    assert!(!lines[0]["session_id"].as_str().unwrap().is_empty());
    let states: Vec<_> = of("state")
        .iter()
        .map(|state| state["state"].as_str().unwrap())
        .collect();
    for state in ["Listening", "Speaking", "WaitingForInput"] {
        assert!(states.contains(&state), "{states:?}");
    }
    let transcript = |role: &str| -> String {
        let found = of("transcript")
            .into_iter()
            .rfind(|line| line["role"] == role && line["is_final"] == true);
        found.unwrap()["text"].as_str().unwrap().to_lowercase()
    };
    assert_eq!(transcript("user"), "repeat after me the sea is wide");
    assert_eq!(transcript("agent"), "the sea is wide.");
    assert!(of("timings")[0]["total_ms"].as_u64().unwrap() > 0);
    assert!(of("error").is_empty(), "{lines:?}");
    let end = lines.last().unwrap();
    assert_eq!(end["event"], "end");
    assert_eq!(
        (&end["reason"], &end["replies"]),
        (&"completed".into(), &1.into()),
        "{end}"
    );

    // The answer stands after the question, as loud as the mock voice is and as long as it spoke.
    let sound = wav::read(&answer).unwrap();
    assert_eq!(sound.sample_rate_hz, SAMPLE_RATE_HZ);
    let frames: Vec<f32> = sound
        .samples
        .chunks(media::FRAME_SAMPLES)
        .map(level::rms)
        .collect();
    let loud = frames.iter().filter(|rms| **rms > 1_000.0).count();
    let heard = usize::try_from(end["audio_ms"].as_u64().unwrap() / 20).unwrap();
    assert!(heard >= 25, "half a second at least: {heard} frames");
    assert!(
        loud + 3 >= heard && loud <= heard,
        "{loud} of {heard} frames sound"
    );
    let loudest = frames.iter().copied().fold(0.0, f32::max);
    assert!((2_500.0..4_500.0).contains(&loudest), "{loudest}");
    let first = frames.iter().position(|rms| *rms > 1_000.0).unwrap();
    assert!(first > said.len(), "the answer comes after the question");
    assert!(frames.len() < said.len() + 1500, "{} frames", frames.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_types_quit_ended_the_call() {
    let server = TestServer::start(config()).await;
    let url = format!("ws://{}/ws", server.address);
    let output = run(parlor(&["talk", "--url", &url, "--json"]), "/quit\n").await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let end = lines(&output).pop().unwrap();
    assert_eq!(
        (&end["reason"], &end["server_reason"]),
        (&"quit".into(), &"completed".into()),
        "{end}"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_exit_code_3_with_its_words() {
    let mut config = config();
    config.server.max_sessions = 1;
    let server = TestServer::start(config).await;
    let mut first = server.call("/ws").await;
    first.until_type("session_start").await;
    let url = format!("ws://{}/ws", server.address);
    let output = run(parlor(&["talk", "--url", &url, "--json"]), "hello\n").await;
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("full"), "{}", stderr(&output));
    let lines = lines(&output);
    assert_eq!(lines[0]["code"], "WORKER_UNAVAILABLE");
    assert_eq!(lines.last().unwrap()["reason"], "refused");
    server.stop().await;
}

/// A server in a process of its own, and where it answers.
fn serve() -> (Child, String) {
    let mut child = parlor(&[
        "serve",
        "--listen",
        "localhost:0",
        "--set",
        "tts.adapters=[mock]",
        "--set",
        "stt.adapter=scripted",
        "--set",
        "webrtc.enabled=false",
        "--set",
        "server.drain_seconds=0",
    ])
    .spawn()
    .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the server ended");
        if let Some((_, rest)) = line.split_once("Open http://") {
            break rest.split(' ').next().unwrap().to_owned();
        }
    };
    // Nobody reads on: its log is short.
    child.stderr = Some(said.into_inner());
    (child, address)
}

/// Begins a call of a minute, waits until it is taken, does something to the server and takes the call's end.
async fn call_and(harm: impl FnOnce(&mut Child) + Send + 'static) -> (Option<i32>, String, Value) {
    tokio::task::spawn_blocking(move || {
        let (mut server, address) = serve();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("minute.wav");
        write(&file, &vec![AudioFrame::silence(); 3_000]);
        let url = format!("ws://{address}/ws");
        let mut call = parlor(&[
            "talk",
            "--url",
            &url,
            "--wav",
            file.to_str().unwrap(),
            "--json",
        ])
        .spawn()
        .unwrap();
        let mut printed = BufReader::new(call.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&printed.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["event"], "session");
        harm(&mut server);
        let last = printed.map(Result::unwrap).last().unwrap();
        let mut said = String::new();
        call.stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        let code = call.wait().unwrap().code();
        let _ = server.kill();
        server.wait().unwrap();
        (code, said, serde_json::from_str(&last).unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_in_mid_call_is_a_failure() {
    let (code, said, end) = call_and(|server| server.kill().unwrap()).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("lost in the middle of the call"), "{said}");
    assert_eq!(end["reason"], "connection-lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_end_in_mid_call_is_a_failure_with_its_reason() {
    let terminate = |server: &mut Child| {
        let told = Command::new("kill").arg(server.id().to_string()).status();
        assert!(told.unwrap().success());
    };
    let (code, said, end) = call_and(terminate).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ended the call"), "{said}");
    assert_eq!(
        (&end["reason"], &end["server_reason"]),
        (&"hung-up".into(), &"hung-up".into())
    );
}
