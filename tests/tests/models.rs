//! `parlor models` as people type it, against a server on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use e2e::fleet::program;
use parlor::models::Sum;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const VOICE: &str = "voicepacks/piper/amy/amy.onnx";
const CONFIG: &str = "voicepacks/piper/amy/amy.onnx.json";

/// A cache of its own, and a catalogue with a voice of two files.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("origin")).unwrap();
        fs::write(
            folder.path().join("origin/amy.onnx"),
            "network ".repeat(9000),
        )
        .unwrap();
        fs::write(folder.path().join("origin/amy.onnx.json"), "{}").unwrap();
        let address = serve(folder.path().join("origin"));
        let mut catalogue =
            "[[model]]\nid = 'amy'\nkind = 'tts'\nlanguages = ['en']\nlicence = 'MIT'\n\
             source = 'https://a.org'\ndescription = 'Amy.'\nmetadata = { lang = 'en' }\n"
                .to_owned();
        for path in [VOICE, CONFIG] {
            let name = path.rsplit('/').next().unwrap();
            let origin = folder.path().join("origin").join(name);
            let (sum, size) = (
                Sum::of_file(&origin).unwrap(),
                origin.metadata().unwrap().len(),
            );
            catalogue.push_str(&format!(
                "[[model.file]]\npath = '{path}'\nurl = '{address}/{name}'\nsha256 = '{sum}'\nsize = {size}\n"
            ));
        }
        fs::write(folder.path().join("own.toml"), catalogue).unwrap();
        Self { folder }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join("cache/models").join(relative)
    }

    /// Runs the program with the world's cache and catalogue.
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(program())
            .args(arguments)
            .env_remove("PARLOR_CONFIG")
            .env_remove("PARLOR_MODELS")
            .env("PARLOR_CACHE", self.folder.path().join("cache"))
            .env(
                "PARLOR__MODELS__CATALOGUE",
                self.folder.path().join("own.toml"),
            )
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The exit code, standard output and standard error.
    fn says(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.run(arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (code, out, error) = self.says(arguments);
        assert_eq!(code, 0, "{error}");
        serde_json::from_str(&out).unwrap()
    }
}

/// Gives the files of a folder to whoever asks, until the test's process ends.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answering = move || {
        for mut connection in listener.incoming().flatten() {
            let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let name = request.split(' ').nth(1).unwrap().trim_start_matches('/');
            let (status, body) = match fs::read(folder.join(name)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // Whoever has seen enough may hang up.
            let _ = connection.write_all(head.as_bytes());
            let _ = connection.write_all(&body);
        }
    };
    std::thread::Builder::new()
        .name("origin".to_owned())
        .spawn(answering)
        .unwrap();
    address
}

fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[100] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_model_is_fetched_checked_and_removed() {
    let world = World::new();
    let listed = world.json(&["models", "list", "--json"]);
    let amy = |listed: &Value| {
        let models = listed.as_array().unwrap();
        models
            .iter()
            .find(|model| model["id"] == "amy")
            .unwrap()
            .clone()
    };
    assert_eq!(amy(&listed)["state"], "absent");
    assert!(
        listed.as_array().unwrap().len() > 10,
        "the built-in models are there too"
    );

    let (code, out, error) = world.says(&["models", "fetch", "amy"]);
    assert_eq!((code, out.as_str()), (0, ""), "{error}");
    // The licence comes before anything is fetched; then a line for each tenth that is reached.
    let licence = error.find("Licence: MIT").unwrap();
    assert!(licence < error.find("amy.onnx: 100 %").unwrap(), "{error}");
    assert!(world.path(VOICE).is_file() && world.path(CONFIG).is_file());
    let metadata = fs::read_to_string(world.path("voicepacks/piper/amy/metadata.yaml")).unwrap();
    assert!(metadata.contains("lang: en"));
    let again = world.json(&["models", "fetch", "amy", "--json", "--quiet"]);
    assert_eq!(again[0]["fetched"], false);
    let (code, out, _) = world.says(&["models", "list"]);
    let line = out.lines().find(|line| line.starts_with("amy\t")).unwrap();
    assert!(
        code == 0 && line.contains("\ttts\t72.00 kB\tMIT\tpresent\t"),
        "{line}"
    );
    assert_eq!(world.says(&["models", "verify"]).0, 0);

    flip_a_byte(&world.path(VOICE));
    let (code, out, _) = world.says(&["models", "verify"]);
    assert!(code == 1 && out.contains("amy\tdiffers\t"), "{out}");
    let (code, out, error) = world.says(&["models", "verify", "amy", "--json"]);
    let checked: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &checked[0]["good"], &checked[1]["good"]),
        (1, &false.into(), &true.into())
    );
    assert!(error.contains("parlor models fetch amy"), "{error}");
    assert_eq!(world.says(&["models", "fetch", "amy"]).0, 0);
    assert_eq!(world.says(&["models", "verify", "amy"]).0, 0);

    let (code, _, error) = world.says(&["models", "rm", "amy"]);
    assert!(code == 0 && error.contains("3 files"), "{error}");
    assert!(!world.path("voicepacks").exists());
    assert_eq!(world.says(&["models", "rm", "amy"]).0, 1);
    assert_eq!(world.says(&["models", "verify", "amy"]).0, 1);
    assert_eq!(world.says(&["models", "verify"]).0, 0);
}

#[test]
fn what_is_typed_wrong_is_told() {
    let world = World::new();
    for (arguments, said) in [
        (&["models", "fetch", "nobody"][..], "no model \"nobody\""),
        (
            &["models", "fetch", "amy", "--mirror", "ftp://a"],
            "https:// or http://",
        ),
        (
            &["models", "list", "--catalogue", "missing.toml"],
            "missing.toml",
        ),
        (
            &["models", "list", "--set", "models.mirror=nowhere"],
            "models.mirror",
        ),
        (&["models", "fetch"], "<ID>"),
    ] {
        let (code, _, error) = world.says(arguments);
        assert!(code == 2 && error.contains(said), "{code}: {error}");
    }
    // Nobody listens on the port for nothing.
    let (code, _, error) =
        world.says(&["models", "fetch", "amy", "--mirror", "http://127.0.0.1:9"]);
    assert!(
        code == 3 && error.contains("cannot reach 127.0.0.1"),
        "{code}: {error}"
    );
}

#[test]
fn a_worker_does_not_start_with_a_model_that_differs() {
    let world = World::new();
    assert_eq!(world.says(&["models", "fetch", "amy", "--quiet"]).0, 0);
    flip_a_byte(&world.path(VOICE));
    let worker = [
        "worker",
        "--kind",
        "tts",
        "--adapter",
        "piper",
        "--listen",
        "127.0.0.1:0",
    ];
    let (code, _, error) = world.says(&worker);
    assert!(
        code == 1 && error.contains("parlor models fetch amy"),
        "{code}: {error}"
    );
    assert!(error.contains("sha256"), "{error}");
}
