//! The door: whose a connection is, what it may do before somebody whom the hub knows has used it (row H5), and what of a
//! call's metadata is believed.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use carillon_net::addresses::{Addresses, Attempt};
use carillon_net::tls::Acceptor;
use carillon_proto::port;
use http::{Extensions, HeaderMap};
use parking_lot::Mutex;

use super::bodies::Bodies;
use super::connections::Place;
use crate::access::bridges::Bridges;
use crate::audit::{Trail, event};
use crate::domain::caller::{Caller, Whose};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::DENIED_CALLS;
use crate::session::Closer;
use crate::session::owners::{Owned, Owners, full};

mod keys;
mod source;
mod trial;

pub use keys::WrongKeys;
use trial::Counted;
pub(super) use trial::Trial;

/// What is asked of connections. A clone shares it; the default lets everybody in, in plain text.
#[derive(Clone, Default)]
pub struct Door {
    /// Takes handshakes; `None` for plain text.
    pub tls: Option<Acceptor>,
    /// What one address may do.
    pub addresses: Addresses,
    /// How many connections there may be, and one user have.
    pub owners: Owners,
    /// What one user's requests hold that are not whole yet.
    pub bodies: Bodies,
    /// Proxies whose `x-forwarded-for` is believed, each with its clients' calls on connections of its own.
    pub trusted_proxies: Arc<[IpAddr]>,
    /// Which bridges are believed.
    pub bridges: Arc<Bridges>,
    /// Who would be believed and shows another key.
    pub wrong_keys: WrongKeys,
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
    /// A service, and which it is where that is known: for which tenant, only the request says.
    Service(Option<Box<Whose>>),
    /// A user, who may make no such call: `PERMISSION_DENIED`.
    Barred(Caller),
}

