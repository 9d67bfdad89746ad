//! What a benchmark's message carries, so that each delivery can be checked: room, number, time, and filling.

/// Bytes of room (8), number (16) and time (16), in hexadecimal digits.
pub(super) const SMALLEST: usize = 40;

/// Makes the contents of one size. All bytes are printable: the content is text.
pub(super) struct Payloads {
    filling: Vec<u8>,
}

/// What a content says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    /// Which room, counted from 0.
    pub(super) room: u32,
    /// Which of the room's messages, counted from 0.
    pub(super) number: u64,
    /// When it was to be sent: nanoseconds since the benchmark began.
    pub(super) time: u64,
}

impl Payloads {
    /// Of `size` bytes, or [`SMALLEST`] where that is more.
    pub(super) fn new(size: usize) -> Self {
        let filling = (b'a'..=b'z').cycle().take(size.saturating_sub(SMALLEST)).collect();
        Self { filling }
    }

    /// The content.
    pub(super) fn text(&self, payload: Payload) -> String {
        let Payload { room, number, time } = payload;
        let filling = String::from_utf8_lossy(&self.filling);
        format!("{room:08x}{number:016x}{time:016x}{filling}")
    }

    /// Reads a content back; `None` when it is not one that [`Self::text`] made.
    pub(super) fn read(&self, content: &[u8]) -> Option<Payload> {
        let (head, filling) = content.split_at_checked(SMALLEST)?;
        if filling != self.filling {
            return None;
        }
        let room = number(&head[..8])? as u32;
        Some(Payload { room, number: number(&head[8..24])?, time: number(&head[24..])? })
    }
}

/// Lower-case hexadecimal digits, at most 16 of them.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_comes_back_and_any_change_shows() {
        let payloads = Payloads::new(200);
        let payload = Payload { room: 7, number: 1 << 40, time: u64::MAX };
        let text = payloads.text(payload);
        assert_eq!(text.len(), 200);
        assert_eq!(payloads.read(text.as_bytes()), Some(payload));
        for place in SMALLEST..200 {
            let mut broken = text.clone().into_bytes();
            broken[place] ^= 1;
            assert_eq!(payloads.read(&broken), None);
        }
        assert_eq!(payloads.read(&text.as_bytes()[..199]), None);
        assert_eq!(payloads.read(b""), None);
    }
}
