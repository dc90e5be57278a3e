//! `parlor talk`: a caller at the command line.

pub mod caller;
#[cfg(feature = "mic")]
mod devices;
mod ending;
mod recording;

use super::{Failure, Global, interrupted, out};
use anyhow::Context as _;
use caller::{Caller, Event};
use clap::Args;
use ending::Ending;
use media::clock::FrameTicks;
use media::frame::FRAME;
use media::framer::Framer;
use media::resample::Resampler;
use media::{AudioFrame, Clock, SAMPLE_RATE_HZ, wav};
use recording::Recording;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;

/// Quiet after the last reply before the call is ended.
const QUIET: Duration = Duration::from_secs(2);
/// How long the server may take to say its last words after a hang-up.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Calls a server, with a recording, a keyboard or a microphone.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --wav or --mic it reads lines to be spoken from standard input, and
  /ask TEXT   asks a question    /pause /resume /stop   control what is being spoken    /quit   hangs up

Examples:
  parlor talk --url ws://127.0.0.1:8080/ws --wav question.wav --out answer.wav --json
  echo '/ask what time is it' | parlor talk --out time.wav")]
pub struct Talk {
    /// The server's address.
    #[arg(long, default_value = "ws://127.0.0.1:8080/ws")]
    url: String,
    /// Plays this WAV, FLAC or OGG file in real time as the caller.
    #[arg(long, value_name = "FILE", conflicts_with = "mic")]
    wav: Option<PathBuf>,
    /// Writes what comes back to this WAV file, with its silences.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Prints what happens as JSON lines.
    #[arg(long)]
    json: bool,
    /// At most this many seconds after the file (or the last line) the call is ended.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
    /// duplex, mute or manual; the server's own where missing.
    #[arg(long)]
    mode: Option<String>,
    /// A voice such as flite:slt; the server's own where missing.
    #[arg(long)]
    voice: Option<String>,
    /// The server's key, if it wants one.
    #[arg(long, env = "PARLOR_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Speaks and listens with sound devices (built with the feature mic).
    #[arg(long)]
    mic: bool,
    /// The input device's name, with --mic.
    #[arg(long, value_name = "DEVICE", requires = "mic")]
    input: Option<String>,
    /// The output device's name, with --mic.
    #[arg(long, value_name = "DEVICE", requires = "mic")]
    output: Option<String>,
    /// Lists the sound devices and ends.
    #[arg(long)]
    list_devices: bool,
}

/// What a line of the keyboard asks for.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Send(Value),
    Quit,
    Wrong(String),
}

impl Talk {
    pub(super) async fn run(self, global: &Global) -> Result<(), Failure> {
        if self.list_devices {
            return list_devices();
        }
        let frames = self.wav.as_deref().map(frames_of).transpose()?;
        let lines = (frames.is_none() && !self.mic).then(keyboard);
        let devices = if self.mic {
            Some(open_devices(self.input.as_deref(), self.output.as_deref())?)
        } else {
            None
        };
        let recording = self.out.as_deref().map(Recording::create).transpose()?;
        let mut query = Vec::new();
        query.extend(self.mode.as_ref().map(|mode| ("mode", mode.clone())));
        query.extend(self.voice.as_ref().map(|voice| ("voice", voice.clone())));
        let caller = Caller::connect(&self.url, &query, self.api_key.as_deref())
            .await
            .map_err(Failure::Unreachable)?;
        let clock = Clock::start();
        let conversation = Conversation {
            json: self.json,
            quiet: global.quiet,
            timeout: Duration::from_secs(self.timeout),
            caller,
            clock,
            recording,
            frames: frames.map(Into::into),
            lines,
            devices,
            said_all_at: None,
            began: false,
            quit: false,
            complaint: None,
            server_reason: None,
            state: String::new(),
            preparing: false,
            last_activity: Duration::ZERO,
            replies: 0,
            open_lines: 0,
            frames_heard: 0,
            problems: 0,
        };
        conversation.run().await
    }
}

