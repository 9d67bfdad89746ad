//! Empty fragments of messages. tungstenite puts fragments together and says nothing of them, so that a client could send
//! empty ones for ever: they are seen here, as they are read.

/// Follows the frames of a socket (RFC 6455, 5.2), however they are cut.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    at: At,
    empty: u32,
}

/// Where the next byte belongs.
#[derive(Debug, Default)]
enum At {
    /// The first of a frame.
    #[default]
    First,
    /// The second: mask and length.
    Second { first: u8 },
    /// So many bytes of the length.
    Length { first: u8, mask: u64, left: u8, length: u64 },
    /// So many of mask and payload.
    Rest(u64),
}

impl Fragments {
    /// Takes what was read next.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, after)) = bytes.split_first() {
            let at = std::mem::take(&mut self.at);
            if let At::Rest(left) = at {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = bytes.get(here..).unwrap_or_default();
                self.at = rest(left - here as u64);
                continue;
            }
            bytes = after;
            self.at = match at {
                At::First | At::Rest(_) => At::Second { first: byte },
                At::Second { first } => {
                    let mask = if byte & 0x80 == 0 { 0 } else { 4 };
                    match byte & 0x7f {
                        126 => At::Length { first, mask, left: 2, length: 0 },
                        127 => At::Length { first, mask, left: 8, length: 0 },
                        length => self.payload(first, mask, u64::from(length)),
                    }
                }
                At::Length { first, mask, left, length } => {
                    let length = length << 8 | u64::from(byte);
                    match left - 1 {
                        0 => self.payload(first, mask, length),
                        left => At::Length { first, mask, left, length },
                    }
                }
            };
        }
    }

    fn payload(&mut self, first: u8, mask: u64, length: u64) -> At {
        let (is_last, is_control) = (first & 0x80 != 0, first & 0x08 != 0);
        if length == 0 && !is_last && !is_control {
            self.empty = self.empty.saturating_add(1);
        }
        rest(length.saturating_add(mask))
    }

    /// How many were empty and did not end a message since this was last asked.
    pub(super) fn empty(&mut self) -> u32 {
        std::mem::take(&mut self.empty)
    }
}

fn rest(left: u64) -> At {
    if left == 0 { At::First } else { At::Rest(left) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A masked frame of this first byte and so long a payload.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = match length {
            0..126 => vec![first, 0x80 | length as u8],
            126..65_536 => [&[first, 0xfe][..], &(length as u16).to_be_bytes()].concat(),
            _ => [&[first, 0xff][..], &(length as u64).to_be_bytes()].concat(),
        };
        // Bytes that would look like empty fragments.
        bytes.extend(std::iter::repeat_n(0, 4 + length));
        bytes
    }

    proptest! {
        #[test]
        fn are_counted_however_they_are_cut(
            frames in prop::collection::vec((any::<u8>(), prop::sample::select(vec![0, 0, 0, 1, 125, 126, 300, 65_536])), 0..30),
            cuts in prop::collection::vec(1_usize..5_000, 1..50),
        ) {
            let wire: Vec<u8> = frames.iter().flat_map(|(first, length)| frame(*first, *length)).collect();
            let empty = frames.iter().filter(|(first, length)| *length == 0 && first & 0x88 == 0).count();
            let (mut fragments, mut left) = (Fragments::default(), &wire[..]);
            for cut in cuts.iter().cycle() {
                let (piece, after) = left.split_at((*cut).min(left.len()));
                fragments.take(piece);
                left = after;
                if left.is_empty() { break; }
            }
            prop_assert_eq!(fragments.empty() as usize, empty);
            prop_assert_eq!(fragments.empty(), 0);
        }
    }
}
