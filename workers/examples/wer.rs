//! Measures word error rates: `cargo run --release -p workers --example wer [FOLDER of recordings with their words in .txt]`.
//!
//! Everything goes through the services as a call's speech does, in steps of 20 ms but as fast as it is taken. The real time
//! factor is the time from the first step to the final transcript, divided by the length of the recording.
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use anyhow::{Context as _, Result};
use futures_util::stream;
use media::resample::Resampler;
use media::{Clock, wav};
use proto::stt::stt_service_client::SttServiceClient;
use proto::tts::tts_service_client::TtsServiceClient;
use proto::{stt, tts};
use std::path::PathBuf;
use std::time::Duration;
use tonic::transport::Channel;
use workers::{Embedded, Settings};

const QUESTIONS: [&str; 8] = [
    "What time is it?",
    "Tell me a long story.",
    "Stop.",
    "What is the date today?",
    "Count to ten.",
    "Spell the word house.",
    "Tell me a joke.",
    "Hello, how are you?",
];
const VOICES: [&str; 4] = ["flite:slt", "flite:rms", "flite:awb", "flite:kal16"];

#[tokio::main]
async fn main() -> Result<()> {
    let mut settings = Settings::default();
    settings.stt.slots = 1;
    let embedded = Embedded::start(settings).await?;
    let mut ear = SttServiceClient::new(embedded.stt());
    let mut mouth = TtsServiceClient::new(embedded.tts());
    // The first utterance would otherwise pay for the model.
    hear(&mut ear, "warm", &[0; 16_000]).await?;

    if let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) {
        let mut score = Score::default();
        let mut files: Vec<_> = std::fs::read_dir(&folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        files.sort();
        for file in files {
            let Ok(words) = std::fs::read_to_string(file.with_extension("txt")) else {
                continue;
            };
            if file.extension().is_none_or(|kind| kind == "txt") {
                continue;
            }
            let sound = wav::read(&file)?;
            let sound = at_16k(&sound.samples, sound.sample_rate_hz)?;
            let name = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // Files of one reader are one caller: the letters and figures before the last hyphen.
            let reader = name
                .rsplit_once('-')
                .map_or(name.as_str(), |(reader, _)| reader)
                .to_owned();
            score.add(
                &name,
                &words,
                &sound,
                hear(&mut ear, &reader, &sound).await?,
            );
        }
        score.print(&folder.display().to_string());
    }
    let mut score = Score::default();
    for voice in VOICES {
        for question in QUESTIONS {
            let sound = at_16k(&say(&mut mouth, voice, question).await?, 48_000)?;
            score.add(
                voice,
                question,
                &sound,
                hear(&mut ear, voice, &sound).await?,
            );
        }
    }
    score.print("questions spoken by flite");
    Ok(())
}

/// What was heard, how long it took in all and from the end of the speech on.
struct Heard {
    text: String,
    took: Duration,
    after_end: Duration,
}

async fn hear(ear: &mut SttServiceClient<Channel>, session: &str, sound: &[i16]) -> Result<Heard> {
    let clock = Clock::start();
    let session_id = session.to_owned();
    // The last step is sent when all before it have been taken; what follows is the wait for the final.
    let steps = sound.chunks(320).map(|step| {
        step.iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect::<Vec<u8>>()
    });
    let mut frames: Vec<_> = steps
        .map(|data| stt::AudioFrame {
            session_id: session_id.clone(),
            data: data.into(),
            ..Default::default()
        })
        .collect();
    frames.push(stt::AudioFrame {
        session_id: session_id.clone(),
        is_last: true,
        ..Default::default()
    });
    let mut events = ear
        .transcribe_stream(stream::iter(frames))
        .await?
        .into_inner();
    let mut last_partial = Duration::ZERO;
    while let Some(event) = events.message().await? {
        if event.event_type == "final" {
            let took = clock.now();
            return Ok(Heard {
                text: event.text,
                took,
                after_end: took.saturating_sub(last_partial),
            });
        }
        last_partial = clock.now();
    }
    anyhow::bail!("no final transcript came")
}

async fn say(mouth: &mut TtsServiceClient<Channel>, voice: &str, text: &str) -> Result<Vec<i16>> {
    let options = [("voice".to_owned(), voice.to_owned())].into();
    let start = tts::StartSessionRequest {
        session_id: voice.to_owned(),
        options,
        ..Default::default()
    };
    let started = mouth.start_session(start).await?.into_inner();
    anyhow::ensure!(started.success, started.message);
    let chunk = tts::TextChunk {
        session_id: voice.to_owned(),
        text: text.to_owned(),
        is_final: true,
        sequence_number: 1,
    };
    let mut frames = mouth.synthesize(stream::iter([chunk])).await?.into_inner();
    let mut samples = Vec::new();
    while let Some(frame) = frames.message().await? {
        samples.extend(
            frame
                .audio_data
                .as_chunks::<2>()
                .0
                .iter()
                .map(|pair| i16::from_le_bytes(*pair)),
        );
    }
    Ok(samples)
}

fn at_16k(samples: &[i16], rate_hz: u32) -> Result<Vec<i16>> {
    let mut resampler = Resampler::new(rate_hz, 16_000).context("this rate cannot be converted")?;
    // Half a second of silence around it, as the ear would leave.
    let mut out = vec![0; 4_800];
    resampler.process(samples, &mut out);
    resampler.flush(&mut out);
    out.extend([0; 8_000]);
    Ok(out)
}

#[derive(Default)]
struct Score {
    words: usize,
    wrong: usize,
    exact: usize,
    utterances: u32,
    sound: Duration,
    took: Duration,
    after_end: Duration,
}

impl Score {
    fn add(&mut self, name: &str, words: &str, sound: &[i16], heard: Heard) {
        let reference = normal(words);
        let wrong = distance(&reference, &normal(&heard.text));
        println!(
            "{name:24} {wrong:2} of {:2} wrong: {}",
            reference.len(),
            heard.text
        );
        self.words += reference.len();
        self.wrong += wrong;
        self.exact += usize::from(wrong == 0);
        self.utterances += 1;
        self.sound += Duration::from_secs(sound.len() as u64) / 16_000;
        self.took += heard.took;
        self.after_end += heard.after_end;
    }

    fn print(&self, what: &str) {
        println!(
            "{what}: {:.1} % of {} words wrong, {} of {} exact, real time factor {:.2}, final {} ms after the last partial\n",
            100.0 * self.wrong as f64 / self.words.max(1) as f64,
            self.words,
            self.exact,
            self.utterances,
            self.took.as_secs_f64() / self.sound.as_secs_f64(),
            (self.after_end / self.utterances.max(1)).as_millis(),
        );
    }
}

/// Words as both sides write them.
fn normal(text: &str) -> Vec<String> {
    let words = text.split_whitespace().map(|word| {
        word.to_lowercase()
            .trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '\'')
            .to_owned()
    });
    let spelled = words.map(|word| match word.as_str() {
        "mr" => "mister".to_owned(),
        "mrs" => "missus".to_owned(),
        _ => word,
    });
    spelled.filter(|word| !word.is_empty()).collect()
}

/// Words to insert, leave out or replace to get from one to the other.
fn distance(from: &[String], to: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, word) in from.iter().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (other, above) in to.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(word != other))
                .min(left + 1)
                .min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
