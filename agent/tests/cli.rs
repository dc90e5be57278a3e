//! The program as people type it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
    command
        .args(arguments)
        .env_remove("PARLOR_CONFIG")
        .env_remove("PARLOR_API_KEY")
        .env_remove("LIVEKIT_URL")
        .env_remove("LIVEKIT_API_KEY")
        .env_remove("LIVEKIT_API_SECRET")
        .env_remove("LIVEKIT_AGENT_NAME")
        .env_remove("REDIS_URL")
        .env_remove("PARLOR_WORKER_TOKEN")
        .current_dir(std::env::temp_dir());
    command
}

fn parlor(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The last line of standard output, which is the result.
fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_str(stdout(output).lines().last().unwrap()).unwrap()
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

#[test]
fn a_key_of_digits_is_a_key_and_no_key_is_ever_printed() {
    for key in ["12345678", "[12345678, x]"] {
        let output = command(&["config", "check"])
            .env("PARLOR__SERVER__API_KEY", key)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let output = command(&["config", "check", "--set", "server.listen=nowhere"])
        .env("PARLOR__SERVER__API_KEY__X", "12345678")
        .env("PARLOR__SERVER__MAX_SESSIONS", "many")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for part in [
        "--set server.listen",
        "PARLOR__SERVER__MAX_SESSIONS",
        "server.api_key",
    ] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(
        !said.contains("12345678") && !said.contains(".rs"),
        "{said}"
    );
}

/// The program where a LiveKit server is set as LiveKit's own programs have it set.
fn with_livekit(arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command
        .env("LIVEKIT_URL", "ws://127.0.0.1:7880")
        .env("LIVEKIT_API_KEY", "devkey")
        .env("LIVEKIT_API_SECRET", "very-secret");
    command
}

#[test]
fn the_variables_of_livekits_own_programs_are_settings() {
    let output = with_livekit(&["config", "print"])
        .env("LIVEKIT_AGENT_NAME", "parlor")
        .output()
        .unwrap();
    let printed = stdout(&output);
    for line in [
        "livekit.url = \"ws://127.0.0.1:7880\"  # the environment variable LIVEKIT_URL",
        "livekit.api_key = \"devkey\"  # the environment variable LIVEKIT_API_KEY",
        "livekit.api_secret = \"********\"  # the environment variable LIVEKIT_API_SECRET",
        "livekit.agent_name = \"parlor\"  # the environment variable LIVEKIT_AGENT_NAME",
    ] {
        assert!(printed.contains(line), "{line} is missing in {printed}");
    }
    assert!(!printed.contains("very-secret"), "{printed}");
    let output = with_livekit(&["config", "print", "--set", "livekit.api_key=other"])
        .output()
        .unwrap();
    let printed = stdout(&output);
    assert!(
        printed.contains("livekit.api_key = \"other\"  # --set livekit.api_key"),
        "{printed}"
    );

    let output = with_livekit(&["config", "check"])
        .env_remove("LIVEKIT_API_KEY")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("LIVEKIT_API_KEY"), "{said}");
    assert!(!said.contains("very-secret"), "{said}");
}

/// What a token says.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn a_token_is_all_that_standard_output_gets() {
    let kitchen = ["token", "--room", "kitchen", "--identity", "ada"];
    let token = |more: &[&str]| {
        with_livekit(&[&kitchen[..], more].concat())
            .output()
            .unwrap()
    };
    let output = token(&["--name", "Ada", "--agent", "parlor", "--ttl", "2m"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let printed = stdout(&output);
    assert_eq!(printed.lines().count(), 1, "{printed}");
    let said = claims(printed.trim_end());
    assert_eq!(said["video"]["room"], "kitchen");
    assert_eq!(
        (&said["sub"], &said["name"]),
        (&"ada".into(), &"Ada".into())
    );
    assert_eq!(said["roomConfig"]["agents"][0]["agentName"], "parlor");
    let good_for = said["exp"].as_u64().unwrap() - said["nbf"].as_u64().unwrap();
    assert_eq!(good_for, 120);

    let object = json(&token(&["--json", "--set", "livekit.agent_name=ours"]));
    assert_eq!(object["server_url"], "ws://127.0.0.1:7880");
    assert_eq!(object["good_for_seconds"], 600);
    let said = claims(object["participant_token"].as_str().unwrap());
    assert_eq!(said["roomConfig"]["agents"][0]["agentName"], "ours");

    let output = parlor(&kitchen);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("LIVEKIT_API_SECRET"));
    assert_eq!(token(&["--ttl", "2 weeks"]).status.code(), Some(2));
    let agents = ["token", "--room", "kitchen", "--identity", "agent-1"];
    let output = with_livekit(&agents).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stdout(&output).is_empty());
}

