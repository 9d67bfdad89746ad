//! Unread counts for members who are connected but do not follow the room: merged over [`UNREAD_INTERVAL`], so that a
//! busy room costs them a push a few times a second, not one a message.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::delivery::mailbox::MergeKey;
use crate::domain::entry::{Entry, EntryBody};
use crate::domain::limits::{PAGE_LIMIT, UNREAD_INTERVAL};
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, UserKey};
use crate::domain::namespace::Who;
use crate::domain::position::Seq;
use crate::domain::push::Push;
use crate::store::{EntryRange, PageBound, StoreError};

use super::live::Live;
use super::services::Services;

/// How many of the last entries are searched for the last message.
const LAST_ENTRIES: PageBound = PageBound { items: 10, bytes: 64 * 1024 };

/// Sends unread counts until cancelled.
pub async fn send_unread(services: Arc<Services>, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(UNREAD_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = cancel.cancelled() => return,
        }
        for room in services.delivery.take_unread_rooms() {
            let rules = services.namespaces.rules(&room.room);
            if rules.is_none_or(|rules| rules.join != Who::Members) {
                continue;
            }
            if let Err(error) = services.send_unread_of(&room).await {
                tracing::warn!(error = %error, "unread counts were not sent");
            }
        }
    }
}

impl Services {
    async fn send_unread_of(&self, room: &RoomKey) -> Result<(), StoreError> {
        let mut after = None;
        let mut page = None;
        loop {
            let members = self.store.members(room, after.as_ref(), PAGE_LIMIT).await?;
            let last_of_page = members.last().map(|member| member.user.clone());
            let full = members.len() == PAGE_LIMIT as usize;
            for member in members {
                let absent = self.sessions_elsewhere(room, &member);
                if absent.is_empty() {
                    continue;
                }
                if page.is_none() {
                    page = Some(
                        self.store.entries(room, EntryRange::Before(Seq(u64::MAX)), LAST_ENTRIES).await?,
                    );
                }
                let Some(page) = &page else { continue };
                let marks = self.store.marks(room, &member.user).await?;
                let last = page.entries.iter().find(|entry| matches!(entry.body, EntryBody::Message(_)));
                let last: Option<Box<Entry>> =
                    last.filter(|entry| entry.seq >= member.history_from).cloned().map(Box::new);
                let push = Push::Unread {
                    room: room.room.clone(),
                    count: marks.unread(page.head_number),
                    last_seq: page.head.seq,
                    last_message: last,
                };
                let frame = self.delivery.encoder().push(&push);
                for live in absent {
                    live.mailbox.push(frame.clone(), Some(MergeKey::of(("unread", room))));
                }
            }
            match last_of_page {
                Some(last) if full => after = Some(last),
                _ => return Ok(()),
            }
        }
    }

    /// The member's sessions that do not follow the room.
    fn sessions_elsewhere(&self, room: &RoomKey, member: &Member) -> Vec<Arc<Live>> {
        let user = UserKey { tenant: room.tenant.clone(), user: member.user.clone() };
        let sessions = self.delivery.registry().sessions_of(&user);
        let live = sessions.iter().filter_map(|mailbox| self.sessions.get(mailbox.session()));
        live.filter(|live| !live.follows(&room.room)).collect()
    }
}
