//! The door: whose a connection is, what it may do before somebody whom the hub knows has used it (row H5), and what of a
//! call's metadata is believed.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carillon_net::addresses::{Addresses, Attempt};
use carillon_net::forwarded::client_address;
use carillon_net::tls::Acceptor;
use carillon_proto::port;
use http::header::USER_AGENT;
use http::{Extensions, HeaderMap};
use parking_lot::Mutex;

use super::call::RequestId;
use super::errors::wire;
use crate::access::bridges::Bridges;
use crate::audit::{About, Source, Trail, event};
use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::peer::Peer;

/// What is asked of connections. A clone shares it; the default lets everybody in, in plain text.
#[derive(Clone, Default)]
pub struct Door {
    /// Takes handshakes; `None` for plain text.
    pub tls: Option<Acceptor>,
    /// What one address may do.
    pub addresses: Addresses,
    /// Proxies whose `x-forwarded-for` is believed, each with its clients' calls on connections of its own.
    pub trusted_proxies: Arc<[IpAddr]>,
    /// Which bridges are believed.
    pub bridges: Arc<Bridges>,
    /// Whether a service's token is good on connections with a verified certificate alone.
    pub services_need_certificate: bool,
    /// Where it is written down who is turned away.
    pub audit: Trail,
}

impl Door {
    /// Counts a connection at its address, or says how long it has to wait. Those of trusted proxies are nobody's.
    pub(super) fn arrival(&self, address: IpAddr) -> Result<Attempt, Duration> {
        if self.trusts(address) {
            return Ok(Attempt::uncounted());
        }
        self.addresses.attempt(address, Instant::now())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.contains(&address.to_canonical())
    }
}

/// Who a call is of, as far as its headers say.
#[derive(Clone, Debug)]
pub(super) enum Admitted {
    /// A user.
    User(Caller),
    /// A service: for which tenant, only the request says.
    Service,
}

/// One connection, as its calls see it.
#[derive(Default)]
pub(super) struct Visitor {
    door: Door,
    /// The other end, a proxy's among them.
    address: Option<IpAddr>,
    /// What its certificate names, where it showed one.
    names: Option<Vec<String>>,
    /// Until the first call that is counted by itself.
    silent: Mutex<Option<Attempt>>,
    /// Whether anything was asked: whoever asks what anyone may ask has not failed.
    asked: AtomicBool,
    /// Whether a call on it has failed: from then on each is counted, whoever else is on it.
    suspect: AtomicBool,
    /// Whether its address has too many, and how long it has to wait: nothing is answered but that, unless it proves to be
    /// a bridge.
    turned_away: Mutex<Option<Duration>>,
}

impl Visitor {
    /// A connection from `address`, whose place among those that have not authenticated is `attempt`, or how long it has
    /// to wait for one. `names` are those of its certificate.
    pub(super) fn new(
        door: Door,
        address: IpAddr,
        attempt: Result<Attempt, Duration>,
        names: Option<Vec<String>>,
    ) -> Self {
        let (silent, turned_away) = match attempt {
            Ok(attempt) => (Some(attempt), None),
            Err(wait) => (None, Some(wait)),
        };
        let visitor = Self {
            door,
            address: Some(address),
            names,
            silent: Mutex::new(silent),
            turned_away: Mutex::new(turned_away),
            ..Self::default()
        };
        if visitor.has_bridge_certificate() {
            visitor.is_a_bridge();
        }
        visitor
    }

    /// That of the connection on which a call with these extensions came.
    pub(super) fn of(extensions: &Extensions) -> Arc<Self> {
        extensions.get::<Arc<Self>>().cloned().unwrap_or_default()
    }

    /// A call has come, whatever it is.
    pub(super) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// The connection has ended.
    pub(super) fn leaves(&self) {
        let silent = self.silent.lock().take();
        if self.asked.load(Ordering::Relaxed) {
            silent.into_iter().for_each(Attempt::succeeded);
        }
    }

    /// Why this call is not looked at: its address has too many connections, and it is no bridge's.
    pub(super) fn turns_away(&self, headers: &HeaderMap) -> Option<Refusal> {
        let wait = (*self.turned_away.lock())?;
        if self.is_bridge(headers) {
            return None;
        }
        let refusal = too_many(wait);
        let refused = Err(refusal.code);
        self.door.audit.tell(event::LIMIT, &self.source(headers), None, About::default(), refused);
        Some(refusal)
    }

