//! The places of a session's changes of one room. All that hold as the same are under way together: the home refuses them together,
//! as a membership's version never comes back. Whoever was refused and decides again, and whoever reads what others of them
//! change, waits for those before it, and those after it wait for it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::names::RoomName;
use crate::domain::position::Seq;

/// Those of one session. A cheap handle. Bounded by the commands in flight.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Inner>);

#[derive(Default)]
struct Inner {
    list: Mutex<List>,
    /// A change has ended, or is queued.
    ended: Notify,
}

#[derive(Default)]
struct List {
    /// The number of the last one.
    last: u64,
    /// In order.
    changes: Vec<Change>,
}

struct Change {
    number: u64,
    room: RoomName,
    /// What it is queued with; `None` while it is decided on.
    queued: Option<Standing>,
}

/// As what its sender changes the room: their membership's version, where they must be a member.
pub(super) type Standing = Option<Seq>;

impl Places {
    /// The next place in a room.
    pub(super) fn take(&self, room: &RoomName) -> Place {
        let mut list = self.0.list.lock();
        list.last += 1;
        let number = list.last;
        list.changes.push(Change { number, room: room.clone(), queued: None });
        Place { places: self.clone(), number, room: room.clone() }
    }
}

/// One change's place, until it is dropped.
pub(super) struct Place {
    places: Places,
    number: u64,
    room: RoomName,
}

impl Place {
    /// Whether a change with this standing may be queued: all before it in the room are, with the same.
    pub(super) fn goes_with(&self, standing: Standing) -> bool {
        self.all_before(|change| change.queued == Some(standing))
    }

    /// It is queued, with this standing; or decided on again, with `None`.
    pub(super) fn set(&self, queued: Option<Standing>) {
        let mut list = self.places.0.list.lock();
        if let Some(own) = list.changes.iter_mut().find(|change| change.number == self.number) {
            own.queued = queued;
        }
        drop(list);
        // Those after it may go with it.
        if queued.is_some() {
            self.places.0.ended.notify_waiters();
        }
    }

    /// Waits until all before it in the room have ended; whether there were any.
    pub(super) async fn comes_first(&self) -> bool {
        self.waits_until(|| self.all_before(|_| false)).await
    }

    /// Waits until [`Self::goes_with`] holds.
    pub(super) async fn waits_to_go_with(&self, standing: Standing) {
        self.waits_until(|| self.goes_with(standing)).await;
    }

    /// Whether there was anything to wait for.
    async fn waits_until(&self, is_so: impl Fn() -> bool) -> bool {
        let mut waited = false;
        loop {
            let mut ended = std::pin::pin!(self.places.0.ended.notified());
            ended.as_mut().enable();
            if is_so() {
                return waited;
            }
            waited = true;
            ended.await;
        }
    }

    fn all_before(&self, is_so: impl Fn(&Change) -> bool) -> bool {
        let list = self.places.0.list.lock();
        let mut before = list.changes.iter().take_while(|change| change.number < self.number);
        before.all(|change| change.room != self.room || is_so(change))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut list = self.places.0.list.lock();
        list.changes.retain(|change| change.number != self.number);
        drop(list);
        self.places.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn room(name: &str) -> RoomName {
        RoomName::parse(name).unwrap()
    }

    #[test]
    fn those_with_one_standing_go_together_and_others_wait() {
        let places = Places::default();
        let [first, second, third] = [(); 3].map(|()| places.take(&room("room:a")));
        let elsewhere = places.take(&room("room:b"));
        assert!(!second.goes_with(Some(Seq(1))), "the first is decided on");
        first.set(Some(Some(Seq(1))));
        assert!(second.goes_with(Some(Seq(1))) && !second.goes_with(Some(Seq(2))) && !second.goes_with(None));
        assert!(!third.goes_with(Some(Seq(1))), "the second is decided on");
        let mut waits = Box::pin(third.waits_to_go_with(Some(Seq(1))));
        assert_eq!((&mut waits).now_or_never(), None);
        assert!(elsewhere.goes_with(None) && elsewhere.comes_first().now_or_never() == Some(false));
        second.set(Some(Some(Seq(1))));
        assert!(third.goes_with(Some(Seq(1))) && waits.now_or_never().is_some());
        first.set(None);
        assert!(!third.goes_with(Some(Seq(1))) && first.comes_first().now_or_never() == Some(false));
    }

    #[test]
    fn one_comes_first_when_those_before_it_have_ended() {
        let places = Places::default();
        let [first, second, third] = [(); 3].map(|()| places.take(&room("room:a")));
        let mut waits = Box::pin(third.comes_first());
        drop(first);
        assert_eq!((&mut waits).now_or_never(), None);
        drop(second);
        assert_eq!(waits.now_or_never(), Some(true));
    }
}
