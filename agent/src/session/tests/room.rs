//! A room in virtual time: people who speak by a plan, a recogniser that hears what is scripted, and all that the agent sends.

use crate::cluster::{Access, Cluster, Fleet, Voice};
use crate::session::conversation::Message;
use crate::session::outputs::Sayings;
use crate::session::responder::Responder;
use crate::session::{Events, Parts, Session};
use crate::sessions::{Sessions, Transport};
use dialog::Policy;
use hyper_util::rt::TokioIo;
use media::hear::{Ear, EarSettings, VAD_FRAME_SAMPLES, Vad};
use media::link::{Caption, Inbound, Outbound, Person, Speaker, Wire, pair};
use media::{AudioFrame, Clock, FRAME_SAMPLES};
use proto::registry::RecordKind;
use proto::stt::stt_service_server::{SttService, SttServiceServer};
use proto::stt::{
    AudioFrame as SttFrame, CancelRequest, CancelResponse, HealthRequest, HealthResponse,
    TranscribeFileRequest, TranscribeFileResponse, TranscriptEvent,
};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use workers::Embedded;
use workers::settings::Settings;

pub const ANA: Speaker = Speaker(1);
pub const BO: Speaker = Speaker(2);

/// Something that came from the agent.
#[derive(Debug)]
pub enum Came {
    /// 20 ms that are not silent.
    Sound(AudioFrame),
    Caption(Caption),
    /// The value of `lk.agent.state`.
    Attribute(String),
    Data(&'static str, serde_json::Value),
}

/// What somebody says, and how long after it the recogniser knows.
type Lines = VecDeque<(String, u64)>;

/// What each person says, utterance by utterance, and how long after the speech it is recognised.
#[derive(Clone, Default)]
pub struct Script {
    lines: Arc<Mutex<BTreeMap<u32, Lines>>>,
    /// Whose utterances were heard, and how many samples of each.
    pub heard: Arc<Mutex<Vec<(u32, usize)>>>,
}

pub struct Room {
    pub wire: Wire,
    pub script: Script,
    /// Everything that came, with the millisecond.
    pub came: Vec<(u64, Came)>,
    /// Whom each message on a topic was for.
    pub addressed: Vec<(&'static str, Option<Speaker>)>,
    /// Counts the ears that are alive, and one.
    pub ears: Arc<()>,
    clock: Clock,
    responder: Arc<Responder>,
    tasks: TaskTracker,
    speaks: BTreeMap<Speaker, Vec<Range<u64>>>,
    _embedded: Embedded,
}

/// Takes whatever is loud for voice.
struct Loud(#[expect(dead_code, reason = "it is there to be counted")] Arc<()>);

impl Vad for Loud {
    fn hear(&mut self, samples: &[i16; VAD_FRAME_SAMPLES]) -> f32 {
        f32::from(u8::from(samples.iter().any(|sample| sample.abs() > 1000)))
    }

    fn has_probability(&self) -> bool {
        true
    }

    fn reset(&mut self) {}

    fn name(&self) -> &'static str {
        "loud"
    }
}

/// A square wave.
pub fn voice() -> AudioFrame {
    AudioFrame::padded(&std::array::from_fn::<_, FRAME_SAMPLES, _>(|n| {
        if n % 96 < 48 { 5000 } else { -5000 }
    }))
}

/// The embedded voice, and a recogniser of the test's own.
fn cluster(embedded: &Embedded, stt: &Channel) -> Cluster {
    let fleet = Fleet::new(String::new(), Access::default());
    for record in embedded.records() {
        let channel = match record.capabilities.kind {
            RecordKind::Tts => embedded.tts(),
            RecordKind::Stt => stt.clone(),
        };
        fleet.embed(record, &channel);
    }
    Cluster::new(fleet)
}

impl Room {
    /// An agent in an empty room.
    pub async fn open() -> Self {
        let mut settings = Settings::default();
        settings.tts.adapters = vec![workers::TtsEngine::Mock];
        settings.stt.adapter = workers::SttEngine::Scripted;
        let embedded = Embedded::start(settings).await.unwrap();
        let tasks = TaskTracker::new();
        let script = Script::default();
        let stt = serve(script.clone(), &tasks).await;
        let responder = Arc::new(Responder::Parrot(Mutex::default()));
        let ears = Arc::new(());
        let alive = ears.clone();
        let parts = Parts {
            policy: Policy {
                reprompt_after: None,
                ..Policy::default()
            },
            sayings: Sayings::default(),
            voice: Voice::default(),
            ears: Arc::new(move || Ear::new(EarSettings::default(), Box::new(Loud(alive.clone())))),
            cluster: cluster(&embedded, &stt),
            responder: responder.clone(),
            recorder: None,
            tracker: tasks.clone(),
        };
        let (link, wire) = pair();
        let admission = Sessions::new(1).admit(Transport::LiveKit).unwrap();
        let session = Session::new(admission, link, Events::Room, parts);
        let clock = Clock::start();
        tasks.spawn(async move {
            session.run().await;
        });
        Self {
            wire,
            script,
            came: Vec::new(),
            addressed: Vec::new(),
            ears,
            clock,
            responder,
            tasks,
            speaks: BTreeMap::new(),
            _embedded: embedded,
        }
    }