#[test]
fn calls_of_a_server_are_listed_and_ended() {
    let mut server = command(&["serve", "--listen", "127.0.0.1:0"])
        .args(["--set", "server.api_key=correct horse"])
        .args([
            "--set",
            "webrtc.enabled=false",
            "--set",
            "tts.adapters=[mock]",
        ])
        .args([
            "--set",
            "stt.adapter=scripted",
            "--set",
            "server.drain_seconds=0",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let url = BufReader::new(server.stderr.as_mut().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| {
            let (_, rest) = line.split_once("Open ")?;
            Some(rest.split(' ').next()?.to_owned())
        })
        .unwrap();
    let sessions = |arguments: &[&str]| {
        let key = ["--url", &url, "--api-key", "correct horse"];
        parlor(&[&["sessions"][..], arguments, &key].concat())
    };
    assert_eq!(json(&sessions(&["list", "--json"])), serde_json::json!([]));
    let calls = format!("{}/ws", url.replace("http:", "ws:"));
    let mut call = command(&["talk", "--json", "--url", &calls])
        .args(["--api-key", "correct horse"])
        // It is held open: who has no more to type is done.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = BufReader::new(call.stdout.as_mut().unwrap())
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .find_map(|event| Some(event["session_id"].as_str()?.to_owned()))
        .unwrap();
    let listed = sessions(&["list"]);
    assert!(
        stdout(&listed).starts_with(&format!("{id}\twebsocket\t-\t")),
        "{listed:?}"
    );
    let ended = sessions(&["end", "--all"]);
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("Ended 1 call."), "{ended:?}");
    call.wait().unwrap();
    assert_eq!(sessions(&["end", &id]).status.code(), Some(1));
    let refused = parlor(&["sessions", "list", "--url", &url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("key"), "{}", stderr(&refused));
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(sessions(&["list"]).status.code(), Some(3));
    assert_eq!(parlor(&["sessions", "end"]).status.code(), Some(2));
}

#[test]
fn a_worker_says_where_it_answers_once_it_does() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let worker = ["worker", "--kind", "tts", "--adapter"];
    let output = parlor(&[&worker[..], &["mock", "--listen", &address]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("--listen") && !said.contains("answers at"),
        "{said}"
    );
    let output = parlor(&[&worker[..], &["nobody", "--listen", "localhost:0"]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let output = parlor(&[&worker[..], &["mock", "--listen", "localhost"]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));

    let mut child = command(&[&worker[..], &["mock", "--listen", "localhost:0"]].concat())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let port = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| {
            let (_, rest) = line.split_once("grpc://127.0.0.1:")?;
            rest.trim_end_matches('.').parse::<u16>().ok()
        })
        .unwrap();
    let reached = std::net::TcpStream::connect(("127.0.0.1", port));
    child.kill().unwrap();
    child.wait().unwrap();
    reached.unwrap();
}

#[test]
fn a_worker_s_command_line_is_checked_before_it_starts() {
    let directory = tempfile::tempdir().unwrap();
    let blank = directory.path().join("token");
    std::fs::write(&blank, " \n").unwrap();
    let blank = blank.to_str().unwrap();
    let tts = [
        "worker",
        "--listen",
        "localhost:0",
        "--adapter",
        "mock",
        "--kind",
        "tts",
    ];
    for (flags, why) in [
        (&["--token-file", blank][..], "no token"),
        (&["--token-file", "/nowhere/token"], "/nowhere/token"),
        (&["--tls-cert", "/nowhere/a.pem"], "--tls-key"),
        (
            &[
                "--tls-cert",
                "/nowhere/a.pem",
                "--tls-key",
                "/nowhere/a.key",
            ],
            "/nowhere/a.pem",
        ),
        (&["--redis", "http://:secret-word@host"], "cluster.redis"),
        (&["--name", "two words"], "two words"),
        (&["--advertise", "http://host"], "grpc://host:port"),
        (&["--default-model", "kokoro"], "mock-440hz"),
        (&["--preload", "mock-440hz,kokoro"], "kokoro"),
        (&["--max-sessions", "0"], "--max-sessions"),
        (&["--metrics-listen", "nowhere"], "--metrics-listen"),
    ] {
        let output = parlor(&[&tts[..], flags].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(why), "{flags:?}: {said}");
        assert!(!said.contains("secret-word"), "{said}");
    }
    let stt = [
        "worker",
        "--adapter",
        "scripted",
        "--kind",
        "stt",
        "--preload",
        "a",
    ];
    assert_eq!(parlor(&stt).status.code(), Some(2));
}

#[test]
fn a_worker_serves_without_its_registry_tells_its_metrics_and_ends_when_it_is_told() {
    // Nobody else is given this port in the moment between.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = free.local_addr().unwrap().to_string();
    drop(free);
    let mut worker = command(&["worker", "--kind", "tts", "--adapter", "mock"])
        .args(["--listen", "127.0.0.1:0", "--name", "tts-mock@0"])
        .args([
            "--redis",
            "redis://127.0.0.1:1",
            "--metrics-listen",
            &metrics,
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(worker.stderr.take().unwrap()).lines();
    let told = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("in the registry it is"))
        .unwrap();
    assert!(told.contains("tts-mock@0 at grpc://127.0.0.1:"), "{told}");
    // Once it has tried the registry there is something to tell of that.
    lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("registry cannot be told"))
        .unwrap();
    let mut asked = std::net::TcpStream::connect(&metrics).unwrap();
    asked.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut told = String::new();
    asked.read_to_string(&mut told).unwrap();
    assert!(told.contains("parlor_worker_registered 0"), "{told}");
    let id = worker.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    // What it says on its way out must not block it.
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let ended = worker.wait().unwrap();
    assert_eq!(ended.code(), Some(0), "{rest:?}");
    assert!(
        rest.iter().any(|line| line.contains("draining")),
        "{rest:?}"
    );
}

#[test]
fn a_server_that_cannot_do_what_is_set_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let calls = format!("recorder.directory={}", file.join("calls").display());
    let serve = ["serve", "--listen", "localhost:0", "--set"];
    for (setting, key) in [
        (calls.as_str(), "recorder.directory"),
        ("tts.default_voice=mock:nobody", "nobody"),
        ("tts.adapters=[]", "tts.adapters"),
        ("model_manager.resident_cap=0", "model_manager.resident_cap"),
    ] {
        let output = parlor(&[&serve[..], &[setting]].concat());
        assert_eq!(
            output.status.code(),
            Some(2),
            "{setting}: {}",
            stderr(&output)
        );
        assert!(stderr(&output).contains(key), "{}", stderr(&output));
    }
}

#[test]
fn the_doctor_looks_at_all_that_calls_need() {
    let free = ["--set", "server.listen=127.0.0.1:0"];
    let findings = json(&parlor(&[&["doctor", "--json"][..], &free].concat()));
    let findings = findings.as_array().unwrap();
    for what in [
        "configuration",
        "tts flite",
        "stt pocketsphinx",
        "default voice",
        "Silero voice detector",
        "voice detection",
        "port 0",
        "UDP port 0",
        "page",
        "recorder",
        "responder",
        "LiveKit",
    ] {
        assert!(
            findings
                .iter()
                .any(|finding| finding["what"] == what && finding["found"].is_string()),
            "{what} is missing in {findings:?}"
        );
    }
    for finding in findings {
        assert_eq!(
            finding["status"] == "present",
            finding["fix"].is_null(),
            "{finding}"
        );
    }

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let calls = format!("recorder.directory={}", file.join("calls").display());
    let sick = [
        &[
            "doctor",
            "--set",
            &calls,
            "--set",
            "tts.default_voice=mock:nobody",
        ][..],
        &free,
    ]
    .concat();
    let output = parlor(&[&sick[..], &["--color", "always"]].concat());
    assert_eq!(output.status.code(), Some(4));
    let said = stdout(&output);
    assert!(
        said.contains("\x1b[31mNEEDED") && said.contains("recorder.directory=FOLDER"),
        "{said}"
    );
    assert!(said.contains("--list-voices"), "{said}");
    for plain in [&["--color", "never"][..], &["--color=auto"], &[]] {
        let said = stdout(&parlor(&[&sick[..], plain].concat()));
        assert!(said.contains("NEEDED") && !said.contains('\x1b'), "{said}");
    }
    assert_eq!(
        parlor(&["doctor", "--color", "pink"]).status.code(),
        Some(2)
    );
}

#[test]
fn what_is_said_into_a_file_can_be_transcribed() {
    let voices = json(&parlor(&["say", "--list-voices", "--json"]));
    let voice = voices
        .as_array()
        .unwrap()
        .iter()
        .find(|voice| voice["id"] == "flite:slt");
    assert_eq!(
        voice.unwrap()["language"]
            .as_str()
            .map(|language| &language[..2]),
        Some("en")
    );

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("said.wav");
    let file = file.to_str().unwrap();
    let said = json(&parlor(&[
        "say",
        "the weather is very good today",
        "--voice",
        "flite:slt",
        "-o",
        file,
        "--json",
    ]));
    assert_eq!(said["file"], file);
    let seconds = said["seconds"].as_f64().unwrap();
    assert!((0.8..5.0).contains(&seconds), "{said}");
    let sound = media::wav::read(Path::new(file)).unwrap();
    assert_eq!(sound.samples.len() as f64 / 48_000.0, seconds);
    assert!(media::level::rms(&sound.samples) > 300.0);

    let heard = json(&parlor(&["transcribe", file, "--json"]));
    assert!(
        heard["text"].as_str().unwrap().contains("weather"),
        "{heard}"
    );
    assert!(
        (heard["duration"].as_f64().unwrap() - seconds).abs() < 0.1,
        "{heard}"
    );
    assert!(!heard["words"].as_array().unwrap().is_empty());
    assert!(!heard["segments"].as_array().unwrap().is_empty());
}

#[test]
fn a_frame_s_cost_is_measured_stage_by_stage() {
    let stages = &json(&parlor(&["bench", "frame", "--json", "--quiet"]))["stages"];
    for stage in ["decode", "gate", "denoise", "resample", "vad", "encode"] {
        let (p50, p95) = (&stages[stage]["p50_us"], &stages[stage]["p95_us"]);
        let (p50, p95) = (p50.as_f64().unwrap(), p95.as_f64().unwrap());
        assert!(0.0 < p95 && p50 <= p95, "{stage}: {p50} {p95}");
    }
}

#[test]
fn calls_are_measured_over_both_transports() {
    for transport in ["websocket", "webrtc"] {
        let output = parlor(&[
            "bench",
            "calls",
            "--transport",
            transport,
            "--sessions",
            "1",
            "--seconds",
            "3",
            "--json",
            "--quiet",
        ]);
        let report = json(&output);
        assert_eq!(
            (&report["transport"], &report["sessions"]),
            (&transport.into(), &1.into())
        );
        assert!(report["frames"].as_u64().unwrap() > 0, "{report}");
        for percentile in ["p50", "p95", "p99"] {
            assert!(report["lateness_ms"][percentile].is_number(), "{report}");
        }
        for key in ["vad", "stt", "tts"] {
            assert!(report["engines"][key].is_string(), "{report}");
        }
        for key in [
            "gaps_over_40ms",
            "server_cpu_percent_per_call",
            "server_rss_mb_per_call",
            "refused",
        ] {
            assert!(report[key].is_number(), "{key}: {report}");
        }
        // Three seconds may be too short for an interruption: then there is no figure, but the key stands.
        for key in ["interrupt_decision_ms", "interrupt_onset_ms"] {
            assert!(
                report[key]["p95"].is_number() || report[key]["p95"].is_null(),
                "{report}"
            );
            assert!(
                report[key].as_object().unwrap().contains_key("p50"),
                "{report}"
            );
        }
    }
}

#[test]
fn a_worker_s_sound_and_how_soon_it_obeys_are_measured() {
    let worker = ["bench", "worker", "--adapter", "mock", "--sessions", "1,2"];
    let report = json(&parlor(
        &[&worker[..], &["--seconds", "1", "--json"]].concat(),
    ));
    for (run, sessions) in [(0_usize, 1_u64), (1, 2)] {
        let run = &report["runs"][run];
        assert_eq!(run["sessions"], sessions, "{report}");
        // The mock makes 200 frames a second for each session.
        let frames = run["frames"].as_u64().unwrap();
        assert!((50 * sessions..=300 * sessions).contains(&frames), "{run}");
        assert!(run["first_frame_ms"]["p50"].is_number(), "{run}");
    }
    let control = [
        "bench",
        "control",
        "--sessions",
        "2",
        "--rounds",
        "1",
        "--json",
    ];
    let report = json(&parlor(&control));
    for command in ["pause", "resume", "stop"] {
        let obeyed = &report[command];
        assert_eq!(obeyed["answered_ms"]["count"], 2, "{report}");
        assert_eq!(obeyed["effective_ms"]["count"], 2, "{report}");
    }
    assert_eq!(report["promises"].as_array().unwrap().len(), 6, "{report}");
}
