//! Every voice that is here speaks equally loud, by the measure of EBU R 128, whatever it says.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

#[path = "support/caller.rs"]
mod caller;

use caller::{Caller, is_here, samples, settings};
use proto::tts::ListVoicesRequest;
use workers::TtsEngine::{Espeak, Flite};
use workers::finish::{CEILING_DBFS, SPEECH_LUFS, loudness_lufs};

/// So much louder or softer than others may a voice say one sentence.
const TOLERANCE_DB: f32 = 1.5;

/// None of them is one that the voices were measured by.
const ENGLISH: [&str; 2] = [
    "Good morning, this is the front desk. How may I help you today?",
    "Your table for four is booked at half past seven; we look forward to seeing you.",
];
const FIGURES: [&str; 2] = ["7, 30, 41, 58, 63, 90, 13.", "2, 15, 27, 69, 73, 84, 56."];
const OTHERS: [(&str, [&str; 2]); 5] = [
    (
        "espeak:fr-fr",
        [
            "Bonjour, ici la réception. Que puis-je faire pour vous aujourd'hui ?",
            "Votre table pour quatre personnes est réservée pour sept heures et demie.",
        ],
    ),
    (
        "espeak:pt-br",
        [
            "Bom dia, aqui é a recepção. Em que posso ajudar o senhor hoje?",
            "A sua mesa para quatro pessoas está reservada para as sete e meia.",
        ],
    ),
    (
        "espeak:de",
        [
            "Guten Morgen, hier ist der Empfang. Was kann ich heute für Sie tun?",
            "Ihr Tisch für vier Personen ist für halb acht bestellt, wir freuen uns auf Sie.",
        ],
    ),
    (
        "espeak:es",
        [
            "Buenos días, le atiende la recepción. ¿En qué puedo ayudarle hoy?",
            "Su mesa para cuatro personas está reservada para las siete y media.",
        ],
    ),
    (
        "espeak:it",
        [
            "Buongiorno, qui è la reception. Come posso aiutarla oggi?",
            "Il suo tavolo per quattro persone è prenotato per le sette e mezza.",
        ],
    ),
];

/// Languages in which the voices were measured by sentences; figures are softer there.
const SPOKEN: [&str; 6] = ["en", "pt", "de", "es", "it", "fr"];
/// Voices of espeak-ng that say nothing of figures, or too little to be measured; it has 130.
const MUTE: usize = 10;

/// How loud a voice says a text, if it is enough to be measured; it is also checked that nothing passes the ceiling. Its frames are checked by the caller.
async fn said(caller: &mut Caller, voice: &str, text: &str) -> Option<f32> {
    caller.open(voice, &[("voice", voice)]).await;
    let sound = samples(&caller.say(voice, text).await);
    let ceiling = 32_768.0 * 10_f32.powf(CEILING_DBFS / 20.0);
    let highest = sound.iter().map(|sample| sample.unsigned_abs()).max();
    let highest = f32::from(highest.unwrap());
    assert!(highest <= ceiling + 1.0, "{voice} rises to {highest}");
    loudness_lufs(&sound, 48_000)
}

fn is_right(lufs: f32) -> bool {
    (lufs - SPEECH_LUFS).abs() <= TOLERANCE_DB
}

async fn voices(caller: &mut Caller) -> Vec<String> {
    let listed = caller.tts.list_voices(ListVoicesRequest {}).await.unwrap();
    let voices = listed.into_inner().voices.into_iter();
    voices.map(|voice| voice.voice_id).collect()
}

#[tokio::test]
async fn every_voice_of_flite_is_as_loud_as_it_should_be() {
    if !is_here("flite") {
        return;
    }
    let mut caller = Caller::of(Flite).await;
    let mut wrong = Vec::new();
    for voice in voices(&mut caller).await {
        for text in ENGLISH {
            let lufs = said(&mut caller, &voice, text).await.unwrap();
            if !is_right(lufs) {
                wrong.push(format!("{voice} {lufs:.1}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test]
async fn every_voice_of_espeak_is_as_loud_as_it_should_be() {
    if !is_here("espeak") {
        return;
    }
    let mut settings = settings(Espeak);
    settings.tts.max_sessions = Some(1_000);
    let mut caller = Caller::with(settings).await;
    let (mut wrong, mut mute) = (Vec::new(), Vec::new());
    let mut texts =
        Vec::from(["espeak:en-us", "espeak:en-gb"].map(|voice| (voice.to_owned(), ENGLISH)));
    texts.extend(OTHERS.map(|(voice, texts)| (voice.to_owned(), texts)));
    let spoken = |voice: &String| {
        let language = voice.trim_start_matches("espeak:").split('-').next();
        SPOKEN.contains(&language.unwrap())
    };
    let all = voices(&mut caller).await.into_iter();
    texts.extend(
        all.filter(|voice| !spoken(voice))
            .map(|voice| (voice, FIGURES)),
    );
    for (voice, texts) in texts {
        for text in texts {
            match said(&mut caller, &voice, text).await {
                None => mute.push(voice.clone()),
                Some(lufs) if is_right(lufs) => {}
                Some(lufs) => wrong.push(format!("{voice} {lufs:.1}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(mute.len() <= MUTE * 2, "{mute:?}");
}