    /// Somebody comes, and says these words at these times.
    pub async fn join(&mut self, speaker: Speaker, name: &str, says: &[(Range<u64>, &str)]) {
        for (when, words) in says {
            self.says(speaker, when.clone(), words, 200);
        }
        self.speaks.entry(speaker).or_default();
        let person = Person {
            identity: format!("id-{}", speaker.0),
            name: name.into(),
        };
        self.send(Inbound::Joined { speaker, person }).await;
    }

    /// Somebody will say these words then, and they will be recognised so long after.
    pub fn says(&mut self, speaker: Speaker, when: Range<u64>, words: &str, after_ms: u64) {
        self.speaks.entry(speaker).or_default().push(when);
        let mut lines = self.script.lines.lock().unwrap();
        let lines = lines.entry(speaker.0).or_default();
        lines.push_back((words.into(), after_ms));
    }

    /// Somebody leaves.
    pub async fn leave(&mut self, speaker: Speaker) {
        self.speaks.remove(&speaker);
        self.send(Inbound::Left { speaker }).await;
    }

    pub async fn send(&self, item: Inbound) {
        assert!(self.wire.inbox.send(item).await);
    }

    pub async fn chat(&self, speaker: Speaker, text: &str) {
        let text = text.into();
        self.send(Inbound::Chat { speaker, text }).await;
    }

    /// Lets time pass; everybody sends what they say, or silence.
    pub async fn until(&mut self, ms: u64) {
        while self.now() < ms {
            let now = self.now();
            for (speaker, when) in &self.speaks {
                let speaks = when.iter().any(|when| when.contains(&now));
                let frame = match speaks {
                    true => voice(),
                    false => AudioFrame::silence(),
                };
                self.wire.inbox.audio_of(*speaker, frame);
            }
            self.pass(20).await;
        }
    }

    /// Lets time pass in which nothing comes from anybody.
    pub async fn deaf_until(&mut self, ms: u64) {
        while self.now() < ms {
            self.pass(20).await;
        }
    }

    async fn pass(&mut self, ms: u64) {
        let at = self.clock.now() + Duration::from_millis(ms);
        self.clock.until(at).await;
        let now = self.now();
        while let Ok(item) = self.wire.outbound.try_recv() {
            let came = match item {
                Outbound::Audio { frame, .. } => {
                    if frame.samples().iter().all(|sample| *sample == 0) {
                        continue;
                    }
                    Came::Sound(frame)
                }
                Outbound::Caption(caption) => Came::Caption(caption),
                Outbound::Attributes(mut attributes) => {
                    let (key, value) = attributes.pop().unwrap();
                    assert_eq!((key, attributes.len()), ("lk.agent.state", 0));
                    Came::Attribute(value)
                }
                Outbound::Data { to, topic, payload } => {
                    self.addressed.push((topic, to));
                    Came::Data(topic, serde_json::from_str(&payload).unwrap())
                }
                other => {
                    panic!("a room has no {other:?}")
                }
            };
            self.came.push((now, came));
        }
    }

    pub fn now(&self) -> u64 {
        self.clock.now().as_millis() as u64
    }

    /// What the responder was asked, turn by turn: its last messages with the names, up to the agent's last.
    pub fn turns(&self) -> Vec<Vec<String>> {
        let said = |message: &Message| match &message.who {
            Some(who) => format!("{who}: {}", message.text),
            None => message.text.clone(),
        };
        let turn = |history: &Vec<Message>| {
            let agent = |message: &Message| message.role == crate::session::protocol::Role::Agent;
            let from = history.iter().rposition(agent).map_or(0, |at| at + 1);
            history[from..].iter().map(said).collect()
        };
        self.asked().iter().map(turn).collect()
    }

