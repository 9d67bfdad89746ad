//! What a room looks like to the one who talks in it: events in, lines out. Plain data.

use carillon_client::{Event, v1};

use crate::render::text;

/// One room, as seen by one user.
#[derive(Debug)]
pub(super) struct View {
    me: String,
    room: String,
    /// The log's end when the room was joined: what was done to messages before it shows on them already.
    head: Option<u64>,
    /// The last entry shown.
    pub(super) shown: u64,
    /// The last message shown, anyone's.
    pub(super) last_message: Option<u64>,
    /// One's own last message.
    pub(super) last_own: Option<u64>,
    /// Who types.
    typing: Vec<String>,
    /// Of each other user, the marks that were shown.
    marks: Vec<v1::Marks>,
    /// Whether the hub keeps one's marks here.
    pub(super) receipts: bool,
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
            head: None,
            shown: 0,
            last_message: None,
            last_own: None,
            typing: Vec::new(),
            marks: Vec::new(),
            receipts: false,
            away: false,
            over: false,
        }
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
        self.shown = self.shown.max(header.seq);
        self.typing.retain(|user| *user != header.sender);
        let is_message = matches!(event, Event::Message(_));
        if is_message {
            self.last_message = Some(header.seq);
            if header.sender == self.me {
                self.last_own = Some(header.seq);
            }
        }
        // The message shows it: replay brings the current content.
        let shows_on_message =
            matches!(event, Event::MessageEdited(_) | Event::MessageDeleted(_) | Event::Reaction(_));
        if shows_on_message && self.head.is_some_and(|head| header.seq <= head) {
            return None;
        }
        let place = if header.seq > 0 { format!("#{} ", header.seq) } else { String::new() };
        let star = if is_message { "" } else { "* " };
        Some(format!("{place}{} {star}{}{said}", text::time_of_day(header.time_ms), header.sender))
    }

    fn joined(&mut self, joined: &v1::Joined) -> Option<String> {
        self.receipts = joined.marks.is_some();
        if self.head.is_some() {
            return None;
        }
        self.head = Some(joined.position.unwrap_or_default().seq);
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
        let before = self.marks.iter().position(|known| known.user == marks.user);
        let before = before.map(|index| self.marks.swap_remove(index)).unwrap_or_default();
        self.marks.push(marks.clone());
        let own = self.last_own?;
        let passed = |from: u64, to: u64| from < own && to >= own;
        if passed(before.read, marks.read) {
            return Some(format!("  ✓✓ #{own} read by {}", marks.user));
        }
        passed(before.delivered, marks.delivered).then(|| format!("  ✓ #{own} delivered to {}", marks.user))
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
        assert_eq!(view.shown, 4);
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
