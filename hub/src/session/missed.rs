//! What other nodes told while this one did not hear. Of the rooms that are followed here marks are read once it does again, and
//! what is greater than what was told is told; of those that users are members of, who do not follow them, unread counts are.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::domain::limits::{SEQUENCE_RETRY, UNREAD_INTERVAL, USERS_READ};
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
                sleep(SEQUENCE_RETRY).await;
            }
        }
    };
    tokio::select! {
        () = telling => {}
        () = cancel.cancelled() => {}
    }
}

impl Services {
    /// What fails is left for the next time, and ends this one where there is more than is under way.
    async fn tell_missed_marks(&self) -> Result<(), StoreError> {
        let tell = |room| self.tell_missed_marks_of(room);
        each(self.delivery.take_missed_rooms(), tell, |room| self.delivery.misses_marks(room)).await
    }

    /// Sends unread counts of rooms to their members who do not follow them. What fails is left for the next time, and ends this
    /// one where there is more than is under way.
    pub(super) async fn send_missed(&self, rooms: Vec<RoomKey>) -> Result<(), StoreError> {
        let tell =
            |room: RoomKey| async move { self.send_missed_of(&room).await.map_err(|error| (room, error)) };
        each(rooms, tell, |room| self.delivery.misses_counts(room)).await
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

/// Does something for rooms, some at a time. Where it fails for one it is begun for no more, and all that are left are `missed` again.
async fn each<F: Future<Output = Result<(), (RoomKey, StoreError)>>>(
    rooms: Vec<RoomKey>,
    tell: impl Fn(RoomKey) -> F,
    missed: impl Fn(&RoomKey),
) -> Result<(), StoreError> {
    let (mut rooms, mut result) = (rooms.into_iter(), Ok(()));
    let mut under_way = stream::FuturesUnordered::new();
    loop {
        while under_way.len() < AT_A_TIME
            && result.is_ok()
            && let Some(room) = rooms.next()
        {
            under_way.push(tell(room));
        }
        match under_way.next().await {
            None => break,
            Some(Ok(())) => {}
            Some(Err((room, error))) => {
                missed(&room);
                result = Err(error);
            }
        }
    }
    rooms.for_each(|room| missed(&room));
    result
}
