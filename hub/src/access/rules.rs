//! Who may do what in a room: the one decision point. Pure: what is known of the caller goes in, a permit or a refusal
//! comes out.
//!
//! Whoever may not know of a room is refused with `ACCESS_DENIED` and nothing else, be it that the namespace is not
//! configured, that the room does not exist or that the caller is no member; another tenant's room cannot even be
//! named. Whoever may know of it but not do that gets `PERMISSION_DENIED`.
//!
//! The namespace's `join` and `send` say whom a room is open to. Where that is its members, and for all that moderators
//! and owners do, a member's role decides: what is usual, or what the namespace's `roles` say instead. A role that the
//! caller's token names may do what `token_roles` say besides.

mod capability;

pub use capability::Capability;

use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::member::{Member, Role};
use crate::domain::names::RoomName;
use crate::domain::namespace::{NamespaceRules, Namespaces, Who};
use crate::domain::position::Seq;
use crate::domain::powers::Grant;
use crate::domain::room::Room;
use crate::store::Condition;

use capability::{CREATE, Demand};

/// What a room was created as. It never changes, and no room is uncreated, so this may be remembered for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// The one conversation of two users, whose membership is fixed.
    pub direct: bool,
}

impl Created {
    /// What `room` was created as; `None` for one that came to be with its first entry.
    pub fn of(room: &Room) -> Option<Self> {
        room.created.then_some(Self { direct: room.direct })
    }
}

/// The decision that the caller may, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The caller's membership, where one was looked at.
    pub member: Option<Member>,
    /// As what the caller acts: the membership's role, an owner's for services; `None` for users who are no members.
    pub role: Option<Role>,
    /// Whether the caller may delete others' messages.
    pub moderates: bool,
    /// The first seq that the caller may read.
    pub history_from: Seq,
}

impl Permit {
    /// What must still be so when the decision is committed: the membership that it rests on.
    pub fn condition(&self) -> Option<Condition> {
        self.member
            .as_ref()
            .map(|member| Condition::Member { user: member.user.clone(), version: member.version })
    }

    /// Whether the caller may add, change or remove members of `role`: an owner any, all others members and readers, and
    /// none above themselves.
    pub fn manages(&self, role: Role) -> bool {
        self.role == Some(Role::Owner) || role < Role::Moderator && Some(role) <= self.role
    }
}

/// Decides whether `caller` may do this in `room` of their tenant. `member` is the caller's membership and `created`
/// what the room was created as, each `None` where there is none (or where [`Capability::needs_membership`] and
/// [`Capability::needs_room`] say that it is not asked for). `allowed` is what the authoriser said, where
/// [`Capability::asks_authorizer`].
///
/// Services may do everything in rooms that exist: `NOT_FOUND` where one must have been created and was not, to whom a
/// role of their token alone permits it too. Nobody changes the membership of a direct conversation:
/// `PERMISSION_DENIED`. Where nothing is kept there are neither members nor metadata: `INVALID_ARGUMENT` to whoever may
/// know of the room.
pub fn permit(
    namespaces: &Namespaces,
    caller: &Caller,
    room: &RoomName,
    member: Option<&Member>,
    created: Option<Created>,
    capability: Capability,
    allowed: bool,
) -> Result<Permit, Refusal> {
    let rules = namespaces.rules(room).ok_or(ErrorCode::AccessDenied)?;
    let asked = Asked { rules, caller, room, member };
    let knows = asked.knows();
    if knows && !rules.durable && capability.changes_what_is_kept() {
        return Err(Refusal::invalid("room", "a durable namespace"));
    }
    let admitted = !caller.service && asked.admits(capability, allowed);
    let by_token = asked.token_gives(capability)
        || capability.demand() == Demand::WriteOrModerate && asked.token_gives(Capability::DeleteOthers);
    if !admitted {
        if !caller.service && !by_token {
            return Err(if knows { ErrorCode::PermissionDenied } else { ErrorCode::AccessDenied }.into());
        }
        if created.is_none() && capability.needs_creation(rules) {
            return Err(ErrorCode::NotFound.into());
        }
    }
    if capability.changes_membership() && created.is_some_and(|room| room.direct) {
        return Err(ErrorCode::PermissionDenied.into());
    }
    if capability == Capability::SeePresence && !rules.presence {
        return Err(Refusal::invalid("room", "a namespace with presence"));
    }
    let manager = (by_token && capability.changes_membership()).then_some(Role::Moderator);
    Ok(Permit {
        member: member.cloned(),
        role: if caller.service { Some(Role::Owner) } else { asked.role().max(manager) },
        moderates: caller.service || asked.moderates() || asked.token_gives(Capability::DeleteOthers),
        history_from: match (rules.join, member) {
            (Who::Members, Some(member)) => member.history_from.max(Seq(1)),
            _ => Seq(1),
        },
    })
}

