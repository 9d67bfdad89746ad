//! The order of a session's commands that change something: those of one room are committed in the order in which it sent them,
//! and those of all rooms are unless one has to wait in its room for those before it ([`places`](super::places)). Where the
//! authoriser decides who may, those of one room are, and commands in all other rooms do not wait for its answer, but for that to a
//! deletion: moderators need none, so it is asked last.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Mutex as Waited;

use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::names::RoomName;

use super::executor::Turn;
use super::places::Places;
use super::services::Services;

/// A command's place in its room's order, where it has one.
pub(super) struct InRoom(Turn);

/// The order of one session. A cheap handle.
#[derive(Clone, Default)]
pub struct Order(Arc<Inner>);

#[derive(Default)]
struct Inner {
    all: Arc<Waited<()>>,
    places: Places,
    /// Rooms in which something waits for the authoriser. Bounded by the commands in flight.
    rooms: Mutex<Vec<(RoomName, Arc<Waited<()>>)>>,
}

impl Order {
    fn of_room(&self, room: &RoomName) -> Arc<Waited<()>> {
        let mut rooms = self.0.rooms.lock();
        // Without those for which nobody waits any more.
        rooms.retain(|(_, order)| Arc::strong_count(order) > 1);
        if let Some((_, order)) = rooms.iter().find(|(known, _)| known == room) {
            return Arc::clone(order);
        }
        let order = Arc::default();
        rooms.push((room.clone(), Arc::clone(&order)));
        order
    }

    /// Waits for a command's place in its room's order, where it has one.
    pub(super) async fn in_room(&self, services: &Services, command: &Stateless) -> InRoom {
        let mut turn = Turn::default();
        if let Some(room) = command.room().filter(|room| services.executor.goes_by_authorizer(room)) {
            turn.held.push(self.of_room(room).lock_owned().await);
        }
        InRoom(turn)
    }

    /// Waits for the turn of a command which the limits of its sender have let through. What the authoriser is asked for it is asked
    /// before that.
    pub(super) async fn turn(
        self,
        InRoom(mut turn): InRoom,
        services: &Services,
        caller: &Caller,
        command: &Stateless,
    ) -> Turn {
        if !turn.held.is_empty() {
            turn.asked = services.executor.asks_first(caller, command).await;
        }
        turn.held.push(Arc::clone(&self.0.all).lock_owned().await);
        turn.place = command.room().map(|room| self.0.places.take(room));
        turn
    }
}
