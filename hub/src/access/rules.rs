//! Who may do what in a room: the one decision point. Pure: what is known of the caller goes in, a permit or a refusal
//! comes out.
//!
//! Whoever may not know of a room is refused with `ACCESS_DENIED` and nothing else, be it that the namespace is not
//! configured, that the room does not exist or that the caller is no member; another tenant's room cannot even be
//! named. Whoever may know of it but not do that gets `PERMISSION_DENIED`.

use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::member::{Member, Role};
use crate::domain::names::RoomName;
use crate::domain::namespace::{NamespaceRules, Namespaces, Who};
use crate::domain::position::Seq;
use crate::domain::powers::Grant;
use crate::domain::room::Room;
use crate::store::Condition;

/// What a caller wants to do in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Follow the room.
    Join,
    /// Read its log.
    ReadHistory,
    /// See who is present.
    SeePresence,
    /// See who its members are.
    ListMembers,
    /// Raise one's own marks.
    Mark,
    /// Send a message.
    Send,
    /// Publish an event.
    Publish,
    /// Show that one is typing. Whether it is passed on is the namespace's `typing`.
    Type,
    /// React to a message.
    React,
    /// Edit a message of one's own; nobody edits another's.
    Edit,
    /// Delete a message of one's own. Others' too where [`Permit::moderates`].
    DeleteOwn,
    /// Delete anybody's message.
    DeleteOthers,
    /// Add a member, of a role that [`Permit::manages`].
    AddMember,
    /// Remove a member, of a role that [`Permit::manages`].
    RemoveMember,
    /// End one's own membership.
    LeaveMembership,
    /// Change a member's role.
    ChangeRole,
    /// Change the room's metadata.
    UpdateRoom,
}

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

    /// Whether the caller may delete others' messages.
    pub fn moderates(&self) -> bool {
        self.role >= Some(Role::Moderator)
    }

    /// Whether the caller may add or remove members of `role`: an owner any, a moderator members and readers.
    pub fn manages(&self, role: Role) -> bool {
        self.role == Some(Role::Owner) || (self.role == Some(Role::Moderator) && role < Role::Moderator)
    }
}

/// What a capability takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// To be among those who may join.
    Read,
    /// To be among those who may send.
    Write,
    /// Both: to answer what one reads.
    Answer,
    /// To write, or to moderate.
    WriteOrModerate,
    /// A moderator's role.
    Moderate,
    /// An owner's role.
    Own,
    /// Any membership.
    Belong,
}

impl Capability {
    fn demand(self) -> Demand {
        match self {
            Self::Join | Self::ReadHistory | Self::SeePresence | Self::ListMembers | Self::Mark => {
                Demand::Read
            }
            Self::Send | Self::Publish | Self::Type | Self::Edit => Demand::Write,
            Self::React => Demand::Answer,
            Self::DeleteOwn => Demand::WriteOrModerate,
            Self::DeleteOthers | Self::AddMember | Self::RemoveMember | Self::UpdateRoom => Demand::Moderate,
            Self::ChangeRole => Demand::Own,
            Self::LeaveMembership => Demand::Belong,
        }
    }

    /// What a token must grant for it, where it is not the one of all that reads (`join`) or all that writes (`send`).
    fn granted_by(self) -> Option<Grant> {
        match self {
            Self::ReadHistory => Some(Grant::History),
            Self::SeePresence => Some(Grant::Presence),
            Self::Publish => Some(Grant::Publish),
            _ => None,
        }
    }

    /// Whether it changes who belongs to the room.
    fn changes_membership(self) -> bool {
        matches!(self, Self::AddMember | Self::RemoveMember | Self::LeaveMembership | Self::ChangeRole)
    }

    /// Whether it changes what only a log can hold, besides entries that are sent.
    fn changes_what_is_kept(self) -> bool {
        self.changes_membership() || self == Self::UpdateRoom
    }

    /// What a command of `caller` takes; `None` for those that are about no room.
    pub fn of(command: &Stateless, caller: &Caller) -> Option<Self> {
        match command {
            Stateless::History { .. } => Some(Self::ReadHistory),
            Stateless::ConversationUpdate { .. } => Some(Self::UpdateRoom),
            Stateless::MemberAdd { .. } => Some(Self::AddMember),
            Stateless::MemberRemove { user, .. } if *user == caller.user && !caller.service => {
                Some(Self::LeaveMembership)
            }
            Stateless::MemberRemove { .. } => Some(Self::RemoveMember),
            Stateless::MemberRole { .. } => Some(Self::ChangeRole),
            Stateless::Members { .. } => Some(Self::ListMembers),
            Stateless::MessageSend { .. } => Some(Self::Send),
            Stateless::MessageEdit { .. } => Some(Self::Edit),
            Stateless::MessageDelete { .. } => Some(Self::DeleteOwn),
            Stateless::Reaction { .. } => Some(Self::React),
            Stateless::MarkDelivered { .. } | Stateless::MarkRead { .. } => Some(Self::Mark),
            Stateless::EventPublish { .. } => Some(Self::Publish),
            Stateless::PresenceGet { .. } => Some(Self::SeePresence),
            Stateless::Rooms { .. }
            | Stateless::ConversationCreate { .. }
            | Stateless::Notifications { .. }
            | Stateless::Inbox(_) => None,
        }
    }

