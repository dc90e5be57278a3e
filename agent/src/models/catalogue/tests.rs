use super::*;

/// A catalogue of one model of one file; the text given replaces what is good.
fn one(from: &str, to: &str) -> String {
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let good = format!(
        r#"
[[model]]
id = "voice"
kind = "tts"
languages = ["en-US"]
licence = "CC BY: \"4.0\""
source = "https://example.org/voice"
description = "A voice."
metadata = {{ lang = "en_US", cpu_ok = true, sample_rate = 22050, domain = ["calls", "late news"] }}

[[model.file]]
path = "voicepacks/piper/voice/voice.onnx"
url = "https://example.org/voice.onnx"
sha256 = "{sum}"
size = 3
"#
    );
    assert!(good.contains(from), "{from}");
    good.replacen(from, to, 1)
}

fn problems(text: &str) -> String {
    let error = Catalogue::parse(text).unwrap_err();
    assert!(error.is_usage());
    error.to_string()
}

#[test]
fn the_built_in_catalogue_is_good() {
    let catalogue = Catalogue::built_in();
    assert_eq!(collisions(catalogue.models()), [""; 0]);
    for model in catalogue.models() {
        for file in &model.files {
            // What is only as good as a branch of somebody's repository changes some day.
            assert_eq!(file.url.scheme(), "https");
            for branch in ["/main/", "/master/", "/latest/"] {
                assert!(!file.url.path().contains(branch), "{}", file.url);
            }
            let packs = file.path.starts_with("voicepacks/");
            assert_eq!(packs, model.kind == Kind::Tts, "{}", file.path);
            assert_eq!(packs, model.metadata.is_some(), "{}", model.id);
        }
    }
    let ids = [
        "whisper-base.en",
        "piper-en_US-lessac-medium",
        "kokoro-v1.0",
        "silero-vad",
    ];
    for id in ids {
        assert!(catalogue.model(id).is_ok(), "{id}");
    }
    let (model, entry) = catalogue.at("silero-vad/silero_vad.onnx").unwrap();
    assert_eq!((model.id.as_str(), entry.size), ("silero-vad", 2_327_524));
}

#[test]
fn metadata_is_what_a_voice_pack_says() {
    let catalogue = Catalogue::parse(&one("", "")).unwrap();
    let model = catalogue.model("voice").unwrap();
    assert_eq!(
        model.metadata_path().as_deref(),
        Some("voicepacks/piper/voice/metadata.yaml")
    );
    assert_eq!(
        model.metadata.as_deref(),
        Some(
            "# Written by parlor models fetch.\n\
             cpu_ok: true\n\
             domain: [calls, \"late news\"]\n\
             lang: en_US\n\
             sample_rate: 22050\n\
             licence: \"CC BY: \\\"4.0\\\"\"\n\
             source: \"https://example.org/voice\"\n"
        )
    );
}

#[test]
fn each_mistake_is_named() {
    let path = "voicepacks/piper/voice/voice.onnx";
    let long = "x".repeat(301);
    for (from, to, said) in [
        (path, "/etc/passwd", "relative"),
        (path, "../voice.onnx", "inside the store"),
        (path, "voicepacks/../../voice.onnx", "inside the store"),
        (path, "voicepacks//voice.onnx", "no name"),
        (path, "", "no name"),
        (path, ".hidden/voice.onnx", "begin with a dot"),
        (path, "a\\\\b", "between folders"),
        (path, "voice.onnx.part", "not whole"),
        (path, "a/metadata.yaml", "[model.metadata]"),
        (path, &long, "short"),
        ("ba7816", "ba781", "64 hexadecimal digits"),
        ("ba7816", "xx7816", "64 hexadecimal digits"),
        (
            "https://example.org/voice.onnx",
            "ftp://a.org/x",
            "ftp is not known",
        ),
        (
            "https://example.org/voice.onnx",
            "http://a.org/x",
            "http is only for this machine",
        ),
        ("https://example.org/voice\"", "page\"", "source"),
        ("size = 3", "size = 0", "at least 1 byte"),
        ("size = 3", "size = -3", "size"),
        ("size = 3", "bytes = 3", "bytes"),
        ("kind = \"tts\"", "kind = \"cat\"", "kind"),
        ("id = \"voice\"", "id = \"a voice\"", "an id is"),
        ("\"A voice.\"", "\"\"", "description"),
        ("\"A voice.\"", "\"\\u001b[31m\"", "description"),
        ("\"en-US\"", "\"en US\"", "languages"),
        ("cpu_ok = true", "\"cpu ok\" = true", "metadata"),
        ("[[model.file]]", "[other]", "other"),
    ] {
        let all = problems(&one(from, to));
        assert!(all.contains(said), "{to}: {all}");
    }
    let without = one("", "");
    let without = without.split("[[model.file]]").next().unwrap();
    assert!(problems(without).contains("it has no file"));
}

#[test]
fn an_id_and_a_place_are_there_once() {
    let twice = one("", "") + &one("", "");
    assert!(problems(&twice).contains("the id is there twice"));
    let other = one("", "") + &one("id = \"voice\"", "id = \"other\"");
    assert!(
        problems(&other).contains("is taken by voice"),
        "{}",
        problems(&other)
    );
}

#[test]
fn a_model_of_one_s_own_stands_in_place_of_a_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    let own = one("id = \"voice\"", "id = \"silero-vad\"").replace(
        "voicepacks/piper/voice/voice.onnx",
        "silero-vad/silero_vad.onnx",
    );
    std::fs::write(&path, own).unwrap();
    let catalogue = Catalogue::open(Some(&path)).unwrap();
    let known = Catalogue::built_in().models().len();
    assert_eq!(catalogue.models().len(), known);
    assert_eq!(catalogue.model("silero-vad").unwrap().size(), 3);
    // Under another id it would overwrite it.
    let own = one(
        "voicepacks/piper/voice/voice.onnx",
        "silero-vad/silero_vad.onnx",
    );
    std::fs::write(&path, own).unwrap();
    let error = Catalogue::open(Some(&path)).unwrap_err().to_string();
    assert!(
        error.contains("own.toml") && error.contains("taken by silero-vad"),
        "{error}"
    );
    let error = Catalogue::open(Some(folder.path())).unwrap_err();
    assert!(error.to_string().contains("cannot read it"), "{error}");
}
