//! Text and byte streams that people send: put together from their pieces, within bounds. No IO.

use super::preconnect;
use livekit_protocol::data_stream::{Chunk, Header, Trailer, header::ContentHeader};
use std::collections::HashMap;

/// The topic of typed messages.
pub(super) const CHAT_TOPIC: &str = "lk.chat";
/// The longest typed message, in bytes: a hundred thousand characters of any script.
pub(super) const MAX_TEXT_BYTES: usize = 400_000;
/// Streams that are open at a time in a room, and of one person.
const STREAMS: usize = 64;
const STREAMS_OF_ONE: usize = 4;
/// Bytes of all open streams together.
const BYTES: usize = 8 << 20;

/// A stream that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A typed message.
    Chat {
        /// Who sent it.
        from: String,
        /// The words.
        text: String,
    },
    /// A recording of what was said before.
    Recording {
        /// Who sent it.
        from: String,
        /// Of which track.
        track: String,
        /// Its MIME type.
        mime: String,
        /// What the sender says about it.
        attributes: HashMap<String, String>,
        /// The recording.
        bytes: Vec<u8>,
    },
    /// A stream that was not taken; the sender should know why.
    Refused {
        /// Who sent it.
        from: String,
        /// What is wrong, in a sentence.
        why: String,
    },
}

#[derive(Debug)]
struct Stream {
    from: String,
    header: Header,
    content: Vec<u8>,
    next: u64,
}

impl Stream {
    fn limit(&self) -> usize {
        match self.header.topic.as_str() {
            CHAT_TOPIC => MAX_TEXT_BYTES,
            _ => preconnect::MAX_BYTES,
        }
    }
}

/// The streams that are coming in, by their ids.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: HashMap<String, Stream>,
    bytes: usize,
}

impl Streams {
    /// A stream begins. Those on topics that nobody here reads are left out, whatever their size.
    pub(super) fn header(&mut self, from: String, header: Header) -> Option<Received> {
        let is_text = matches!(header.content_header, Some(ContentHeader::TextHeader(_)));
        let is_wanted = match header.topic.as_str() {
            CHAT_TOPIC => is_text,
            preconnect::TOPIC => !is_text,
            _ => false,
        };
        if !is_wanted {
            return None;
        }
        let mut stream = Stream {
            from,
            content: Vec::new(),
            next: 0,
            header,
        };
        // We announce no compression, so a stream that is compressed all the same cannot be meant for us.
        if stream.header.compression != 0 {
            return Some(refused(
                stream.from,
                "a compressed stream is not understood",
            ));
        }
        let announced = stream.header.total_length.unwrap_or(0);
        if announced > stream.limit() as u64 {
            return Some(too_long(&stream));
        }
        if let Some(content) = stream.header.inline_content.take() {
            if content.len() > stream.limit() {
                return Some(too_long(&stream));
            }
            stream.content = content;
            return Some(finished(stream));
        }
        let theirs = self.open.values().filter(|open| open.from == stream.from);
        if self.open.contains_key(&stream.header.stream_id) {
            return Some(refused(stream.from, "a stream of that id is open already"));
        }
        if self.open.len() >= STREAMS || theirs.count() >= STREAMS_OF_ONE {
            return Some(refused(stream.from, "too many streams are open at once"));
        }
        self.open.insert(stream.header.stream_id.clone(), stream);
        None
    }

    /// A piece of a stream.
    pub(super) fn chunk(&mut self, from: &str, chunk: Chunk) -> Option<Received> {
        let stream = self.open.get_mut(&chunk.stream_id)?;
        // Ids are the sender's choice: nobody writes into somebody else's stream.
        if stream.from != from || chunk.chunk_index < stream.next {
            return None;
        }
        let length = stream.content.len() + chunk.content.len();
        if chunk.chunk_index != stream.next || length > stream.limit() {
            let stream = self.remove(&chunk.stream_id)?;
            return Some(match length > stream.limit() {
                true => too_long(&stream),
                false => refused(stream.from, "a piece of a stream is missing"),
            });
        }
        if self.bytes + chunk.content.len() > BYTES {
            let stream = self.remove(&chunk.stream_id)?;
            return Some(refused(stream.from, "too much is being sent at once"));
        }
        self.bytes += chunk.content.len();
        stream.next += 1;
        stream.content.extend_from_slice(&chunk.content);
        None
    }

    /// A stream ends.
    pub(super) fn trailer(&mut self, from: &str, trailer: &Trailer) -> Option<Received> {
        if self.open.get(&trailer.stream_id)?.from != from {
            return None;
        }
        let stream = self.remove(&trailer.stream_id)?;
        match trailer.reason.is_empty() {
            true => Some(finished(stream)),
            // Broken off by its sender, who knows.
            false => None,
        }
    }

    /// Somebody is gone, and the rest of what they were sending with them.
    pub(super) fn forget(&mut self, from: &str) {
        let mut freed = 0;
        self.open.retain(|_, stream| {
            let stays = stream.from != from;
            if !stays {
                freed += stream.content.len();
            }
            stays
        });
        self.bytes -= freed;
    }

