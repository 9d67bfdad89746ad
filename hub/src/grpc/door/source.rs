//! From where a call comes, and what is written down of it.

use std::net::IpAddr;
use std::time::Instant;

use carillon_net::forwarded::client_address;
use carillon_proto::port;
use http::HeaderMap;
use http::header::USER_AGENT;

use super::{Admitted, Visitor};
use crate::access::tickets::Tickets;
use crate::audit::{About, Source, Who, event};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::peer::Peer;
use crate::grpc::call::{RequestId, bearer, trace};

impl Visitor {
    /// Writes down that a call was refused: of an address that has too many once a minute, for it may go on asking.
    pub(in crate::grpc) fn tell_refused(&self, event: &str, headers: &HeaderMap, refusal: &Refusal) {
        let (source, about) = (self.source(headers), About::default());
        // Of somebody known it is their connections that are too many, and they have lines of their own.
        let is_of_address = refusal.code == ErrorCode::TooManyConnections && refusal.whose.is_none();
        match self.address_of(headers).filter(|_| is_of_address) {
            None => self.door.audit.tell_refused(event, &source, about, refusal),
            Some(address) => {
                let is_due = self.door.addresses.tells(address, Instant::now());
                self.door.audit.tell_seldom(event, &source, None, refusal.code, is_due);
            }
        }
    }

    /// Writes down that whoever a refusal names was refused.
    pub(in crate::grpc) fn tell(&self, event: &str, source: &Source, refusal: &Refusal) {
        self.door.audit.tell_refused(event, source, About::default(), refusal);
    }

    /// The address that a call counts at: the connection's, or the one that a trusted proxy names.
    pub(super) fn address_of(&self, headers: &HeaderMap) -> Option<IpAddr> {
        self.address.map(|peer| client_address(headers, peer, &self.door.trusted_proxies))
    }

    /// Where a call comes from. What it says itself is believed of bridges alone.
    pub(in crate::grpc) fn peer(&self, headers: &HeaderMap) -> Peer {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if self.is_bridge(headers) {
            let address = text(port::CLIENT_ADDRESS).and_then(|address| address.parse().ok());
            return Peer::new(address, text(port::CLIENT_AGENT), text(port::CLIENT_ORIGIN));
        }
        Peer::new(self.address_of(headers), text(USER_AGENT.as_str()), None)
    }

    /// From where a call comes, as the audit log says it.
    pub(in crate::grpc) fn source(&self, headers: &HeaderMap) -> Source {
        let ticket = bearer(headers).ok().flatten().and_then(Tickets::mark);
        let source = Source::call(RequestId::of(headers).as_str(), self.peer(headers));
        source.traced(trace(headers)).with_ticket(ticket)
    }

    /// Writes down that a call was let in, which `source` says, with a ticket.
    pub(in crate::grpc) fn tell_ticket(&self, source: &Source, admitted: &Admitted) {
        if source.ticket.is_some() {
            let who = match admitted {
                Admitted::User(caller) | Admitted::Barred(caller) => Some(Who::from(caller)),
                Admitted::Service(whose) => whose.as_deref().map(Who::from),
            };
            self.door.audit.tell_of(event::TICKET_USED, source, who, About::default(), Ok(()));
        }
    }
}
