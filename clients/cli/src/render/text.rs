//! Lines of text of what comes. Nothing that a stranger wrote can move the cursor: control characters are replaced.

use std::borrow::Cow;

use carillon_client::{Event, v1};

pub(crate) use super::time::{date_and_time, time_of_day};

/// One line for an event; `None` where people need none.
pub(crate) fn line(event: &Event) -> Option<String> {
    if let Some(line) = entry_line(event) {
        return Some(line);
    }
    Some(match event {
        Event::Connected(c) => format!("* connected as {}", c.user),
        Event::Disconnected(d) if d.will_reconnect() => format!("* {}: reconnecting", d.reason),
        Event::Disconnected(d) => format!("* disconnected: {}", d.reason),
        Event::Truncated { room } => {
            format!("* {room}: what was missed cannot be recovered, read its history")
        }
        Event::InboxTruncated => "* what was missed of the inbox cannot be recovered, list it".to_owned(),
        Event::GoingAway { .. } => "* the hub stops soon".to_owned(),
        Event::Joined(j) => {
            format!(
                "* joined {} at #{} ({} present)",
                j.room,
                j.position.unwrap_or_default().seq,
                j.occupancy
            )
        }
        Event::Left(l) => format!("* left {} ({})", l.room, tail(l.reason().as_str_name(), "LEAVE_REASON_")),
        Event::Gap(g) => format!("* {}: entries #{} to #{} are gone", g.room, g.from, g.to),
        Event::Occupancy(o) => format!("* {}: {} present", o.room, o.count),
        Event::Unread(u) => format!("* {}: {} unread", u.room, u.count),
        Event::Marks(m) => {
            format!("* {}: {} has read up to #{}, got up to #{}", m.room, m.user, m.read, m.delivered)
        }
        Event::Typing(t) => {
            format!("* {}: {} {}", t.room, t.user, if t.active { "types" } else { "stopped typing" })
        }
        Event::Presence(p) => {
            format!("* {}{}", prefix(&p.room), presence(&p.state.clone().unwrap_or_default()))
        }
        Event::Notification(n) => notification(n),
        Event::InboxUnread(u) => format!("* {} unread notifications", u.count),
        _ => return None,
    })
}

/// An entry or an event with its room, as in a list of many rooms.
fn entry_line(event: &Event) -> Option<String> {
    let (room, header, said) = said(event)?;
    let header = header.cloned().unwrap_or_default();
    let place = if header.seq > 0 { format!(" #{}", header.seq) } else { String::new() };
    Some(format!("[{}] {room}{place} {}{said}", time_of_day(header.time_ms), header.sender))
}

/// What an entry says, to stand behind its sender's name.
pub(crate) fn said(event: &Event) -> Option<(&str, Option<&v1::EntryHeader>, String)> {
    Some(match event {
        Event::Message(m) => (m.room.as_str(), m.header.as_ref(), message(m)),
        Event::MessageEdited(m) => {
            let said = format!(" edited #{}: {}", m.target_seq, content(m.content.as_ref()));
            (&m.room, m.header.as_ref(), said)
        }
        Event::MessageDeleted(m) => (&m.room, m.header.as_ref(), format!(" deleted #{}", m.target_seq)),
        Event::Reaction(r) => {
            let verb = if r.add { "reacted to" } else { "took back a reaction to" };
            (&r.room, r.header.as_ref(), format!(" {verb} #{}: {}", r.target_seq, clean(&r.key)))
        }
        Event::Membership(m) => (&m.room, m.header.as_ref(), membership(m)),
        Event::RoomChanged(r) => {
            let said = if r.created { " created the room" } else { " changed the room" };
            (&r.room, r.header.as_ref(), said.to_owned())
        }
        Event::Event(e) => {
            let said = format!("{} {}: {}", mark(e.by_service), clean(&e.name), content(e.payload.as_ref()));
            (&e.room, e.header.as_ref(), said)
        }
        _ => return None,
    })
}

