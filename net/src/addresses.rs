//! What one address may do before it has shown who it is: connections that have not authenticated, and attempts that
//! failed or are pending (row H5). An IPv6 network of /64 counts as one address.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Limits of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// Connections at once that have not authenticated.
    pub unauthenticated: usize,
    /// Attempts that failed within a minute, or are pending.
    pub attempts_per_minute: usize,
}

impl AddressLimits {
    /// As settings say it, 0 for no limit; `None` where there is none at all.
    pub fn of(unauthenticated: usize, attempts_per_minute: usize) -> Option<Self> {
        let or_none = |limit: usize| if limit == 0 { usize::MAX } else { limit };
        (unauthenticated > 0 || attempts_per_minute > 0).then(|| Self {
            unauthenticated: or_none(unauthenticated),
            attempts_per_minute: or_none(attempts_per_minute),
        })
    }
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self { unauthenticated: 10, attempts_per_minute: 10 }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Whoever finds too many pending may try again after this long: nobody knows when those have shown who they are.
const PENDING_WAIT: Duration = Duration::from_secs(5);
/// Addresses of IPv4, and as many of IPv6, that are remembered; past that new ones are counted by a wider network.
const ADDRESSES: usize = 100_000;
/// How often a full book is looked through.
const FULL_SWEEP: Duration = Duration::from_secs(5);

/// What is known of all addresses. A clone shares it; the default limits nobody.
#[derive(Clone, Default)]
pub struct Addresses(Option<Arc<Inner>>);

struct Inner {
    limits: AddressLimits,
    book: Mutex<Book>,
}

/// Each kind has room of its own: whoever has very many networks of IPv6 makes nothing wider for those of IPv4.
#[derive(Default)]
struct Book {
    v4: Addressed,
    v6: Addressed,
}

/// Addresses of one kind.
#[derive(Default)]
struct Addressed {
    addresses: HashMap<IpAddr, Address>,
    next_sweep: Option<Instant>,
}

#[derive(Default)]
struct Address {
    /// Places held, those among them whose attempt has failed.
    places: usize,
    /// Places whose attempt has not ended.
    pending: usize,
    failed: VecDeque<Instant>,
    /// Attempts of which nobody could say whether they were good: see [`Attempt::unjudged`].
    unjudged: VecDeque<Instant>,
    /// When it was last written down that one was refused.
    told: Option<Instant>,
}

impl Address {
    fn forget_old(&mut self, now: Instant) {
        while self.failed.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            self.failed.pop_front();
        }
        while self.unjudged.front().is_some_and(|at| now.duration_since(*at) >= PENDING_WAIT) {
            self.unjudged.pop_front();
        }
    }

    fn is_blank(&self) -> bool {
        (self.places, self.pending) == (0, 0)
            && self.failed.is_empty()
            && self.unjudged.is_empty()
            && self.told.is_none()
    }

    /// Notes a failure. More than the limit would change nothing, and whoever fails fast would fill the memory.
    fn fail(&mut self, limits: AddressLimits, now: Instant) {
        if limits.attempts_per_minute < usize::MAX && self.failed.len() < limits.attempts_per_minute {
            self.failed.push_back(now);
        }
    }

    /// How long until one more may try in a place of its own; `None` where it may now.
    fn wait(&self, limits: AddressLimits, now: Instant) -> Option<Duration> {
        if self.places >= limits.unauthenticated { Some(PENDING_WAIT) } else { self.wait_to_try(limits, now) }
    }

    /// The same of one that needs no place.
    fn wait_to_try(&self, limits: AddressLimits, now: Instant) -> Option<Duration> {
        if self.pending >= limits.attempts_per_minute {
            return Some(PENDING_WAIT);
        }
        // When the one at that place is forgotten there is room.
        let until = |times: &VecDeque<Instant>, others: usize, kept: Duration| {
            let too_many = (others + times.len()).checked_sub(limits.attempts_per_minute)?;
            let last = times.get(too_many)?;
            Some(kept.saturating_sub(now.duration_since(*last)).max(Duration::from_millis(1)))
        };
        until(&self.failed, self.pending, MINUTE).max(until(&self.unjudged, 0, PENDING_WAIT))
    }
}

/// A connection or call that has not authenticated yet. Dropping it is a failed attempt, unless that was noted before.
#[must_use = "dropping it is a failed attempt"]
pub struct Attempt {
    inner: Option<(Arc<Inner>, IpAddr)>,
    /// Whether it holds a place among those that have not authenticated.
    has_place: bool,
    /// Whether its last attempt was noted as failed: then it holds its place and nothing is pending.
    has_failed: bool,
}

impl Addresses {
    /// `None` for no limit.
    pub fn new(limits: Option<AddressLimits>) -> Self {
        Self(limits.map(|limits| Arc::new(Inner { limits, book: Mutex::default() })))
    }

    /// Lets a connection of `address` try, or says how long it has to wait.
    pub fn attempt(&self, address: IpAddr, now: Instant) -> Result<Attempt, Duration> {
        self.begin(address, now, true)
    }

    /// The same of an attempt on a connection that is not among those which have not authenticated.
    pub fn attempt_without_place(&self, address: IpAddr, now: Instant) -> Result<Attempt, Duration> {
        self.begin(address, now, false)
    }