    /// Asks who a call is of, within what its address may try.
    pub(super) fn admit(
        self: &Arc<Self>,
        headers: &HeaderMap,
        is_settled: bool,
        ask: impl FnOnce() -> Result<Admitted, Refusal>,
    ) -> Result<Admitted, Refusal> {
        let trial = self.try_call(headers, is_settled)?;
        let admitted = ask();
        trial.judge(admitted.as_ref().err().map(|refusal| refusal.code));
        let needs = self.door.services_need_certificate && matches!(admitted, Ok(Admitted::Service));
        if needs && !self.is_certified(headers) { Err(ErrorCode::PermissionDenied.into()) } else { admitted }
    }

    /// Lets a call try; `TOO_MANY_CONNECTIONS` where its address has to wait. On a connection that somebody known uses
    /// (`is_settled`) and on which nothing has failed nobody is counted: what is common costs nothing.
    pub(super) fn try_call(
        self: &Arc<Self>,
        headers: &HeaderMap,
        is_settled: bool,
    ) -> Result<Trial, Refusal> {
        let is_bridge = self.is_bridge(headers);
        self.silent.lock().take().into_iter().for_each(Attempt::succeeded);
        let counted = !is_bridge && (!is_settled || self.suspect.load(Ordering::Relaxed));
        let address = self.address_of(headers).filter(|_| !is_bridge);
        let attempt = match address.filter(|_| counted) {
            Some(address) => Some(self.door.addresses.attempt(address, Instant::now()).map_err(too_many)?),
            None => None,
        };
        Ok(Trial { visitor: Arc::clone(self), address, attempt })
    }

    /// The address that a call counts at: the connection's, or the one that a trusted proxy names.
    fn address_of(&self, headers: &HeaderMap) -> Option<IpAddr> {
        self.address.map(|peer| client_address(headers, peer, &self.door.trusted_proxies))
    }

    /// Where a call comes from. What it says itself is believed of bridges alone.
    pub(super) fn peer(&self, headers: &HeaderMap) -> Peer {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if self.is_bridge(headers) {
            let address = text(port::CLIENT_ADDRESS).and_then(|address| address.parse().ok());
            return Peer::new(address, text(port::CLIENT_AGENT), text(port::CLIENT_ORIGIN));
        }
        Peer::new(self.address_of(headers), text(USER_AGENT.as_str()), None)
    }

    /// From where a call comes, as the audit log says it.
    pub(super) fn source(&self, headers: &HeaderMap) -> Source {
        Source::call(RequestId::of(headers).as_str(), self.peer(headers))
    }

    /// Whether a call comes from a bridge that has proved it, by its certificate or by the key that the call bears.
    fn is_bridge(&self, headers: &HeaderMap) -> bool {
        let shows_key =
            || headers.get(port::BRIDGE_KEY).is_some_and(|key| self.door.bridges.know_key(key.as_bytes()));
        let is_bridge = self.has_bridge_certificate() || shows_key();
        if is_bridge {
            self.is_a_bridge();
        }
        is_bridge
    }

    fn has_bridge_certificate(&self) -> bool {
        self.names.as_ref().is_some_and(|names| self.door.bridges.know_certificate(names))
    }

    /// A bridge counts its clients itself, and its own address is none of theirs.
    fn is_a_bridge(&self) {
        *self.turned_away.lock() = None;
        self.silent.lock().take().into_iter().for_each(Attempt::succeeded);
    }

    /// Whether whoever calls has shown a certificate: it is not that of a bridge or proxy which passes on another's call.
    fn is_certified(&self, headers: &HeaderMap) -> bool {
        let passed_on = headers.contains_key(port::CLIENT_ADDRESS)
            || self.is_bridge(headers)
            || self.address.is_some_and(|address| self.door.trusts(address));
        self.names.is_some() && !passed_on
    }
}

/// A call of which it is not known yet whose it is. Dropping it is a failure, as far as it is counted.
pub(super) struct Trial {
    visitor: Arc<Visitor>,
    /// Where its failure counts; `None` for a bridge's.
    address: Option<IpAddr>,
    attempt: Option<Attempt>,
}

impl Trial {
    /// It is known whose it is.
    pub(super) fn succeeded(self) {
        self.attempt.into_iter().for_each(Attempt::succeeded);
    }

    /// What came of it. Only those have failed who cannot say who they are.
    pub(super) fn judge(self, refused: Option<ErrorCode>) {
        let Some(address) = self.address else { return self.succeeded() };
        if refused.is_none_or(|code| wire(code).http != UNAUTHENTICATED) {
            return self.succeeded();
        }
        self.visitor.suspect.store(true, Ordering::Relaxed);
        if self.attempt.is_none() {
            self.visitor.door.addresses.failed(address, Instant::now());
        }
    }
}

/// The HTTP status of codes that say that nobody known calls.
const UNAUTHENTICATED: u16 = 401;

fn too_many(wait: Duration) -> Refusal {
    Refusal { retry_after: Some(wait), ..ErrorCode::TooManyConnections.into() }
}

#[cfg(test)]
mod tests;
