//! gRPC messages out of DATA frames. Holds nothing between messages: one that came whole in a DATA frame is a slice
//! of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;

use super::bodies::Reserved;
use crate::domain::error::Refusal;

/// The length prefix of a gRPC message: one flag byte and four of length.
const PREFIX: usize = 5;

/// Why no more messages can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InboundError {
    /// A message is larger than allowed.
    #[error("a message is too large")]
    TooLarge,
    /// A message is compressed, which was not agreed on, or the stream ended in the middle of one.
    #[error("the stream is not made of whole messages")]
    Malformed,
    /// Its user has begun too much that is not whole yet.
    #[error("too much has been begun")]
    Full,
    /// The connection broke, or the client reset the stream.
    #[error("the stream broke")]
    Broken,
}

/// The messages of one request stream.
pub(super) struct Inbound<B> {
    body: B,
    /// What was read and is not yet a whole message: at most one DATA frame more than a message.
    pending: Pending,
    limit: usize,
    ended: bool,
    /// What takes room for the first message, until that has come.
    room: Option<Room>,
    /// The room of a message that is not whole yet.
    held: Option<Reserved>,
}

/// Takes so many bytes for whoever the stream is of; nothing where that is nobody known.
pub(super) type Room = Box<dyn FnOnce(usize) -> Result<Option<Reserved>, Refusal> + Send>;

#[derive(Default)]
struct Pending {
    /// The last DATA frame's rest.
    chunk: Bytes,
    /// The beginning of a message that goes on in the next DATA frame.
    partial: BytesMut,
}

impl<B: Body<Data = Bytes> + Unpin> Inbound<B> {
    /// Messages of at most `limit` bytes.
    pub(super) fn new(body: B, limit: usize) -> Self {
        Self { body, pending: Pending::default(), limit, ended: false, room: None, held: None }
    }

    /// The same, where `room` is asked for the first message's bytes if that does not come whole.
    pub(super) fn within(mut self, room: Room) -> Self {
        self.room = Some(room);
        self
    }

    /// Whether there is room for the first message, as far as it has begun.
    fn has_room(&mut self) -> bool {
        let Some(bytes) = self.pending.announced() else { return true };
        // Asked once, however many frames the rest comes in: whose it is takes a signature's check.
        let Some(room) = self.room.take() else { return true };
        room(bytes).map(|held| self.held = held).is_ok()
    }

    /// The next message; `None` at the end of the stream.
    pub(super) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, InboundError>>> {
        loop {
            match self.pending.take(self.limit) {
                Ok(Some(message)) => {
                    (self.room, self.held) = (None, None);
                    return Poll::Ready(Some(Ok(message)));
                }
                Ok(None) if self.has_room() => {}
                Ok(None) => return Poll::Ready(Some(Err(InboundError::Full))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.pending.add(data);
                    }
                }
                Poll::Ready(Some(Err(_))) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(InboundError::Broken)));
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    if !self.pending.is_empty() {
                        return Poll::Ready(Some(Err(InboundError::Malformed)));
                    }
                }
            }
        }
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.chunk.is_empty() && self.partial.is_empty()
    }

    /// How long the message is that has begun, as far as its prefix is there.
    fn announced(&self) -> Option<usize> {
        let ([_, length @ ..], _) = self.partial.split_first_chunk::<PREFIX>()?;
        Some(u32::from_be_bytes(*length) as usize)
    }

    fn add(&mut self, data: Bytes) {
        if self.partial.is_empty() {
            self.chunk = data;
        } else {
            self.partial.extend_from_slice(&data);
        }
    }

    /// A whole message, if there is one.
    fn take(&mut self, limit: usize) -> Result<Option<Bytes>, InboundError> {
        let waiting: &[u8] = if self.partial.is_empty() { &self.chunk } else { &self.partial };
        let Some((prefix, rest)) = waiting.split_first_chunk::<PREFIX>() else {
            self.keep_partial();
            return Ok(None);
        };
        let [compressed, length @ ..] = *prefix;
        if compressed != 0 {
            return Err(InboundError::Malformed);
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > limit {
            return Err(InboundError::TooLarge);
        }
        if rest.len() < length {
            self.keep_partial();
            return Ok(None);
        }
        if self.partial.is_empty() {
            self.chunk.advance(PREFIX);
            return Ok(Some(self.chunk.split_to(length)));
        }
        self.partial.advance(PREFIX);
        let message = self.partial.split_to(length).freeze();
        if self.partial.is_empty() {
            self.partial = BytesMut::new();
        }
        Ok(Some(message))
    }

    /// What is left of the DATA frame goes on in the next one.
    fn keep_partial(&mut self) {
        if self.partial.is_empty() && !self.chunk.is_empty() {
            self.partial = BytesMut::from(&self.chunk[..]);
        }
        self.chunk = Bytes::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(chunks: &[Bytes], limit: usize) -> Result<Vec<Bytes>, InboundError> {
        let mut pending = Pending::default();
        let mut messages = Vec::new();
        for chunk in chunks {
            pending.add(chunk.clone());
            while let Some(message) = pending.take(limit)? {
                messages.push(message);
            }
        }
        assert!(pending.is_empty());
        Ok(messages)
    }

    #[test]
    fn compressed_and_too_large_messages_are_refused() {
        assert_eq!(messages(&[Bytes::from_static(&[1, 0, 0, 0, 0])], 10), Err(InboundError::Malformed));
        assert_eq!(messages(&[Bytes::from_static(&[0, 0, 0, 0, 11])], 10), Err(InboundError::TooLarge));
    }

    proptest! {
        #[test]
        fn messages_come_out_whole_however_they_are_cut(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..20),
            cuts in prop::collection::vec(1usize..40, 1..200),
        ) {
            let mut wire = Vec::new();
            for message in &sent {
                wire.push(0);
                wire.extend((message.len() as u32).to_be_bytes());
                wire.extend(message);
            }
            let mut wire = Bytes::from(wire);
            let mut chunks = Vec::new();
            for cut in cuts.iter().cycle() {
                if wire.is_empty() { break; }
                chunks.push(wire.split_to((*cut).min(wire.len())));
            }
            let received = messages(&chunks, 50).unwrap();
            prop_assert_eq!(received.iter().map(|m| m.to_vec()).collect::<Vec<_>>(), sent);
        }
    }
}
