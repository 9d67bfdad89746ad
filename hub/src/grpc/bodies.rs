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

use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{UNFINISHED_BYTES, UNFINISHED_RETRY_AFTER};
use crate::domain::names::UserKey;

/// Bytes of each user's bodies that are being read. A clone shares them.
#[derive(Clone, Default)]
pub struct Bodies(Arc<Mutex<FxHashMap<UserKey, usize>>>);

impl Bodies {
    /// The same body, whose bytes are held for a user until it is dropped, which is when its message is whole: what was reserved, and
    /// where it is longer that. One past [`UNFINISHED_BYTES`] ends with what `refused` says.
    pub(super) fn hold(
        reserved: Reserved,
        body: Body,
        refused: impl FnOnce() -> Status + Send + 'static,
    ) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Held { body, came: 0, reserved, refused: Some(Box::new(refused)) })
    }

    /// Takes so many for a user until what this gives is dropped, for one that is read elsewhere. `RATE_LIMITED` past
    /// [`UNFINISHED_BYTES`].
    pub(super) fn reserve(&self, user: &UserKey, bytes: usize) -> Result<Reserved, Refusal> {
        if self.take(user, bytes) {
            Ok(Reserved { bodies: self.clone(), user: user.clone(), bytes })
        } else {
            Err(Self::full())
        }
    }

    /// Why there is no room.
    pub(super) fn full() -> Refusal {
        Refusal { retry_after: Some(UNFINISHED_RETRY_AFTER), ..ErrorCode::RateLimited.into() }
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

/// Bytes that are held for a user.
pub(super) struct Reserved {
    bodies: Bodies,
    user: UserKey,
    bytes: usize,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.bodies.give_back(&self.user, self.bytes);
    }
}

/// A body whose bytes are counted.
struct Held {
    body: Body,
    /// How many have come.
    came: usize,
    reserved: Reserved,
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
            self.came += data.len();
            let more = self.came.saturating_sub(self.reserved.bytes);
            if !self.reserved.bodies.take(&self.reserved.user, more) {
                return Poll::Ready(self.refused.take().map(|refused| Err(refused())));
            }
            self.reserved.bytes += more;
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
