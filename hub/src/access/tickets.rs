//! Tickets: what a page shows where it can show no token, as in the address of an event stream. A ticket speaks for the
//! token that it was made for, once, and not for long.
//!
//! Those of a hub alone are kept in memory: they are gone with it, and whoever holds one asks for another. Nodes that share
//! Redis keep them there ([`SharedTicket`]), so that each of them is good on every node.

mod shared;

use std::collections::VecDeque;
use std::fmt::Write as _;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use crate::domain::caller::Identity;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{TICKET_LIFE, TICKETS, TICKETS_PER_BEARER};
use crate::domain::revocation::TokenId;
use crate::domain::time::Timestamp;

use super::authentication::Verified;
pub use shared::SharedTicket;

/// What every ticket begins with; no token does.
const MARK: &str = "ticket_";

/// The tickets that are good now, at most [`TICKETS`].
#[derive(Default)]
pub struct Tickets(Mutex<Issued>);

#[derive(Default)]
struct Issued {
    good: FxHashMap<String, (Timestamp, Verified)>,
    /// In the order of their ends, which is that of their making.
    ends: VecDeque<(Timestamp, String)>,
    /// How many each bearer has that are good.
    held: FxHashMap<Identity, usize>,
}

impl Issued {
    fn forget_ended(&mut self, now: Timestamp) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, ticket)) = self.ends.pop_front() {
                self.take(&ticket);
            }
        }
    }

    fn take(&mut self, ticket: &str) -> Option<(Timestamp, Verified)> {
        let (end, verified) = self.good.remove(ticket)?;
        let bearer = verified.whose().identity();
        if let Some(held) = self.held.get_mut(&bearer) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&bearer);
            }
        }
        Some((end, verified))
    }
}

impl Tickets {
    /// Makes a ticket for who bears a token, and says when it ends. `RATE_LIMITED` where the bearer has
    /// [`TICKETS_PER_BEARER`] that are good, or too many are about.
    pub fn issue(&self, verified: Verified, now: Timestamp) -> Result<(String, Timestamp), Refusal> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| ErrorCode::Internal)?;
        let mut ticket = MARK.to_owned();
        for byte in random {
            let _ = write!(ticket, "{byte:02x}");
        }
        let end = now.plus(TICKET_LIFE).min(verified.expires());
        let mut issued = self.0.lock();
        issued.forget_ended(now);
        let bearer = verified.whose().identity();
        let held = issued.held.get(&bearer).copied().unwrap_or(0);
        if held >= TICKETS_PER_BEARER || issued.good.len() >= TICKETS || issued.ends.len() >= 4 * TICKETS {
            return Err(too_many());
        }
        *issued.held.entry(bearer).or_default() += 1;
        issued.good.insert(ticket.clone(), (end, verified));
        // Kept for its whole life, so that the list stays in order where a token ends before.
        issued.ends.push_back((now.plus(TICKET_LIFE), ticket.clone()));
        Ok((ticket, end))
    }

    /// Counts one that is made here and kept elsewhere. `RATE_LIMITED` where this node has made [`TICKETS`] within the life of
    /// one.
    pub fn count(&self, now: Timestamp) -> Result<(), Refusal> {
        let mut issued = self.0.lock();
        issued.forget_ended(now);
        if issued.ends.len() >= TICKETS {
            return Err(too_many());
        }
        issued.ends.push_back((now.plus(TICKET_LIFE), String::new()));
        Ok(())
    }

    /// Whether this is a ticket and no token.
    pub fn is_ticket(text: &str) -> bool {
        text.starts_with(MARK)
    }

    /// What a ticket is called where it is written down: its SHA-256. `None` for what is none.
    pub fn mark(text: &str) -> Option<TokenId> {
        Self::is_ticket(text).then(|| TokenId(Sha256::digest(text).into()))
    }

    /// Who bears a ticket, which remains good. `INVALID_TOKEN` where it is not.
    pub fn look(&self, ticket: &str, now: Timestamp) -> Result<Verified, Refusal> {
        match self.0.lock().good.get(ticket) {
            Some((end, verified)) if now < *end => Ok(verified.clone()),
            _ => Err(ErrorCode::InvalidToken.into()),
        }
    }

    /// Who bears a ticket; from now on it is good no more. `INVALID_TOKEN` for one that is not, or no longer, good.
    pub fn redeem(&self, ticket: &str, now: Timestamp) -> Result<Verified, Refusal> {
        let found = self.0.lock().take(ticket);
        match found {
            Some((end, verified)) if now < end => Ok(verified),
            _ => Err(ErrorCode::InvalidToken.into()),
        }
    }
}

