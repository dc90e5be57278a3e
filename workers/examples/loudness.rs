//! Measures how loud the voices are that come with flite and espeak-ng: `cargo run --release -p workers --example loudness`.
//!
//! It prints, in the form in which they stand in `workers/src/tts/levels.rs`, all voices of flite, and of espeak-ng the middle of
//! all voices and those that differ from it by more than 0.3 dB. Each is measured by EBU R128's integrated loudness, first as its
//! engine makes it and then as it is heard: where the limiter takes some of the peaks away, as much gain is added.
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use anyhow::Result;
use workers::finish::{Finisher, SPEECH_LUFS, Treatment, loudness_lufs};
use workers::tts::{Class, Clause, TtsAdapter, open};
use workers::{Places, TtsEngine};

/// What is said in some languages, by the first part of their tags.
const SENTENCES: [(&str, &[&str]); 6] = [
    (
        "en",
        &[
            "The quick brown fox jumps over the lazy dog, and then it sleeps until the evening.",
            "She had your dark suit in greasy wash water all year. Do you remember that?",
        ],
    ),
    (
        "pt",
        &[
            "A senhora já tomou café hoje, ou quer que eu prepare um agora?",
            "O ônibus para o centro sai daqui a pouco, do outro lado da rua.",
        ],
    ),
    (
        "de",
        &[
            "Der Zug nach Hamburg fährt heute von einem anderen Gleis ab.",
            "Haben Sie schon gefrühstückt, oder soll ich Ihnen etwas bringen?",
        ],
    ),
    (
        "es",
        &[
            "El tren para Sevilla sale hoy de otro andén, dentro de un momento.",
            "¿Ya ha desayunado, o quiere que le traiga alguna cosa?",
        ],
    ),
    (
        "it",
        &[
            "Il treno per Napoli parte oggi da un altro binario, fra poco.",
            "Ha già fatto colazione, o vuole che le porti qualcosa?",
        ],
    ),
    (
        "fr",
        &[
            "Le train pour Lyon part aujourd'hui d'un autre quai, dans un instant.",
            "Avez-vous déjà déjeuné, ou voulez-vous que je vous apporte quelque chose ?",
        ],
    ),
];
/// What is said in all others: figures are words in nearly every language, though softer ones than sentences in some.
const FIGURES: &[&str] = &[
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.",
    "11, 12, 20, 35, 48, 99.",
    "0, 63, 74, 86, 150, 2000.",
];
/// So much may a voice differ from the others of its engine before it has a line of its own, in decibels.
const ALIKE_DB: f32 = 0.3;
/// Rounds of gain added and heard again.
const ROUNDS: usize = 6;

#[tokio::main]
async fn main() -> Result<()> {
    let flite = open(TtsEngine::Flite, &Places::default())?;
    println!("FLITE");
    for (name, lufs) in measured(flite.as_ref(), "flite").await? {
        println!("    ({name:?}, {lufs:.1}),");
    }
    let espeak = open(TtsEngine::Espeak, &Places::default())?;
    let voices = measured(espeak.as_ref(), "espeak-ng").await?;
    let mut sorted: Vec<f32> = voices.iter().map(|(_, lufs)| *lufs).collect();
    sorted.sort_by(f32::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    println!("ESPEAK {middle:.1}");
    for (name, lufs) in voices {
        if (lufs - middle).abs() > ALIKE_DB {
            println!("    ({name:?}, {lufs:.1}),");
        }
    }
    Ok(())
}

/// The voices of an engine, by name, and how loud each says its texts; without those that say nothing of figures.
async fn measured(adapter: &dyn TtsAdapter, model: &str) -> Result<Vec<(String, f32)>> {
    adapter.load(model)?;
    let mut voices = Vec::new();
    for voice in adapter.voices() {
        let (mut sound, mut rate_hz) = (Vec::new(), 0);
        let language = voice.language.split('-').next().unwrap_or_default();
        let known = SENTENCES.iter().find(|(known, _)| *known == language);
        for text in known.map_or(FIGURES, |(_, sentences)| *sentences) {
            let mut speech = adapter.speak(Clause {
                text: (*text).to_owned(),
                voice: voice.name.clone(),
                speed: 1.0,
                class: Class::Batch,
            })?;
            while let Some(piece) = speech.next().await {
                let piece = piece?;
                rate_hz = piece.rate_hz;
                sound.extend(piece.samples);
            }
        }
        if let Some(lufs) = in_effect(&sound, rate_hz)? {
            voices.push((voice.name, lufs));
        }
    }
    voices.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(voices)
}

/// How loud a voice is to be taken for, so that it is heard at the common loudness.
fn in_effect(sound: &[i16], rate_hz: u32) -> Result<Option<f32>> {
    let Some(mut lufs) = loudness_lufs(sound, rate_hz) else {
        return Ok(None);
    };
    let mut finisher = Finisher::default();
    for _ in 0..ROUNDS {
        let mut heard = Vec::new();
        finisher.begin(rate_hz, Treatment::Speech(Some(lufs)))?;
        finisher.process(sound, &mut heard);
        finisher.end(&mut heard);
        let missing =
            SPEECH_LUFS - loudness_lufs(&heard, media::SAMPLE_RATE_HZ).unwrap_or(SPEECH_LUFS);
        lufs -= missing;
    }
    Ok(Some(lufs))
}
