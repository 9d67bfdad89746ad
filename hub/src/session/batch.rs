//! The frames of one write.

use carillon_proto::Frame;

use crate::domain::limits::WRITE_MERGE_BYTES;

/// Frames that go out together: one is passed on as it is, more are merged by the transport, up to about
/// [`WRITE_MERGE_BYTES`].
#[derive(Default)]
pub struct Batch {
    first: Option<Frame>,
    rest: Vec<Frame>,
    bytes: usize,
}

impl Batch {
    /// Adds a frame. Whether there is room for another.
    pub fn push(&mut self, frame: Frame) -> bool {
        self.bytes += frame.len();
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.rest.push(frame);
        }
        self.has_room()
    }

    /// Whether another frame should be added.
    pub fn has_room(&self) -> bool {
        self.bytes < WRITE_MERGE_BYTES
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// How many.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Bytes of all frames with their prefixes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first frame and the others.
    pub fn into_parts(self) -> (Option<Frame>, Vec<Frame>) {
        (self.first, self.rest)
    }
}