/// Refuses whoever may not administer a tenant: all but its services.
pub fn administer(caller: &Caller) -> Result<(), Refusal> {
    if caller.service { Ok(()) } else { Err(ErrorCode::PermissionDenied.into()) }
}

/// Whether a user may make rooms of a namespace.
pub fn may_create(rules: &NamespaceRules, caller: &Caller) -> bool {
    rules.create || rules.join == Who::Members && rules.roles.of_token(&caller.powers.roles, CREATE)
}

/// Whether there are users who may make rooms of a namespace.
pub fn may_be_created_in(rules: &NamespaceRules) -> bool {
    rules.create || rules.join == Who::Members && rules.roles.any_token_may(CREATE)
}

/// Whether a user who was let follow a room may go on with the token that they have now, as far as that is the token's
/// to say. `is_member` is whether they are a member.
pub fn may_go_on(rules: &NamespaceRules, caller: &Caller, room: &RoomName, is_member: bool) -> bool {
    let lets = match rules.join {
        Who::Members => is_member,
        Who::Granted => caller.powers.grants(room, Grant::Join),
        Who::Service => false,
        Who::Owner => room.id() == caller.user.as_str(),
        // Of these the token's tenant is all, or the authoriser, which is asked again.
        Who::Tenant | Who::Authorizer => true,
    };
    lets || follows_by_token(rules, caller)
}

/// Whether a role of the caller's token lets them follow rooms of a namespace.
pub fn follows_by_token(rules: &NamespaceRules, caller: &Caller) -> bool {
    rules.roles.of_token(&caller.powers.roles, Capability::Join.action())
}

/// Whether a user who sees who is present in a room that they follow may go on to see it with the token that they have now,
/// as far as that is the token's to say, and their membership's role; what the authoriser says was asked when they joined.
pub fn may_see_presence(
    rules: &NamespaceRules,
    caller: &Caller,
    room: &RoomName,
    role: Option<Role>,
) -> bool {
    let action = Capability::SeePresence.action();
    let lets = match rules.join {
        Who::Members => role.is_some_and(|role| rules.roles.of_member(role, action, role >= Role::Reader)),
        Who::Granted => caller.powers.grants(room, Grant::Presence),
        Who::Tenant | Who::Owner | Who::Service | Who::Authorizer => true,
    };
    lets || sees_by_token(rules, caller)
}

/// Whether a role of the caller's token lets them see who is present in rooms of a namespace.
pub fn sees_by_token(rules: &NamespaceRules, caller: &Caller) -> bool {
    rules.roles.of_token(&caller.powers.roles, Capability::SeePresence.action())
}

/// Whether a role of the caller's token lets them show that they type in rooms of a namespace.
pub fn types_by_token(rules: &NamespaceRules, caller: &Caller) -> bool {
    rules.roles.of_token(&caller.powers.roles, Capability::Type.action())
}

/// Whether a membership's role may read what is said in a namespace's rooms.
pub fn member_reads(rules: &NamespaceRules, role: Role) -> bool {
    rules.roles.of_member(role, Capability::ReadHistory.action(), true)
}

/// Whether a member is shown what was last said in a room without asking for it: where they may read its history, as far as
/// nobody has to be asked.
pub fn may_be_shown(namespaces: &Namespaces, caller: &Caller, room: &Room, role: Role) -> bool {
    let nothing = Seq(0);
    let (user, version, joined, history_from) = (caller.user.clone(), nothing, nothing, nothing);
    let member = Member { user, role, version, joined, history_from };
    let (name, created) = (&room.room, Created::of(room));
    permit(namespaces, caller, name, Some(&member), created, Capability::ReadHistory, false).is_ok()
}

