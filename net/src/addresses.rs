//! What one address may do before it has shown who it is: connections that have not authenticated, and attempts that
//! failed or are pending (row H5). An IPv6 network of /64 counts as one address.

use std::collections::VecDeque;
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
/// Addresses that are remembered; past that new ones are counted by a wider network.
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

#[derive(Default)]
struct Book {
    addresses: std::collections::HashMap<IpAddr, Address>,
    next_sweep: Option<Instant>,
}

#[derive(Default)]
struct Address {
    pending: usize,
    failed: VecDeque<Instant>,
}

impl Address {
    fn forget_old(&mut self, now: Instant) {
        while self.failed.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            self.failed.pop_front();
        }
    }

    /// Notes a failure. More than the limit would change nothing, and whoever fails fast would fill the memory.
    fn fail(&mut self, limits: AddressLimits, now: Instant) {
        if limits.attempts_per_minute < usize::MAX && self.failed.len() < limits.attempts_per_minute {
            self.failed.push_back(now);
        }
    }

    /// How long until one more may try; `None` where it may now.
    fn wait(&self, limits: AddressLimits, now: Instant) -> Option<Duration> {
        if self.pending >= limits.unauthenticated.min(limits.attempts_per_minute) {
            return Some(PENDING_WAIT);
        }
        let too_many = (self.pending + self.failed.len()).checked_sub(limits.attempts_per_minute)?;
        // When this one is forgotten there is room.
        let last = self.failed.get(too_many)?;
        Some(MINUTE.saturating_sub(now.duration_since(*last)).max(Duration::from_millis(1)))
    }
}

/// A connection or call that has not authenticated yet. Dropping it is a failed attempt.
#[must_use = "dropping it is a failed attempt"]
pub struct Attempt {
    inner: Option<(Arc<Inner>, IpAddr)>,
}

impl Addresses {
    /// `None` for no limit.
    pub fn new(limits: Option<AddressLimits>) -> Self {
        Self(limits.map(|limits| Arc::new(Inner { limits, book: Mutex::default() })))
    }

    /// Lets a connection of `address` try, or says how long it has to wait.
    pub fn attempt(&self, address: IpAddr, now: Instant) -> Result<Attempt, Duration> {
        let Some(inner) = &self.0 else { return Ok(Attempt::uncounted()) };
        let mut book = inner.book.lock();
        book.sweep(now);
        let address = book.counted_as(address);
        let of = book.addresses.entry(address).or_default();
        of.forget_old(now);
        if let Some(wait) = of.wait(inner.limits, now) {
            return Err(wait);
        }
        of.pending += 1;
        Ok(Attempt { inner: Some((Arc::clone(inner), address)) })
    }

    /// Notes an attempt of `address` that failed without having been asked for.
    pub fn failed(&self, address: IpAddr, now: Instant) {
        let Some(inner) = &self.0 else { return };
        let mut book = inner.book.lock();
        book.sweep(now);
        let of = book.of(address);
        of.forget_old(now);
        of.fail(inner.limits, now);
    }
}

impl Book {
    /// What an address counts as: its network, or while very many are about a wider one.
    fn counted_as(&self, address: IpAddr) -> IpAddr {
        let address = network(address);
        let known = self.addresses.len() < ADDRESSES || self.addresses.contains_key(&address);
        if known { address } else { wider(address) }
    }

    fn of(&mut self, address: IpAddr) -> &mut Address {
        let address = self.counted_as(address);
        self.addresses.entry(address).or_default()
    }

    fn sweep(&mut self, now: Instant) {
        if self.next_sweep.is_none_or(|next| now >= next) {
            let full = self.addresses.len() >= ADDRESSES;
            self.next_sweep = Some(now + if full { FULL_SWEEP } else { MINUTE });
            self.addresses.retain(|_, of| {
                of.forget_old(now);
                of.pending > 0 || !of.failed.is_empty()
            });
        }
    }
}

impl Attempt {
    /// One that counts nowhere.
    pub fn uncounted() -> Self {
        Self { inner: None }
    }

    /// It has shown who it is: it counts no more.
    pub fn succeeded(mut self) {
        if let Some((inner, address)) = self.inner.take()
            && let Some(of) = inner.book.lock().addresses.get_mut(&address)
        {
            of.pending -= 1;
        }
    }

