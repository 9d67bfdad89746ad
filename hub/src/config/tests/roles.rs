//! What settings may say of roles.

use super::*;

use crate::domain::member::Role;
use crate::domain::roles::TokenRoles;

#[test]
fn roles_are_read_from_a_namespaces_lists() {
    let lists = "[namespace.roles]\nreader = [\"room.join\", \"message.*\"]\n\
                 [namespace.token_roles]\nreader = [\"member.list\"]\n";
    let config = load(&good(lists), &[]).unwrap();
    let namespaces = config.namespaces();
    let room = RoomName::parse("chat:1").unwrap();
    let roles = &namespaces.rules(&room).unwrap().roles;
    assert!(roles.of_member(Role::Reader, "message.send", false));
    assert!(!roles.of_member(Role::Reader, "history.read", true));
    assert!(roles.of_member(Role::Member, "history.read", true), "nothing is said of it");
    assert!(roles.of_token(&TokenRoles::new(["reader"]), "member.list"));
    assert!(!roles.of_token(&TokenRoles::new(["reader"]), "message.send"));
    // What is shown is what is in force.
    let shown = config.to_toml().unwrap();
    let again = load(&shown, &[("CARILLON__AUTH__SECRET", SECRET)]).unwrap();
    assert_eq!(again.namespaces().rules(&room).unwrap().roles, *roles);
}

#[test]
fn a_list_that_gives_nothing_or_shuts_its_own_out_is_refused() {
    for (lists, expected) in [
        ("roles.admin = []", "FILE: namespace.0.roles.admin: no such key, but one of `owner`"),
        ("roles.reader = \"*\"", "FILE: namespace.0.roles.reader: "),
        ("roles.reader = [\"mess*\"]", "FILE: namespace.chat.roles.reader: actions as message.send"),
        ("roles.owner = [\"message.*\"]", "FILE: namespace.chat.roles.owner: room.join among them"),
        (
            "roles.member = [\"*\", \"message.sned\"]",
            "FILE: namespace.chat.roles.member: message.sned is none of the actions: room.join, history.read,",
        ),
        (
            "token_roles.nurse = [\"approval.*\"]",
            "FILE: namespace.chat.token_roles.nurse: approval.* is none of the actions: room.join",
        ),
    ] {
        assert_refused(&good(lists), &[], expected);
    }
}

#[test]
fn the_reference_lists_every_action() {
    let text = fs::read_to_string(document("configuration.md")).unwrap();
    let table = text.split_once("| usually | action |").unwrap().1.split_once("\n\n").unwrap().0;
    let rows = table.lines().skip(2).filter_map(|row| row.split(" | ").nth(1));
    let documented: Vec<_> = rows.map(|name| name.trim_matches('`')).collect();
    let mut named = crate::access::rules::Capability::actions();
    let mut listed = documented.clone();
    named.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, named);
}