struct Conversation {
    json: bool,
    quiet: bool,
    timeout: Duration,
    caller: Caller,
    clock: Clock,
    recording: Option<Recording>,
    /// What is left of the file.
    frames: Option<VecDeque<AudioFrame>>,
    lines: Option<mpsc::Receiver<String>>,
    devices: Option<Devices>,
    /// When the file or the lines were over.
    said_all_at: Option<Duration>,
    /// Whether the server took the call.
    began: bool,
    /// Whether the keyboard hung up.
    quit: bool,
    /// What the server last said was wrong.
    complaint: Option<String>,
    /// The reason of the server's last message.
    server_reason: Option<String>,
    state: String,
    /// Whether a reply is being prepared.
    preparing: bool,
    last_activity: Duration,
    replies: u64,
    /// Lines that were sent and perhaps not yet spoken.
    open_lines: u64,
    frames_heard: u64,
    problems: u64,
}

impl Conversation {
    async fn run(mut self) -> Result<(), Failure> {
        let mut ticks = FrameTicks::new(self.clock.now(), Duration::ZERO);
        let stop = interrupted();
        tokio::pin!(stop);
        let ending = loop {
            if let Some(reason) = self.is_over() {
                self.caller.send(&json!({"type": "hangup"})).await?;
                break Ending::HungUp(reason);
            }
            let clock = self.clock;
            tokio::select! {
                biased;
                () = &mut stop => {
                    let _ = self.caller.send(&json!({"type": "hangup"})).await;
                    break Ending::Interrupted;
                }
                () = clock.until(ticks.next_timeout()) => {
                    let missed = ticks.handle_timeout(clock.now()).unwrap_or(0);
                    self.speak(missed + 1).await?;
                }
                line = next_line(&mut self.lines) => self.on_line(line).await?,
                event = self.caller.recv() => match event {
                    Some(Event::Audio(frame)) => self.on_audio(&frame)?,
                    Some(Event::Message(message)) => {
                        self.on_message(&message)?;
                        if let Some(reason) = self.server_reason.clone() { break self.ended_by_server(reason) }
                    }
                    Some(Event::Closed(why)) => break self.closed(why),
                    None => break self.closed("the connection is gone".into()),
                },
            }
        };
        if !matches!(ending, Ending::Interrupted) {
            self.drain_after_hangup().await?;
        }
        self.end(&ending)?;
        if let Some(recording) = self.recording.take() {
            recording.finish()?;
        }
        if let Some(failure) = ending.failure() {
            return Err(failure);
        }
        match self.problems {
            0 => Ok(()),
            n if self.frames_heard == 0 => Err(Failure::Failed(anyhow::anyhow!(
                "the server reported {n} errors and said nothing"
            ))),
            _ => Ok(()),
        }
    }

    /// The server said that the call is over.
    fn ended_by_server(&self, reason: String) -> Ending {
        let unsaid = self
            .frames
            .as_ref()
            .is_some_and(|frames| !frames.is_empty());
        Ending::by_server(reason, unsaid)
    }

    /// The connection went without the server's last message.
    fn closed(&self, why: String) -> Ending {
        match (self.began, &self.complaint) {
            (true, _) => Ending::Lost(why),
            (false, Some(complaint)) => Ending::Refused(complaint.clone()),
            (false, None) => Ending::Refused(why),
        }
    }

    /// Sends what is due of the file, or silence so that the ear hears the end of the speech.
    async fn speak(&mut self, slots: u64) -> Result<(), Failure> {
        if let Some(devices) = &mut self.devices {
            while let Some(frame) = devices.next_frame() {
                self.caller.send_audio(&frame).await?;
            }
            return Ok(());
        }
        let Some(frames) = &mut self.frames else {
            return Ok(());
        };
        // A caller keeps real time: after a stall it sends what was due meanwhile, as a sound card would.
        for _ in 0..slots.min(50) {
            let frame = frames.pop_front().unwrap_or_else(AudioFrame::silence);
            self.caller.send_audio(&frame).await?;
        }
        if frames.is_empty() && self.said_all_at.is_none() {
            self.said_all_at = Some(self.clock.now());
        }
        Ok(())
    }

    fn on_audio(&mut self, frame: &AudioFrame) -> Result<(), Failure> {
        self.frames_heard += 1;
        self.last_activity = self.clock.now();
        if let Some(devices) = &self.devices {
            devices.play(frame);
        }
        if let Some(recording) = &mut self.recording {
            recording.hear(self.clock.now(), frame)?;
        }
        Ok(())
    }

