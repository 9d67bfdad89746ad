//! Tickets that are good on every node.

use std::time::Duration;

use super::Asking;
use crate::domain::names::{TenantId, UserId, UserKey};

/// Whose tickets are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A user's.
    User(UserKey),
    /// A service's, of its tenant; `None` where it is for several.
    Service(Option<TenantId>, UserId),
}

/// By what a ticket is found. Nobody can make the ticket of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketKey {
    /// Where it is kept: with what its holder has.
    pub place: u16,
    /// Hexadecimal digits.
    pub name: String,
}

/// A ticket that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// By what it is found.
    pub key: TicketKey,
    /// What only its bearer can open.
    pub sealed: Vec<u8>,
    /// How long it is good.
    pub life: Duration,
    /// How many of its holder's may be good at once, with it.
    pub most: usize,
}

/// Tickets that nodes share. Every call has a limit of time; one that failed may have been done.
pub trait SharedTickets: Send + Sync + 'static {
    /// The place of a holder's tickets, which each of them names.
    fn place(&self, holder: &Holder) -> u16;

    /// Keeps a ticket for its life. Where its holder has as many as there may be it is not kept: then after how long there
    /// may be one more.
    fn put(&self, holder: Holder, ticket: Keeping) -> Asking<Option<Duration>>;

    /// What is sealed in a ticket, which stays where it is.
    fn look(&self, key: TicketKey) -> Asking<Option<Vec<u8>>>;

    /// Takes a ticket: of all who ask for it one gets what is sealed.
    fn take(&self, key: TicketKey) -> Asking<Option<Vec<u8>>>;

    /// One that was taken no longer counts as its holder's; where that is not said it counts until its end.
    fn used(&self, holder: Holder, key: TicketKey) -> Asking<()>;
}
