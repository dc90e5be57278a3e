//! WebSocket messages of a server, with one thing in them replaced by another of the same length.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// No message of a LiveKit server is longer; a longer one ends the connection.
const FRAME_BYTES: u64 = 16 * 1024 * 1024;

/// Replaces one thing by another.
#[derive(Debug, Clone)]
pub(super) struct Rewriter {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Rewriter {
    pub(super) fn new(from: &str, to: &str) -> Self {
        assert_eq!(from.len(), to.len(), "a message must keep its length");
        Self {
            from: from.into(),
            to: to.into(),
        }
    }

    fn rewrite(&self, bytes: &mut [u8]) {
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(&self.from) {
                rest[..self.to.len()].copy_from_slice(&self.to);
                at += self.to.len();
            } else {
                at += 1;
            }
        }
    }

    /// Copies frame by frame until the server ends. A server sends its frames unmasked (RFC 6455, 5.1), and LiveKit's
    /// sends each message in one.
    pub(super) async fn copy(
        &self,
        server: &mut (impl AsyncRead + Unpin),
        caller: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        loop {
            let mut frame = vec![0; 2];
            server.read_exact(&mut frame).await?;
            let length_bytes = match frame[1] {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let mut length = [0; 8];
            let longer = &mut length[8 - length_bytes..];
            server.read_exact(longer).await?;
            frame.extend_from_slice(longer);
            let length = match length_bytes {
                0 => u64::from(frame[1]),
                _ => u64::from_be_bytes(length),
            };
            // With the mask's bit set the short length is more than 127.
            if length > FRAME_BYTES || frame[1] > 127 {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            let head = frame.len();
            frame.resize(head + length as usize, 0);
            server.read_exact(&mut frame[head..]).await?;
            self.rewrite(&mut frame[head..]);
            caller.write_all(&frame).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_port_is_another_in_messages_of_every_length_and_nothing_else_is() {
        let rewriter = Rewriter::new("127.0.0.1 40001 typ ", "127.0.0.1 50002 typ ");
        let mut frames = Vec::new();
        for length in [30_usize, 125, 126, 300, 70_000] {
            let mut payload = vec![b' '; length];
            let candidate = b"127.0.0.1 40001 typ host";
            payload[..candidate.len()].copy_from_slice(candidate);
            payload.extend_from_slice(b"127.0.0.1 40001");
            match payload.len() {
                short @ ..=125 => frames.extend([0x82, short as u8]),
                long @ ..=65_535 => {
                    frames.extend([0x82, 126]);
                    frames.extend((long as u16).to_be_bytes());
                }
                longest => {
                    frames.extend([0x82, 127]);
                    frames.extend((longest as u64).to_be_bytes());
                }
            }
            frames.extend(payload);
        }
        let mut came = Vec::new();
        let ended = rewriter.copy(&mut frames.as_slice(), &mut came).await;
        assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        let expected = String::from_utf8_lossy(&frames).replace("40001 typ", "50002 typ");
        assert_eq!(String::from_utf8_lossy(&came), expected);
        assert_eq!(came.len(), frames.len());
    }

    #[tokio::test]
    async fn a_frame_that_no_server_sends_ends_it() {
        let rewriter = Rewriter::new("a", "b");
        for frame in [
            vec![0x82, 0x81, 1, 2, 3, 4, 5],
            vec![0x82, 127, 1, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let ended = rewriter.copy(&mut frame.as_slice(), &mut Vec::new()).await;
            assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
        }
    }
}
