//! Captions on the wire: text streams on `lk.transcription`, and the older transcription packets beside them. No IO.

use livekit_protocol::data_packet::Value;
use livekit_protocol::data_stream::{Chunk, Header, TextHeader, Trailer, header::ContentHeader};
use livekit_protocol::{Transcription, TranscriptionSegment};
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

const TOPIC: &str = "lk.transcription";
const SEGMENT: &str = "lk.segment_id";
const TRACK: &str = "lk.transcribed_track_id";
const FINAL: &str = "lk.transcription_final";
const INTERRUPTED: &str = "parlor.interrupted";
/// What a piece of a stream may hold; a packet may have 64 000 bytes with all that is around it.
const CHUNK_BYTES: usize = 15_000;

/// Whose words a caption holds, as the room knows them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// The identity of whoever said it.
    pub(super) identity: &'a str,
    /// Their track.
    pub(super) track: &'a str,
}

/// Whether the agent's words are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// More will come.
    None,
    /// They were heard to their end.
    Whole,
    /// Somebody broke in.
    Interrupted,
}

/// The agent's words that are being said.
#[derive(Debug)]
struct Saying {
    segment: String,
    stream: String,
    /// What was sent of them.
    sent: String,
    next: u64,
}

/// Writes captions.
#[derive(Debug, Default)]
pub(super) struct Captions {
    saying: Option<Saying>,
    /// The agent's last words that are complete.
    said: Option<Said>,
}

/// The agent's words that were said.
#[derive(Debug)]
struct Said {
    segment: String,
    text: String,
    ending: Ending,
}

impl Captions {
    /// Somebody's words: a stream of its own each time, with the same segment.
    pub(super) fn person(
        &mut self,
        source: Source<'_>,
        segment: &str,
        text: &str,
        is_final: bool,
    ) -> Vec<Value> {
        let stream = new_id();
        let mut values = vec![header(&stream, source, segment, is_final)];
        let mut next = 0;
        chunks(&stream, &mut next, text, &mut values);
        values.push(trailer(stream, None));
        values.push(older(source, segment, text, is_final));
        values
    }

    /// The agent's words: one stream that grows as they are heard. Words that turn out not to have been heard are taken
    /// back by a new stream for the same segment.
    pub(super) fn agent(
        &mut self,
        source: Source<'_>,
        segment: &str,
        text: &str,
        ending: Ending,
    ) -> Vec<Value> {
        let mut values = Vec::new();
        let goes_on = self
            .saying
            .as_ref()
            .is_some_and(|saying| saying.segment == segment && text.starts_with(&saying.sent));
        if !goes_on {
            values.extend(
                self.saying
                    .take()
                    .map(|it| trailer(it.stream, Some(Ending::Whole))),
            );
            let stream = new_id();
            values.push(header(&stream, source, segment, false));
            self.saying = Some(Saying {
                segment: segment.to_owned(),
                stream,
                sent: String::new(),
                next: 0,
            });
        }
        if let Some(saying) = &mut self.saying {
            let more = text.get(saying.sent.len()..).unwrap_or_default();
            chunks(&saying.stream, &mut saying.next, more, &mut values);
            saying.sent.push_str(more);
        }
        let is_final = ending != Ending::None;
        if is_final {
            values.extend(
                self.saying
                    .take()
                    .map(|it| trailer(it.stream, Some(ending))),
            );
            self.said = Some(Said {
                segment: segment.to_owned(),
                text: text.to_owned(),
                ending,
            });
        }
        values.push(older(source, segment, text, is_final));
        values
    }

    /// The agent's present words again, or its last ones, as a new stream for the same segment: for whoever did not listen yet
    /// when the stream before began.
    pub(super) fn again(&mut self, source: Source<'_>) -> Vec<Value> {
        let (segment, text, ending, before) = match (self.saying.take(), &self.said) {
            (Some(saying), _) => {
                let before = trailer(saying.stream, None);
                (saying.segment, saying.sent, Ending::None, Some(before))
            }
            (None, Some(said)) => (said.segment.clone(), said.text.clone(), said.ending, None),
            (None, None) => return Vec::new(),
        };
        let mut values = Vec::from_iter(before);
        values.extend(self.agent(source, &segment, &text, ending));
        values
    }

    /// The connection was made anew: whoever reads now has not seen the stream's beginning.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::default();
    }
}

fn new_id() -> String {
    use rand::distr::{Alphanumeric, SampleString as _};
    format!(
        "parlor-{}",
        Alphanumeric.sample_string(&mut rand::rng(), 16)
    )
}

fn header(stream: &str, source: Source<'_>, segment: &str, is_final: bool) -> Value {
    let attributes = [
        (SEGMENT, segment),
        (TRACK, source.track),
        (FINAL, truth(is_final)),
    ];
    Value::StreamHeader(Header {
        stream_id: stream.to_owned(),
        timestamp: milliseconds_now(),
        topic: TOPIC.to_owned(),
        mime_type: "text/plain".to_owned(),
        attributes: attributes
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        content_header: Some(ContentHeader::TextHeader(TextHeader {
            generated: true,
            ..TextHeader::default()
        })),
        ..Header::default()
    })
}