    /// Whether the decision asks for the caller's membership. Where not, none need be looked up.
    pub fn needs_membership(self, rules: &NamespaceRules, caller: &Caller) -> bool {
        if caller.service {
            return false;
        }
        match self.demand() {
            Demand::Read => rules.join == Who::Members,
            Demand::Write => rules.send == Who::Members,
            Demand::Answer => rules.join == Who::Members || rules.send == Who::Members,
            Demand::WriteOrModerate | Demand::Moderate | Demand::Own | Demand::Belong => true,
        }
    }

    /// Whether the decision asks the organisation's authoriser. What goes by role never does.
    pub fn asks_authorizer(self, rules: &NamespaceRules, caller: &Caller) -> bool {
        let asks = |who| who == Who::Authorizer;
        !caller.service
            && match self.demand() {
                Demand::Read => asks(rules.join),
                Demand::Write | Demand::WriteOrModerate => asks(rules.send),
                Demand::Answer => asks(rules.join) || asks(rules.send),
                Demand::Moderate | Demand::Own | Demand::Belong => false,
            }
    }

    /// Whether the decision asks for what the room was created as.
    pub fn needs_room(self, rules: &NamespaceRules, caller: &Caller) -> bool {
        self.changes_membership() || (caller.service && self.needs_creation(rules))
    }

    /// Whether there must be a created room: rooms for members come to be in no other way.
    fn needs_creation(self, rules: &NamespaceRules) -> bool {
        rules.join == Who::Members || self.changes_what_is_kept()
    }
}

/// Decides whether `caller` may do this in `room` of their tenant. `member` is the caller's membership and `created`
/// what the room was created as, each `None` where there is none (or where [`Capability::needs_membership`] and
/// [`Capability::needs_room`] say that it is not asked for). `allowed` is what the authoriser said, where
/// [`Capability::asks_authorizer`].
///
/// Services may do everything in rooms that exist: `NOT_FOUND` where one must have been created and was not. Nobody
/// changes the membership of a direct conversation: `PERMISSION_DENIED`. Where nothing is kept there are neither members
/// nor metadata: `INVALID_ARGUMENT` to whoever may know of the room.
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
    let knows = caller.service || member.is_some() || holds(rules.join, Grant::Join, caller, room, None);
    if knows && !rules.durable && capability.changes_what_is_kept() {
        return Err(Refusal::invalid("room", "a durable namespace"));
    }
    if caller.service {
        if created.is_none() && capability.needs_creation(rules) {
            return Err(ErrorCode::NotFound.into());
        }
    } else if !grants(rules, caller, room, member, capability, allowed) {
        return Err(if knows { ErrorCode::PermissionDenied } else { ErrorCode::AccessDenied }.into());
    }
    if capability.changes_membership() && created.is_some_and(|room| room.direct) {
        return Err(ErrorCode::PermissionDenied.into());
    }
    if capability == Capability::SeePresence && !rules.presence {
        return Err(Refusal::invalid("room", "a namespace with presence"));
    }
    Ok(Permit {
        member: member.cloned(),
        role: if caller.service { Some(Role::Owner) } else { role_of(rules, caller, room, member) },
        history_from: match (rules.join, member) {
            (Who::Members, Some(member)) => member.history_from.max(Seq(1)),
            _ => Seq(1),
        },
    })
}

/// As what a user acts: by membership, or by a token that makes them a moderator.
fn role_of(
    rules: &NamespaceRules,
    caller: &Caller,
    room: &RoomName,
    member: Option<&Member>,
) -> Option<Role> {
    let granted = rules.goes_by_grants() && caller.powers.grants(room, Grant::Moderate);
    member.map(|member| member.role).max(granted.then_some(Role::Moderator))
}

/// Refuses whoever may not administer a tenant: all but its services.
pub fn administer(caller: &Caller) -> Result<(), Refusal> {
    if caller.service { Ok(()) } else { Err(ErrorCode::PermissionDenied.into()) }
}

/// Whether the rules and the role allow it to a user.
fn grants(
    rules: &NamespaceRules,
    caller: &Caller,
    room: &RoomName,
    member: Option<&Member>,
    capability: Capability,
    allowed: bool,
) -> bool {
    let own = member.map(|member| member.role);
    let role = role_of(rules, caller, room, member);
    let needed = capability.granted_by();
    let reads = || {
        rules.join == Who::Authorizer && allowed
            || holds(rules.join, needed.unwrap_or(Grant::Join), caller, room, own)
    };
    let writer = own.filter(|role| *role >= Role::Member);
    let writes = || {
        rules.send == Who::Authorizer && allowed
            || holds(rules.send, needed.unwrap_or(Grant::Send), caller, room, writer)
    };
    match capability.demand() {
        Demand::Read => reads(),
        Demand::Write => writes(),
        Demand::Answer => reads() && writes(),
        Demand::WriteOrModerate => writes() || role >= Some(Role::Moderator),
        Demand::Moderate => role >= Some(Role::Moderator),
        Demand::Own => role >= Some(Role::Owner),
        Demand::Belong => own.is_some(),
    }
}

/// Whether a user is among those whom `who` names; `role` is the one that counts as a membership here, `grant` what their
/// token must say where it goes by that.
fn holds(who: Who, grant: Grant, caller: &Caller, room: &RoomName, role: Option<Role>) -> bool {
    match who {
        Who::Tenant => true,
        Who::Members => role.is_some(),
        Who::Owner => room.id() == caller.user.as_str(),
        Who::Granted => caller.powers.grants(room, grant),
        // By its answer alone, which is not about this.
        Who::Authorizer | Who::Service => false,
    }
}

#[cfg(test)]
mod tests;
