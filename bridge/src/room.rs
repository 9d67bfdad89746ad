//! How many connections there may be, and which gives way where there are so many: one that carries nothing of anybody known,
//! no socket, no event stream and no request, whoever has used it before. The rule is that of the hub's own connections.

use std::net::IpAddr;
use std::sync::Arc;

use carillon_net::addresses::network;
use carillon_net::strangers::Strangers;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The places for connections, of all workers. A clone shares them.
#[derive(Clone)]
pub(crate) struct Room(Arc<Inner>);

struct Inner {
    /// Places, at least 1.
    places: usize,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// Gives each its number, each time that it begins to rest.
    came: u64,
    /// Places that are taken.
    taken: usize,
    /// What closes those that carry nothing, by whoever has carried nothing for longest.
    resting: Strangers<CancellationToken>,
}

/// A connection's place, until it is dropped.
pub(crate) struct Seat {
    room: Room,
    /// As limits count it; `None` for a trusted proxy, whose connections are many people's and give way to nobody.
    address: Option<IpAddr>,
    closed: CancellationToken,
    /// Locked before the book.
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
enum State {
    /// It carries nothing of anybody known since it got this number.
    Resting(u64),
    /// It carries something of somebody known.
    Used,
    /// Another has its place.
    GaveWay,
}

impl Room {
    /// Room for so many.
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(Inner { places, book: Mutex::default() }))
    }

    /// Takes a place for a connection of this address (`None` for a trusted proxy's). Where there is none, the one that has
    /// carried nothing for longest is closed for it, of the address that has the most such; `None` where all are in use.
    pub(crate) fn take(&self, address: Option<IpAddr>) -> Option<Arc<Seat>> {
        let (address, closed) = (address.map(network), CancellationToken::new());
        let mut book = self.0.book.lock();
        let gives_way = if book.taken < self.0.places {
            book.taken += 1;
            None
        } else {
            Some(book.resting.take_next()?)
        };
        let rests = State::Resting(book.rest(address, &closed));
        drop(book);
        if let Some(other) = gives_way {
            other.cancel();
        }
        Some(Arc::new(Seat { room: self.clone(), address, closed, state: Mutex::new(rests) }))
    }
}

impl Book {
    fn rest(&mut self, address: Option<IpAddr>, closed: &CancellationToken) -> u64 {
        let id = self.came;
        self.came += 1;
        if let Some(address) = address {
            self.resting.add(address, id, closed.clone());
        }
        id
    }
}

impl Seat {
    /// From now on it carries something of somebody known.
    pub(crate) fn is_used(&self) {
        let mut state = self.state.lock();
        if let State::Resting(id) = *state {
            *state = if self.stops_resting(id) { State::Used } else { State::GaveWay };
        }
    }

    /// It carries nothing any more.
    pub(crate) fn rests(&self) {
        let mut state = self.state.lock();
        if matches!(*state, State::Used) {
            *state = State::Resting(self.room.0.book.lock().rest(self.address, &self.closed));
        }
    }

    /// Whether it has given way to another.
    pub(crate) fn gave_way(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Until it has given way to another.
    pub(crate) async fn gives_way(&self) {
        self.closed.cancelled().await;
    }

    /// Whether it had its place still.
    fn stops_resting(&self, id: u64) -> bool {
        let Some(address) = self.address else { return true };
        self.room.0.book.lock().resting.remove(address, id).is_some()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let has_place = match *self.state.get_mut() {
            State::Resting(id) => self.stops_resting(id),
            State::Used => true,
            State::GaveWay => false,
        };
        self.room.0.book.lock().taken -= usize::from(has_place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn who_carries_nothing_gives_way_and_who_is_used_does_not() {
        let room = Room::new(3);
        let [first, second, used] = [1, 1, 2].map(|n| room.take(Some(here(n))).expect("room"));
        used.is_used();
        first.is_used();
        first.rests();
        let third = room.take(Some(here(3))).expect("one gives way");
        assert!(second.closed.is_cancelled(), "the other one of the address has rested for less long");
        second.is_used();
        drop(second);
        third.is_used();
        let last = room.take(Some(here(3))).expect("one gives way");
        assert!(first.closed.is_cancelled() && !used.closed.is_cancelled() && !third.closed.is_cancelled());
        last.is_used();
        assert!(room.take(Some(here(4))).is_none(), "all are in use, and who gave way has no place to use");
        drop(first);
        assert!(room.take(Some(here(4))).is_none(), "its place was another's");
        drop(used);
        assert!(room.take(Some(here(4))).is_some());
    }

    #[test]
    fn those_of_trusted_proxies_stay() {
        let room = Room::new(2);
        let [proxy, other] = [None, Some(here(1))].map(|address| room.take(address).expect("room"));
        let third = room.take(Some(here(2))).expect("the other gives way");
        assert!(other.closed.is_cancelled() && !proxy.closed.is_cancelled());
        drop((other, proxy, third));
        assert_eq!(room.0.book.lock().taken, 0);
    }
}