fn chunks(stream: &str, next: &mut u64, text: &str, values: &mut Vec<Value>) {
    let mut rest = text;
    while !rest.is_empty() {
        let mut cut = rest.len().min(CHUNK_BYTES);
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        let (piece, more) = rest.split_at(cut);
        rest = more;
        values.push(Value::StreamChunk(Chunk {
            stream_id: stream.to_owned(),
            chunk_index: *next,
            content: piece.as_bytes().to_vec(),
            ..Chunk::default()
        }));
        *next += 1;
    }
}

fn trailer(stream: String, ending: Option<Ending>) -> Value {
    let mut attributes = HashMap::new();
    if let Some(ending) = ending {
        attributes.insert(FINAL.to_owned(), truth(true).to_owned());
        if ending == Ending::Interrupted {
            attributes.insert(INTERRUPTED.to_owned(), truth(true).to_owned());
        }
    }
    Value::StreamTrailer(Trailer {
        stream_id: stream,
        attributes,
        ..Trailer::default()
    })
}

fn older(source: Source<'_>, segment: &str, text: &str, is_final: bool) -> Value {
    Value::Transcription(Transcription {
        transcribed_participant_identity: source.identity.to_owned(),
        track_id: source.track.to_owned(),
        segments: vec![TranscriptionSegment {
            id: segment.to_owned(),
            text: text.to_owned(),
            r#final: is_final,
            ..TranscriptionSegment::default()
        }],
    })
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// The time of day, as stream headers have it.
fn milliseconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: Source<'_> = Source {
        identity: "ana",
        track: "TR_1",
    };

    /// What a reader of the streams shows for each stream: its text and whether it is final.
    fn read(values: &[Value]) -> Vec<(String, String, bool)> {
        let mut streams: Vec<(String, String, String, bool)> = Vec::new();
        for value in values {
            match value {
                Value::StreamHeader(header) => streams.push((
                    header.stream_id.clone(),
                    header.attributes[SEGMENT].clone(),
                    String::new(),
                    header.attributes[FINAL] == "true",
                )),
                Value::StreamChunk(chunk) => {
                    let stream = streams.iter_mut().find(|it| it.0 == chunk.stream_id);
                    let text = std::str::from_utf8(&chunk.content).unwrap();
                    stream.unwrap().2.push_str(text);
                }
                Value::StreamTrailer(trailer) => {
                    let stream = streams.iter_mut().find(|it| it.0 == trailer.stream_id);
                    if let Some(value) = trailer.attributes.get(FINAL) {
                        stream.unwrap().3 = value == "true";
                    }
                }
                _ => {}
            }
        }
        let shown = streams.into_iter();
        shown
            .map(|(_, segment, text, is_final)| (segment, text, is_final))
            .collect()
    }

    #[test]
    fn who_comes_in_the_middle_gets_all_words_in_a_stream_of_their_own() {
        let mut captions = Captions::default();
        assert!(captions.again(ANA).is_empty());
        captions.agent(ANA, "a1", "Hello", Ending::None);
        let mut later = captions.again(ANA);
        later.retain(|value| !matches!(value, Value::StreamTrailer(_)));
        later.extend(captions.agent(ANA, "a1", "Hello there", Ending::None));
        later.extend(captions.agent(ANA, "a1", "Hello there.", Ending::Whole));
        let whole = [("a1".to_owned(), "Hello there.".to_owned(), true)];
        assert_eq!(read(&later), whole);
        assert_eq!(read(&captions.again(ANA)), whole);
    }

    #[test]
    fn a_persons_words_are_a_new_stream_each_time() {
        let mut captions = Captions::default();
        let mut values = captions.person(ANA, "s1", "what", false);
        values.extend(captions.person(ANA, "s1", "what time is it", true));
        assert_eq!(
            read(&values),
            [
                ("s1".into(), "what".into(), false),
                ("s1".into(), "what time is it".into(), true)
            ]
        );
        let older = values
            .iter()
            .filter(|it| matches!(it, Value::Transcription(_)));
        assert_eq!(older.count(), 2);
    }

    #[test]
    fn the_agents_words_are_one_stream_that_grows_until_it_is_final() {
        let mut captions = Captions::default();
        let mut values = captions.agent(ANA, "a1", "It is", Ending::None);
        values.extend(captions.agent(ANA, "a1", "It is noon.", Ending::None));
        values.extend(captions.agent(ANA, "a1", "It is noon.", Ending::Whole));
        assert_eq!(read(&values), [("a1".into(), "It is noon.".into(), true)]);
        assert!(captions.saying.is_none());
    }

    #[test]
    fn words_that_were_not_heard_are_taken_back_by_a_new_stream() {
        let mut captions = Captions::default();
        let mut values = captions.agent(ANA, "a1", "Once upon a time", Ending::None);
        values.extend(captions.agent(ANA, "a1", "Once upon", Ending::Interrupted));
        let shown = read(&values);
        assert_eq!(shown.last(), Some(&("a1".into(), "Once upon".into(), true)));
        assert_eq!(shown.len(), 2);
        let trailers = values.iter().filter_map(|value| match value {
            Value::StreamTrailer(trailer) => Some(trailer.attributes.contains_key(INTERRUPTED)),
            _ => None,
        });
        assert_eq!(trailers.collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "\u{fc}".repeat(20_000);
        let values = Captions::default().person(ANA, "s1", &text, true);
        assert_eq!(read(&values)[0].1, text);
        for value in &values {
            if let Value::StreamChunk(chunk) = value {
                assert!(chunk.content.len() <= CHUNK_BYTES);
            }
        }
    }
}
