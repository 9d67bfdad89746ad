//! The bounded way of events from the session to the caller, and the book of what was handed over.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use carillon_proto::v1::Join;
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::Alive;
use crate::events::Event;
use crate::positions::Positions;
use crate::rooms::Rooms;

/// An event, and the command that caused it where that says what follows.
struct Item {
    event: Event,
    join: Option<Box<Join>>,
}

/// What the caller has been handed. Locked for one event at a time, never over an await.
#[derive(Clone, Debug)]
pub(crate) struct Book(Arc<Mutex<Rooms>>);

impl Book {
    pub(crate) fn new(positions: Positions) -> Self {
        Self(Arc::new(Mutex::new(Rooms::from_positions(positions))))
    }

    pub(crate) fn positions(&self) -> Positions {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).positions()
    }

    fn note(&self, item: &Item) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((room, header)) = item.event.entry() {
            rooms.entry(room, header);
            return;
        }
        match &item.event {
            Event::Connected(connected) => {
                rooms.connected(connected);
            }
            Event::Joined(joined) => {
                rooms.joined(joined, item.join.as_deref());
            }
            Event::Left(left) => rooms.left(&left.room),
            Event::Notification(notification) => {
                rooms.notification(notification.position);
            }
            _ => {}
        }
    }
}

/// The session's end: never drops an event that somebody may still read, never holds more than the channel and what one
/// frame makes.
pub(crate) struct EventSink {
    /// `None`: nobody reads.
    channel: Option<mpsc::Sender<Item>>,
    waiting: VecDeque<Item>,
    book: Book,
}

impl EventSink {
    /// A sink, and the stream that it feeds through a channel of this capacity.
    pub(crate) fn new(capacity: usize, discard: bool, book: Book, alive: Arc<Alive>) -> (Self, Events) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let events = Events { receiver, book: book.clone(), _alive: alive };
        (Self { channel: (!discard).then_some(sender), waiting: VecDeque::new(), book }, events)
    }

    /// Hands over, or keeps it until [`EventSink::flush`] can. The caller of this stops reading the stream while
    /// [`EventSink::is_clear`] is false, which bounds what waits.
    pub(crate) fn push(&mut self, event: Event, join: Option<Box<Join>>) {
        let item = Item { event, join };
        let Some(channel) = &self.channel else { return self.book.note(&item) };
        if !self.waiting.is_empty() {
            return self.waiting.push_back(item);
        }
        match channel.try_send(item) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(item)) => self.waiting.push_back(item),
            Err(mpsc::error::TrySendError::Closed(item)) => self.detach(&item),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_clear(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns when all that waited was handed over, or nobody reads any more. Cancelling it loses nothing.
    pub(crate) async fn flush(&mut self) {
        while !self.waiting.is_empty() {
            let Some(channel) = self.channel.clone() else { break };
            match channel.reserve().await {
                Ok(permit) => {
                    if let Some(item) = self.waiting.pop_front() {
                        permit.send(item);
                    }
                }
                Err(_closed) => self.channel = None,
            }
        }
        for item in self.waiting.drain(..) {
            self.book.note(&item);
        }
    }

    /// The same, but no longer than this token lives.
    pub(crate) async fn flush_or(&mut self, leave: &CancellationToken) {
        tokio::select! {
            () = leave.cancelled() => {}
            () = self.flush() => {}
        }
    }

    /// The stream was dropped: from now on what comes is only noted.
    fn detach(&mut self, item: &Item) {
        self.channel = None;
        self.book.note(item);
    }
}

/// The pushes, as a [`Stream`]. Ends after the last [`Event::Disconnected`].
///
/// When it is not read, its channel fills, and then the library stops reading from the hub: nothing is lost, but the
/// replies to commands wait behind the events too. Who only sends commands drops it, or sets
/// [`crate::ClientOptions::discard_events`]; what comes then counts as handed over.
pub struct Events {
    receiver: mpsc::Receiver<Item>,
    book: Book,
    _alive: Arc<Alive>,
}

impl Events {
    /// The next event; `None` after the last. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        let item = self.receiver.recv().await?;
        self.book.note(&item);
        Some(item.event)
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Ready(ready!(self.receiver.poll_recv(context)).map(|item| {
            self.book.note(&item);
            item.event
        }))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.receiver.close();
        while let Ok(item) = self.receiver.try_recv() {
            self.book.note(&item);
        }
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
