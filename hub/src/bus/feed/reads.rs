//! Reading from the store what the bus did not bring.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::timeout;

use super::{Inner, now};
use crate::bus::port::Topic;
use crate::bus::sequence::{Page, Read};
use crate::domain::limits::{CATCH_UP_BYTES, COMMAND_TIMEOUT, HISTORY_LIMIT};
use crate::domain::names::RoomKey;
use crate::domain::position::{Position, Seq, Tag};
use crate::store::{Change, EntryRange, InboxLog, PageBound, Store, StoreError};

/// A read that is done: of what, and the page.
pub(super) type Done = (Topic, u64, Result<Page<Change>, StoreError>);

impl Inner {
    /// Does a read. `None` where nobody can be asked for it any more.
    pub(super) fn read(store: &Arc<dyn Store>, topic: Topic, read: Read) -> Option<BoxFuture<'static, Done>> {
        let store = Arc::clone(store);
        let page = match &topic {
            Topic::Room(room) => room_page(store, room.clone(), read.after).boxed(),
            Topic::User(user) => inbox_page(store, InboxLog::Own(user.clone())).boxed(),
            Topic::Tenant(tenant) => inbox_page(store, InboxLog::Broadcast(tenant.clone())).boxed(),
            Topic::Hub => return None,
        };
        let reading = async move {
            let page = timeout(COMMAND_TIMEOUT, page).await;
            (topic, read.id, page.unwrap_or(Err(StoreError::Unavailable)))
        };
        Some(reading.boxed())
    }

    /// Takes what was read.
    pub(super) fn take_read(&self, (topic, id, page): Done) {
        match page {
            Ok(page) => self.with_shard(&topic, |sequencer, out| {
                sequencer.page(&topic, id, page, now(), &mut |step| out(&topic, step));
            }),
            Err(error) => {
                tracing::warn!(topic = ?topic, %error, "what the bus did not bring could not be read");
                self.read_failed(&topic, id);
            }
        }
    }

    pub(super) fn read_failed(&self, topic: &Topic, id: u64) {
        self.with_shard(topic, |sequencer, _| sequencer.failed(topic, id, now()));
    }
}

async fn room_page(
    store: Arc<dyn Store>,
    key: RoomKey,
    after: Option<Seq>,
) -> Result<Page<Change>, StoreError> {
    let Some(after) = after else {
        let room = store.room(&key).await?;
        let head = room.map_or(Position { epoch: store.epoch(), ..Position::default() }, |room| room.head);
        return Ok(Page { head, items: Vec::new(), more: false });
    };
    let bound = PageBound { items: HISTORY_LIMIT, bytes: CATCH_UP_BYTES };
    let page = store.entries(&key, EntryRange::After(after), bound).await?;
    let change = |entry| Change::Entry { room: key.clone(), entry: Arc::new(entry) };
    let items = page.entries.into_iter().map(|entry| (entry.position(), change(entry))).collect();
    Ok(Page { head: page.head, items, more: page.more })
}

/// Of an inbox's log the head alone: sessions read for themselves what they have missed.
async fn inbox_page(store: Arc<dyn Store>, log: InboxLog) -> Result<Page<Change>, StoreError> {
    let head = Position { epoch: store.epoch(), seq: store.inbox_head(log).await?, tag: Tag(0) };
    Ok(Page { head, items: Vec::new(), more: false })
}