/// One connection, as its calls see it.
#[derive(Default)]
pub(super) struct Visitor {
    door: Door,
    /// The other end, a proxy's among them.
    address: Option<IpAddr>,
    /// Whose it is, as far as that is counted.
    owned: Option<Arc<Owned>>,
    /// What its certificate names, where it showed one.
    names: Option<Vec<String>>,
    /// Its place among those that nobody known uses, until somebody known does. A call that has to show whose it is takes
    /// it for itself, and gives it back where it did not.
    place: Mutex<Option<Attempt>>,
    /// Whether somebody whom the hub knows uses it, or did. To ask what anyone may ask makes nobody known.
    known: AtomicBool,
    /// Whether anything was asked: whoever asks what anyone may ask has not failed.
    asked: AtomicBool,
    /// Whether a call on it has failed: from then on each is counted, whoever else is on it.
    suspect: AtomicBool,
    /// Whether its address has too many, and how long it has to wait: nothing is answered but that, unless it proves to be
    /// a bridge.
    turned_away: Mutex<Option<Duration>>,
    /// Its place among those that are told so, until somebody known uses it.
    told: Option<Place>,
    /// How often a call on it had no good token while its address had to wait.
    denied: AtomicU32,
    /// Closes it.
    closer: Closer,
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
        let (place, turned_away) = match attempt {
            Ok(attempt) => (Some(attempt), None),
            Err(wait) => (None, Some(wait)),
        };
        let visitor = Self {
            door,
            // As clients are counted, whichever way they are listened for.
            address: Some(address.to_canonical()),
            owned: None,
            names,
            place: Mutex::new(place),
            asked: AtomicBool::default(),
            known: AtomicBool::default(),
            suspect: AtomicBool::default(),
            turned_away: Mutex::new(turned_away),
            told: None,
            denied: AtomicU32::default(),
            closer: Closer::default(),
        };
        if visitor.has_bridge_certificate() {
            visitor.is_known();
        }
        visitor
    }

    /// The same, with its place among those that are told that they are too many, where it is one.
    pub(super) fn told(mut self, told: Option<Place>) -> Self {
        self.told = told;
        self
    }

    /// The same, of a connection that this closes.
    pub(super) fn closed_by(mut self, closer: Closer) -> Self {
        self.closer = closer;
        self
    }

    /// The same, of a connection that is counted. Where that is one too many of the node nothing is answered but that, unless
    /// it is a service's, a bridge's or a trusted proxy's.
    pub(super) fn on(mut self, owned: Arc<Owned>) -> Self {
        self.owned = Some(owned);
        // A proxy's are shared by whoever comes through it.
        if self.has_bridge_certificate() || self.address.is_some_and(|address| self.door.trusts(address)) {
            self.is_aside();
        }
        if self.owned.as_ref().is_some_and(|owned| owned.is_too_many()) {
            *self.turned_away.get_mut() = full().retry_after;
        }
        self
    }

    /// That of the connection on which a call with these extensions came.
    pub(super) fn of(extensions: &Extensions) -> Arc<Self> {
        extensions.get::<Arc<Self>>().cloned().unwrap_or_default()
    }

    /// What users' requests hold that are not whole yet.
    pub(super) fn bodies(&self) -> Bodies {
        self.door.bodies.clone()
    }

    /// A call has come, whatever it is.
    pub(super) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// The connection has ended. Where the node gave it up nobody has failed.
    pub(super) fn leaves(&self) {
        let place = self.place.lock().take();
        let is_given_up = || self.owned.as_ref().is_some_and(|owned| owned.is_given_up());
        if self.asked.load(Ordering::Relaxed) || place.is_some() && is_given_up() {
            place.into_iter().for_each(Attempt::succeeded);
        }
    }

    /// Why this call is not looked at, which asks what anyone may ask: its address has too many connections, and it is no
    /// bridge's.
    pub(super) fn turns_away(&self, headers: &HeaderMap) -> Option<Refusal> {
        let wait = (*self.turned_away.lock())?;
        if self.is_bridge(headers) {
            return None;
        }
        let refusal = too_many(wait);
        self.tell_refused(event::LIMIT, headers, &refusal);
        Some(refusal)
    }

    /// Asks who a call is of. The token is looked at first: whatever others at its address do, a good one is let in, and
    /// what the address may try is asked where there is none.
    pub(super) fn admit(
        self: &Arc<Self>,
        headers: &HeaderMap,
        ask: impl FnOnce() -> Result<Admitted, Refusal>,
    ) -> Result<Admitted, Refusal> {
        let admitted = ask();
        if self.lacks_certificate(headers, &admitted) {
            return self.judge(self.try_call(headers, || false)?, headers, admitted);
        }
        let admitted = self.owned_by(headers, admitted);
        if is_good(&admitted) {
            self.is_known();
        } else {
            self.try_call(headers, || false)?.judge(admitted.as_ref().err().map(|refusal| refusal.code));
        }
        admitted
    }

    /// The same for a call that was let try before anybody could say whose it is.
    pub(super) fn judge(
        &self,
        trial: Trial,
        headers: &HeaderMap,
        admitted: Result<Admitted, Refusal>,
    ) -> Result<Admitted, Refusal> {
        if self.lacks_certificate(headers, &admitted) {
            // Whoever has stolen the token fails as whoever has none.
            drop(trial);
            let whose = if let Ok(Admitted::Service(whose)) = admitted { whose } else { None };
            return Err(Refusal { whose, ..ErrorCode::PermissionDenied.into() });
        }
        let admitted = self.owned_by(headers, admitted);
        if is_good(&admitted) {
            trial.succeeded();
        } else {
            trial.judge(admitted.as_ref().err().map(|refusal| refusal.code));
        }
        admitted
    }

    /// What was said of who calls, unless they have too many connections: from now on this one is theirs, if it is nobody's.
    fn owned_by(
        &self,
        headers: &HeaderMap,
        admitted: Result<Admitted, Refusal>,
    ) -> Result<Admitted, Refusal> {
        let admitted = admitted?;
        if let Some(owned) = self.owned.as_ref().filter(|_| !self.is_bridge(headers)) {
            match &admitted {
                Admitted::User(caller) | Admitted::Barred(caller) => {
                    owned.is_of(&caller.key()).map_err(|refusal| refusal.of(caller.into()))?;
                }
                Admitted::Service(_) => owned.is_aside(),
            }
        }
        Ok(admitted)
    }

    /// Whether a service calls that would have to show a certificate, and shows none.
    fn lacks_certificate(&self, headers: &HeaderMap, admitted: &Result<Admitted, Refusal>) -> bool {
        matches!(admitted, Ok(Admitted::Service(_))) && self.refuses_service(headers)
    }

    /// Whether a service's token is not good on this call, which shows no certificate.
    pub(super) fn refuses_service(&self, headers: &HeaderMap) -> bool {
        self.door.services_need_certificate && !self.is_certified(headers)
    }

    /// Lets a call try; `TOO_MANY_CONNECTIONS` where its address has to wait, unless the call bears a good token
    /// (`is_good`, which is asked then alone). On a connection that somebody known uses and on which nothing has failed
    /// nobody is counted: what is common costs nothing.
    pub(super) fn try_call(
        self: &Arc<Self>,
        headers: &HeaderMap,
        is_good: impl FnOnce() -> bool,
    ) -> Result<Trial, Refusal> {
        self.asks();
        let is_bridge = self.is_bridge(headers);
        let address = self.address_of(headers).filter(|_| !is_bridge);
        let attempt = match address.map(|address| self.counts(address)) {
            None => Counted::Nowhere,
            Some(Ok(counted)) => counted,
            Some(Err(_)) if is_good() => {
                self.is_known();
                Counted::Nowhere
            }
            Some(Err(wait)) => {
                self.denies(address);
                return Err(too_many(wait));
            }
        };
        Ok(Trial { visitor: Arc::clone(self), address, attempt })
    }

    /// A call had no good token, whose check is work, and its address has to wait. After a few of them the connection is closed, and
    /// another costs its address a place; but for one that somebody known uses too, or that a proxy shares among many.
    fn denies(&self, address: Option<IpAddr>) {
        let is_own =
            address.is_some_and(|address| self.address == Some(address) && !self.door.trusts(address));
        let is_nobodys = is_own && !self.known.load(Ordering::Relaxed);
        if is_nobodys && self.denied.fetch_add(1, Ordering::Relaxed) + 1 >= DENIED_CALLS {
            self.closer.close();
        }
    }

    /// Where a call counts until it is known whose it is, or how long it has to wait.
    fn counts(&self, address: IpAddr) -> Result<Counted, Duration> {
        if let Some(wait) = *self.turned_away.lock() {
            return Err(wait);
        }
        if self.known.load(Ordering::Relaxed) && !self.suspect.load(Ordering::Relaxed) {
            return Ok(Counted::Nowhere);
        }
        let now = Instant::now();
        // That of a proxy's connection is nobody's.
        let mut place = self.place.lock();
        if let Some(mut held) = place.take_if(|_| self.address == Some(address)) {
            return match held.again(now) {
                Ok(()) => Ok(Counted::InPlace(held)),
                Err(wait) => {
                    *place = Some(held);
                    Err(wait)
                }
            };
        }
        self.door.addresses.attempt(address, now).map(Counted::Beside)
    }

    /// Whether a call comes from a bridge that has proved it, by its certificate or by the key that the call bears.
    fn is_bridge(&self, headers: &HeaderMap) -> bool {
        let shows_key =
            || headers.get(port::BRIDGE_KEY).is_some_and(|key| self.door.bridges.know_key(key.as_bytes()));
        let is_bridge = self.has_bridge_certificate() || shows_key();
        // It counts its clients itself, and its own address is none of theirs.
        if is_bridge {
            self.is_aside();
            self.is_known();
        }
        is_bridge
    }

    fn is_aside(&self) {
        self.owned.iter().for_each(|owned| owned.is_aside());
    }

    fn has_bridge_certificate(&self) -> bool {
        self.names.as_ref().is_some_and(|names| self.door.bridges.know_certificate(names))
    }

    /// Somebody known uses the connection: it counts no more.
    fn is_known(&self) {
        self.known.store(true, Ordering::Relaxed);
        if !self.owned.as_ref().is_some_and(|owned| owned.is_too_many()) {
            *self.turned_away.lock() = None;
            self.told.iter().for_each(Place::give_back);
        }
        self.place.lock().take().into_iter().for_each(Attempt::succeeded);
    }

    /// Takes back the place of a call that made nobody known, unless another has by now.
    fn takes_back(&self, held: Attempt) {
        let mut place = self.place.lock();
        if self.known.load(Ordering::Relaxed) || place.is_some() {
            held.succeeded();
        } else {
            *place = Some(held);
        }
    }

    /// Whether whoever calls has shown a certificate: it is not that of a bridge or proxy which passes on another's call.
    fn is_certified(&self, headers: &HeaderMap) -> bool {
        let passed_on = headers.contains_key(port::CLIENT_ADDRESS)
            || self.is_bridge(headers)
            || self.address.is_some_and(|address| self.door.trusts(address));
        self.names.is_some() && !passed_on
    }
}

impl Drop for Visitor {
    /// What a call gave back after the connection had ended.
    fn drop(&mut self) {
        self.leaves();
    }
}

/// Whether a token was good, whatever it is good for.
pub(super) fn is_good<T>(answer: &Result<T, Refusal>) -> bool {
    answer.as_ref().map_or_else(|refusal| refusal.code == ErrorCode::PermissionDenied, |_| true)
}

fn too_many(wait: Duration) -> Refusal {
    Refusal { retry_after: Some(wait), ..ErrorCode::TooManyConnections.into() }
}

#[cfg(test)]
mod tests;
