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

impl Default for AddressLimits {
    fn default() -> Self {
        Self { unauthenticated: 10, attempts_per_minute: 10 }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are remembered; past that new ones are counted by a wider network.
const ADDRESSES: usize = 100_000;
/// How often a full book is looked through.
const FULL_SWEEP: Duration = Duration::from_secs(5);

/// What is known of all addresses. A clone shares it.
#[derive(Clone)]
pub(crate) struct Addresses(Option<Arc<Inner>>);

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
}

/// A connection that has not authenticated yet. Dropping it is a failed attempt.
pub(crate) struct Attempt {
    inner: Option<(Arc<Inner>, IpAddr)>,
}

impl Addresses {
    /// `None` for no limit.
    pub(crate) fn new(limits: Option<AddressLimits>) -> Self {
        Self(limits.map(|limits| Arc::new(Inner { limits, book: Mutex::default() })))
    }

    /// Lets a connection of `address` try; `None` where it has to wait.
    pub(crate) fn attempt(&self, address: IpAddr, now: Instant) -> Option<Attempt> {
        let Some(inner) = &self.0 else { return Some(Attempt { inner: None }) };
        let mut book = inner.book.lock();
        book.sweep(now);
        let mut address = network(address);
        if book.addresses.len() >= ADDRESSES && !book.addresses.contains_key(&address) {
            address = wider(address);
        }
        let of = book.addresses.entry(address).or_default();
        of.forget_old(now);
        let limits = inner.limits;
        if of.pending >= limits.unauthenticated || of.pending + of.failed.len() >= limits.attempts_per_minute
        {
            return None;
        }
        of.pending += 1;
        Some(Attempt { inner: Some((Arc::clone(inner), address)) })
    }
}

impl Book {
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
    /// It has shown who it is: it counts no more.
    pub(crate) fn succeeded(mut self) {
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
            of.failed.push_back(now);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.failed_at(Instant::now());
    }
}

/// The address as limits count it.
fn network(address: IpAddr) -> IpAddr {
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
        assert!(addresses.attempt(here, now).is_none());
        assert!(addresses.attempt(address("192.0.2.2"), now).is_some(), "others are not concerned");
        first.succeeded();
        assert!(addresses.attempt(here, now).is_some());
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
        assert!(addresses.attempt(here, start + Duration::from_secs(59)).is_none());
        let mut attempt =
            addresses.attempt(here, start + Duration::from_secs(60)).expect("the first is forgotten");
        attempt.failed_at(start + Duration::from_secs(60));
        assert!(addresses.attempt(here, start + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn a_network_of_64_bits_is_one_address_and_mapped_ones_are_what_they_map() {
        let addresses = Addresses::new(Some(AddressLimits { unauthenticated: 1, attempts_per_minute: 10 }));
        let now = Instant::now();
        let _held = addresses.attempt(address("2001:db8:0:1::1"), now).unwrap();
        assert!(addresses.attempt(address("2001:db8:0:1:ffff::2"), now).is_none());
        assert!(addresses.attempt(address("2001:db8:0:2::1"), now).is_some());
        let _mapped = addresses.attempt(address("::ffff:192.0.2.1"), now).unwrap();
        assert!(addresses.attempt(address("192.0.2.1"), now).is_none());
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
            if let Some(mut attempt) = addresses.attempt(address, now) {
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
        assert!(attempts.iter().all(Option::is_some));
    }
}
