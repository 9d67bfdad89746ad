//! What a room looks like to the one who talks in it: events in, lines out. Plain data.

use carillon_client::{Event, v1};

use super::log::{Log, Step, What};
use crate::render::text;

/// One room, as seen by one user.
#[derive(Debug)]
pub(super) struct View {
    me: String,
    room: String,
    /// What was seen of its log.
    pub(super) log: Log,
    /// Where the log ended when the room was joined last; `None` before.
    joined_at: Option<v1::Position>,
    /// Who types.
    typing: Vec<String>,
    /// Whether the hub keeps one's marks here.
    receipts: bool,
    /// Whether the session broke since the last line.
    away: bool,
    /// Whether the user may be here no more.
    pub(super) over: bool,
}

impl View {
    pub(super) fn new(me: &str, room: &str) -> Self {
        Self {
            me: me.to_owned(),
            room: room.to_owned(),
            log: Log::default(),
            joined_at: None,
            typing: Vec::new(),
            receipts: false,
            away: false,
            over: false,
        }
    }

    /// The place to mark as read that the hub does not have.
    pub(super) fn to_mark(&self) -> Option<v1::Position> {
        self.log.to_mark().filter(|_| self.receipts)
    }

    /// The line that an event is worth.
    pub(super) fn apply(&mut self, event: &Event) -> Option<String> {
        if let Some((room, header, said)) = text::said(event) {
            let header = header.cloned().unwrap_or_default();
            let mine = room == self.room;
            return mine.then(|| self.entry(event, &header, &said)).flatten();
        }
        match event {
            Event::Connected(_) => std::mem::take(&mut self.away).then(|| "* back".to_owned()),
            Event::Disconnected(how) if how.will_reconnect() => {
                self.away = true;
                Some(format!("* reconnecting… ({})", how.reason))
            }
            Event::Disconnected(how) => {
                self.over = true;
                Some(format!("* disconnected: {}", how.reason))
            }
            Event::Joined(joined) if joined.room == self.room => self.joined(joined),
            Event::Left(left) if left.room == self.room && left.reason() != v1::LeaveReason::Command => {
                self.over = true;
                Some("* you are not in this room any more".to_owned())
            }
            Event::Typing(typing) if typing.room == self.room => self.typing(typing),
            Event::Marks(marks) if marks.room == self.room => self.marks(marks),
            Event::Presence(presence) if presence.room == self.room => {
                let state = presence.state.as_ref().filter(|state| state.user != self.me)?;
                Some(format!("* {}", text::presence(state)))
            }
            Event::Truncated { room } if *room == self.room => {
                // The hub told of the join before.
                self.log.is_replaced(self.joined_at.unwrap_or_default());
                Some("* messages were missed that cannot be recovered: see `carillon history`".to_owned())
            }
            Event::Gap(gap) if gap.room == self.room => {
                Some(format!("* #{} to #{} are gone", gap.from, gap.to))
            }
            Event::Unread(unread) => Some(format!("* {} unread in {}", unread.count, unread.room)),
            Event::Notification(notification) => Some(format!("* {}", text::notification(notification))),
            _ => None,
        }
    }

    fn entry(&mut self, event: &Event, header: &v1::EntryHeader, said: &str) -> Option<String> {
        self.typing.retain(|user| *user != header.sender);
        let what = match event {
            Event::Message(_) => What::Message,
            Event::MessageEdited(_) | Event::MessageDeleted(_) | Event::Reaction(_) => What::Change,
            _ => What::Other,
        };
        if !self.log.shows(header, what, header.sender == self.me) {
            return None;
        }
        let place = if header.seq > 0 { format!("#{} ", header.seq) } else { String::new() };
        let star = if what == What::Message { "" } else { "* " };
        Some(format!("{place}{} {star}{}{said}", text::time_of_day(header.time_ms), header.sender))
    }

    fn joined(&mut self, joined: &v1::Joined) -> Option<String> {
        self.receipts = joined.marks.is_some();
        let end = joined.position.unwrap_or_default();
        if self.joined_at.replace(end).is_some() {
            return None;
        }
        self.log = Log::from(end);
        let present: Vec<_> = joined.presence.iter().map(|state| state.user.as_str()).collect();
        let present = if present.is_empty() { String::new() } else { format!(": {}", present.join(", ")) };
        Some(format!("* {}, {} here{present} (times are UTC, /help for help)", self.room, joined.occupancy))
    }

