//! Each field that can break a rule, and the path that the refusal names.

use SessionMember as C;

use super::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("u{number}")).collect()
}

fn pairs(count: usize, value: &str) -> std::collections::BTreeMap<String, String> {
    (0..count).map(|number| (format!("k{number}"), value.to_owned())).collect()
}

fn member(user: &str) -> v1::Member {
    v1::Member { user: user.to_owned(), role: 0 }
}

#[test]
fn rooms_are_checked_in_every_command() {
    for bad in ["", "plain", "a b:c", "conversation:", &format!("a:{}", "x".repeat(254))] {
        let room = || bad.to_owned();
        assert_invalid(
            [
                C::Join(v1::Join { room: room(), ..Default::default() }),
                C::Leave(v1::Leave { room: room() }),
                C::History(v1::HistoryGet { room: room(), ..Default::default() }),
                C::ConversationUpdate(v1::ConversationUpdate { room: room(), ..Default::default() }),
                C::MemberAdd(v1::MemberAdd { room: room(), ..Default::default() }),
                C::MemberRemove(v1::MemberRemove { room: room(), ..Default::default() }),
                C::MemberRole(v1::MemberRole { room: room(), ..Default::default() }),
                C::Members(v1::MembersGet { room: room(), ..Default::default() }),
                C::MessageSend(v1::MessageSend { room: room(), ..send() }),
                C::MessageEdit(v1::MessageEdit { room: room(), ..Default::default() }),
                C::MessageDelete(v1::MessageDelete { room: room(), seq: 1 }),
                C::Reaction(v1::ReactionSet { room: room(), ..Default::default() }),
                C::MarkDelivered(v1::MarkDelivered { room: room(), up_to: 1 }),
                C::MarkRead(v1::MarkRead { room: room(), up_to: 1 }),
                C::Typing(v1::TypingSet { room: room(), active: true }),
                C::EventPublish(v1::EventPublish { room: room(), ..Default::default() }),
                C::PresenceGet(v1::PresenceGet { room: room(), ..Default::default() }),
            ]
            .map(|command| (command, "room")),
        );
    }
}

#[test]
fn hello() {
    let resume = |rooms, inbox| Some(v1::Resume { rooms, inbox });
    let room = |room: &str, position| v1::RoomPosition { room: room.to_owned(), position, presence: false };
    let at = |seq, tag| Some(v1::Position { epoch: 1, seq, tag });
    let base = super::hello;
    let over = u64::MAX;
    let inbox = |own, broadcast| Some(v1::InboxPosition { own, broadcast, epoch: 1 });
    assert_invalid(
        [
            (v1::Hello { token: "x".repeat(8_193), ..base() }, "token"),
            (v1::Hello { protocol: 0, ..base() }, "protocol"),
            (v1::Hello { protocol: 2, ..base() }, "protocol"),
            (v1::Hello { client: "x".repeat(65), ..base() }, "client"),
            (v1::Hello { client: "web\n".into(), ..base() }, "client"),
            (v1::Hello { instance: "a b".into(), ..base() }, "instance"),
            (v1::Hello { instance: "x".repeat(129), ..base() }, "instance"),
            (v1::Hello { resume: resume(vec![room("x", None)], None), ..base() }, "resume.rooms[].room"),
            (
                v1::Hello { resume: resume(vec![room(ROOM, at(over, 1))], None), ..base() },
                "resume.rooms[].position.seq",
            ),
            (
                v1::Hello { resume: resume(vec![room(ROOM, at(0, 1))], None), ..base() },
                "resume.rooms[].position.tag",
            ),
            (
                v1::Hello { resume: resume(vec![room(ROOM, None), room(ROOM, None)], None), ..base() },
                "resume.rooms",
            ),
            (v1::Hello { resume: resume(vec![], inbox(over, 0)), ..base() }, "resume.inbox.own"),
            (v1::Hello { resume: resume(vec![], inbox(0, over)), ..base() }, "resume.inbox.broadcast"),
        ]
        .map(|(hello, field)| (C::Hello(hello), field)),
    );
    assert_invalid(
        [String::new(), "x".repeat(8_193)]
            .map(|token| (C::RefreshToken(v1::RefreshToken { token }), "token")),
    );
}

#[test]
fn join_and_history() {
    use v1::history_get::Bound;
    let join = |since, rewind| C::Join(v1::Join { room: room(), since, rewind, presence: false });
    let at = |seq, tag| Some(v1::Position { epoch: 1, seq, tag });
    let history = |bound, limit| C::History(v1::HistoryGet { room: room(), bound, limit });
    assert_invalid([
        (join(at(1 << 63, 1), 0), "since.seq"),
        (join(at(0, 9), 0), "since.tag"),
        (join(None, 1_001), "rewind"),
        (join(at(1, 1), 1), "rewind"),
        (history(Some(Bound::Before(1 << 63)), 0), "before"),
        (history(Some(Bound::After(u64::MAX)), 0), "after"),
        (history(None, 201), "limit"),
    ]);
}

