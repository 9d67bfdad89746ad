//! What roles may do where a namespace says so itself.

use super::*;
use crate::domain::roles::{ActionPatterns, RoleActions, TokenRoles};

fn patterns(patterns: &[&str]) -> ActionPatterns {
    ActionPatterns::parse(patterns).unwrap()
}

fn with(roles: RoleActions, join: Who, send: Who) -> Namespaces {
    Namespaces::new(vec![NamespaceRules { join, send, roles, ..NamespaceRules::closed("room") }])
}

fn decide(
    namespaces: &Namespaces,
    caller: &Caller,
    member: Option<&Member>,
    capability: Capability,
) -> Result<Permit, Refusal> {
    let room = RoomName::parse("room:1").unwrap();
    let created = Some(Created { direct: false });
    permit(namespaces, caller, &room, member, created, capability, false)
}

/// Those of all capabilities that are permitted.
fn permitted(namespaces: &Namespaces, caller: &Caller, member: Option<&Member>) -> Vec<Capability> {
    let may = |capability: &Capability| decide(namespaces, caller, member, *capability).is_ok();
    Capability::ALL.into_iter().filter(may).collect()
}

/// A caller whose token names these roles.
fn bearer(roles: &[&'static str]) -> Caller {
    let roles = TokenRoles::new(roles.iter().copied());
    Caller { powers: Powers { roles, ..Powers::default() }, ..caller(false) }
}

#[test]
fn every_action_has_a_name_of_its_own() {
    let mut names = Capability::actions();
    assert_eq!(names.len(), Capability::ALL.len() + 1);
    assert!(ActionPatterns::parse(&names).is_some(), "{names:?}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Capability::ALL.len() + 1);
}

#[test]
fn a_list_says_all_that_a_members_role_may_do() {
    use Capability as C;
    let roles = RoleActions::default()
        .with_members(Role::Reader, patterns(&["room.join", "message.react", "member.add"]))
        .with_members(Role::Moderator, patterns(&["room.*", "message.*"]));
    let namespaces = with(roles, Who::Members, Who::Members);
    let of = |role| permitted(&namespaces, &caller(false), Some(&member(role)));
    assert_eq!(of(Role::Reader), [C::Join, C::React, C::AddMember]);
    let own = [C::Join, C::Mark, C::Send, C::Type, C::React, C::Edit, C::DeleteOwn, C::UpdateRoom];
    assert_eq!(of(Role::Moderator), own);
    let send = decide(&namespaces, &caller(false), Some(&member(Role::Moderator)), C::DeleteOwn).unwrap();
    assert!(!send.moderates, "others' messages are no `message.*`");
    // Of these nothing is said.
    let usual = super::namespaces(Who::Members, Who::Members);
    for role in [Role::Member, Role::Owner] {
        assert_eq!(of(role), permitted(&usual, &caller(false), Some(&member(role))));
    }
    let adds = decide(&namespaces, &caller(false), Some(&member(Role::Reader)), C::AddMember).unwrap();
    assert!(adds.manages(Role::Reader) && !adds.manages(Role::Member), "none above oneself");
    let refused = decide(&namespaces, &caller(false), Some(&member(Role::Reader)), C::ReadHistory);
    assert_eq!(refused.unwrap_err().code, ErrorCode::PermissionDenied);
}

#[test]
fn all_of_a_pattern_is_what_an_owner_may_usually_do() {
    let usual = super::namespaces(Who::Members, Who::Members);
    let owners = permitted(&usual, &caller(false), Some(&member(Role::Owner)));
    for role in [Role::Reader, Role::Member, Role::Moderator, Role::Owner] {
        let namespaces =
            with(RoleActions::default().with_members(role, patterns(&["*"])), Who::Members, Who::Members);
        assert_eq!(permitted(&namespaces, &caller(false), Some(&member(role))), owners, "{role:?}");
    }
}

/// What a room is open to everybody for, it is open to readers for.
#[test]
fn a_list_takes_nothing_that_needs_no_role() {
    let roles = RoleActions::default().with_members(Role::Reader, patterns(&["room.join"]));
    let listed = with(roles, Who::Tenant, Who::Tenant);
    let usual = super::namespaces(Who::Tenant, Who::Tenant);
    let reader = member(Role::Reader);
    let lost: Vec<_> = permitted(&usual, &caller(false), Some(&reader))
        .into_iter()
        .filter(|capability| decide(&listed, &caller(false), Some(&reader), *capability).is_err())
        .collect();
    assert_eq!(lost, [Capability::LeaveMembership]);
}

#[test]
fn a_role_of_a_token_adds_to_what_its_bearer_may_do() {
    use Capability as C;
    let roles = RoleActions::default()
        .with_tokens("auditor", patterns(&["history.read"]))
        .with_tokens("desk", patterns(&["member.*", "moderation.delete"]));
    for who in [Who::Members, Who::Service, Who::Owner, Who::Granted, Who::Authorizer] {
        let namespaces = with(roles.clone(), who, who);
        assert_eq!(permitted(&namespaces, &bearer(&["cook"]), None), [], "{who:?}");
        assert_eq!(permitted(&namespaces, &bearer(&["auditor", "cook"]), None), [C::ReadHistory], "{who:?}");
        let refused = |caller: &Caller| decide(&namespaces, caller, None, C::Send).unwrap_err().code;
        assert_eq!(refused(&bearer(&["cook"])), ErrorCode::AccessDenied);
        assert_eq!(refused(&bearer(&["auditor"])), ErrorCode::PermissionDenied, "they may know of the room");
        let desk = bearer(&["desk"]);
        let may = [
            C::ListMembers,
            C::DeleteOthers,
            C::AddMember,
            C::RemoveMember,
            C::LeaveMembership,
            C::ChangeRole,
        ];
        // Deleting begins as one's own; whose it is is looked at later.
        let may: Vec<_> = C::ALL.into_iter().filter(|c| may.contains(c) || *c == C::DeleteOwn).collect();
        assert_eq!(permitted(&namespaces, &desk, None), may, "{who:?}");
        assert!(decide(&namespaces, &desk, None, C::DeleteOwn).unwrap().moderates);
        let adds = decide(&namespaces, &desk, None, C::AddMember).unwrap();
        assert!(adds.manages(Role::Member) && !adds.manages(Role::Moderator), "as a moderator does");
        // Besides what their membership's role may do.
        let both = permitted(&namespaces, &bearer(&["auditor"]), Some(&member(Role::Moderator)));
        let own = permitted(&namespaces, &caller(false), Some(&member(Role::Moderator)));
        assert!(own.iter().chain([&C::ReadHistory]).all(|capability| both.contains(capability)));
    }
}

#[test]
fn a_role_of_a_token_makes_no_room_where_only_creation_does() {
    let roles = RoleActions::default().with_tokens("nurse", patterns(&["message.send", "room.update"]));
    let room = RoomName::parse("room:1").unwrap();
    let nurse = bearer(&["nurse"]);
    for (join, capability, expected) in [
        (Who::Members, Capability::Send, Some(ErrorCode::NotFound)),
        (Who::Owner, Capability::Send, None),
        (Who::Owner, Capability::UpdateRoom, Some(ErrorCode::NotFound)),
    ] {
        let namespaces = with(roles.clone(), join, Who::Service);
        let rules = namespaces.rules(&room).unwrap();
        assert!(capability.needs_room(rules, &nurse) || expected.is_none());
        let decided = permit(&namespaces, &nurse, &room, None, None, capability, false);
        assert_eq!(decided.err().map(|refusal| refusal.code), expected, "{join:?} {capability:?}");
    }
}

#[test]
fn rooms_are_made_by_whom_the_namespace_or_a_role_of_their_token_lets() {
    let roles = || RoleActions::default().with_tokens("staff", patterns(&["room.*"]));
    let (staff, guest) = (bearer(&["staff"]), bearer(&["guest"]));
    let room = RoomName::parse("room:1").unwrap();
    let may = |namespaces: &Namespaces, caller| may_create(namespaces.rules(&room).unwrap(), caller);
    let closed = with(roles(), Who::Members, Who::Members);
    assert!(may(&closed, &staff) && !may(&closed, &guest));
    assert!(!may(&with(roles(), Who::Tenant, Who::Tenant), &staff), "where members alone make a room");
    let open = NamespaceRules { create: true, ..NamespaceRules::closed("room") };
    assert!(may(&Namespaces::new(vec![open]), &guest));
}

#[test]
fn typing_goes_by_the_same_names() {
    let roles = RoleActions::default()
        .with_members(Role::Member, patterns(&["room.join"]))
        .with_members(Role::Reader, patterns(&["room.join", "message.type"]))
        .with_tokens("nurse", patterns(&["message.*"]));
    let room = RoomName::parse("room:1").unwrap();
    let namespaces = with(roles, Who::Members, Who::Members);
    let rules = namespaces.rules(&room).unwrap();
    let types = |caller: &Caller, role| may_type(rules, caller, &room, role);
    let (guest, nurse) = (caller(false), bearer(&["nurse"]));
    assert!(types(&guest, Some(Role::Reader)) && !types(&guest, Some(Role::Member)));
    assert!(types(&guest, Some(Role::Owner)) && types(&nurse, Some(Role::Member)) && types(&nurse, None));
    assert!(!types(&guest, None), "who follows by a role of the token that does not say so");
}

#[test]
fn who_followed_by_a_role_of_a_token_goes_on_while_the_token_names_it() {
    let roles = RoleActions::default().with_tokens("board", patterns(&["room.join"]));
    let room = RoomName::parse("room:1").unwrap();
    for (join, as_member) in
        [(Who::Members, true), (Who::Service, false), (Who::Granted, false), (Who::Owner, false)]
    {
        let namespaces = with(roles.clone(), join, Who::Members);
        let rules = namespaces.rules(&room).unwrap();
        assert!(may_go_on(rules, &bearer(&["board"]), &room, false));
        assert!(!may_go_on(rules, &bearer(&["guest"]), &room, false));
        assert_eq!(may_go_on(rules, &bearer(&["guest"]), &room, true), as_member, "{join:?}");
    }
}
