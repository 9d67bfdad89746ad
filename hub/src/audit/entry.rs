//! What lines say happened, and to what. By ids alone: no content, no token.

use crate::domain::caller::{Caller, Identity, Whose};
use crate::domain::names::{RoomName, TenantId, UserId};
use crate::domain::revocation::TokenId;

/// Who did something, or was refused.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The tenant; `None` for a service that is for several, where none was named.
    pub tenant: Option<&'a TenantId>,
    /// The user, or the service.
    pub name: &'a UserId,
    /// Whether it is a service.
    pub service: bool,
    /// Whether it is one for several tenants.
    pub cross_tenant: bool,
    /// The token; `None` where it is not known, as behind a ticket that is none.
    pub token: Option<&'a TokenId>,
}

impl<'a> From<&'a Caller> for Who<'a> {
    fn from(caller: &'a Caller) -> Self {
        let Caller { tenant, user, service, cross_tenant, token, .. } = caller;
        Self {
            tenant: Some(tenant),
            name: user,
            service: *service,
            cross_tenant: *cross_tenant,
            token: Some(&token.text),
        }
    }
}

impl<'a> From<&'a Whose> for Who<'a> {
    fn from(whose: &'a Whose) -> Self {
        let Whose { tenant, name, service, cross_tenant, token } = whose;
        let tenant = tenant.as_ref();
        let (service, cross_tenant, token) = (*service, *cross_tenant, Some(&token.text));
        Self { tenant, name, service, cross_tenant, token }
    }
}

impl Who<'_> {
    /// Who that is to limits.
    pub fn identity(&self) -> Identity {
        Identity::new(self.tenant, self.name, self.service, self.cross_tenant)
    }
}

/// What something was done to, by ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About<'a> {
    /// The room.
    pub room: Option<&'a str>,
    /// The entry's seq: what was written, edited or deleted.
    pub entry: Option<u64>,
    /// The user whom it was done to.
    pub subject: Option<&'a str>,
    /// How many it was done to.
    pub count: Option<u64>,
    /// The first of the rooms, where those are counted.
    pub rooms: &'a [RoomName],
    /// The ticket that was made, by its SHA-256.
    pub ticket: Option<TokenId>,
}

/// The events that are no command's and no administrator's call: those have the names that they have on the wire.
pub mod event {
    /// A file begins; `prev` is the seal before it.
    pub const FILE: &str = "audit.file";
    /// Files were removed since there were too many; `through` is their last line.
    pub const REMOVED: &str = "audit.removed";
    /// Lines were lost, since they could not be written; `count` says how many.
    pub const LOST: &str = "audit.lost";
    /// What was found at the start is not what was left at the end.
    pub const BROKEN: &str = "audit.broken";
    /// The hub started.
    pub const STARTED: &str = "hub.started";
    /// The hub stopped.
    pub const STOPPED: &str = "hub.stopped";
    /// A token was refused.
    pub const AUTHENTICATION: &str = "authentication";
    /// A session was opened, or was not.
    pub const SESSION_OPENED: &str = "session.opened";
    /// A session has joined the rooms again that the one before had, as far as it may.
    pub const RESUMED: &str = "session.resumed";
    /// A session ended.
    pub const SESSION_ENDED: &str = "session.ended";
    /// Somebody may follow a room no more, and the hub ended it.
    pub const LEFT: &str = "left";
    /// The bridge turned somebody away.
    pub const TURNED_AWAY: &str = "bridge.turned_away";
    /// Something was done too often.
    pub const LIMIT: &str = "limit";
    /// Somebody was refused more often than is written line by line, or strangers were, where nobody is named; `count` says
    /// how often.
    pub const REFUSED: &str = "refused";
    /// A service did what no limit holds up more often than is written line by line; `count` says how often.
    pub const PASSED: &str = "passed";
    /// A ticket was asked for.
    pub const TICKET: &str = "create_ticket";
    /// A ticket was shown and is good no more.
    pub const TICKET_USED: &str = "ticket.used";
}