/// What tells a service from a user of the same name.
fn mark(by_service: bool) -> &'static str {
    if by_service { " (service)" } else { "" }
}

fn message(m: &v1::Message) -> String {
    let service = mark(m.by_service);
    if m.deleted {
        return format!("{service}: (deleted)");
    }
    let reply = m.reply_to.map(|seq| format!("(to #{seq}) ")).unwrap_or_default();
    let edited = if m.version > 1 { " (edited)" } else { "" };
    let reactions: Vec<_> = m.reactions.iter().map(|r| format!("{} {}", clean(&r.key), r.count)).collect();
    let reactions = if reactions.is_empty() { String::new() } else { format!(" [{}]", reactions.join(", ")) };
    format!("{service}: {reply}{}{edited}{reactions}", content(m.content.as_ref()))
}

fn membership(m: &v1::Membership) -> String {
    match m.change() {
        v1::MembershipChange::Added => format!(" added {} as {}", m.user, role(m.role())),
        v1::MembershipChange::Removed => format!(" removed {}", m.user),
        v1::MembershipChange::Left => " left for good".to_owned(),
        v1::MembershipChange::RoleChanged => format!(" made {} {}", m.user, role(m.role())),
        v1::MembershipChange::Unspecified => format!(" changed {}'s membership", m.user),
    }
}

/// A notification.
pub(crate) fn notification(n: &v1::Notification) -> String {
    let priority = match n.priority() {
        v1::NotificationPriority::High => "! ",
        v1::NotificationPriority::Critical => "!!! ",
        _ => "",
    };
    let body = n.body.as_ref().map(|body| format!(": {}", content(Some(body)))).unwrap_or_default();
    format!("[{}] {priority}{}{body} (from {})", time_of_day(n.time_ms), clean(&n.title), n.sender)
}

/// How one user is, as `bob is away (lunch)`.
pub(crate) fn presence(state: &v1::PresenceState) -> String {
    let text = if state.text.is_empty() { String::new() } else { format!(" ({})", clean(&state.text)) };
    format!("{} is {}{text}", state.user, tail(state.status().as_str_name(), "PRESENCE_STATUS_"))
}

/// A role, as `owner`.
pub(crate) fn role(role: v1::Role) -> String {
    tail(role.as_str_name(), "ROLE_")
}

fn tail(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

fn prefix(room: &str) -> String {
    if room.is_empty() { String::new() } else { format!("{room}: ") }
}

/// A content's text, or its size.
pub(crate) fn content(content: Option<&v1::Content>) -> Cow<'_, str> {
    match content.and_then(|content| content.body.as_ref()) {
        Some(v1::content::Body::Text(text)) => clean(text),
        Some(v1::content::Body::Data(data)) => format!("({} bytes)", data.len()).into(),
        None => "".into(),
    }
}

/// Text that is safe on a terminal: tabs and line ends stay, the latter indented; other control characters do not.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return text.into();
    }
    let mut cleaned = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => cleaned.push_str("\n    "),
            '\t' => cleaned.push('\t'),
            '\r' => {}
            control if control.is_control() => cleaned.push('\u{fffd}'),
            letter => cleaned.push(letter),
        }
    }
    cleaned.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\r\nc\td"), "a\u{fffd}[2Jb\n    c\td");
    }

    #[test]
    fn message_shows_time_room_place_and_author() {
        let header =
            v1::EntryHeader { seq: 7, time_ms: 3_661_000, sender: "alice".into(), ..Default::default() };
        let event = Event::Message(Box::new(v1::Message {
            room: "conversation:1".into(),
            header: Some(header),
            content: Some(carillon_client::text("hello")),
            version: 2,
            ..Default::default()
        }));
        assert_eq!(line(&event).unwrap(), "[01:01:01] conversation:1 #7 alice: hello (edited)");
    }
}