#[test]
fn pages() {
    let cursor = || "x".repeat(513);
    let default = Default::default;
    assert_invalid([
        (C::Rooms(v1::RoomsGet { limit: 201, ..default() }), "limit"),
        (C::Rooms(v1::RoomsGet { cursor: cursor(), ..default() }), "cursor"),
        (C::Members(v1::MembersGet { room: room(), limit: 201, ..Default::default() }), "limit"),
        (C::Members(v1::MembersGet { room: room(), cursor: cursor(), limit: 0 }), "cursor"),
        (C::PresenceGet(v1::PresenceGet { room: room(), limit: 201, ..Default::default() }), "limit"),
        (C::PresenceGet(v1::PresenceGet { room: room(), cursor: cursor(), limit: 0 }), "cursor"),
        (C::Notifications(v1::NotificationsGet { limit: 201, ..Default::default() }), "limit"),
        (C::Notifications(v1::NotificationsGet { cursor: cursor(), ..Default::default() }), "cursor"),
    ]);
}

#[test]
fn conversations() {
    let create = |members| v1::ConversationCreate { members, ..Default::default() };
    let many = || names(1_001).iter().map(|user| member(user)).collect();
    assert_invalid(
        [
            (create(many()), "members"),
            (create(vec![member("a b")]), "members[].user"),
            (create(vec![member("")]), "members[].user"),
            (create(vec![v1::Member { user: "bob".into(), role: 9 }]), "members[].role"),
            (create(vec![member("bob"), member("bob")]), "members"),
            (v1::ConversationCreate { direct: true, ..create(vec![]) }, "members"),
            (v1::ConversationCreate { direct: true, ..create(vec![member("a"), member("b")]) }, "members"),
            (v1::ConversationCreate { metadata: pairs(33, ""), ..create(vec![]) }, "metadata"),
            (v1::ConversationCreate { metadata: pairs(1, &"x".repeat(1_025)), ..create(vec![]) }, "metadata"),
        ]
        .map(|(create, field)| (C::ConversationCreate(create), field)),
    );
    let update = || v1::ConversationUpdate { room: room(), ..Default::default() };
    assert_invalid(
        [
            (v1::ConversationUpdate { metadata: pairs(33, ""), ..update() }, "metadata"),
            (v1::ConversationUpdate { remove_keys: names(33), ..update() }, "remove_keys"),
            (v1::ConversationUpdate { remove_keys: vec![String::new()], ..update() }, "remove_keys[]"),
            (v1::ConversationUpdate { remove_keys: vec!["x".repeat(65)], ..update() }, "remove_keys[]"),
            (
                v1::ConversationUpdate { remove_keys: vec!["k0".into()], metadata: pairs(1, ""), ..update() },
                "remove_keys[]",
            ),
            (v1::ConversationUpdate { expected_version: Some(u64::MAX), ..update() }, "expected_version"),
        ]
        .map(|(update, field)| (C::ConversationUpdate(update), field)),
    );
}

#[test]
fn members() {
    let user = || "bob".to_owned();
    let bad = || "bob!".to_owned();
    assert_invalid([
        (C::MemberAdd(v1::MemberAdd { room: room(), user: bad(), role: 0 }), "user"),
        (C::MemberAdd(v1::MemberAdd { room: room(), user: user(), role: 9 }), "role"),
        (C::MemberAdd(v1::MemberAdd { room: room(), user: user(), role: -1 }), "role"),
        (C::MemberRemove(v1::MemberRemove { room: room(), user: bad() }), "user"),
        (C::MemberRole(v1::MemberRole { room: room(), user: bad(), role: 1 }), "user"),
        (C::MemberRole(v1::MemberRole { room: room(), user: user(), role: 0 }), "role"),
        (C::MemberRole(v1::MemberRole { room: room(), user: user(), role: 5 }), "role"),
    ]);
}

