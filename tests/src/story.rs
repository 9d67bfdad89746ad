//! Words for stories about rooms: who refuses what, who is in a conversation, what a room's log says.

#![expect(clippy::panic, reason = "what the harness finds wrong fails the test")]

use std::fmt::Debug;

use carillon_client::{CommandError, Event, Refusal, v1};

use crate::people::Person;

/// The refusal that a command got. Panics where it was accepted.
#[track_caller]
pub fn refusal<T: Debug>(outcome: Result<T, CommandError>) -> Refusal {
    match outcome {
        Err(CommandError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// The code that a command was refused with, or `ok`.
#[track_caller]
pub fn verdict<T: Debug>(outcome: Result<T, CommandError>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        outcome => refusal(outcome).code.name().to_owned(),
    }
}

/// The code, and the first violation's field and rule, that a command was refused with.
#[track_caller]
pub fn broken<T: Debug>(outcome: Result<T, CommandError>) -> (String, String, String) {
    let refusal = refusal(outcome);
    let violation = refusal.violations.first().expect("a violation is named");
    (refusal.code.name().to_owned(), violation.field.clone(), violation.rule.clone())
}

/// The field that a command was refused for, with `INVALID_ARGUMENT`.
#[track_caller]
pub fn wrong_field<T: Debug>(outcome: Result<T, CommandError>) -> String {
    let (code, field, _) = broken(outcome);
    assert_eq!(code, "INVALID_ARGUMENT");
    field
}

/// The seq of an accepted entry.
pub fn seq_of(accepted: &v1::EntryAccepted) -> u64 {
    accepted.position.as_ref().map_or(0, |position| position.seq)
}

/// A member of a conversation to be.
pub fn member(user: &str, role: v1::Role) -> v1::Member {
    v1::Member { user: user.to_owned(), role: role.into() }
}

/// A message that can be varied.
pub fn message(room: &str, words: &str) -> v1::MessageSend {
    let content = Some(carillon_client::text(words));
    v1::MessageSend { room: room.to_owned(), content, ..Default::default() }
}

/// The text of a content; empty where there is none.
pub fn text_of(content: Option<&v1::Content>) -> &str {
    match content.and_then(|content| content.body.as_ref()) {
        Some(v1::content::Body::Text(text)) => text,
        _ => "",
    }
}

impl Person {
    /// Creates a conversation with these others, and gives its room.
    pub async fn creates(&self, others: &[(&str, v1::Role)]) -> String {
        let members = others.iter().map(|(user, role)| member(user, *role)).collect();
        let create = v1::ConversationCreate { members, ..Default::default() };
        self.client.conversation_create(create).await.expect("the conversation is created").room
    }

    /// Joins a room from its first entry on.
    pub async fn joins_from_the_start(&self, room: &str) -> v1::Joined {
        let join = v1::Join { room: room.to_owned(), rewind: 1_000, ..Default::default() };
        self.client.join_with(join).await.expect("the join is permitted")
    }

    /// The whole log of a room, read forwards in small pages.
    pub async fn reads(&self, room: &str) -> Vec<Event> {
        let mut log: Vec<Event> = Vec::new();
        loop {
            let after = log.last().and_then(Event::entry).map_or(0, |(_, header)| header.seq);
            let bound = Some(v1::history_get::Bound::After(after));
            let page = v1::HistoryGet { room: room.to_owned(), bound, limit: 7 };
            let page = self.client.history(page).await.expect("the history is readable");
            log.extend(page.entries.into_iter().filter_map(|entry| entry.entry).map(Event::from));
            if !page.more {
                return log;
            }
        }
    }

    /// The events up to the entry `seq` of a room, that one included.
    pub async fn hears_through(&mut self, room: &str, seq: u64) -> Vec<Event> {
        let mut heard = Vec::new();
        loop {
            let event = self.next().await;
            let last = event.entry().is_some_and(|(at, header)| at == room && header.seq >= seq);
            heard.push(event);
            if last {
                return heard;
            }
        }
    }

    /// The next `marks` of a user in a room.
    pub async fn sees_marks(&mut self, room: &str, user: &str) -> (u64, u64) {
        self.waits_for(|event| match event {
            Event::Marks(marks) if marks.room == room && marks.user == user => {
                Some((marks.delivered, marks.read))
            }
            _ => None,
        })
        .await
    }

    /// The next presence of a user; `room` is empty for a watched one.
    pub async fn sees(&mut self, room: &str, user: &str) -> (v1::PresenceState, v1::PresenceReason) {
        self.waits_for(|event| match event {
            Event::Presence(presence) if presence.room == room => {
                let reason = presence.reason();
                presence.state.filter(|state| state.user == user).map(|state| (state, reason))
            }
            _ => None,
        })
        .await
    }

    /// The next notification.
    pub async fn is_notified(&mut self) -> v1::Notification {
        self.waits_for(|event| match event {
            Event::Notification(notification) => Some(*notification),
            _ => None,
        })
        .await
    }

    /// The next `left` of a room.
    pub async fn is_out_of(&mut self, room: &str) -> v1::LeaveReason {
        self.waits_for(|event| match event {
            Event::Left(left) if left.room == room => Some(left.reason()),
            _ => None,
        })
        .await
    }
}