    fn begin(&self, address: IpAddr, now: Instant, has_place: bool) -> Result<Attempt, Duration> {
        let Some(inner) = &self.0 else { return Ok(Attempt::uncounted()) };
        let address = network(address);
        let mut book = inner.book.lock();
        let known = book.of_kind(address);
        known.sweep(now);
        let address = known.counted_as(address);
        let of = known.addresses.entry(address).or_default();
        of.forget_old(now);
        let wait = if has_place { of.wait(inner.limits, now) } else { of.wait_to_try(inner.limits, now) };
        if let Some(wait) = wait {
            return Err(wait);
        }
        of.places += usize::from(has_place);
        of.pending += 1;
        Ok(Attempt { inner: Some((Arc::clone(inner), address)), has_place, has_failed: false })
    }

    /// Notes an attempt of `address` that failed without having been asked for.
    pub fn failed(&self, address: IpAddr, now: Instant) {
        let Some(inner) = &self.0 else { return };
        inner.with(network(address), now, |of| of.fail(inner.limits, now));
    }

    /// Whether it is written down that one of `address` was refused, which is once a minute.
    pub fn tells(&self, address: IpAddr, now: Instant) -> bool {
        let Some(inner) = &self.0 else { return true };
        inner.with(network(address), now, |of| {
            let is_due = of.told.is_none_or(|at| now.duration_since(at) >= MINUTE);
            if is_due {
                of.told = Some(now);
            }
            is_due
        })
    }
}

impl Inner {
    /// Does something with what is known of an address.
    fn with<T>(&self, address: IpAddr, now: Instant, act: impl FnOnce(&mut Address) -> T) -> T {
        let mut book = self.book.lock();
        let known = book.of_kind(address);
        known.sweep(now);
        let address = known.counted_as(address);
        let of = known.addresses.entry(address).or_default();
        of.forget_old(now);
        act(of)
    }
}

impl Book {
    fn of_kind(&mut self, address: IpAddr) -> &mut Addressed {
        if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 }
    }
}

impl Addressed {
    /// What a network counts as: itself, or while very many are about a wider one.
    fn counted_as(&self, network: IpAddr) -> IpAddr {
        let known = self.addresses.len() < ADDRESSES || self.addresses.contains_key(&network);
        if known { network } else { wider(network) }
    }

    fn sweep(&mut self, now: Instant) {
        if self.next_sweep.is_none_or(|next| now >= next) {
            let full = self.addresses.len() >= ADDRESSES;
            self.next_sweep = Some(now + if full { FULL_SWEEP } else { MINUTE });
            self.addresses.retain(|_, of| {
                of.forget_old(now);
                of.told = of.told.filter(|at| now.duration_since(*at) < MINUTE);
                !of.is_blank()
            });
        }
    }
}

impl Attempt {
    /// One that counts nowhere.
    pub fn uncounted() -> Self {
        Self { inner: None, has_place: false, has_failed: false }
    }

    /// It has shown who it is: it counts no more.
    pub fn succeeded(mut self) {
        self.ends(|_, _| {});
    }

    /// Tries once more in the place that it holds, or says how long that has to wait.
    pub fn again(&mut self, now: Instant) -> Result<(), Duration> {
        let Some((inner, address)) = &self.inner else { return Ok(()) };
        let mut book = inner.book.lock();
        let Some(of) = book.of_kind(*address).addresses.get_mut(address) else { return Ok(()) };
        of.forget_old(now);
        // Its own place is none that it has to wait for.
        let held = (of.places, of.pending);
        of.places -= usize::from(self.has_place);
        of.pending -= usize::from(!self.has_failed);
        let wait = of.wait(inner.limits, now);
        (of.places, of.pending) = held;
        if let Some(wait) = wait {
            return Err(wait);
        }
        of.pending += usize::from(self.has_failed);
        self.has_failed = false;
        Ok(())
    }

    /// Notes that nobody could say whether it was good, since keys to check it with are away. It has not failed, and those
    /// who come back in their thousands when the keys do find no minute to wait; but so many of an address are heard in a
    /// few seconds and no more, for anybody can make such.
    pub fn unjudged(&mut self, now: Instant) {
        if let Some((inner, address)) = &self.inner
            && let Some(of) = inner.book.lock().of_kind(*address).addresses.get_mut(address)
        {
            of.forget_old(now);
            let limit = inner.limits.attempts_per_minute;
            if limit < usize::MAX && of.unjudged.len() < limit {
                of.unjudged.push_back(now);
            }
        }
    }

    /// Notes that it has failed, and keeps the place.
    pub fn failed_once(&mut self, now: Instant) {
        if let Some((inner, address)) = &self.inner
            && !self.has_failed
            && let Some(of) = inner.book.lock().of_kind(*address).addresses.get_mut(address)
        {
            of.forget_old(now);
            of.fail(inner.limits, now);
            of.pending -= 1;
            self.has_failed = true;
        }
    }

    fn failed_at(&mut self, now: Instant) {
        let has_failed = self.has_failed;
        self.ends(|of, limits| {
            if !has_failed {
                of.fail(limits, now);
            }
        });
    }

    /// Gives its place back. An address of which nothing is left to know takes no room.
    fn ends(&mut self, note: impl FnOnce(&mut Address, AddressLimits)) {
        let Some((inner, address)) = self.inner.take() else { return };
        let mut book = inner.book.lock();
        let known = book.of_kind(address);
        if let Some(of) = known.addresses.get_mut(&address) {
            of.places -= usize::from(self.has_place);
            of.pending -= usize::from(!self.has_failed);
            note(of, inner.limits);
            if of.is_blank() {
                known.addresses.remove(&address);
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.failed_at(Instant::now());
    }
}

/// The address as limits count it: an IPv6 network of /64 is one, and a mapped IPv4 address is what it maps.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// What new addresses count as while very many are about: /16 of IPv4, /32 of IPv6, as providers have them.
fn wider(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            IpAddr::from([a, b, 0, 0])
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests;
