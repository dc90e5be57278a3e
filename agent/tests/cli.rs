//! The program as people type it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::net::TcpListener;
use std::process::{Command, Output};

fn parlor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parlor"))
        .args(arguments)
        .env_remove("PARLOR_CONFIG")
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn unknown_settings_are_all_named_and_the_exit_code_is_2() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.toml");
    std::fs::write(
        &file,
        "[server]\nlissten = 1\n[vad]\nthreshold = 7\ntypo = true\n",
    )
    .unwrap();
    let output = parlor(&["--config", file.to_str().unwrap(), "config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("listen") && said.contains("typo"), "{said}");
    assert_eq!(
        parlor(&["serve", "--set", "turn.mode=sing"]).status.code(),
        Some(2)
    );
    assert_eq!(parlor(&["sing"]).status.code(), Some(2));
}

#[test]
fn a_port_in_use_is_said_and_the_exit_code_is_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = parlor(&["serve", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--listen"), "{}", stderr(&output));
}

#[test]
fn nobody_there_is_exit_code_3() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = parlor(&[
        "talk",
        "--url",
        &format!("ws://{free}/ws"),
        "--mode",
        "duplex",
    ]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
}

#[test]
fn an_unknown_voice_is_said_with_what_there_is() {
    let output = parlor(&["say", "hello", "--voice", "mock:nobody", "-o", "/dev/null"]);
    assert_ne!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("voice"), "{}", stderr(&output));
}

#[test]
fn a_file_that_is_no_sound_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("lies.wav");
    std::fs::write(&file, b"RIFF\xff\xff\xff\xffWAVEfmt ").unwrap();
    let output = parlor(&["talk", "--wav", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("lies.wav"), "{}", stderr(&output));
}

#[test]
fn replay_says_where_a_call_went_differently_with_exit_code_4() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good.call");
    std::fs::write(&good, "call 1\n0 < connected\n0 > state WaitingForInput\n").unwrap();
    assert_eq!(
        parlor(&["replay", good.to_str().unwrap()]).status.code(),
        Some(0)
    );
    let bad = directory.path().join("bad.call");
    std::fs::write(&bad, "call 1\n0 < connected\n0 > state Listening\n").unwrap();
    let output = parlor(&["replay", bad.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"line\":3"));
}

#[test]
fn the_settings_and_completions_can_be_printed() {
    let output = parlor(&["config", "print", "--set", "server.api_key=very-secret"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("vad.noise_gate.window_size = 100"),
        "{printed}"
    );
    assert!(!printed.contains("very-secret"));
    assert!(String::from_utf8_lossy(&parlor(&["completions", "bash"]).stdout).contains("_parlor"));
}
