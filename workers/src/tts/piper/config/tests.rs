use super::*;
use serde_json::{Value, json};

fn config() -> Value {
    json!({
        "audio": {"sample_rate": 22_050},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.5, "length_scale": 1.1, "noise_w": 0.7},
        "phoneme_type": "espeak",
        "phoneme_id_map": {
            "_": [0], "^": [1], "$": [2], " ": [3], ".": [10], "c": [16], "h": [20], "ə": [59], "\u{327}": [140]
        },
        "num_symbols": 256,
        "num_speakers": 1,
        "speaker_id_map": {},
    })
}

fn parse(value: &Value) -> Result<Config, String> {
    Config::parse(&value.to_string())
}

#[test]
fn a_row_begins_and_ends_as_the_model_was_trained_and_is_padded_between() {
    let config = parse(&config()).unwrap();
    assert_eq!(
        config.row("hə."),
        [1, 0, 20, 0, 59, 0, 10, 0, 2],
        "begin, padding, a phoneme and padding each, end"
    );
    // Accents are symbols of their own, what is unknown is left out, and another mark stands in for one that is.
    assert_eq!(config.row("çʘ…"), [1, 0, 16, 0, 140, 0, 10, 0, 2]);
    assert!(config.row("ʘ").is_empty());
    assert!(config.row(" ").is_empty());
    assert!(config.row("^_$").is_empty());
}

#[test]
fn what_contradicts_itself_is_refused_with_the_reason() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut value = config();
        change(&mut value);
        parse(&value).unwrap_err()
    };
    assert!(refused(&|c| c["audio"] = json!(null)).contains("no configuration"));
    assert!(refused(&|c| c["audio"]["sample_rate"] = json!(0)).contains("sample_rate"));
    assert!(refused(&|c| c["phoneme_id_map"] = json!({})).contains("phoneme_id_map is missing"));
    assert!(refused(&|c| c["phoneme_id_map"]["$"] = json!([])).contains("lacks '$'"));
    assert!(refused(&|c| c["phoneme_id_map"]["x"] = json!([256])).contains("num_symbols is 256"));
    assert!(refused(&|c| c["phoneme_id_map"]["x"] = json!([-1])).contains("the id -1"));
    assert!(refused(&|c| c["espeak"] = json!({})).contains("espeak.voice"));
    assert!(refused(&|c| c["phoneme_type"] = json!("pinyin")).contains("pinyin"));
    assert!(refused(&|c| c["inference"]["length_scale"] = json!(0.0)).contains("scales"));
    assert!(refused(&|c| c["num_speakers"] = json!(-1)).contains("num_speakers is -1"));
    let numbered = refused(&|c| {
        c["num_speakers"] = json!(2);
        c["speaker_id_map"] = json!({"amy": 2});
    });
    assert!(numbered.contains("\"amy\""), "{numbered}");
    assert!(Config::parse("").unwrap_err().contains("no configuration"));
}

#[test]
fn speakers_without_a_name_go_by_their_number() {
    let mut value = config();
    value["num_speakers"] = json!(3);
    value["speaker_id_map"] = json!({"amy": 2, "bob": 0});
    let config = parse(&value).unwrap();
    let speakers: Vec<&str> = config.speakers.values().map(String::as_str).collect();
    assert_eq!(speakers, ["bob", "1", "amy"]);
}

#[test]
fn a_model_that_reads_letters_needs_no_espeak() {
    let mut value = config();
    value["phoneme_type"] = json!("text");
    value["espeak"] = json!({});
    assert_eq!(parse(&value).unwrap().phonemiser(), None);
}
