//! What waits to be written to one socket: ready frames, joined into one write.

use bytes::{Buf, Bytes, BytesMut};

/// Frames that wait. One is written from the memory that all its receivers share; more are copied together, which costs
/// less than a write each.
#[derive(Default)]
pub(super) struct Outgoing {
    /// The only frame, or nothing.
    single: Bytes,
    /// Several frames, or nothing.
    joined: BytesMut,
}

impl Outgoing {
    /// Adds a whole frame.
    pub(super) fn push(&mut self, frame: &Bytes) {
        if self.is_empty() {
            self.single = frame.clone();
            return;
        }
        if !self.single.is_empty() {
            self.joined.reserve(self.single.len() + frame.len());
            self.joined.extend_from_slice(&self.single);
            self.single = Bytes::new();
        }
        self.joined.extend_from_slice(frame);
    }

    /// Adds a close frame (RFC 6455, 5.5.1).
    pub(super) fn push_close(&mut self, code: u16, reason: &str) {
        // A control frame carries 125 bytes at most, two of them the code.
        let reason = reason.as_bytes().get(..reason.len().min(123)).unwrap_or_default();
        let mut frame = BytesMut::with_capacity(4 + reason.len());
        frame.extend_from_slice(&[0x88, reason.len() as u8 + 2]);
        frame.extend_from_slice(&code.to_be_bytes());
        frame.extend_from_slice(reason);
        self.push(&frame.freeze());
    }

    /// What is next to be written.
    pub(super) fn chunk(&self) -> &[u8] {
        if self.single.is_empty() { &self.joined } else { &self.single }
    }

    /// So much of the chunk was written.
    pub(super) fn advance(&mut self, count: usize) {
        if self.single.is_empty() {
            self.joined.advance(count);
            if self.joined.is_empty() {
                self.joined = BytesMut::new();
            }
        } else {
            self.single.advance(count);
            if self.single.is_empty() {
                // What is shared by others is not held here.
                self.single = Bytes::new();
            }
        }
    }

    /// Whether all is written.
    pub(super) fn is_empty(&self) -> bool {
        self.single.is_empty() && self.joined.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is pushed between which writes: all bytes come out, in order.
        #[test]
        fn all_bytes_come_out_in_order(steps in prop::collection::vec((any::<bool>(), 1usize..40), 1..100)) {
            let mut outgoing = Outgoing::default();
            let (mut pushed, mut written, mut next) = (Vec::new(), Vec::new(), 0_u8);
            for (push, count) in steps {
                if push {
                    let frame: Vec<u8> = (0..count).map(|_| { next = next.wrapping_add(1); next }).collect();
                    pushed.extend_from_slice(&frame);
                    outgoing.push(&frame.into());
                } else {
                    let count = count.min(outgoing.chunk().len());
                    written.extend_from_slice(&outgoing.chunk()[..count]);
                    outgoing.advance(count);
                }
                prop_assert_eq!(outgoing.is_empty(), outgoing.chunk().is_empty());
            }
            written.extend_from_slice(outgoing.chunk());
            prop_assert_eq!(written, pushed);
        }
    }

    #[test]
    fn a_single_frame_is_not_copied() {
        let frame = Bytes::from(vec![7; 100]);
        let mut outgoing = Outgoing::default();
        outgoing.push(&frame);
        assert_eq!(outgoing.chunk().as_ptr(), frame.as_ptr());
    }

    #[test]
    fn a_close_frame_says_code_and_reason() {
        let mut outgoing = Outgoing::default();
        outgoing.push_close(4005, "SLOW_CONSUMER");
        assert_eq!(outgoing.chunk()[..4], [0x88, 15, 0x0f, 0xa5]);
        assert_eq!(&outgoing.chunk()[4..], b"SLOW_CONSUMER");
    }
}
