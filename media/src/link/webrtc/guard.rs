//! Packets that the stack must not see although their address is right: forged ones that can be told by their outside.
//!
//! Addresses can be forged, so a stranger may put a packet into a call. Nothing in it decrypts, but the stack changes its
//! mind by a few things before it knows that.

/// A voice call has one stream and the number that its reports come from; some clients use another for each.
const SOURCES: usize = 16;
/// The header of a DTLS record: type, version, epoch, sequence number, length.
const RECORD_HEADER_BYTES: usize = 13;
const CHANGE_CIPHER_SPEC: u8 = 20;

/// What one call's packets have shown of themselves.
#[derive(Debug)]
pub(super) struct Guard {
    sources: Vec<u32>,
}

impl Guard {
    /// The stream numbers (SSRC) that the offer announces are always admitted.
    pub(super) fn new(announced: &[u32]) -> Self {
        Self {
            sources: announced.iter().copied().take(SOURCES).collect(),
        }
    }

    /// Whether the stack may see this packet.
    pub(super) fn admits(&mut self, datagram: &[u8]) -> bool {
        match datagram {
            [128..=191, kind, ..] => self.admits_stream(*kind, datagram),
            [20..=63, ..] => are_records_plausible(datagram),
            [0..=3, ..] => true,
            _ => false,
        }
    }

    /// The stack remembers every stream that it sees, genuine or not, so their number is bounded.
    fn admits_stream(&mut self, kind: u8, datagram: &[u8]) -> bool {
        // RFC 5761: in the second byte reports have numbers that no voice has. The source is their second word, and the
        // third of a voice packet.
        let at = if (192..=223).contains(&kind) {
            4..8
        } else {
            8..12
        };
        let Some(source) = datagram.get(at).and_then(|bytes| bytes.try_into().ok()) else {
            return false;
        };
        let source = u32::from_be_bytes(source);
        if self.sources.contains(&source) {
            return true;
        }
        let has_room = self.sources.len() < SOURCES;
        if has_room {
            self.sources.push(source);
        }
        has_room
    }
}

/// The keys change once in a call, by a record sent before they do (epoch 0). The stack would believe a later one unread,
/// wait for keys that never come, and take no message any more.
fn are_records_plausible(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some((header, body)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() {
        let [
            kind,
            _,
            _,
            epoch_high,
            epoch_low,
            ..,
            length_high,
            length_low,
        ] = *header;
        if kind == CHANGE_CIPHER_SPEC && (epoch_high, epoch_low) != (0, 0) {
            return false;
        }
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        rest = body.get(length..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(source: u32) -> Vec<u8> {
        [&[128, 111, 0, 1, 0, 0, 0, 0][..], &source.to_be_bytes()].concat()
    }

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let header = [
            kind,
            254,
            253,
            0,
            epoch,
            0,
            0,
            0,
            0,
            0,
            9,
            0,
            body.len() as u8,
        ];
        [&header[..], body].concat()
    }

    #[test]
    fn forged_streams_end_at_a_bound_and_the_callers_own_goes_on() {
        let mut guard = Guard::new(&[7]);
        let admitted = (1000..2000)
            .filter(|source| guard.admits(&voice(*source)))
            .count();
        assert_eq!(admitted, SOURCES - 1);
        assert!(guard.admits(&voice(7)));
        assert!(guard.admits(&[[128, 200, 0, 6].as_slice(), &7_u32.to_be_bytes()].concat()));
    }

    #[test]
    fn a_packet_cut_short_is_not_admitted() {
        let mut guard = Guard::new(&[]);
        for length in 0..12 {
            assert!(!guard.admits(&voice(1)[..length]));
        }
    }

    #[test]
    fn a_second_change_of_keys_is_refused_wherever_it_hides() {
        let mut guard = Guard::new(&[]);
        let (first, second) = (record(20, 0, &[1]), record(20, 1, &[1]));
        let data = record(23, 1, &[5; 40]);
        assert!(guard.admits(&first) && guard.admits(&data));
        assert!(!guard.admits(&second));
        assert!(!guard.admits(&[data.clone(), first, second].concat()));
        assert!(guard.admits(&data[..20]) && guard.admits(&data[..5]));
    }
}