    fn typing(&mut self, typing: &v1::Typing) -> Option<String> {
        let known = self.typing.contains(&typing.user);
        self.typing.retain(|user| *user != typing.user);
        if !typing.active {
            return None;
        }
        self.typing.push(typing.user.clone());
        (!known).then(|| format!("* {} is typing…", typing.user))
    }

    /// Tells of the step that another user's marks took over one's last message.
    fn marks(&mut self, marks: &v1::Marks) -> Option<String> {
        if marks.user == self.me {
            return None;
        }
        Some(match self.log.step(marks)? {
            Step::Read(own) => format!("  ✓✓ #{own} read by {}", marks.user),
            Step::Delivered(own) => format!("  ✓ #{own} delivered to {}", marks.user),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use carillon_client::Disconnected;

    use super::*;

    const ROOM: &str = "conversation:1";

    fn view() -> View {
        let mut view = View::new("alice", ROOM);
        let position = Some(v1::Position { epoch: 1, seq: 3, tag: 1 });
        let joined = v1::Joined { room: ROOM.into(), position, occupancy: 2, ..Default::default() };
        assert!(view.apply(&Event::Joined(Box::new(joined))).unwrap().contains("2 here"));
        view
    }

    fn header(seq: u64, sender: &str) -> v1::EntryHeader {
        v1::EntryHeader { seq, sender: sender.into(), ..Default::default() }
    }

    fn message(seq: u64, sender: &str, words: &str) -> Event {
        Event::Message(Box::new(v1::Message {
            room: ROOM.into(),
            header: Some(header(seq, sender)),
            content: Some(carillon_client::text(words)),
            ..Default::default()
        }))
    }

    fn marks(user: &str, delivered: u64, read: u64) -> Event {
        Event::Marks(v1::Marks { room: ROOM.into(), user: user.into(), delivered, read })
    }

    #[test]
    fn receipts_tell_each_step_of_ones_last_message_once() {
        let mut view = view();
        assert_eq!(view.apply(&message(4, "alice", "hi")).unwrap(), "#4 00:00:00 alice: hi");
        assert_eq!(view.apply(&marks("alice", 4, 4)), None);
        assert_eq!(view.apply(&marks("bob", 4, 0)).unwrap(), "  ✓ #4 delivered to bob");
        assert_eq!(view.apply(&marks("bob", 4, 4)).unwrap(), "  ✓✓ #4 read by bob");
        assert_eq!(view.apply(&marks("bob", 5, 5)), None);
    }

    #[test]
    fn old_edits_show_on_their_messages_alone() {
        let mut view = view();
        let edit = |seq| {
            let edited = v1::MessageEdited {
                room: ROOM.into(),
                header: Some(header(seq, "bob")),
                ..Default::default()
            };
            Event::MessageEdited(Box::new(edited))
        };
        assert_eq!(view.apply(&edit(3)), None);
        assert!(view.apply(&edit(4)).is_some());
        let again = v1::Joined {
            room: ROOM.into(),
            position: Some(v1::Position { epoch: 2, seq: 0, tag: 0 }),
            ..Default::default()
        };
        view.apply(&Event::Joined(Box::new(again)));
        assert_eq!(view.apply(&edit(2)), None, "it may be the same log");
        assert!(view.apply(&Event::Truncated { room: ROOM.into() }).is_some());
        assert!(view.apply(&edit(2)).is_some());
    }

    #[test]
    fn typing_shows_once_until_a_message() {
        let mut view = view();
        let types = Event::Typing(v1::Typing { room: ROOM.into(), user: "bob".into(), active: true });
        assert!(view.apply(&types).is_some() && view.apply(&types).is_none());
        view.apply(&message(4, "bob", "hi"));
        assert!(view.apply(&types).is_some());
    }

    #[test]
    fn breaks_are_told_and_other_rooms_are_not() {
        let mut view = view();
        let again = Some(Duration::from_secs(1));
        let lost = Disconnected { code: None, reason: "lost".into(), reconnect_after: again };
        assert!(view.apply(&Event::Disconnected(lost)).unwrap().contains("reconnecting"));
        assert_eq!(view.apply(&Event::Connected(Arc::default())).unwrap(), "* back");
        assert_eq!(view.apply(&Event::Connected(Arc::default())), None);
        let mut other = v1::Message { header: Some(header(1, "bob")), ..Default::default() };
        other.room = "conversation:2".into();
        assert_eq!(view.apply(&Event::Message(Box::new(other))), None);
    }
}
