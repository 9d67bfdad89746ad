//! Entries: live, replayed, in pages of history.

use carillon_proto::v1::history_entry::Entry as Item;

use super::*;
use crate::domain::content::Body;
use crate::domain::entry::{ReactionKey, ReactionSummary};
use crate::domain::member::{MembershipChange, Role};
use crate::grpc::encode::entry::history_entry;

fn live(body: EntryBody) -> Kind {
    let response = response(&encoder().entry(&room(), &entry(body)));
    assert_eq!(response.command_id, 0);
    response.kind.unwrap()
}

fn wire_message() -> v1::Message {
    v1::Message {
        room: "conversation:1".into(),
        header: header(),
        number: 5,
        content: wire_text("hello"),
        reply_to: Some(2),
        attributes: [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        version: 1,
        ..Default::default()
    }
}

/// One of each kind of entry.
fn bodies() -> Vec<EntryBody> {
    let key = ReactionKey::parse("👍").unwrap();
    let content = || Some(Content::text("edited", "text/markdown").unwrap());
    let metadata = Pairs::stored([("title".to_owned(), "x".to_owned())].into());
    vec![
        EntryBody::Message(message()),
        EntryBody::Edit { target: Seq(2), content: content(), version: 2 },
        EntryBody::Deletion { target: Seq(2) },
        EntryBody::Reaction { target: Seq(2), key, add: true },
        EntryBody::Membership { user: user("bob"), change: MembershipChange::Added, role: Role::Owner },
        EntryBody::Room { created: true, metadata },
        EntryBody::Event(event()),
    ]
}

#[test]
fn a_message() {
    assert_eq!(live(EntryBody::Message(message())), Kind::Message(wire_message()));
    let told = Message { by_service: true, ..message() };
    let wire = v1::Message { by_service: true, ..wire_message() };
    assert_eq!(live(EntryBody::Message(told)), Kind::Message(wire));
}

#[test]
fn a_live_entry_and_its_replay_are_the_same_bytes() {
    for body in bodies() {
        let first = encoder().entry(&room(), &entry(body.clone()));
        // What the store gives back was made anew from its columns.
        let again = match body {
            EntryBody::Message(message) => {
                let content = message.content.map(|c| Content::stored(c.body, &c.media_type));
                let attributes = Pairs::stored(message.attributes.as_map().clone());
                EntryBody::Message(Message { content, attributes, ..message })
            }
            other => other,
        };
        let replay = ProtobufEncoder::default().entry(&room(), &entry(again));
        assert_eq!(first.prefixed(), replay.prefixed());
    }
}

/// What the store makes of a message by an edit or a deletion.
fn changed(message: &Message, change: &Entry) -> Message {
    match &change.body {
        EntryBody::Edit { content, version, .. } => Message {
            content: content.clone(),
            version: *version,
            edited: Some(change.time),
            ..message.clone()
        },
        _ => Message { content: None, attributes: Pairs::default(), ..message.clone() },
    }
}

#[test]
fn a_frame_of_what_was_changed_since_is_the_same_bytes_as_its_replay() {
    let content = |text: &str| Some(Content::text(text, "text/markdown").unwrap());
    let edit = |text, version| EntryBody::Edit { target: Seq(2), content: content(text), version };
    let mut message = message();
    let mut live = encoder().entry(&room(), &entry(EntryBody::Message(message.clone())));
    for (later, body) in
        [edit("better", 2), edit("best", 3), EntryBody::Deletion { target: Seq(2) }].into_iter().enumerate()
    {
        let change = entry(body);
        let change = Entry { time: Timestamp(change.time.millis() + later as i64), ..change };
        message = changed(&message, &change);
        live = encoder().revised(&live, &change).unwrap();
        let replay = encoder().entry(&room(), &entry(EntryBody::Message(message.clone())));
        assert_eq!(live.prefixed(), replay.prefixed());
    }
    let deletion = entry(EntryBody::Deletion { target: Seq(2) });
    let edited = encoder().entry(&room(), &entry(edit("better", 2)));
    let blank = EntryBody::Edit { target: Seq(2), content: None, version: 2 };
    let replay = encoder().entry(&room(), &entry(blank));
    assert_eq!(encoder().revised(&edited, &deletion).unwrap().prefixed(), replay.prefixed());
    let other = encoder().entry(&room(), &deletion);
    assert_eq!(encoder().revised(&other, &deletion), None);
}

#[test]
fn an_entry_of_a_page_is_the_one_that_was_pushed() {
    for body in bodies() {
        let pushed = match live(body.clone()) {
            Kind::Message(message) => Item::Message(message),
            Kind::MessageEdited(edited) => Item::MessageEdited(edited),
            Kind::MessageDeleted(deleted) => Item::MessageDeleted(deleted),
            Kind::Reaction(reaction) => Item::Reaction(reaction),
            Kind::Membership(membership) => Item::Membership(membership),
            Kind::RoomChanged(changed) => Item::RoomChanged(changed),
            Kind::Event(event) => Item::Event(event),
            other => panic!("{other:?}"),
        };
        assert_eq!(history_entry(&room(), &entry(body)).entry, Some(pushed));
    }
}

#[test]
fn a_deleted_message_is_a_tombstone() {
    let blank = Message { content: None, attributes: Pairs::default(), ..message() };
    let Kind::Message(tombstone) = live(EntryBody::Message(blank)) else { panic!() };
    assert!(tombstone.deleted);
    assert_eq!((tombstone.content, tombstone.attributes.len(), tombstone.number), (None, 0, 5));
}

#[test]
fn an_edited_message_says_when_and_how_often() {
    let edited = Message { version: 3, edited: Some(Timestamp(9)), ..message() };
    let Kind::Message(edited) = live(EntryBody::Message(edited)) else { panic!() };
    assert_eq!((edited.version, edited.edited_time_ms, edited.deleted), (3, 9, false));
}

#[test]
fn reactions_are_summed_up_in_replay() {
    let key = ReactionKey::parse("+1").unwrap();
    let reactions = vec![ReactionSummary { key, count: 30, users: vec![user("bob")] }];
    let Kind::Message(message) = live(EntryBody::Message(Message { reactions, ..message() })) else {
        panic!()
    };
    let expected = v1::ReactionSummary { key: "+1".into(), users: vec!["bob".into()], count: 30 };
    assert_eq!(message.reactions, [expected]);
}

#[test]
fn a_blanked_edit_has_no_content() {
    let edit = EntryBody::Edit { target: Seq(2), content: None, version: 2 };
    let expected = v1::MessageEdited {
        room: "conversation:1".into(),
        header: header(),
        target_seq: 2,
        content: None,
        version: 2,
    };
    assert_eq!(live(edit), Kind::MessageEdited(expected));
}

#[test]
fn an_ended_membership_has_no_role() {
    for (change, wire, role) in [
        (MembershipChange::Added, v1::MembershipChange::Added, v1::Role::Moderator),
        (MembershipChange::RoleChanged, v1::MembershipChange::RoleChanged, v1::Role::Moderator),
        (MembershipChange::Removed, v1::MembershipChange::Removed, v1::Role::Unspecified),
        (MembershipChange::Left, v1::MembershipChange::Left, v1::Role::Unspecified),
    ] {
        let body = EntryBody::Membership { user: user("bob"), change, role: Role::Moderator };
        let Kind::Membership(membership) = live(body) else { panic!() };
        assert_eq!((membership.change(), membership.role(), &*membership.user), (wire, role, "bob"));
    }
}

#[test]
fn the_default_media_type_is_left_out() {
    let media_type = |content: Content| {
        let message = Message { content: Some(content), ..message() };
        let Kind::Message(message) = live(EntryBody::Message(message)) else { panic!() };
        message.content.unwrap().media_type
    };
    assert_eq!(media_type(Content::text("x", "text/plain").unwrap()), "");
    assert_eq!(media_type(Content::text("x", "text/html").unwrap()), "text/html");
    assert_eq!(media_type(Content::data(vec![1].into(), "").unwrap()), "");
    assert_eq!(media_type(Content::stored(Body::Data(vec![1].into()), "text/plain")), "text/plain");
}

#[test]
fn an_entry_is_no_larger_on_the_wire_than_pages_count_it() {
    let longest = RoomName::parse(&format!("conversation:{}", "x".repeat(242))).unwrap();
    let pairs = (0..32).map(|number| (format!("key {number:060}"), "x".repeat(1_024)));
    let pairs = Pairs::stored(pairs.collect());
    let users = || (0..20).map(|number| user(&format!("{number:0128}"))).collect();
    let summary = |number| ReactionSummary {
        key: ReactionKey::parse(&format!("{number:064}")).unwrap(),
        count: u32::MAX,
        users: users(),
    };
    let reactions: Vec<_> = (0..100).map(summary).collect();
    let mut all = bodies();
    all.push(EntryBody::Message(Message { reactions, attributes: pairs.clone(), ..message() }));
    all.push(EntryBody::Room { created: false, metadata: pairs });
    let far = Timestamp(i64::MAX);
    for body in all {
        let entry = Entry {
            epoch: Epoch(u64::MAX),
            seq: Seq::MAX,
            time: far,
            number: u64::MAX,
            sender: user(&"u".repeat(128)),
            ..entry(body)
        };
        let bytes = history_entry(&longest, &entry).encoded_len();
        assert!(bytes <= entry.size(), "{bytes} of {}: {:?}", entry.size(), entry.body);
    }
}