    /// Every history that the responder got.
    pub fn asked(&self) -> Vec<Vec<Message>> {
        match &*self.responder {
            Responder::Parrot(asked) => asked.lock().unwrap().clone(),
            other => panic!("{} answers", other.name()),
        }
    }

    /// The captions, final ones only.
    pub fn captions(&self) -> Vec<(Option<u32>, &str)> {
        let captions = self.came.iter().filter_map(|(_, came)| match came {
            Came::Caption(caption) if caption.is_final => {
                let speaker = caption.speaker.map(|speaker| speaker.0);
                Some((speaker, caption.text.as_str()))
            }
            _ => None,
        });
        captions.collect()
    }

    /// What the agent was said to do.
    pub fn states(&self) -> Vec<&str> {
        let states = self.came.iter().filter_map(|(_, came)| match came {
            Came::Attribute(state) => Some(state.as_str()),
            _ => None,
        });
        states.collect()
    }

    /// What came on a topic.
    pub fn data(&self, topic: &str) -> Vec<&serde_json::Value> {
        let data = self.came.iter().filter_map(|(_, came)| match came {
            Came::Data(on, value) if *on == topic => Some(value),
            _ => None,
        });
        data.collect()
    }

    /// The agent's sound.
    pub fn sound(&self) -> Vec<(u64, &AudioFrame)> {
        let sound = self.came.iter().filter_map(|(at, came)| match came {
            Came::Sound(frame) => Some((*at, frame)),
            _ => None,
        });
        sound.collect()
    }

    /// Ends the call.
    pub async fn close(self) {
        drop(self.wire);
        self.tasks.close();
    }
}

/// Serves the script in memory.
async fn serve(script: Script, tasks: &TaskTracker) -> Channel {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let incoming = tokio_stream::once(Ok::<_, std::io::Error>(theirs));
    let server = Server::builder().add_service(SttServiceServer::new(script));
    tasks.spawn(async move {
        // It ends with its connection.
        let _ = server.serve_with_incoming(incoming).await;
    });
    let mut ours = Some(ours);
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let ours = ours.take();
        async move { ours.map(TokioIo::new).ok_or(std::io::Error::other("gone")) }
    });
    Endpoint::from_static("http://script.in.memory")
        .connect_with_connector(connector)
        .await
        .unwrap()
}

impl Script {
    /// The next words of whoever this session of the recogniser belongs to.
    fn next(&self, session: &str) -> (u32, String, u64) {
        let speaker = session
            .rsplit_once("-p")
            .map_or(0, |(_, number)| number.parse().unwrap());
        let mut lines = self.lines.lock().unwrap();
        let line = lines.get_mut(&speaker).and_then(VecDeque::pop_front);
        let (words, after_ms) = line.unwrap_or_default();
        (speaker, words, after_ms)
    }
}

type Results = Result<Response<ReceiverStream<Result<TranscriptEvent, Status>>>, Status>;

#[tonic::async_trait]
impl SttService for Script {
    type TranscribeStreamStream = ReceiverStream<Result<TranscriptEvent, Status>>;

    async fn transcribe_stream(&self, request: Request<Streaming<SttFrame>>) -> Results {
        let (events, waiting) = mpsc::channel(4);
        let script = self.clone();
        let mut inbound = request.into_inner();
        TaskTracker::new().spawn(async move {
            let event = |kind: &str, text: &str| {
                Ok(TranscriptEvent {
                    event_type: kind.into(),
                    text: text.into(),
                    ..Default::default()
                })
            };
            let Ok(Some(first)) = inbound.message().await else {
                return;
            };
            let (speaker, words, after_ms) = script.next(&first.session_id);
            let (mut samples, mut told) = (first.data.len() / 2, false);
            while let Ok(Some(frame)) = inbound.message().await {
                samples += frame.data.len() / 2;
                // The first word is known after three fifths of a second.
                if samples > 9_600 && !std::mem::replace(&mut told, true) {
                    let word = words.split(' ').next().unwrap_or_default();
                    let _ = events.send(event("partial", word)).await;
                }
            }
            script.heard.lock().unwrap().push((speaker, samples));
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            let _ = events.send(event("final", &words)).await;
        });
        Ok(Response::new(ReceiverStream::new(waiting)))
    }

    async fn transcribe_file(
        &self,
        _: Request<TranscribeFileRequest>,
    ) -> Result<Response<TranscribeFileResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn cancel(&self, _: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn health(&self, _: Request<HealthRequest>) -> Result<Response<HealthResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}