    async fn on_line(&mut self, line: Option<String>) -> Result<(), Failure> {
        let Some(line) = line else {
            self.lines = None;
            self.said_all_at = Some(self.clock.now());
            return Ok(());
        };
        match typed(&line) {
            None => {}
            Some(Typed::Quit) => self.quit = true,
            Some(Typed::Wrong(why)) => out::note(&why),
            Some(Typed::Send(message)) => {
                if matches!(field(&message, "type"), "text" | "ask") {
                    self.open_lines += 1;
                }
                self.last_activity = self.clock.now();
                self.caller.send(&message).await?;
            }
        }
        Ok(())
    }

    /// Shows a message and remembers what follows from it.
    fn on_message(&mut self, message: &Value) -> Result<(), Failure> {
        self.last_activity = self.clock.now();
        let text = |key: &str| field(message, key).to_owned();
        let is_final = message.get("is_final") == Some(&Value::Bool(true));
        let event = match field(message, "type") {
            "session_start" => {
                self.began = true;
                "session"
            }
            "state" => {
                let preparing =
                    std::mem::replace(&mut self.preparing, text("phase") == "preparing");
                self.state = text("state");
                self.replies += u64::from(preparing && text("phase") == "playing");
                if self.state == "WaitingForInput" {
                    // Messages are taken in order and texts queue up: whoever waits for input has spoken all of them.
                    self.open_lines = 0;
                }
                "state"
            }
            "transcript" => "transcript",
            "timings" => "timings",
            "error" => {
                self.problems += 1;
                self.complaint = Some(text("message"));
                self.open_lines = self.open_lines.saturating_sub(1);
                "error"
            }
            "session_end" => {
                self.server_reason = Some(text("reason"));
                return Ok(());
            }
            _ => return Ok(()),
        };
        if self.json {
            let mut line = message.clone();
            if let Some(fields) = line.as_object_mut() {
                fields.remove("type");
                fields.insert("event".into(), event.into());
            }
            out::json(&line)?;
        } else if event == "error" {
            out::note(&format!("error: {}", text("message")));
        } else if event == "transcript" && is_final && !text("text").is_empty() {
            let who = if text("role") == "agent" {
                "parlor"
            } else {
                "you"
            };
            out::line(&format!("{who}: {}", text("text")))?;
        } else if event == "session" && !self.quiet {
            out::note("Connected.");
        }
        Ok(())
    }

    /// Why the call is over, once the file or the lines are.
    fn is_over(&self) -> Option<&'static str> {
        if self.quit {
            return Some("quit");
        }
        let since = self.said_all_at?;
        let now = self.clock.now();
        if now.saturating_sub(since) >= self.timeout {
            return Some("timeout");
        }
        let answered = self.replies > 0 && self.open_lines == 0;
        let nothing_asked = self.frames.is_none() && self.open_lines == 0;
        let resting = matches!(self.state.as_str(), "WaitingForInput" | "Idle");
        let quiet = now.saturating_sub(self.last_activity.max(since)) >= QUIET;
        ((answered || nothing_asked) && resting && quiet).then_some("completed")
    }

    /// Takes what the server still says after the hang-up, its reason among it.
    async fn drain_after_hangup(&mut self) -> Result<(), Failure> {
        let deadline = self.clock.now() + LAST_WORDS;
        let clock = self.clock;
        loop {
            tokio::select! {
                () = clock.until(deadline) => return Ok(()),
                event = self.caller.recv() => match event {
                    Some(Event::Message(message)) => self.on_message(&message)?,
                    Some(Event::Audio(_)) => {}
                    Some(Event::Closed(_)) | None => return Ok(()),
                },
            }
        }
    }

    fn end(&self, ending: &Ending) -> Result<(), Failure> {
        let reason = ending.reason();
        if self.json {
            let end = json!({
                "event": "end",
                "reason": reason,
                "server_reason": self.server_reason,
                "replies": self.replies,
                "audio_ms": self.frames_heard * FRAME.as_millis() as u64,
                "errors": self.problems,
            });
            out::json(&end)?;
        } else if !self.quiet {
            out::note(&format!("The call is over: {reason}."));
        }
        Ok(())
    }
}

