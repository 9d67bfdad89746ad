//! Tickets: kept by this node where it is alone, and where all nodes find them where there may be others.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::access::authentication::Verified;
use crate::access::tickets::{SharedTicket, Tickets};
use crate::audit::{About, Source, event};
use crate::bus::registry::tickets::{Holder, Keeping, SharedTickets, TicketKey};
use crate::domain::caller::{Identity, Whose};
use crate::domain::command::Token;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{TICKET_LIFE, TICKETS_PER_BEARER};
use crate::domain::names::UserKey;
use crate::domain::time::Timestamp;

use super::services::Services;

impl Services {
    /// Makes a ticket for who bears the token, and says when it ends; with a ticket there is none to be had. Writes down who got
    /// one, or did not.
    pub async fn issue_ticket(
        &self,
        token: &Token,
        source: &Source,
        now: Timestamp,
    ) -> Result<(String, Timestamp), Refusal> {
        if !self.audit.admits() {
            return Err(ErrorCode::Unavailable.into());
        }
        let verified = self.bearer_of_ticket(token, now);
        let verified = verified.inspect_err(|refusal| {
            self.audit.tell_refused(event::AUTHENTICATION, source, About::default(), refusal);
        })?;
        let whose = verified.whose();
        let issued = self.make_ticket(token, verified, now).await;
        let about = About {
            ticket: issued.as_ref().ok().and_then(|(ticket, _)| Tickets::mark(ticket)),
            ..About::default()
        };
        let result = issued.as_ref().map(|_| ()).map_err(|refusal| refusal.code);
        self.audit.tell_of(event::TICKET, source, Some((&whose).into()), about, result);
        issued
    }

    fn bearer_of_ticket(&self, token: &Token, now: Timestamp) -> Result<Verified, Refusal> {
        if Tickets::is_ticket(&token.0) {
            return Err(ErrorCode::InvalidToken.into());
        }
        let verified = self.identify(token, now)?;
        match &verified {
            Verified::User(_) => _ = self.admit(&verified, None)?,
            // Which tenant a service's is for is asked when it is used.
            Verified::Service(_) => {
                self.can_admit()?;
                self.check_bearer(&verified)?;
            }
        }
        Ok(verified)
    }

    async fn make_ticket(
        &self,
        token: &Token,
        verified: Verified,
        now: Timestamp,
    ) -> Result<(String, Timestamp), Refusal> {
        match &verified {
            Verified::User(token) => self.limit_tickets(&token.caller())?,
            Verified::Service(token) => self.limit_request("create_ticket", &token.whose())?,
        }
        match &self.shared_tickets {
            Some(shared) => self.share_ticket(shared.as_ref(), token, &verified, now).await,
            None => self.tickets.issue(verified, now),
        }
    }

    async fn share_ticket(
        &self,
        shared: &dyn SharedTickets,
        token: &Token,
        verified: &Verified,
        now: Timestamp,
    ) -> Result<(String, Timestamp), Refusal> {
        self.tickets.count(now)?;
        let end = now.plus(TICKET_LIFE).min(verified.expires());
        let holder = holder(verified);
        let ticket = SharedTicket::new(shared.place(&holder))?;
        let keeping = Keeping {
            key: key(&ticket),
            sealed: ticket.seal(&token.0)?,
            life: end.since(now),
            most: TICKETS_PER_BEARER,
        };
        match shared.put(holder, keeping).await.map_err(|_| ErrorCode::Unavailable)? {
            None => Ok((ticket.text().to_owned(), end)),
            Some(after) => Err(Refusal { retry_after: Some(after), ..ErrorCode::RateLimited.into() }),
        }
    }

    /// The token that a ticket speaks for, to be judged as if it had been shown; the ticket is good no more. `None` where this
    /// is no ticket that all nodes find: then it is judged as it is.
    ///
    /// `INVALID_TOKEN` for one that is not, or no longer, good; `UNAVAILABLE` where nobody can say.
    pub fn exchange(self: &Arc<Self>, token: &Token) -> Option<BoxFuture<'static, Result<Token, Refusal>>> {
        let shared = self.shared_tickets.clone()?;
        let ticket = SharedTicket::parse(&token.0)?;
        let services = Arc::clone(self);
        let exchange = async move { services.take_ticket(shared.as_ref(), &ticket).await };
        Some(exchange.boxed())
    }

    /// Whose what is shown is, where it is a ticket that is good: it stays so. `None` for what is none.
    pub fn look(self: &Arc<Self>, shown: &Token) -> Option<BoxFuture<'static, Result<Whose, Refusal>>> {
        if !Tickets::is_ticket(&shown.0) {
            return None;
        }
        let (services, shown) = (Arc::clone(self), shown.clone());
        let look = async move {
            let looked = services.look_at(shown).await;
            if looked.as_ref().is_err_and(|refusal| refusal.code == ErrorCode::InvalidToken) {
                services.metrics.counters().tokens_refused.increment();
            }
            services.whose(&looked?, Timestamp::now()).map(|verified| verified.whose())
        };
        Some(look.boxed())
    }

    /// What a ticket speaks for, or one of this node as it is.
    async fn look_at(&self, shown: Token) -> Result<Token, Refusal> {
        self.can_admit()?;
        let (Some(shared), Some(ticket)) = (&self.shared_tickets, SharedTicket::parse(&shown.0)) else {
            self.tickets.look(&shown.0, Timestamp::now())?;
            return Ok(shown);
        };
        let sealed = shared.look(key(&ticket)).await.map_err(|_| ErrorCode::Unavailable)?;
        let token = sealed.and_then(|sealed| ticket.open(sealed));
        token.map(Token).ok_or_else(|| ErrorCode::InvalidToken.into())
    }

    async fn take_ticket(&self, shared: &dyn SharedTickets, ticket: &SharedTicket) -> Result<Token, Refusal> {
        // While nobody is let in it stays good for later.
        self.can_admit()?;
        let sealed = shared.take(key(ticket)).await.map_err(|_| ErrorCode::Unavailable)?;
        let Some(token) = sealed.and_then(|sealed| ticket.open(sealed)) else {
            self.metrics.counters().tokens_refused.increment();
            return Err(ErrorCode::InvalidToken.into());
        };
        // Whether the token is still good is asked by whoever asked for this.
        if let Ok(verified) = self.authenticator.verify(&token, Timestamp::now()) {
            // Where it cannot be said it counts until its end.
            let _ = shared.used(holder(&verified), key(ticket)).await;
        }
        Ok(Token(token))
    }
}

fn key(ticket: &SharedTicket) -> TicketKey {
    TicketKey { place: ticket.place(), name: ticket.name() }
}

fn holder(verified: &Verified) -> Holder {
    match verified {
        Verified::User(token) => {
            Holder::User(UserKey { tenant: token.tenant.clone(), user: token.user.clone() })
        }
        Verified::Service(token) => {
            let Identity { tenant, name, .. } = token.whose().identity();
            Holder::Service(tenant, name)
        }
    }
}
