//! Every capability, for every standing, under every pair of rules.

use super::*;
use std::sync::Arc;

use crate::domain::names::{TenantId, UserId};
use crate::domain::powers::{Grants, Powers};
use crate::domain::time::Timestamp;
use proptest::prelude::*;

mod roles;

const CAPABILITIES: [Capability; 17] = Capability::ALL;

/// The columns of the tables: no member, the four roles, a service.
const STANDINGS: usize = 6;

/// `y` permitted, `p` `PERMISSION_DENIED`, `a` `ACCESS_DENIED`. Columns: stranger, reader, member, moderator, owner,
/// service. Rows: reading (join to mark), writing (send to type), reacting, editing, deleting one's own, deleting
/// others', adding, removing, leaving, changing roles, updating the room.
struct Table {
    join: Who,
    send: Who,
    room: &'static str,
    rows: [&'static str; 11],
}

const TABLES: [Table; 8] = [
    Table {
        join: Who::Members,
        send: Who::Members,
        room: "room:1",
        rows: [
            "ayyyyy", "apyyyy", "apyyyy", "apyyyy", "apyyyy", "appyyy", "appyyy", "appyyy", "ayyyyy",
            "apppyy", "appyyy",
        ],
    },
    Table {
        join: Who::Tenant,
        send: Who::Tenant,
        room: "room:1",
        rows: [
            "yyyyyy", "yyyyyy", "yyyyyy", "yyyyyy", "yyyyyy", "pppyyy", "pppyyy", "pppyyy", "pyyyyy",
            "ppppyy", "pppyyy",
        ],
    },
    Table {
        join: Who::Tenant,
        send: Who::Members,
        room: "room:1",
        rows: [
            "yyyyyy", "ppyyyy", "ppyyyy", "ppyyyy", "ppyyyy", "pppyyy", "pppyyy", "pppyyy", "pyyyyy",
            "ppppyy", "pppyyy",
        ],
    },
    Table {
        join: Who::Members,
        send: Who::Tenant,
        room: "room:1",
        rows: [
            "ayyyyy", "yyyyyy", "ayyyyy", "yyyyyy", "yyyyyy", "appyyy", "appyyy", "appyyy", "ayyyyy",
            "apppyy", "appyyy",
        ],
    },
    Table {
        join: Who::Tenant,
        send: Who::Service,
        room: "room:1",
        rows: [
            "yyyyyy", "pppppy", "pppppy", "pppppy", "pppyyy", "pppyyy", "pppyyy", "pppyyy", "pyyyyy",
            "ppppyy", "pppyyy",
        ],
    },
    Table {
        join: Who::Service,
        send: Who::Service,
        room: "room:1",
        rows: [
            "appppy", "appppy", "appppy", "appppy", "appyyy", "appyyy", "appyyy", "appyyy", "ayyyyy",
            "apppyy", "appyyy",
        ],
    },
    Table {
        join: Who::Owner,
        send: Who::Owner,
        room: "room:alice",
        rows: [
            "yyyyyy", "yyyyyy", "yyyyyy", "yyyyyy", "yyyyyy", "pppyyy", "pppyyy", "pppyyy", "pyyyyy",
            "ppppyy", "pppyyy",
        ],
    },
    Table {
        join: Who::Owner,
        send: Who::Owner,
        room: "room:bob",
        rows: [
            "appppy", "appppy", "appppy", "appppy", "appyyy", "appyyy", "appyyy", "appyyy", "ayyyyy",
            "apppyy", "appyyy",
        ],
    },
];

fn row_of(capability: Capability) -> usize {
    match capability {
        Capability::Join
        | Capability::ReadHistory
        | Capability::SeePresence
        | Capability::ListMembers
        | Capability::Mark => 0,
        Capability::Send | Capability::Publish | Capability::Type => 1,
        Capability::React => 2,
        Capability::Edit => 3,
        Capability::DeleteOwn => 4,
        Capability::DeleteOthers => 5,
        Capability::AddMember => 6,
        Capability::RemoveMember => 7,
        Capability::LeaveMembership => 8,
        Capability::ChangeRole => 9,
        Capability::UpdateRoom => 10,
    }
}

fn caller(service: bool) -> Caller {
    Caller {
        tenant: TenantId::parse("acme").unwrap(),
        user: UserId::parse("alice").unwrap(),
        service,
        cross_tenant: false,
        expires: Timestamp(i64::MAX),
        token: crate::domain::revocation::TokenMark::default(),
        powers: crate::domain::powers::Powers::default(),
    }
}

fn member(role: Role) -> Member {
    Member {
        user: UserId::parse("alice").unwrap(),
        role,
        version: Seq(7),
        joined: Seq(5),
        history_from: Seq(5),
    }
}

fn standing(column: usize) -> (Caller, Option<Member>) {
    (caller(column == 5), Role::from_number(column as u8).filter(|_| column < 5).map(member))
}

fn namespaces(join: Who, send: Who) -> Namespaces {
    Namespaces::new(vec![NamespaceRules { join, send, ..NamespaceRules::closed("room") }])
}

fn letter(result: Result<Permit, Refusal>) -> char {
    match result.map_err(|refusal| refusal.code) {
        Ok(_) => 'y',
        Err(ErrorCode::PermissionDenied) => 'p',
        Err(ErrorCode::AccessDenied) => 'a',
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn every_capability_is_decided_by_role_and_rules() {
    for table in TABLES {
        let namespaces = namespaces(table.join, table.send);
        let room = RoomName::parse(table.room).unwrap();
        for capability in CAPABILITIES {
            let decided: String = (0..STANDINGS)
                .map(|column| {
                    let (caller, member) = standing(column);
                    let created = Some(Created { direct: false });
                    letter(permit(&namespaces, &caller, &room, member.as_ref(), created, capability, false))
                })
                .collect();
            let expected = table.rows[row_of(capability)];
            assert_eq!(decided, expected, "{capability:?} {:?}/{:?} {room}", table.join, table.send);
        }
    }
}

#[test]
fn what_is_not_asked_for_changes_nothing() {
    for table in TABLES {
        let namespaces = namespaces(table.join, table.send);
        let room = RoomName::parse(table.room).unwrap();
        let rules = namespaces.rules(&room).unwrap();
        for (capability, column) in CAPABILITIES
            .into_iter()
            .flat_map(|capability| (0..STANDINGS).map(move |column| (capability, column)))
        {
            let (caller, member) = standing(column);
            let created = Some(Created { direct: false });
            let full = permit(&namespaces, &caller, &room, member.as_ref(), created, capability, false);
            let asked = member.filter(|_| capability.needs_membership(rules, &caller));
            let created = created.filter(|_| capability.needs_room(rules, &caller));
            let lean = permit(&namespaces, &caller, &room, asked.as_ref(), created, capability, false);
            // A stranger's refusal may be either where nothing but the rules refuses: both say no.
            assert_eq!(full.is_ok(), lean.is_ok(), "{capability:?} {column} {:?}", table.room);
        }
    }
}

#[test]
fn strangers_cannot_tell_why_they_are_refused() {
    let namespaces = namespaces(Who::Members, Who::Members);
    let refusals = ["room:exists", "other:1"].map(|room| {
        let room = RoomName::parse(room).unwrap();
        permit(&namespaces, &caller(false), &room, None, None, Capability::Join, false).unwrap_err()
    });
    let created = Some(Created { direct: true });
    let room = RoomName::parse("room:direct").unwrap();
    let direct =
        permit(&namespaces, &caller(false), &room, None, created, Capability::AddMember, false).unwrap_err();
    assert_eq!(refusals[0], ErrorCode::AccessDenied.into());
    assert_eq!((&refusals[0], &refusals[0]), (&refusals[1], &direct));
}

#[test]
fn nobody_changes_who_belongs_to_a_direct_conversation() {
    let namespaces = namespaces(Who::Members, Who::Members);
    let room = RoomName::parse("room:1").unwrap();
    for capability in CAPABILITIES {
        for column in [4, 5] {
            let (caller, member) = standing(column);
            let created = Some(Created { direct: true });
            let decided =
                letter(permit(&namespaces, &caller, &room, member.as_ref(), created, capability, false));
            assert_eq!(decided == 'p', capability.changes_membership(), "{capability:?}");
        }
    }
}

#[test]
fn services_need_the_room_where_only_creation_makes_one() {
    let room = RoomName::parse("room:1").unwrap();
    for (join, capability, refused) in [
        (Who::Members, Capability::Send, true),
        (Who::Tenant, Capability::Send, false),
        (Who::Owner, Capability::Publish, false),
        (Who::Tenant, Capability::AddMember, true),
        (Who::Tenant, Capability::UpdateRoom, true),
    ] {
        let decided =
            permit(&namespaces(join, Who::Service), &caller(true), &room, None, None, capability, false);
        let expected = refused.then_some(ErrorCode::NotFound);
        assert_eq!(decided.err().map(|refusal| refusal.code), expected, "{join:?} {capability:?}");
    }
}

#[test]
fn a_permit_names_the_membership_and_where_history_begins() {
    let room = RoomName::parse("room:1").unwrap();
    let alice = member(Role::Member);
    let closed = namespaces(Who::Members, Who::Members);
    let permit_of = |namespaces| {
        permit(namespaces, &caller(false), &room, Some(&alice), None, Capability::ReadHistory, false).unwrap()
    };
    let permit = permit_of(&closed);
    assert_eq!(
        permit.condition(),
        Some(Condition::Member { user: UserId::parse("alice").unwrap(), version: Seq(7) })
    );
    assert_eq!(permit.history_from, Seq(5));
    assert_eq!(permit_of(&namespaces(Who::Tenant, Who::Members)).history_from, Seq(1));
}

#[test]
fn a_namespace_without_presence_shows_none() {
    let rules = NamespaceRules { presence: false, ..NamespaceRules::closed("room") };
    let room = RoomName::parse("room:1").unwrap();
    let owner = member(Role::Owner);
    let decided = permit(
        &Namespaces::new(vec![rules]),
        &caller(false),
        &room,
        Some(&owner),
        None,
        Capability::SeePresence,
        false,
    );
    assert_eq!(decided.unwrap_err().code, ErrorCode::InvalidArgument);
}

proptest! {
    #[test]
    fn more_power_never_takes_anything_away(
        table in 0..TABLES.len(), capability in 0..CAPABILITIES.len(), column in 1usize..4
    ) {
        let table = &TABLES[table];
        let namespaces = namespaces(table.join, table.send);
        let room = RoomName::parse(table.room).unwrap();
        let decide = |column| {
            let (caller, member) = standing(column);
            let created = Some(Created { direct: false });
            permit(&namespaces, &caller, &room, member.as_ref(), created, CAPABILITIES[capability], false).is_ok()
        };
        prop_assert!(!decide(column) || decide(column + 1));
    }
}

#[test]
fn nobody_manages_who_is_above_them_and_owners_alone_their_equals() {
    let roles = [Role::Reader, Role::Member, Role::Moderator, Role::Owner];
    for (role, managed) in [
        (None, 0),
        (Some(Role::Reader), 1),
        (Some(Role::Member), 2),
        (Some(Role::Moderator), 2),
        (Some(Role::Owner), 4),
    ] {
        let permit = Permit { member: None, role, moderates: false, history_from: Seq(1) };
        let found: Vec<_> = roles.into_iter().filter(|other| permit.manages(*other)).collect();
        assert_eq!(found, roles[..managed], "{role:?}");
    }
}

/// A caller whose token grants this in `room:1`.
fn granted(can: &[Grant]) -> Caller {
    let mut grants = Grants::default();
    grants.add("room:1", can).unwrap();
    Caller { powers: Powers { grants: Some(Arc::new(grants)), ..Powers::default() }, ..caller(false) }
}

/// What each grant by itself permits, where the namespace goes by grants.
#[test]
fn a_grant_permits_what_it_says_and_nothing_else() {
    use Capability as C;
    let room = RoomName::parse("room:1").unwrap();
    let namespaces = namespaces(Who::Granted, Who::Granted);
    let table: [(Grant, &[Capability]); 6] = [
        (Grant::Join, &[C::Join, C::ListMembers, C::Mark]),
        (Grant::Send, &[C::Send, C::Type, C::Edit, C::DeleteOwn]),
        (Grant::Publish, &[C::Publish]),
        (Grant::Presence, &[C::SeePresence]),
        (Grant::History, &[C::ReadHistory]),
        (Grant::Moderate, &[C::DeleteOwn, C::DeleteOthers, C::AddMember, C::RemoveMember, C::UpdateRoom]),
    ];
    for (grant, permitted) in table {
        for capability in CAPABILITIES {
            let created = Some(Created { direct: false });
            let decided = permit(&namespaces, &granted(&[grant]), &room, None, created, capability, false);
            assert_eq!(decided.is_ok(), permitted.contains(&capability), "{grant:?} {capability:?}");
            if let Ok(permit) = decided {
                assert_eq!(permit.moderates, grant == Grant::Moderate);
                assert!(!permit.manages(Role::Moderator) && !permit.manages(Role::Owner));
            } else if grant != Grant::Join {
                assert_eq!(decided.unwrap_err().code, ErrorCode::AccessDenied, "nor that the room exists");
            }
        }
    }
    let both = granted(&[Grant::Join, Grant::Send]);
    assert!(permit(&namespaces, &both, &room, None, None, Capability::React, false).is_ok());
    let elsewhere = RoomName::parse("room:10").unwrap();
    assert!(
        permit(&namespaces, &granted(&Grant::ALL), &elsewhere, None, None, Capability::Join, false).is_err()
    );
}

#[test]
fn a_grant_counts_only_where_the_namespace_goes_by_grants() {
    let room = RoomName::parse("room:1").unwrap();
    let all = granted(&Grant::ALL);
    for (join, send) in [(Who::Members, Who::Members), (Who::Service, Who::Service), (Who::Owner, Who::Owner)]
    {
        let namespaces = namespaces(join, send);
        for capability in CAPABILITIES {
            let decided = permit(&namespaces, &all, &room, None, None, capability, false);
            assert_eq!(decided.unwrap_err().code, ErrorCode::AccessDenied, "{join:?} {capability:?}");
        }
    }
}

#[test]
fn an_authorisers_answer_decides_what_it_is_asked_about_and_no_more() {
    let room = RoomName::parse("room:1").unwrap();
    let namespaces = namespaces(Who::Authorizer, Who::Authorizer);
    let rules = namespaces.rules(&room).unwrap();
    for capability in CAPABILITIES {
        let asks = capability.asks_authorizer(rules, &caller(false));
        assert!(!capability.asks_authorizer(rules, &caller(true)), "services are not asked about");
        let created = Some(Created { direct: false });
        let decide = |allowed| permit(&namespaces, &caller(false), &room, None, created, capability, allowed);
        assert_eq!(decide(true).is_ok(), asks, "{capability:?}");
        assert_eq!(decide(false).unwrap_err().code, ErrorCode::AccessDenied, "{capability:?}");
    }
    // Where only sending goes by it, following goes by membership.
    let mixed =
        Namespaces::new(vec![NamespaceRules { send: Who::Authorizer, ..NamespaceRules::closed("room") }]);
    let decide = |member: Option<&Member>, capability| {
        permit(&mixed, &caller(false), &room, member, None, capability, true).is_ok()
    };
    let reader = member(Role::Reader);
    assert!(decide(None, Capability::Send) && !decide(None, Capability::Join));
    assert!(!decide(None, Capability::React) && decide(Some(&reader), Capability::React));
}
