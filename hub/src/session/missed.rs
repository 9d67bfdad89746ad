//! What other nodes told while this one did not hear. Of the rooms that are followed here marks are read once it does again, and
//! what is greater than what was told is told; of those that users are members of, who do not follow them, unread counts are.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::delivery::Missed;
use crate::domain::limits::{UNREAD_INTERVAL, USERS_READ};
use crate::domain::names::RoomKey;
use crate::store::StoreError;

use super::services::Services;

/// Rooms that are read at a time.
const AT_A_TIME: usize = 8;

/// Tells marks that may have been missed, until cancelled. Where the store does not give them, it is asked again.
pub async fn tell_missed_marks(services: Arc<Services>, cancel: CancellationToken) {
    let mut ticks = interval(UNREAD_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let telling = async {
        loop {
            ticks.tick().await;
            if let Err(error) = services.tell_missed_marks().await {
                tracing::warn!(error = %error, "marks that may have been missed could not be read");
            }
        }
    };
    tokio::select! {
        () = telling => {}
        () = cancel.cancelled() => {}
    }
}

impl Services {
    /// What fails is left for later.
    async fn tell_missed_marks(&self) -> Result<(), StoreError> {
        let tell = |room| self.tell_missed_marks_of(room);
        let put_off = |room: &RoomKey| self.delivery.misses_marks_longer(room);
        each(self.delivery.take_missed_rooms(), tell, |room| self.delivery.misses_marks(room), put_off).await
    }

    /// Sends unread counts of rooms to their members who do not follow them. What fails is left for later.
    pub(super) async fn send_missed(&self, rooms: Missed) -> Result<(), StoreError> {
        let tell =
            |room: RoomKey| async move { self.send_missed_of(&room).await.map_err(|error| (room, error)) };
        let put_off = |room: &RoomKey| self.delivery.misses_counts_longer(room);
        each(rooms, tell, |room| self.delivery.misses_counts(room), put_off).await
    }

    /// Those of who is there are read, on whichever node they are, and of whose marks were told before.
    async fn tell_missed_marks_of(&self, room: RoomKey) -> Result<(), (RoomKey, StoreError)> {
        let mut users = self.delivery.marked_in(&room);
        if users.is_empty() || self.presence.is_large(&room) {
            return Ok(());
        }
        let present = self.presence.snapshot(&room, USERS_READ).states;
        users.extend(present.into_iter().map(|state| state.user));
        users.sort_unstable();
        users.dedup();
        for users in users.chunks(USERS_READ) {
            match self.store.marks_of(&room, users).await {
                Ok(marks) => {
                    let marks = users.iter().zip(marks);
                    marks.for_each(|(user, marks)| self.delivery.tell_marks(&room, user, marks));
                }
                Err(error) => return Err((room, error)),
            }
        }
        Ok(())
    }
}

/// Does something for rooms, some at a time: the few that failed before after all others. Whichever fails is put off. After [`AT_A_TIME`]
/// failures none of the others is begun any more, as each may have taken its time: the rest is `missed` still.
async fn each<F: Future<Output = Result<(), (RoomKey, StoreError)>>>(
    rooms: Missed,
    tell: impl Fn(RoomKey) -> F,
    missed: impl Fn(&RoomKey),
    put_off: impl Fn(&RoomKey),
) -> Result<(), StoreError> {
    let (mut fresh, mut again) = (rooms.fresh.into_iter(), rooms.again.into_iter());
    let (mut failures, mut result) = (0, Ok(()));
    let mut under_way = stream::FuturesUnordered::new();
    loop {
        while under_way.len() < AT_A_TIME {
            let next = if failures < AT_A_TIME { fresh.next() } else { None };
            let Some(room) = next.or_else(|| again.next()) else { break };
            under_way.push(tell(room));
        }
        match under_way.next().await {
            None => break,
            Some(Ok(())) => {}
            Some(Err((room, error))) => {
                put_off(&room);
                failures += 1;
                result = Err(error);
            }
        }
    }
    fresh.for_each(|room| missed(&room));
    result
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures::FutureExt;

    use super::*;
    use crate::domain::names::{RoomName, TenantId};

    fn room(number: usize) -> RoomKey {
        let room = RoomName::parse(&format!("room:{number}")).unwrap();
        RoomKey { tenant: TenantId::parse("acme").unwrap(), room }
    }

    /// However many cannot be read, the others are, before any is tried again.
    #[test]
    fn what_fails_holds_up_no_other() {
        let fails = |room: &RoomKey| room.room.as_str().ends_with('7');
        let (told, missed, put_off) = (RefCell::default(), RefCell::default(), RefCell::default());
        let note = |list: &RefCell<Vec<RoomKey>>, room: &RoomKey| list.borrow_mut().push(room.clone());
        let tell = |room: RoomKey| {
            note(&told, &room);
            std::future::ready(if fails(&room) { Err((room, StoreError::Unavailable)) } else { Ok(()) })
        };
        let rooms = Missed { fresh: (0..300).map(room).collect(), again: (1_000..1_008).map(room).collect() };
        let all = each(rooms, tell, |room| note(&missed, room), |room| note(&put_off, room));
        assert!(all.now_or_never().unwrap().is_err());
        let expected: Vec<_> = (0..300).map(room).collect();
        let told = told.into_inner();
        let fresh = told.iter().filter(|room| expected.contains(room)).count();
        assert!(told.starts_with(&expected[..fresh]) && fresh < 150, "after so many failures it is enough");
        assert_eq!(
            (told.len() - fresh, &*missed.borrow()),
            (8, &expected[fresh..].to_vec()),
            "but for those that were taken"
        );
        assert!(put_off.borrow().iter().all(fails));
    }
}