fn too_many() -> Refusal {
    Refusal { retry_after: Some(TICKET_LIFE), ..ErrorCode::RateLimited.into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::access::authentication::UserToken;
    use crate::domain::names::{TenantId, UserId};
    use crate::domain::powers::Powers;
    use crate::domain::revocation::TokenMark;

    fn alice(expires: i64) -> Verified {
        Verified::User(UserToken {
            tenant: TenantId::parse("acme").unwrap(),
            user: UserId::parse("alice").unwrap(),
            expires: Timestamp(expires),
            mark: TokenMark::default(),
            powers: Powers::default(),
        })
    }

    #[test]
    fn a_ticket_is_good_once_and_not_for_long() {
        let tickets = Tickets::default();
        let start = Timestamp(0);
        let (first, end) = tickets.issue(alice(i64::MAX), start).unwrap();
        let (second, _) = tickets.issue(alice(i64::MAX), start).unwrap();
        assert!(Tickets::is_ticket(&first) && first != second);
        assert!(tickets.look(&first, Timestamp(1)).is_ok());
        assert_eq!(tickets.redeem(&first, Timestamp(1)), Ok(alice(i64::MAX)));
        assert!(tickets.look(&first, Timestamp(1)).is_err() && tickets.look(&second, end).is_err());
        assert_eq!(tickets.redeem(&first, Timestamp(1)), Err(ErrorCode::InvalidToken.into()));
        assert_eq!(tickets.redeem(&second, end), Err(ErrorCode::InvalidToken.into()));
        assert_eq!(tickets.redeem("ticket_made_up", start), Err(ErrorCode::InvalidToken.into()));
    }

    #[test]
    fn a_ticket_ends_with_its_token() {
        let tickets = Tickets::default();
        let (ticket, end) = tickets.issue(alice(5_000), Timestamp(0)).unwrap();
        assert_eq!(end, Timestamp(5_000));
        assert_eq!(tickets.redeem(&ticket, Timestamp(5_000)), Err(ErrorCode::InvalidToken.into()));
    }

    #[test]
    fn a_node_makes_so_many_within_the_life_of_one() {
        let tickets = Tickets::default();
        for _ in 0..TICKETS {
            tickets.count(Timestamp(0)).unwrap();
        }
        let full = tickets.count(Timestamp(1)).unwrap_err();
        assert_eq!((full.code, full.retry_after), (ErrorCode::RateLimited, Some(TICKET_LIFE)));
        tickets.count(Timestamp(0).plus(TICKET_LIFE)).unwrap();
    }

    #[test]
    fn each_bearer_has_so_many_and_ended_ones_make_place() {
        let tickets = Tickets::default();
        let mut last = String::new();
        for _ in 0..TICKETS_PER_BEARER {
            (last, _) = tickets.issue(alice(i64::MAX), Timestamp(0)).unwrap();
        }
        let full = tickets.issue(alice(i64::MAX), Timestamp(1)).unwrap_err();
        assert_eq!(full.code, ErrorCode::RateLimited);
        let bob = |name: &str| match alice(i64::MAX) {
            Verified::User(token) => {
                Verified::User(UserToken { user: UserId::parse(name).unwrap(), ..token })
            }
            other @ Verified::Service(_) => other,
        };
        tickets.issue(bob("bob"), Timestamp(1)).expect("others are not concerned");
        tickets.redeem(&last, Timestamp(1)).unwrap();
        tickets.issue(alice(i64::MAX), Timestamp(1)).expect("one was used");
        let later = Timestamp(0).plus(TICKET_LIFE + Duration::from_millis(2));
        tickets.issue(alice(i64::MAX), later).unwrap();
        let issued = tickets.0.lock();
        assert_eq!((issued.good.len(), issued.held.len()), (1, 1));
    }
}
