//! What a bus has brought and nobody has taken yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use futures::task::AtomicWaker;
use parking_lot::Mutex;

use super::port::Event;

/// Events that are taken at once.
const PART: usize = 512;

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    bytes: usize,
}

impl Waiting {
    /// Topics that are heard one after the other are told of together.
    fn add(&mut self, event: Event) {
        match (self.events.back_mut(), event) {
            (Some(Event::Brings(before)), Event::Brings(mut topics)) => before.append(&mut topics),
            (_, event) => self.events.push_back(event),
        }
    }
}

struct Queue {
    limit: usize,
    waiting: Mutex<Waiting>,
    waker: AtomicWaker,
}

/// The end that an adapter puts events in. A cheap handle.
#[derive(Clone)]
pub struct EventsIn(Arc<Queue>);

/// The end that the hub takes them from.
pub struct Events(Arc<Queue>);

/// A queue for messages of `limit` bytes. Past that a message is not taken: whoever brings it must say that it was lost.
/// What is larger than the limit is taken where nothing else waits.
pub fn queue(limit: usize) -> (EventsIn, Events) {
    let queue = Arc::new(Queue { limit, waiting: Mutex::default(), waker: AtomicWaker::new() });
    (EventsIn(Arc::clone(&queue)), Events(queue))
}

/// Bytes that an event counts for. Those that are no messages are as many as there are topics and always find room: they
/// say what became of messages that did not.
fn size(event: &Event) -> usize {
    match event {
        Event::Message(_, bytes) => bytes.len() + size_of::<Event>(),
        Event::Brings(_) | Event::Lost(_) => 0,
    }
}

impl EventsIn {
    /// Puts an event in; `false` where it is a message that finds no room.
    pub fn put(&self, event: Event) -> bool {
        let bytes = size(&event);
        {
            let mut waiting = self.0.waiting.lock();
            if waiting.bytes > 0 && waiting.bytes + bytes > self.0.limit && bytes > 0 {
                return false;
            }
            waiting.bytes += bytes;
            waiting.add(event);
            if waiting.events.len() > 1 {
                return true;
            }
        }
        self.0.waker.wake();
        true
    }
}

impl Events {
    /// Takes some of what waits, and waits where nothing does. `into` is empty before.
    pub async fn take(&mut self, into: &mut Vec<Event>) {
        std::future::poll_fn(|cx| {
            self.0.waker.register(cx.waker());
            let mut waiting = self.0.waiting.lock();
            let count = waiting.events.len().min(PART);
            into.extend(waiting.events.drain(..count));
            waiting.bytes -= into.iter().map(size).sum::<usize>();
            if waiting.events.is_empty() && waiting.events.capacity() > PART {
                waiting.events = VecDeque::new();
            }
            if into.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;

    use super::super::port::Topic;
    use super::*;

    fn message(bytes: usize) -> Event {
        Event::Message(Topic::Hub, Bytes::from(vec![0; bytes]))
    }

    fn taken(events: &mut Events) -> Vec<Event> {
        let mut into = Vec::new();
        let _ = events.take(&mut into).now_or_never();
        into
    }

    #[test]
    fn messages_find_room_up_to_the_limit_and_what_is_said_of_topics_always() {
        let (into, mut events) = queue(1_000);
        assert!(into.put(message(5_000)), "alone");
        assert!(!into.put(message(1)));
        assert!(into.put(Event::Lost(vec![Topic::Hub])));
        assert_eq!(taken(&mut events).len(), 2);
        assert!(into.put(message(400)));
        assert!(!into.put(message(600)));
        assert!(into.put(message(300)), "what was taken makes room");
        assert_eq!(taken(&mut events), [message(400), message(300)]);
        assert!(taken(&mut events).is_empty());
    }

    #[test]
    fn topics_that_are_heard_one_after_the_other_are_told_of_together() {
        let (into, mut events) = queue(1_000);
        let brings = |count| Event::Brings(vec![Topic::Hub; count]);
        assert!(into.put(brings(1)) && into.put(brings(2)) && into.put(message(1)) && into.put(brings(1)));
        assert_eq!(taken(&mut events), [brings(3), message(1), brings(1)]);
    }

    #[test]
    fn much_is_taken_in_parts() {
        let (into, mut events) = queue(1 << 20);
        (0..PART + 3).for_each(|_| assert!(into.put(message(1))));
        assert_eq!((taken(&mut events).len(), taken(&mut events).len()), (PART, 3));
    }
}
