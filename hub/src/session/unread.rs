//! Unread counts: of rooms, for members who are connected but do not follow them, and of inboxes. Merged over
//! [`UNREAD_INTERVAL`], so that what is busy costs a push a few times a second, not one a message.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::delivery::LatestMessage;
use crate::delivery::mailbox::MergeKey;
use crate::domain::entry::Entry;
use crate::domain::limits::{PAGE_LIMIT, UNREAD_INTERVAL};
use crate::domain::member::Member;
use crate::domain::names::{RoomKey, UserKey};
use crate::domain::namespace::Who;
use crate::domain::push::Push;
use crate::store::StoreError;

use super::live::Live;
use super::services::Services;

/// Sends unread counts until cancelled.
pub async fn send_unread(services: Arc<Services>, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(UNREAD_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = cancel.cancelled() => return,
        }
        for (room, latest) in services.delivery.take_unread_rooms() {
            let rules = services.namespaces.rules(&room.room);
            if rules.is_none_or(|rules| rules.join != Who::Members) {
                continue;
            }
            if let Err(error) = services.send_unread_of(&room, latest).await {
                tracing::warn!(error = %error, "unread counts were not sent");
            }
        }
        for user in services.delivery.take_changed_inboxes() {
            if let Err(error) = services.send_inbox_unread(&user).await {
                tracing::warn!(error = %error, "an inbox's unread count was not sent");
            }
        }
    }
}

impl Services {
    async fn send_unread_of(&self, room: &RoomKey, latest: LatestMessage) -> Result<(), StoreError> {
        let mut after = None;
        let mut message: Option<Option<Box<Entry>>> = None;
        loop {
            let members = self.store.members(room, after.as_ref(), PAGE_LIMIT).await?;
            let last_of_page = members.last().map(|member| member.user.clone());
            let full = members.len() == PAGE_LIMIT as usize;
            for member in members {
                let absent = self.sessions_elsewhere(room, &member);
                if absent.is_empty() {
                    continue;
                }
                if message.is_none() {
                    message = Some(self.store.entry(room, latest.seq).await?.map(Box::new));
                }
                let marks = self.store.marks(room, &member.user).await?;
                let readable = latest.seq >= member.history_from;
                let push = Push::Unread {
                    room: room.room.clone(),
                    count: marks.unread(latest.number),
                    last_seq: latest.seq,
                    last_message: message.clone().flatten().filter(|_| readable),
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

    async fn send_inbox_unread(&self, user: &UserKey) -> Result<(), StoreError> {
        let summary = self.store.inbox_summary(user).await?;
        self.delivery.send_to_user(user, &Push::InboxUnread(summary), Some(MergeKey::of("inbox_unread")));
        Ok(())
    }

    /// The member's sessions that do not follow the room.
    fn sessions_elsewhere(&self, room: &RoomKey, member: &Member) -> Vec<Arc<Live>> {
        let user = UserKey { tenant: room.tenant.clone(), user: member.user.clone() };
        let sessions = self.delivery.registry().sessions_of(&user);
        let live = sessions.iter().filter_map(|mailbox| self.sessions.get(mailbox.session()));
        live.filter(|live| !live.follows(&room.room)).collect()
    }
}
