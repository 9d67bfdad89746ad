//! What can be done in rooms: the names that settings call it by, and what each is decided on.

use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::namespace::{NamespaceRules, Who};
use crate::domain::powers::Grant;

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
    /// Delete a message of one's own. Others' too where [`Permit::moderates`](super::Permit::moderates).
    DeleteOwn,
    /// Delete anybody's message.
    DeleteOthers,
    /// Add a member, of a role that [`Permit::manages`](super::Permit::manages).
    AddMember,
    /// Remove a member, of a role that [`Permit::manages`](super::Permit::manages).
    RemoveMember,
    /// End one's own membership.
    LeaveMembership,
    /// Change a member's role.
    ChangeRole,
    /// Change the room's metadata.
    UpdateRoom,
}

/// What a capability takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
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

/// The name of making a room: it is there before there is a room to have a role in, so tokens' roles alone give it.
pub(super) const CREATE: &str = "room.create";

impl Capability {
    /// All.
    pub const ALL: [Self; 17] = [
        Self::Join,
        Self::ReadHistory,
        Self::SeePresence,
        Self::ListMembers,
        Self::Mark,
        Self::Send,
        Self::Publish,
        Self::Type,
        Self::React,
        Self::Edit,
        Self::DeleteOwn,
        Self::DeleteOthers,
        Self::AddMember,
        Self::RemoveMember,
        Self::LeaveMembership,
        Self::ChangeRole,
        Self::UpdateRoom,
    ];

    /// The action's name in a namespace's `roles`.
    pub fn action(self) -> &'static str {
        match self {
            Self::Join => "room.join",
            Self::ReadHistory => "history.read",
            Self::SeePresence => "presence.read",
            Self::ListMembers => "member.list",
            Self::Mark => "message.mark",
            Self::Send => "message.send",
            Self::Publish => "event.publish",
            Self::Type => "message.type",
            Self::React => "message.react",
            Self::Edit => "message.edit",
            Self::DeleteOwn => "message.delete",
            // In an area of its own, so that `message.*` is what one does with one's own.
            Self::DeleteOthers => "moderation.delete",
            Self::AddMember => "member.add",
            Self::RemoveMember => "member.remove",
            Self::LeaveMembership => "member.leave",
            Self::ChangeRole => "member.role",
            Self::UpdateRoom => "room.update",
        }
    }

    /// The names of all actions.
    pub fn actions() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::action).chain([CREATE]).collect()
    }

    pub(super) fn demand(self) -> Demand {
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
    pub(super) fn granted_by(self) -> Option<Grant> {
        match self {
            Self::ReadHistory => Some(Grant::History),
            Self::SeePresence => Some(Grant::Presence),
            Self::Publish => Some(Grant::Publish),
            _ => None,
        }
    }

    /// Whether it changes who belongs to the room.
    pub(super) fn changes_membership(self) -> bool {
        matches!(self, Self::AddMember | Self::RemoveMember | Self::LeaveMembership | Self::ChangeRole)
    }

    /// Whether it changes what only a log can hold, besides entries that are sent.
    pub(super) fn changes_what_is_kept(self) -> bool {
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

    /// Whether the authoriser's answer decides, as far as that is not the token's roles to do; not where a membership's role may as well.
    pub fn waits_for_authorizer(self, rules: &NamespaceRules, caller: &Caller) -> bool {
        self.asks_authorizer(rules, caller) && self.demand() != Demand::WriteOrModerate
    }

    /// Whether the decision asks for what the room was created as.
    pub fn needs_room(self, rules: &NamespaceRules, caller: &Caller) -> bool {
        let may_without_membership = caller.service || rules.roles.know(&caller.powers.roles);
        self.changes_membership() || (may_without_membership && self.needs_creation(rules))
    }

    /// Whether there must be a created room: rooms for members come to be in no other way.
    pub(super) fn needs_creation(self, rules: &NamespaceRules) -> bool {
        rules.join == Who::Members || self.changes_what_is_kept()
    }
}