    fn remove(&mut self, id: &str) -> Option<Stream> {
        let stream = self.open.remove(id)?;
        self.bytes -= stream.content.len();
        Some(stream)
    }
}

fn finished(stream: Stream) -> Received {
    let Stream {
        from,
        header,
        content,
        ..
    } = stream;
    if header.topic == CHAT_TOPIC {
        return match String::from_utf8(content) {
            Ok(text) => Received::Chat { from, text },
            Err(_) => refused(from, "a message must be UTF-8"),
        };
    }
    match header.attributes.get("trackId") {
        Some(track) => Received::Recording {
            track: track.clone(),
            from,
            mime: header.mime_type,
            attributes: header.attributes,
            bytes: content,
        },
        None => refused(from, "a recording must name its track in trackId"),
    }
}

fn too_long(stream: &Stream) -> Received {
    let why = format!("the stream is longer than {} bytes", stream.limit());
    refused(stream.from.clone(), why)
}

fn refused(from: String, why: impl Into<String>) -> Received {
    let why = why.into();
    Received::Refused { from, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::data_stream::{ByteHeader, TextHeader};

    fn text(id: &str) -> Header {
        Header {
            stream_id: id.into(),
            topic: CHAT_TOPIC.into(),
            content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
            ..Header::default()
        }
    }

    fn piece(id: &str, index: u64, content: &[u8]) -> Chunk {
        Chunk {
            stream_id: id.into(),
            chunk_index: index,
            content: content.into(),
            ..Chunk::default()
        }
    }

    fn end(id: &str) -> Trailer {
        Trailer {
            stream_id: id.into(),
            ..Trailer::default()
        }
    }

    #[test]
    fn a_message_comes_in_pieces_and_nobody_else_writes_into_it() {
        let mut streams = Streams::default();
        assert_eq!(streams.header("ana".into(), text("s")), None);
        assert_eq!(
            streams.chunk("ana", piece("s", 0, "gr\u{fc}".as_bytes())),
            None
        );
        assert_eq!(streams.chunk("eve", piece("s", 1, b"!!")), None);
        assert_eq!(streams.trailer("eve", &end("s")), None);
        assert_eq!(streams.chunk("ana", piece("s", 0, b"again")), None);
        assert_eq!(
            streams.chunk("ana", piece("s", 1, "\u{df}e".as_bytes())),
            None
        );
        let chat = streams.trailer("ana", &end("s"));
        let expected = Received::Chat {
            from: "ana".into(),
            text: "gr\u{fc}\u{df}e".into(),
        };
        assert_eq!(chat, Some(expected));
        assert_eq!(streams.bytes, 0);
    }

    #[test]
    fn ten_megabytes_are_refused_and_nothing_of_them_stays() {
        let mut streams = Streams::default();
        let mut announced = text("a");
        announced.total_length = Some(10 << 20);
        assert!(matches!(
            streams.header("ana".into(), announced),
            Some(Received::Refused { why, .. }) if why.contains("400000")
        ));
        streams.header("ana".into(), text("b"));
        let refused = (0..1000).find_map(|n| streams.chunk("ana", piece("b", n, &[b'x'; 15_000])));
        assert!(matches!(refused, Some(Received::Refused { .. })));
        assert_eq!((streams.open.len(), streams.bytes), (0, 0));
        assert_eq!(streams.trailer("ana", &end("b")), None);
    }

    #[test]
    fn streams_without_an_end_are_bounded_and_leave_with_their_sender() {
        let mut streams = Streams::default();
        for n in 0..STREAMS_OF_ONE {
            assert_eq!(streams.header("eve".into(), text(&n.to_string())), None);
            streams.chunk("eve", piece(&n.to_string(), 0, &[b'x'; 1000]));
        }
        let refused = streams.header("eve".into(), text("more"));
        assert!(matches!(refused, Some(Received::Refused { .. })));
        assert_eq!(streams.header("ana".into(), text("mine")), None);
        // Nobody takes an id that is in use, and with it somebody's stream.
        let refused = streams.header("eve".into(), text("mine"));
        assert!(matches!(refused, Some(Received::Refused { .. })));
        streams.forget("eve");
        assert_eq!((streams.bytes, streams.open.len()), (0, 1));
    }

    #[test]
    fn a_recording_names_its_track() {
        let mut streams = Streams::default();
        let mut header = Header {
            stream_id: "r".into(),
            topic: preconnect::TOPIC.into(),
            mime_type: "audio/webm".into(),
            content_header: Some(ContentHeader::ByteHeader(ByteHeader::default())),
            ..Header::default()
        };
        streams.header("ana".into(), header.clone());
        let nameless = streams.trailer("ana", &end("r"));
        assert!(matches!(nameless, Some(Received::Refused { .. })));
        header.attributes.insert("trackId".into(), "TR_1".into());
        streams.header("ana".into(), header);
        streams.chunk("ana", piece("r", 0, &[1, 2, 3]));
        assert!(matches!(
            streams.trailer("ana", &end("r")),
            Some(Received::Recording { track, bytes, .. }) if track == "TR_1" && bytes == [1, 2, 3]
        ));
    }
}
