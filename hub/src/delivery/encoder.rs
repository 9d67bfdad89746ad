//! The port through which delivery makes bytes of what it delivers.

use carillon_proto::Frame;

use crate::domain::entry::Entry;
use crate::domain::error::Refusal;
use crate::domain::names::RoomName;
use crate::domain::push::Push;
use crate::domain::reply::Reply;

/// Makes frames. Implemented in `grpc`; a live entry and its replay are the same bytes where nothing was edited since.
pub trait FrameEncoder: Send + Sync + 'static {
    /// An entry of a room's log, as a push.
    fn entry(&self, room: &RoomName, entry: &Entry) -> Frame;
    /// The frame of a message, or of one of its edits, as it reads after `change`: an edit or the deletion of the message.
    /// The same bytes as [`Self::entry`] makes of what the store has then; `None` where it is a frame of something else.
    fn revised(&self, frame: &Frame, change: &Entry) -> Option<Frame>;
    /// Any other push (`command_id` 0).
    fn push(&self, push: &Push) -> Frame;
    /// A command's answer.
    fn reply(&self, command_id: u32, reply: &Reply) -> Frame;
    /// A command's refusal. `request_id` is the one in the logs.
    fn refusal(&self, command_id: u32, refusal: &Refusal, request_id: &str) -> Frame;
}
