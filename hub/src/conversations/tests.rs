//! Deciders, one by one; what they add up to is in [`membership`].

use std::time::Duration;

use super::*;
use crate::access::rules::Permit;
use crate::domain::content::{Content, Pairs};
use crate::domain::entry::{Entry, EntryBody, Message, ReactionKey, ReactionSummary};
use crate::domain::member::{Member, Role};
use crate::domain::names::{IdempotencyKey, TenantId, UserId};
use crate::domain::namespace::{NamespaceRules, Namespaces};
use crate::domain::position::{Epoch, Position, Seq, Tag};
use crate::domain::powers::Powers;
use crate::domain::roles::{ActionPatterns, RoleActions, TokenRoles};
use crate::domain::room::Room;
use crate::domain::time::Timestamp;
use crate::store::{Condition, Current, Outcome, Write};

mod membership;

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn room() -> RoomName {
    RoomName::parse("conversation:1").unwrap()
}

fn caller(name: &str) -> Caller {
    Caller {
        tenant: TenantId::parse("acme").unwrap(),
        user: user(name),
        service: false,
        cross_tenant: false,
        expires: Timestamp(i64::MAX),
        token: crate::domain::revocation::TokenMark::default(),
        powers: crate::domain::powers::Powers::default(),
    }
}

fn member(name: &str, role: Role) -> Member {
    Member { user: user(name), role, version: Seq(4), joined: Seq(4), history_from: Seq(3) }
}

fn permit(role: Role) -> Permit {
    Permit {
        member: Some(member("alice", role)),
        role: Some(role),
        moderates: role >= Role::Moderator,
        history_from: Seq(3),
    }
}

fn rules() -> NamespaceRules {
    NamespaceRules { create: true, ..NamespaceRules::closed("conversation") }
}

fn text(text: &str) -> Content {
    Content::text(text, "").unwrap()
}

fn message(seq: u64, sender: &str, content: Option<Content>) -> Entry {
    let content = content.map(|content| Message::new(content, None, Pairs::default()));
    let tombstone = Message { content: None, ..Message::new(text("gone"), None, Pairs::default()) };
    Entry {
        epoch: Epoch(1),
        seq: Seq(seq),
        tag: Tag(9),
        time: Timestamp(1_000),
        sender: user(sender),
        number: 1,
        body: EntryBody::Message(content.unwrap_or(tombstone)),
    }
}

/// Decides at time 2000 for alice.
fn decide_with(
    rules: &NamespaceRules,
    role: Role,
    facts: &Facts,
    command: &Stateless,
) -> Result<Decision, Refusal> {
    let (caller, room, permit) = (caller("alice"), room(), permit(role));
    let now = Timestamp(2_000);
    decide(&Case { caller: &caller, room: &room, rules, permit: &permit, facts, now }, command)
}

