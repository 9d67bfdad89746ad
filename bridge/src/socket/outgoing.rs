//! What waits to be written to one socket: ready frames, joined into one write.

use bytes::{Buf, Bytes, BytesMut};
use carillon_proto::{Frame, WebSocketForm};

/// The longest frame that is held as it came, bytes: with all the forms that it has.
const HELD_BYTES: usize = 4 * 1_024;

/// One frame that waits.
enum Single {
    /// As it came: a count of its own for its bytes would be two more writes to memory that every receiver's thread writes to.
    Frame(Frame),
    /// Its bytes alone, where it is large.
    Bytes(Bytes),
}

impl Single {
    fn bytes(&self, form: WebSocketForm) -> &Bytes {
        match self {
            Self::Frame(frame) => frame.web_socket(form),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Frames that wait. One is written from the memory that all its receivers share; more are copied together, which costs less
/// than a write each.
pub(super) struct Outgoing {
    form: WebSocketForm,
    /// The only frame, or nothing.
    single: Option<Single>,
    /// Bytes of it that are written.
    written: usize,
    /// Several frames, or nothing.
    joined: BytesMut,
}

impl Outgoing {
    /// Nothing yet, for a socket whose frames are of this form.
    pub(super) fn new(form: WebSocketForm) -> Self {
        Self { form, single: None, written: 0, joined: BytesMut::new() }
    }

    /// Adds a whole frame.
    pub(super) fn push(&mut self, frame: Frame) {
        if self.is_empty() {
            let is_held = frame.len() <= HELD_BYTES;
            let bytes = || Single::Bytes(frame.web_socket(self.form).clone());
            self.single = Some(if is_held { Single::Frame(frame) } else { bytes() });
            return;
        }
        let bytes = frame.web_socket(self.form);
        self.join(bytes.len());
        self.joined.extend_from_slice(bytes);
    }

    /// Makes what waits one piece of memory, with room for so many bytes more.
    fn join(&mut self, more: usize) {
        let Some(single) = self.single.take() else { return };
        let bytes = single.bytes(self.form);
        let rest = bytes.get(self.written..).unwrap_or_default();
        self.joined.reserve(rest.len() + more);
        self.joined.extend_from_slice(rest);
        self.written = 0;
    }

    /// Adds a close frame (RFC 6455, 5.5.1).
    pub(super) fn push_close(&mut self, code: u16, reason: &str) {
        // A control frame carries 125 bytes at most, two of them the code.
        let reason = reason.as_bytes().get(..reason.len().min(123)).unwrap_or_default();
        self.join(4 + reason.len());
        self.joined.extend_from_slice(&[0x88, reason.len() as u8 + 2]);
        self.joined.extend_from_slice(&code.to_be_bytes());
        self.joined.extend_from_slice(reason);
    }

    /// What is next to be written.
    pub(super) fn chunk(&self) -> &[u8] {
        match &self.single {
            Some(single) => single.bytes(self.form).get(self.written..).unwrap_or_default(),
            None => &self.joined,
        }
    }

    /// So much of the chunk was written.
    pub(super) fn advance(&mut self, count: usize) {
        match &self.single {
            Some(single) => {
                self.written += count;
                if self.written >= single.bytes(self.form).len() {
                    // What is shared by others is not held here.
                    self.single = None;
                    self.written = 0;
                }
            }
            None => {
                self.joined.advance(count);
                if self.joined.is_empty() {
                    self.joined = BytesMut::new();
                }
            }
        }
    }

    /// Whether all is written.
    pub(super) fn is_empty(&self) -> bool {
        self.single.is_none() && self.joined.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: WebSocketForm = WebSocketForm::Binary;

    proptest! {
        /// Whatever is pushed between which writes: all bytes come out, in order.
        #[test]
        fn all_bytes_come_out_in_order(steps in prop::collection::vec((any::<bool>(), 1usize..40), 1..100)) {
            let mut outgoing = Outgoing::new(FORM);
            let (mut pushed, mut written, mut next) = (Vec::new(), Vec::new(), 0_u8);
            for (push, count) in steps {
                if push {
                    let message: Vec<u8> = (0..count).map(|_| { next = next.wrapping_add(1); next }).collect();
                    let frame = Frame::from_message(&message);
                    pushed.extend_from_slice(frame.web_socket(FORM));
                    outgoing.push(frame);
                } else {
                    let count = count.min(outgoing.chunk().len());
                    written.extend_from_slice(&outgoing.chunk()[..count]);
                    outgoing.advance(count);
                }
                prop_assert_eq!(outgoing.is_empty(), outgoing.chunk().is_empty());
            }
            outgoing.push_close(1000, "");
            pushed.extend_from_slice(&[0x88, 2, 3, 232]);
            written.extend_from_slice(outgoing.chunk());
            prop_assert_eq!(written, pushed);
        }
    }

    #[test]
    fn a_single_frame_is_not_copied_and_given_up_once_it_is_written() {
        for length in [100, HELD_BYTES + 1] {
            let frame = Frame::from_message(&vec![7; length]);
            let (bytes, grpc) = (frame.web_socket(FORM).clone(), frame.prefixed().clone());
            let mut outgoing = Outgoing::new(FORM);
            outgoing.push(frame);
            assert_eq!(outgoing.chunk().as_ptr(), bytes.as_ptr());
            outgoing.advance(60);
            assert_eq!(outgoing.chunk(), &bytes[60..]);
            assert!(!bytes.is_unique(), "they are held until then");
            assert_eq!(grpc.is_unique(), length > HELD_BYTES, "a large frame's other forms are not");
            outgoing.advance(bytes.len() - 60);
            assert!(outgoing.is_empty() && bytes.is_unique() && grpc.is_unique());
        }
    }

    #[test]
    fn a_close_frame_says_code_and_reason() {
        let mut outgoing = Outgoing::new(FORM);
        outgoing.push_close(4005, "SLOW_CONSUMER");
        assert_eq!(outgoing.chunk()[..4], [0x88, 15, 0x0f, 0xa5]);
        assert_eq!(&outgoing.chunk()[4..], b"SLOW_CONSUMER");
    }
}