/// A text field of a message; empty if it is missing or none.
fn field<'a>(message: &'a Value, key: &str) -> &'a str {
    message.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn typed(line: &str) -> Option<Typed> {
    let line = line.trim();
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match command {
        "" => return None,
        "/ask" if rest.trim().is_empty() => Typed::Wrong("write the question behind /ask".into()),
        "/ask" => Typed::Send(json!({"type": "ask", "text": rest.trim()})),
        "/pause" => Typed::Send(json!({"type": "control", "command": "PAUSE"})),
        "/resume" => Typed::Send(json!({"type": "control", "command": "RESUME"})),
        "/stop" => Typed::Send(json!({"type": "control", "command": "STOP"})),
        "/quit" => Typed::Quit,
        unknown if unknown.starts_with('/') => Typed::Wrong(format!(
            "there is no {unknown}; there are /ask, /pause, /resume, /stop and /quit"
        )),
        _ => Typed::Send(json!({"type": "text", "text": line, "is_final": true})),
    })
}

async fn next_line(lines: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

fn keyboard() -> mpsc::Receiver<String> {
    // A handful of lines is more than anybody types ahead; a file piped in waits in its pipe.
    let (typed, lines) = mpsc::channel(16);
    let read = async move {
        let mut input = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = input.next_line().await {
            if typed.send(line).await.is_err() {
                break;
            }
        }
    };
    // Reading standard input cannot be cancelled: the process ends without waiting for it.
    drop(tokio_util::task::TaskTracker::new().spawn(read));
    lines
}

/// A file as the frames that a caller would send.
fn frames_of(path: &Path) -> Result<Vec<AudioFrame>, Failure> {
    let sound = wav::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut framer = Framer::new();
    if sound.sample_rate_hz == SAMPLE_RATE_HZ {
        framer.push(&sound.samples);
    } else {
        let mut resampler = Resampler::new(sound.sample_rate_hz, SAMPLE_RATE_HZ)
            .with_context(|| format!("cannot resample {} Hz", sound.sample_rate_hz))?;
        let mut samples = Vec::new();
        resampler.process(&sound.samples, &mut samples);
        resampler.flush(&mut samples);
        framer.push(&samples);
    }
    let mut frames = Vec::new();
    while let Some(frame) = framer.pop() {
        frames.push(frame);
    }
    frames.extend(framer.flush());
    Ok(frames)
}

#[cfg(feature = "mic")]
use devices::{Devices, list_devices, open_devices};

/// Stands in for sound devices where the feature is off.
#[cfg(not(feature = "mic"))]
#[derive(Debug)]
enum Devices {}

#[cfg(not(feature = "mic"))]
impl Devices {
    fn next_frame(&mut self) -> Option<AudioFrame> {
        match *self {}
    }

    fn play(&self, _: &AudioFrame) {
        match *self {}
    }
}

#[cfg(not(feature = "mic"))]
fn open_devices(_: Option<&str>, _: Option<&str>) -> Result<Devices, Failure> {
    Err(without_devices())
}

#[cfg(not(feature = "mic"))]
fn list_devices() -> Result<(), Failure> {
    Err(without_devices())
}

#[cfg(not(feature = "mic"))]
fn without_devices() -> Failure {
    Failure::Usage(
        "this parlor was built without sound devices; install libasound2-dev and build with \
         `cargo build --release -p parlor --features mic`"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_spoken_and_a_slash_commands() {
        assert_eq!(typed("  "), None);
        assert_eq!(
            typed("good morning"),
            Some(Typed::Send(
                json!({"type": "text", "text": "good morning", "is_final": true})
            ))
        );
        assert_eq!(
            typed("/ask what time is it"),
            Some(Typed::Send(
                json!({"type": "ask", "text": "what time is it"})
            ))
        );
        assert_eq!(
            typed("/stop"),
            Some(Typed::Send(json!({"type": "control", "command": "STOP"})))
        );
        assert_eq!(typed("/quit"), Some(Typed::Quit));
        assert!(matches!(typed("/dance"), Some(Typed::Wrong(_))));
        assert!(matches!(typed("/ask"), Some(Typed::Wrong(_))));
    }
}
