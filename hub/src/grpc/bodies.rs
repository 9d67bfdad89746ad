//! Request bodies that are not whole yet: what those of one user hold together is bounded, however many connections they are
//! on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tonic::Status;
use tonic::body::Body;

use crate::domain::limits::UNFINISHED_BYTES;
use crate::domain::names::UserKey;

/// Bytes of each user's bodies that are being read. A clone shares them.
#[derive(Clone, Default)]
pub struct Bodies(Arc<Mutex<FxHashMap<UserKey, usize>>>);

impl Bodies {
    /// The same body, whose bytes are held for a user until it is dropped, which is when its message is whole. One past
    /// [`UNFINISHED_BYTES`] ends with what `refused` says.
    pub(super) fn hold(
        &self,
        user: UserKey,
        body: Body,
        refused: impl FnOnce() -> Status + Send + 'static,
    ) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Held { body, bodies: self.clone(), user, bytes: 0, refused: Some(Box::new(refused)) })
    }

    /// Takes so many more for a user; whether there was room.
    fn take(&self, user: &UserKey, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        let mut held = self.0.lock();
        let before = held.get(user).copied().unwrap_or(0);
        let fits = before + bytes <= UNFINISHED_BYTES;
        if fits {
            held.insert(user.clone(), before + bytes);
        }
        fits
    }

    fn give_back(&self, user: &UserKey, bytes: usize) {
        let mut held = self.0.lock();
        if let Some(left) = held.get_mut(user) {
            *left -= bytes;
            if *left == 0 {
                held.remove(user);
            }
        }
    }
}

/// A body whose bytes are counted.
struct Held {
    body: Body,
    bodies: Bodies,
    user: UserKey,
    bytes: usize,
    refused: Option<Box<dyn FnOnce() -> Status + Send>>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            if !self.bodies.take(&self.user, data.len()) {
                return Poll::Ready(self.refused.take().map(|refused| Err(refused())));
            }
            self.bytes += data.len();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bodies.give_back(&self.user, self.bytes);
    }
}