#[test]
fn messages() {
    let with = |content| v1::MessageSend { content, ..send() };
    let markup = |media_type: &str| Some(v1::Content { media_type: media_type.into(), ..text("x").unwrap() });
    assert_invalid(
        [
            (with(None), "content"),
            (with(Some(v1::Content::default())), "content"),
            (with(text("")), "content"),
            (with(data(0, "")), "content"),
            (with(text("a\u{0}")), "content.text"),
            (with(text("a\u{85}")), "content.text"),
            (with(markup("image/png")), "content.media_type"),
            (with(data(1, "png")), "content.media_type"),
            (with(data(1, &format!("image/{}", "x".repeat(123)))), "content.media_type"),
            (v1::MessageSend { reply_to: Some(0), ..send() }, "reply_to"),
            (v1::MessageSend { reply_to: Some(u64::MAX), ..send() }, "reply_to"),
            (v1::MessageSend { attributes: pairs(17, ""), ..send() }, "attributes"),
            (v1::MessageSend { attributes: pairs(1, &"x".repeat(257)), ..send() }, "attributes"),
            (v1::MessageSend { attributes: [(String::new(), String::new())].into(), ..send() }, "attributes"),
        ]
        .map(|(send, field)| (C::MessageSend(send), field)),
    );
    let edit =
        |seq, content| C::MessageEdit(v1::MessageEdit { room: room(), seq, content, expected_version: None });
    let reaction =
        |seq, key: &str| C::Reaction(v1::ReactionSet { room: room(), seq, key: key.to_owned(), add: true });
    assert_invalid([
        (edit(0, text("x")), "seq"),
        (edit(1, None), "content"),
        (edit(1, text("\u{1b}")), "content.text"),
        (C::MessageDelete(v1::MessageDelete { room: room(), seq: 0 }), "seq"),
        (reaction(0, "+1"), "seq"),
        (reaction(1, ""), "key"),
        (reaction(1, &"x".repeat(65)), "key"),
        (reaction(1, "a\nb"), "key"),
        (C::MarkRead(v1::MarkRead { room: room(), up_to: 0 }), "up_to"),
        (C::MarkDelivered(v1::MarkDelivered { room: room(), up_to: 0 }), "up_to"),
        (C::MarkDelivered(v1::MarkDelivered { room: room(), up_to: u64::MAX }), "up_to"),
    ]);
}

#[test]
fn content_past_its_size_is_too_large() {
    let publish = |payload| {
        C::EventPublish(v1::EventPublish { room: room(), name: "e".into(), payload, ..Default::default() })
    };
    let send = |content| C::MessageSend(v1::MessageSend { content, ..send() });
    for (command, field) in [
        (send(text("x".repeat(10_001))), "content.text"),
        (send(data(65_537, "")), "content.data"),
        (publish(text("x".repeat(10_001))), "payload.text"),
        (publish(data(65_537, "")), "payload.data"),
    ] {
        let refusal = refused(command);
        assert_eq!((refusal.code, refusal.violations[0].field), (ErrorCode::MessageTooLarge, field));
    }
}

#[test]
fn events() {
    let publish = |name: &str, key: &str, payload| {
        C::EventPublish(v1::EventPublish {
            room: room(),
            name: name.to_owned(),
            key: key.to_owned(),
            payload,
            exclude_self: false,
        })
    };
    assert_invalid([
        (publish("", "", None), "name"),
        (publish(&"é".repeat(101), "", None), "name"),
        (publish("a\tb", "", None), "name"),
        (publish("moved", &"x".repeat(65), None), "key"),
        (publish("moved", "\u{7f}", None), "key"),
        (publish("moved", "", text("\u{8}")), "payload.text"),
        (publish("moved", "", data(1, "png")), "payload.media_type"),
    ]);
}

#[test]
fn presence() {
    let set = |status, text: String| C::PresenceSet(v1::PresenceSet { status, text });
    let watch = |users| C::PresenceWatch(v1::PresenceWatch { users });
    assert_invalid([
        (set(0, String::new()), "status"),
        (set(4, String::new()), "status"),
        (set(77, String::new()), "status"),
        (set(1, "x".repeat(129)), "text"),
        (set(1, "a\nb".into()), "text"),
        (watch(names(101)), "users"),
        (watch(vec!["a b".into()]), "users[]"),
    ]);
}

#[test]
fn inbox() {
    let read = |ids, up_to| C::NotificationRead(v1::NotificationRead { ids, up_to });
    let delete = |ids| C::NotificationDelete(v1::NotificationDelete { ids });
    let at = |own, broadcast| Some(v1::InboxPosition { own, broadcast, epoch: 1 });
    let list = |kinds, priorities| {
        let filter = Some(v1::NotificationFilter { unread_only: false, kinds, priorities });
        C::Notifications(v1::NotificationsGet { filter, ..Default::default() })
    };
    assert_invalid([
        (read(vec![], None), "ids"),
        (read(names(1), at(1, 1)), "ids"),
        (read(names(201), None), "ids"),
        (read(vec!["a b".into()], None), "ids[]"),
        (read(vec![], at(u64::MAX, 1)), "up_to.own"),
        (read(vec![], at(1, u64::MAX)), "up_to.broadcast"),
        (delete(vec![]), "ids"),
        (delete(names(201)), "ids"),
        (delete(vec![String::new()]), "ids[]"),
        (list(names(17), vec![]), "filter.kinds"),
        (list(vec![String::new()], vec![]), "filter.kinds[]"),
        (list(vec![], vec![0]), "filter.priorities[]"),
        (list(vec![], vec![5]), "filter.priorities[]"),
    ]);
}