fn committed(decision: Result<Decision, Refusal>) -> Outcome {
    match decision {
        Ok(Decision::Commit(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

fn code(decision: Result<Decision, Refusal>) -> (ErrorCode, Option<&'static str>) {
    let refusal = decision.unwrap_err();
    (refusal.code, refusal.violations.first().map(|violation| violation.field))
}

fn send(reply_to: Option<u64>) -> Stateless {
    let (content, attributes) = (text("hello"), Pairs::default());
    Stateless::MessageSend { room: room(), content, reply_to: reply_to.map(Seq), attributes }
}

fn edit(seq: u64, expected_version: Option<u32>) -> Stateless {
    Stateless::MessageEdit { room: room(), seq: Seq(seq), content: text("better"), expected_version }
}

fn delete(seq: u64) -> Stateless {
    Stateless::MessageDelete { room: room(), seq: Seq(seq) }
}

fn react(seq: u64, add: bool) -> Stateless {
    let key = ReactionKey::parse("+1").unwrap();
    Stateless::Reaction { room: room(), seq: Seq(seq), key, add }
}

fn known(entry: Option<Entry>) -> Facts {
    Facts { head: Some(Seq(20)), entry, ..Facts::default() }
}

fn alices_version() -> Condition {
    Condition::Member { user: user("alice"), version: Seq(4) }
}

#[test]
fn a_send_is_decided_without_facts_under_the_membership() {
    let outcome = committed(decide_with(&rules(), Role::Member, &Facts::default(), &send(None)));
    assert_eq!(outcome.conditions, [alices_version()]);
    assert!(matches!(&outcome.writes[..], [Write::Append(EntryBody::Message(_))]));
    let answer = committed(decide_with(&rules(), Role::Member, &Facts::default(), &send(Some(7))));
    assert_eq!(answer.conditions, [Condition::HeadAtLeast(Seq(7)), alices_version()]);
}

#[test]
fn an_answer_is_to_what_is_there_and_may_be_read() {
    let decide = |facts: &Facts, seq| code(decide_with(&rules(), Role::Member, facts, &send(Some(seq))));
    let invalid = (ErrorCode::InvalidArgument, Some("reply_to"));
    assert_eq!(decide(&known(None), 21), invalid);
    assert_eq!(decide(&Facts::default(), 0), invalid);
    assert_eq!(decide(&Facts::default(), u64::MAX), invalid);
    assert_eq!(decide(&Facts::default(), 2), (ErrorCode::NotFound, None));
}

#[test]
fn an_ephemeral_namespace_takes_no_messages_and_keeps_no_marks() {
    let rules = NamespaceRules { durable: false, ..rules() };
    for command in [
        send(None),
        edit(5, None),
        delete(5),
        react(5, true),
        Stateless::MarkRead { room: room(), up_to: Seq(1) },
        Stateless::MarkDelivered { room: room(), up_to: Seq(1) },
    ] {
        let facts = known(Some(message(5, "alice", Some(text("hello")))));
        let decided = code(decide_with(&rules, Role::Owner, &facts, &command));
        assert_eq!(decided, (ErrorCode::InvalidArgument, Some("room")));
    }
}

#[test]
fn edits_are_of_ones_own_messages_only() {
    let mine = known(Some(message(5, "alice", Some(text("hello")))));
    let outcome = committed(decide_with(&rules(), Role::Member, &mine, &edit(5, Some(1))));
    let own = Condition::Message { seq: Seq(5), sender: Some(user("alice")), version: Some(1) };
    assert_eq!(outcome.conditions, [own, alices_version()]);
    let decide = |facts: &Facts, command| code(decide_with(&rules(), Role::Owner, facts, &command));
    let others = known(Some(message(5, "bob", Some(text("hello")))));
    assert_eq!(decide(&others, edit(5, None)), (ErrorCode::PermissionDenied, None));
    assert_eq!(decide(&mine, edit(5, Some(2))), (ErrorCode::Conflict, None));
    assert_eq!(decide(&known(Some(message(5, "alice", None))), edit(5, None)), (ErrorCode::Conflict, None));
}

#[test]
fn edits_end_with_the_window() {
    let mine = known(Some(message(5, "alice", Some(text("hello")))));
    for (window, allowed) in [(None, true), (Some(1_001), true), (Some(1_000), false), (Some(0), false)] {
        let rules = NamespaceRules { edit_window: window.map(Duration::from_millis), ..rules() };
        let decided = decide_with(&rules, Role::Member, &mine, &edit(5, None));
        assert_eq!(decided.is_ok(), allowed, "{window:?}");
    }
}

#[test]
fn what_is_not_there_or_not_visible_is_not_found() {
    for command in [edit(5, None), delete(5), react(5, true)] {
        let decide = |entry| code(decide_with(&rules(), Role::Owner, &known(entry), &command));
        assert_eq!(decide(None), (ErrorCode::NotFound, None));
        let event = EntryBody::Deletion { target: Seq(1) };
        let other = Entry { body: event, ..message(5, "alice", None) };
        assert_eq!(decide(Some(other)), (ErrorCode::NotFound, None));
    }
    for command in [edit(2, None), delete(2), react(2, false)] {
        let before = known(Some(message(2, "alice", Some(text("old")))));
        let decided = code(decide_with(&rules(), Role::Owner, &before, &command));
        assert_eq!(decided, (ErrorCode::NotFound, None));
    }
    for command in [edit(21, None), delete(21), react(21, true), edit(0, None)] {
        let decided = code(decide_with(&rules(), Role::Owner, &known(None), &command));
        assert_eq!(decided, (ErrorCode::InvalidArgument, Some("seq")));
    }
}

#[test]
fn deletions_are_of_ones_own_messages_or_by_moderators() {
    let others = known(Some(message(5, "bob", Some(text("hello")))));
    for (role, allowed) in
        [(Role::Member, false), (Role::Reader, false), (Role::Moderator, true), (Role::Owner, true)]
    {
        let decided = decide_with(&rules(), role, &others, &delete(5));
        assert_eq!(decided.is_ok(), allowed, "{role:?}");
    }
    let mine = known(Some(message(5, "alice", Some(text("hello")))));
    let outcome = committed(decide_with(&rules(), Role::Member, &mine, &delete(5)));
    assert_eq!(outcome.writes, [Write::Append(EntryBody::Deletion { target: Seq(5) })]);
}

#[test]
fn deleting_what_is_deleted_is_a_duplicate() {
    let gone = known(Some(message(5, "alice", None)));
    let Ok(Decision::Already(_, Reply::EntryAccepted { position, duplicate, .. })) =
        decide_with(&rules(), Role::Member, &gone, &delete(5))
    else {
        panic!("not answered")
    };
    assert!(duplicate);
    assert_eq!(position.seq, Seq(5));
}

#[test]
fn reactions_are_bounded_and_to_what_is_not_deleted() {
    let mut entry = message(5, "bob", Some(text("hello")));
    assert!(decide_with(&rules(), Role::Member, &known(Some(entry.clone())), &react(5, true)).is_ok());
    if let EntryBody::Message(message) = &mut entry.body {
        let key = ReactionKey::parse("x").unwrap();
        message.reactions = vec![ReactionSummary { key, count: 1, users: Vec::new() }];
        message.reactions_total = 1_000;
    }
    let full = known(Some(entry));
    let decided = code(decide_with(&rules(), Role::Member, &full, &react(5, true)));
    assert_eq!(decided, (ErrorCode::InvalidArgument, Some("seq")));
    assert!(decide_with(&rules(), Role::Member, &full, &react(5, false)).is_ok());
    let gone = known(Some(message(5, "bob", None)));
    assert_eq!(code(decide_with(&rules(), Role::Member, &gone, &react(5, true))).0, ErrorCode::Conflict);
}

#[test]
fn marks_reach_as_far_as_the_head() {
    let read = Stateless::MarkRead { room: room(), up_to: Seq(7) };
    let outcome = committed(decide_with(&rules(), Role::Reader, &Facts::default(), &read));
    assert_eq!(outcome.conditions, [Condition::HeadAtLeast(Seq(7)), alices_version()]);
    assert_eq!(outcome.writes, [Write::Marks { delivered: Seq(7), read: Seq(7) }]);
    let delivered = Stateless::MarkDelivered { room: room(), up_to: Seq(7) };
    let outcome = committed(decide_with(&rules(), Role::Reader, &Facts::default(), &delivered));
    assert_eq!(outcome.writes, [Write::Marks { delivered: Seq(7), read: Seq(0) }]);
    let short = Facts { head: Some(Seq(6)), ..Facts::default() };
    let decided = code(decide_with(&rules(), Role::Reader, &short, &read));
    assert_eq!(decided, (ErrorCode::InvalidArgument, Some("up_to")));
}

fn stored_room(metadata: Pairs) -> Room {
    Room {
        room: room(),
        head: Position { epoch: Epoch(1), seq: Seq(20), tag: Tag(1) },
        head_number: 10,
        first: Seq(1),
        version: Seq(6),
        created: true,
        direct: false,
        metadata,
        members: 2,
    }
}

#[test]
fn metadata_is_merged_under_its_version() {
    let pairs = |pairs: &[(&str, &str)]| {
        Pairs::stored(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
    };
    let update = |expected_version| Stateless::ConversationUpdate {
        room: room(),
        metadata: pairs(&[("title", "new")]),
        remove_keys: vec!["old".into()],
        expected_version,
    };
    let facts = Facts {
        room: Some(stored_room(pairs(&[("title", "x"), ("old", "y"), ("kept", "z")]))),
        ..Facts::default()
    };
    let outcome = committed(decide_with(&rules(), Role::Moderator, &facts, &update(Some(Seq(6)))));
    assert_eq!(outcome.conditions, [Condition::RoomVersion(Seq(6)), alices_version()]);
    let metadata = pairs(&[("kept", "z"), ("title", "new")]);
    assert_eq!(outcome.writes, [Write::Append(EntryBody::Room { created: false, metadata })]);
    let stale = code(decide_with(&rules(), Role::Owner, &facts, &update(Some(Seq(5)))));
    assert_eq!(stale, (ErrorCode::Conflict, None));
    let lazily = Room { created: false, ..stored_room(Pairs::default()) };
    let facts = Facts { room: Some(lazily), ..Facts::default() };
    assert_eq!(code(decide_with(&rules(), Role::Owner, &facts, &update(None))).0, ErrorCode::NotFound);
}

#[test]
fn a_conversation_is_made_in_one_step_with_all_its_members() {
    let namespaces = Namespaces::new(vec![NamespaceRules::closed("case"), rules()]);
    let alice = caller("alice");
    let members = [(user("bob"), Role::Reader)];
    let metadata = Pairs::default();
    let creation = Creation::check(&alice, &members, &metadata, false).unwrap();
    let room = creation.room(creation.place(&namespaces).unwrap(), 0xAB).unwrap();
    assert_eq!(room.as_str(), "conversation:000000000000000000000000000000ab");
    let outcome = creation.outcome(&room);
    assert_eq!(outcome.conditions, [Condition::RoomNotCreated]);
    let roles = |outcome: &Outcome| -> Vec<Role> {
        let role = |write: &Write| match write {
            Write::Append(EntryBody::Membership { role, .. }) => Some(*role),
            _ => None,
        };
        outcome.writes.iter().filter_map(role).collect()
    };
    assert_eq!(roles(&outcome), [Role::Owner, Role::Reader]);
    assert_eq!(outcome.writes[0], Write::Create { direct: false });
    let direct = Creation::check(&alice, &members, &metadata, true).unwrap();
    assert_eq!(roles(&direct.outcome(&room)), [Role::Owner, Role::Owner]);
}

#[test]
fn a_conversation_that_is_there_is_found() {
    let (alice, members, metadata) = (caller("alice"), [(user("bob"), Role::Member)], Pairs::default());
    let creation = Creation::check(&alice, &members, &metadata, true).unwrap();
    let current = Current { room: Some(stored_room(Pairs::default())), ..Current::default() };
    let found = creation.found(room(), &current);
    assert!(matches!(
        found,
        Some(Reply::ConversationCreated { duplicate: true, position, .. }) if position.seq == Seq(20)
    ));
    assert!(creation.found(room(), &Current::default()).is_none());
}

#[test]
fn a_conversation_needs_distinct_members_and_a_place_to_be() {
    let alice = caller("alice");
    let check = |rules: NamespaceRules, members: &[&str], direct| {
        let members: Vec<_> = members.iter().map(|name| (user(name), Role::Member)).collect();
        let namespaces = Namespaces::new(vec![rules]);
        Creation::check(&alice, &members, &Pairs::default(), direct)
            .and_then(|creation| creation.place(&namespaces).map(|_| ()))
            .map_err(|r| r.code)
    };
    let invalid = Err(ErrorCode::InvalidArgument);
    assert_eq!(check(NamespaceRules::closed("x"), &["bob"], false), Err(ErrorCode::PermissionDenied));
    assert_eq!(check(rules(), &[], false), Ok(()));
    assert_eq!(check(rules(), &["bob", "bob"], false), invalid);
    assert_eq!(check(rules(), &["alice"], true), invalid);
    assert_eq!(check(rules(), &["bob", "carol"], true), invalid);
    assert_eq!(check(rules(), &[], true), invalid);
    assert_eq!(check(NamespaceRules { member_limit: 1, ..rules() }, &["bob"], false), invalid);
    assert_eq!(check(NamespaceRules { member_limit: 2, ..rules() }, &["bob"], false), Ok(()));
}

#[test]
fn a_pair_has_one_place_to_be_whatever_their_tokens_say() {
    let by_role = |name| {
        let actions = ActionPatterns::parse(&["room.*"]).unwrap();
        let roles = RoleActions::default().with_tokens("nurse", actions);
        NamespaceRules { roles, ..NamespaceRules::closed(name) }
    };
    let nurse = Caller {
        powers: Powers { roles: TokenRoles::new(["nurse"]), ..Powers::default() },
        ..caller("alice")
    };
    let place = |namespaces: &Namespaces, caller: &Caller, direct| {
        let members = [(user("bob"), Role::Member)];
        let metadata = Pairs::default();
        let creation = Creation::check(caller, &members, &metadata, direct).unwrap();
        let place = creation.place(namespaces).map(|rules| rules.name.clone()).map_err(|r| r.code);
        (place, creation.places(namespaces).count())
    };
    let to = |name: &str| Ok(name.to_owned());
    let both = Namespaces::new(vec![by_role("ward"), rules()]);
    for caller in [&nurse, &caller("alice")] {
        assert_eq!(place(&both, caller, true), (to("conversation"), 1));
    }
    assert_eq!(place(&both, &nurse, false), (to("ward"), 2));
    assert_eq!(place(&both, &caller("alice"), false), (to("conversation"), 2));
    let roles = Namespaces::new(vec![NamespaceRules::closed("shut"), by_role("ward"), by_role("office")]);
    assert_eq!(place(&roles, &nurse, true), (to("ward"), 1));
    assert_eq!(place(&roles, &caller("alice"), true), (Err(ErrorCode::PermissionDenied), 1));
}

#[test]
fn ids_are_the_pairs_or_the_keys_and_nobody_elses() {
    let secret = [7; 16];
    let key = |text: &'static str| IdempotencyKey::parse(bytes::Bytes::from_static(text.as_bytes())).unwrap();
    let id = |who: &str, peer: Option<&str>, by: Option<&'static str>| {
        let peer = peer.map(user);
        conversation_id(secret, &caller(who), peer.as_ref(), by.map(key).as_ref(), 1)
    };
    let pair = id("alice", Some("bob"), None);
    assert_eq!(pair, id("bob", Some("alice"), Some("a-key-of-bob")));
    assert_ne!(pair, id("alice", Some("bo"), None));
    let keyed = id("alice", None, Some("a-key-of-hers"));
    assert_eq!(keyed, id("alice", None, Some("a-key-of-hers")));
    assert_ne!(keyed, id("bob", None, Some("a-key-of-hers")));
    assert_eq!(id("alice", None, None), 1);
    let elsewhere = Caller { tenant: TenantId::parse("other").unwrap(), ..caller("alice") };
    assert_ne!(pair, conversation_id(secret, &elsewhere, Some(&user("bob")), None, 1));
    assert_ne!(pair, conversation_id([8; 16], &caller("alice"), Some(&user("bob")), None, 1));
}
