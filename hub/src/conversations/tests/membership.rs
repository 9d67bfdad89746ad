//! Memberships under any sequence of commands, decided on facts that may be old: a small home checks the conditions
//! as a store does.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::access::rules::{Capability, Created, permit};
use crate::domain::member::MembershipChange;

const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "service"];
const LIMIT: u32 = 3;

/// A room as a store keeps it, as far as memberships go.
#[derive(Clone, Debug)]
struct Home {
    head: u64,
    members: BTreeMap<UserId, Member>,
}

impl Home {
    fn new() -> Self {
        Self { head: 4, members: BTreeMap::from([(user("alice"), member("alice", Role::Owner))]) }
    }

    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Member { user, version } => {
                self.members.get(user).is_some_and(|member| member.version == *version)
            }
            Condition::NotMember(user) => !self.members.contains_key(user),
            Condition::MembersBelow(limit) => (self.members.len() as u32) < *limit,
            Condition::OtherOwner(user) => {
                self.members.values().any(|member| member.role == Role::Owner && member.user != *user)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Whether the outcome was committed.
    fn commit(&mut self, outcome: &Outcome) -> bool {
        if !outcome.conditions.iter().all(|condition| self.holds(condition)) {
            return false;
        }
        for write in &outcome.writes {
            let Write::Append(EntryBody::Membership { user, change, role }) = write else {
                panic!("{write:?}")
            };
            self.head += 1;
            if change.ends() {
                self.members.remove(user);
            } else {
                let version = Seq(self.head);
                let member = Member { version, role: *role, ..member(user.as_str(), *role) };
                self.members.insert(user.clone(), member);
            }
        }
        true
    }

    fn role(&self, user: &UserId) -> Option<Role> {
        self.members.get(user).map(|member| member.role)
    }
}

fn commands() -> impl Strategy<Value = (usize, Stateless, bool)> {
    let command = (0u8..3, 0usize..4, 1u8..5).prop_map(|(kind, target, role)| {
        let (room, user, role) = (room(), user(USERS[target]), Role::from_number(role).unwrap());
        match kind {
            0 => Stateless::MemberAdd { room, user, role },
            1 => Stateless::MemberRemove { room, user },
            _ => Stateless::MemberRole { room, user, role },
        }
    });
    (0usize..5, command, any::<bool>())
}

/// Decides for `by` on what was so at `known`.
fn decided(known: &Home, by: &str, command: &Stateless) -> Option<Outcome> {
    let caller = Caller { service: by == "service", ..caller(by) };
    let rules = NamespaceRules { member_limit: LIMIT, ..rules() };
    let namespaces = Namespaces::new(vec![rules.clone()]);
    let room = room();
    let member = known.members.get(&caller.user);
    let created = Some(Created { direct: false });
    let capability = Capability::of(command, &caller).unwrap();
    let permit = permit(&namespaces, &caller, &room, member, created, capability, false).ok()?;
    let target = match command {
        Stateless::MemberAdd { user, .. }
        | Stateless::MemberRemove { user, .. }
        | Stateless::MemberRole { user, .. } => known.members.get(user).cloned(),
        _ => None,
    };
    let facts = Facts { target, ..Facts::default() };
    let now = Timestamp(0);
    let case = Case { caller: &caller, room: &room, rules: &rules, permit: &permit, facts: &facts, now };
    match decide(&case, command) {
        Ok(Decision::Commit(outcome)) => Some(outcome),
        _ => None,
    }
}

/// Whether someone of `own` role may make `before` into `after`.
fn within_power(own: Option<Role>, before: Option<Role>, after: Option<Role>, left: bool) -> bool {
    match own {
        Some(Role::Owner) => true,
        Some(Role::Moderator) => {
            left || (before.max(after) < Some(Role::Moderator) && (before.is_none() || after.is_none()))
        }
        Some(_) => left,
        None => false,
    }
}

proptest! {
    #[test]
    fn a_room_keeps_an_owner_its_limit_and_its_ranks(steps in prop::collection::vec(commands(), 0..60)) {
        let mut home = Home::new();
        let mut before = home.clone();
        for (by, command, late) in steps {
            // A late decision knows only what was so one step ago.
            let known = if late { before.clone() } else { home.clone() };
            before = home.clone();
            let by = USERS[by];
            let Some(outcome) = decided(&known, by, &command) else { continue };
            if !home.commit(&outcome) {
                continue;
            }
            let Write::Append(EntryBody::Membership { user: target, change, .. }) = &outcome.writes[0] else {
                panic!("{outcome:?}")
            };
            let own = if by == "service" { Some(Role::Owner) } else { before.role(&user(by)) };
            let left = *change == MembershipChange::Left;
            prop_assert_eq!(left, *target == user(by) && change.ends());
            prop_assert!(within_power(own, before.role(target), home.role(target), left), "{:?}", outcome);
            prop_assert!(home.members.values().any(|member| member.role == Role::Owner));
            prop_assert!(home.members.len() as u32 <= LIMIT);
        }
    }
}

#[test]
fn adding_who_is_there_changes_nothing_or_conflicts() {
    let facts = Facts { target: Some(member("bob", Role::Member)), ..Facts::default() };
    let add = |role| Stateless::MemberAdd { room: room(), user: user("bob"), role };
    let same = decide_with(&rules(), Role::Moderator, &facts, &add(Role::Member));
    let Ok(Decision::Already(outcome, Reply::EntryAccepted { duplicate: true, .. })) = same else {
        panic!("{same:?}")
    };
    let as_bob_is = Condition::Member { user: user("bob"), version: Seq(4) };
    assert_eq!((&outcome.conditions[0], &outcome.writes[..]), (&as_bob_is, &[Write::Already(Seq(4))][..]));
    assert_eq!(code(decide_with(&rules(), Role::Owner, &facts, &add(Role::Owner))).0, ErrorCode::Conflict);
    let above = decide_with(&rules(), Role::Moderator, &Facts::default(), &add(Role::Moderator));
    assert_eq!(code(above).0, ErrorCode::PermissionDenied);
}

#[test]
fn who_is_no_member_cannot_be_removed_or_changed() {
    let remove = Stateless::MemberRemove { room: room(), user: user("bob") };
    let change = Stateless::MemberRole { room: room(), user: user("bob"), role: Role::Reader };
    for command in [remove, change] {
        let decided = decide_with(&rules(), Role::Owner, &Facts::default(), &command);
        assert_eq!(code(decided).0, ErrorCode::NotFound);
    }
}