    fn failed_at(&mut self, now: Instant) {
        if let Some((inner, address)) = self.inner.take()
            && let Some(of) = inner.book.lock().addresses.get_mut(&address)
        {
            of.pending -= 1;
            of.fail(inner.limits, now);
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
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn unauthenticated_connections_are_counted_until_they_succeed() {
        let limits = AddressLimits { unauthenticated: 2, attempts_per_minute: 100 };
        let addresses = Addresses::new(Some(limits));
        let now = Instant::now();
        let here = address("192.0.2.1");
        let first = addresses.attempt(here, now).unwrap();
        let _second = addresses.attempt(here, now).unwrap();
        assert!(addresses.attempt(here, now).is_err());
        assert!(addresses.attempt(address("192.0.2.2"), now).is_ok(), "others are not concerned");
        first.succeeded();
        assert!(addresses.attempt(here, now).is_ok());
    }

    #[test]
    fn failed_attempts_count_for_a_minute() {
        let limits = AddressLimits { unauthenticated: 10, attempts_per_minute: 3 };
        let addresses = Addresses::new(Some(limits));
        let start = Instant::now();
        let here = address("192.0.2.1");
        for second in 0..3 {
            let now = start + Duration::from_secs(second);
            addresses.attempt(here, now).unwrap().failed_at(now);
        }
        let wait = addresses.attempt(here, start + Duration::from_secs(59)).err();
        assert_eq!(wait, Some(Duration::from_secs(1)), "until the first is forgotten");
        let mut attempt =
            addresses.attempt(here, start + Duration::from_secs(60)).expect("the first is forgotten");
        attempt.failed_at(start + Duration::from_secs(60));
        let wait = addresses.attempt(here, start + Duration::from_secs(60)).err();
        assert_eq!(wait, Some(Duration::from_secs(1)), "until the second is");
    }

    #[test]
    fn pending_attempts_count_beside_failed_ones() {
        let limits = AddressLimits { unauthenticated: 3, attempts_per_minute: 4 };
        let addresses = Addresses::new(Some(limits));
        let start = Instant::now();
        let here = address("192.0.2.1");
        for second in 0..2 {
            addresses.failed(here, start + Duration::from_secs(second));
        }
        let later = start + Duration::from_secs(30);
        let held = [addresses.attempt(here, later).unwrap(), addresses.attempt(here, later).unwrap()];
        assert_eq!(addresses.attempt(here, later).err(), Some(Duration::from_secs(30)));
        let _third = addresses.attempt(here, start + MINUTE).unwrap();
        assert_eq!(addresses.attempt(here, start + MINUTE).err(), Some(PENDING_WAIT));
        held.into_iter().for_each(Attempt::succeeded);
    }

    #[test]
    fn a_network_of_64_bits_is_one_address_and_mapped_ones_are_what_they_map() {
        let addresses = Addresses::new(Some(AddressLimits { unauthenticated: 1, attempts_per_minute: 10 }));
        let now = Instant::now();
        let _held = addresses.attempt(address("2001:db8:0:1::1"), now).unwrap();
        assert!(addresses.attempt(address("2001:db8:0:1:ffff::2"), now).is_err());
        assert!(addresses.attempt(address("2001:db8:0:2::1"), now).is_ok());
        let _mapped = addresses.attempt(address("::ffff:192.0.2.1"), now).unwrap();
        assert!(addresses.attempt(address("192.0.2.1"), now).is_err());
    }

    #[test]
    fn failures_that_nobody_asked_for_count_and_are_bounded() {
        let limits = AddressLimits { unauthenticated: 10, attempts_per_minute: 3 };
        let addresses = Addresses::new(Some(limits));
        let now = Instant::now();
        let here = address("192.0.2.1");
        for _ in 0..1_000 {
            addresses.failed(here, now);
        }
        assert!(addresses.attempt(here, now).is_err());
        assert!(addresses.attempt(here, now + MINUTE).is_ok());
        addresses.failed(here, now + MINUTE);
        let inner = addresses.0.unwrap();
        assert_eq!(inner.book.lock().addresses[&here].failed.len(), 2);
    }

    #[test]
    fn settings_say_no_limit_with_zero() {
        assert_eq!(AddressLimits::of(0, 0), None);
        let only = AddressLimits::of(0, 10).unwrap();
        assert_eq!(only, AddressLimits { unauthenticated: usize::MAX, attempts_per_minute: 10 });
        let addresses = Addresses::new(AddressLimits::of(10, 0));
        let (here, now) = (address("192.0.2.1"), Instant::now());
        for _ in 0..100 {
            addresses.attempt(here, now).unwrap().failed_at(now);
        }
        let inner = addresses.0.unwrap();
        assert!(inner.book.lock().addresses[&here].failed.is_empty(), "what no limit asks for is not kept");
    }

    #[test]
    fn addresses_without_anything_recent_are_forgotten() {
        let addresses = Addresses::new(Some(AddressLimits::default()));
        let now = Instant::now();
        for last in 0..200_u8 {
            addresses.attempt(IpAddr::from([192, 0, 2, last]), now).unwrap().succeeded();
        }
        let later = now + MINUTE;
        addresses.attempt(address("198.51.100.1"), later).unwrap().failed_at(later);
        assert_eq!(addresses.0.unwrap().book.lock().addresses.len(), 1);
    }

    #[test]
    fn a_full_book_grows_no_further_to_speak_of() {
        let addresses = Addresses::new(Some(AddressLimits::default()));
        let now = Instant::now();
        for number in 0..(ADDRESSES as u32 + 50_000) {
            let address = IpAddr::V6(Ipv6Addr::from(u128::from(number) << 64 | 0x2001 << 112));
            if let Ok(mut attempt) = addresses.attempt(address, now) {
                attempt.failed_at(now);
            }
        }
        assert!(addresses.0.unwrap().book.lock().addresses.len() <= ADDRESSES + 16);
    }

    #[test]
    fn without_limits_everybody_may() {
        let addresses = Addresses::new(None);
        let attempts: Vec<_> =
            (0..1_000).map(|_| addresses.attempt(address("192.0.2.1"), Instant::now())).collect();
        assert!(attempts.iter().all(Result::is_ok));
    }
}