/// Whether who may join may do all else that reads as well, and need not be asked for each.
pub fn reads_as_one(rules: &NamespaceRules, caller: &Caller) -> bool {
    !matches!(rules.join, Who::Granted | Who::Authorizer)
        && !rules.roles.say_of_members()
        && !rules.roles.know(&caller.powers.roles)
}

/// Whether a user who follows a room may show that they type, by their token and by their membership's role; what the
/// authoriser says of it was asked when they joined.
pub fn may_type(rules: &NamespaceRules, caller: &Caller, room: &RoomName, role: Option<Role>) -> bool {
    let action = Capability::Type.action();
    let by_role = match role {
        Some(role) => rules.roles.of_member(role, action, role >= Role::Member),
        None => rules.join != Who::Members,
    };
    let by_grant = rules.send != Who::Granted || caller.powers.grants(room, Grant::Send);
    by_role && by_grant || types_by_token(rules, caller)
}

/// Who asks, where.
#[derive(Clone, Copy)]
struct Asked<'a> {
    rules: &'a NamespaceRules,
    caller: &'a Caller,
    room: &'a RoomName,
    member: Option<&'a Member>,
}

impl Asked<'_> {
    /// Whether they may know of the room.
    fn knows(self) -> bool {
        self.caller.service
            || self.member.is_some()
            || self.rules.roles.know(&self.caller.powers.roles)
            || self.is_among(self.rules.join, Grant::Join, None)
    }

    /// Whether the namespace's rules and the role allow it to a user.
    fn admits(self, capability: Capability, allowed: bool) -> bool {
        let own = self.member.map(|member| member.role);
        let gives = |role, least| self.gives(role, capability, least);
        let needed = capability.granted_by();
        let reads = || {
            let grant = needed.unwrap_or(Grant::Join);
            self.rules.join == Who::Authorizer && allowed
                || self.is_among(self.rules.join, grant, own.filter(|_| gives(own, Role::Reader)))
        };
        let writes = || {
            let grant = needed.unwrap_or(Grant::Send);
            self.rules.send == Who::Authorizer && allowed
                || self.is_among(self.rules.send, grant, own.filter(|_| gives(own, Role::Member)))
        };
        match capability.demand() {
            Demand::Read => reads(),
            Demand::Write => writes(),
            Demand::Answer => reads() && writes(),
            Demand::WriteOrModerate => writes() || self.moderates(),
            Demand::Moderate => gives(self.role(), Role::Moderator),
            Demand::Own => gives(self.role(), Role::Owner),
            Demand::Belong => gives(own, Role::Reader),
        }
    }

    /// As what a user acts: by membership, or by a token that makes them a moderator.
    fn role(self) -> Option<Role> {
        let powers = &self.caller.powers;
        let granted = self.rules.goes_by_grants() && powers.grants(self.room, Grant::Moderate);
        self.member.map(|member| member.role).max(granted.then_some(Role::Moderator))
    }

    /// Whether a role may do it: as the namespace says of the role, else from `least` on.
    fn gives(self, role: Option<Role>, capability: Capability, least: Role) -> bool {
        role.is_some_and(|role| self.rules.roles.of_member(role, capability.action(), role >= least))
    }

    /// Whether a role of the token may do it.
    fn token_gives(self, capability: Capability) -> bool {
        self.rules.roles.of_token(&self.caller.powers.roles, capability.action())
    }

    /// Whether they may delete others' messages, whatever their token names.
    fn moderates(self) -> bool {
        self.gives(self.role(), Capability::DeleteOthers, Role::Moderator)
    }

    /// Whether a user is among those whom `who` names; `role` is the one that counts as a membership here, `grant` what
    /// their token must say where it goes by that.
    fn is_among(self, who: Who, grant: Grant, role: Option<Role>) -> bool {
        match who {
            Who::Tenant => true,
            Who::Members => role.is_some(),
            Who::Owner => self.room.id() == self.caller.user.as_str(),
            Who::Granted => self.caller.powers.grants(self.room, grant),
            // By its answer alone, which is not about this.
            Who::Authorizer | Who::Service => false,
        }
    }
}

#[cfg(test)]
mod tests;
