//! Who is counted, for how long, and how much of it is kept.

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
fn an_attempt_without_a_place_is_pending_and_may_fail() {
    let limits = AddressLimits { unauthenticated: 1, attempts_per_minute: 3 };
    let addresses = Addresses::new(Some(limits));
    let (now, here) = (Instant::now(), address("192.0.2.1"));
    let tries = || addresses.attempt_without_place(here, now);
    let held = addresses.attempt(here, now).unwrap();
    let beside = [tries().expect("places are none of it"), tries().unwrap()];
    assert_eq!(tries().err(), Some(PENDING_WAIT), "so many are pending");
    held.succeeded();
    let [good, bad] = beside;
    good.succeeded();
    drop(bad);
    let pending = [tries().unwrap(), tries().unwrap()];
    assert_eq!(addresses.attempt(here, now).err(), Some(MINUTE), "one failed, two are pending");
    // What is left when they have gone is the failure alone, and that ends.
    pending.into_iter().for_each(Attempt::succeeded);
    addresses.attempt(here, now + 2 * MINUTE).expect("it is forgotten").succeeded();
    assert!(addresses.0.as_ref().unwrap().book.lock().v4.addresses.is_empty());
}

#[test]
fn what_nobody_can_judge_is_heard_so_often_within_a_few_seconds() {
    let limits = AddressLimits { unauthenticated: 10, attempts_per_minute: 3 };
    let addresses = Addresses::new(Some(limits));
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let here = address("192.0.2.1");
    let tries = |now| {
        let mut attempt = addresses.attempt(here, now)?;
        attempt.unjudged(now);
        attempt.succeeded();
        Ok::<_, Duration>(())
    };
    for second in 0..3 {
        assert_eq!(tries(at(second * 1_000)), Ok(()));
    }
    assert_eq!(tries(at(2_500)), Err(Duration::from_millis(2_500)), "until the first is forgotten");
    addresses.attempt(address("192.0.2.2"), at(2_500)).expect("others are not concerned").succeeded();
    assert_eq!((tries(at(5_000)), tries(at(5_000))), (Ok(()), Err(Duration::from_secs(1))));
    // None of it has failed: no minute to wait, and nothing is left to know.
    assert!(!addresses.0.as_ref().unwrap().book.lock().v4.addresses.is_empty());
    addresses.attempt(here, at(10_000)).expect("it is forgotten").succeeded();
    assert!(addresses.0.unwrap().book.lock().v4.addresses.is_empty());
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
    assert_eq!(inner.book.lock().v4.addresses[&here].failed.len(), 2);
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
    assert!(addresses.0.unwrap().book.lock().v4.addresses.is_empty(), "what no limit asks for is not kept");
}

#[test]
fn addresses_without_anything_recent_are_forgotten() {
    let addresses = Addresses::new(Some(AddressLimits::default()));
    let now = Instant::now();
    let count = || addresses.0.as_ref().unwrap().book.lock().v4.addresses.len();
    for last in 0..200_u8 {
        addresses.attempt(IpAddr::from([192, 0, 2, last]), now).unwrap().succeeded();
    }
    assert_eq!(count(), 0, "of whom nothing is pending and nothing failed nothing is kept");
    for last in 0..200_u8 {
        addresses.failed(IpAddr::from([192, 0, 2, last]), now);
    }
    assert_eq!(count(), 200);
    let later = now + MINUTE;
    addresses.attempt(address("198.51.100.1"), later).unwrap().failed_at(later);
    assert_eq!(count(), 1);
}

#[test]
fn very_many_networks_of_ipv6_make_none_of_ipv4_wider() {
    let limits = AddressLimits { unauthenticated: 1, attempts_per_minute: 10 };
    let addresses = Addresses::new(Some(limits));
    let now = Instant::now();
    for number in 0..=(ADDRESSES as u32) {
        addresses.failed(IpAddr::V6(Ipv6Addr::from(u128::from(number) << 64 | 0x2001 << 112)), now);
    }
    let _held = addresses.attempt(address("192.0.2.1"), now).unwrap();
    assert!(addresses.attempt(address("192.0.2.2"), now).is_ok(), "its neighbour is another");
}

#[test]
fn what_is_tried_in_a_place_fails_beside_it() {
    let limits = AddressLimits { unauthenticated: 1, attempts_per_minute: 2 };
    let addresses = Addresses::new(Some(limits));
    let now = Instant::now();
    let mut place = addresses.attempt(address("192.0.2.1"), now).unwrap();
    for _ in 0..2 {
        assert_eq!(place.again(now), Ok(()), "its own place is none to wait for");
        place.failed_once(now);
    }
    assert_eq!(place.again(now), Err(MINUTE));
    assert_eq!(place.again(now + MINUTE), Ok(()));
    assert_eq!(addresses.attempt(address("192.0.2.1"), now + MINUTE).err(), Some(PENDING_WAIT));
    place.succeeded();
    assert!(addresses.attempt(address("192.0.2.1"), now + MINUTE).is_ok());
}

#[test]
fn who_was_refused_is_told_of_once_a_minute() {
    let addresses = Addresses::new(Some(AddressLimits::default()));
    let (here, now) = (address("192.0.2.1"), Instant::now());
    let told: Vec<_> =
        (0..60).map(|second| addresses.tells(here, now + Duration::from_secs(second))).collect();
    assert!(told[0] && told[1..].iter().all(|is_due| !is_due));
    assert!(addresses.tells(address("192.0.2.2"), now), "others are told of");
    assert!(addresses.tells(here, now + MINUTE));
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
    assert!(addresses.0.unwrap().book.lock().v6.addresses.len() <= ADDRESSES + 16);
}

#[test]
fn without_limits_everybody_may() {
    let addresses = Addresses::new(None);
    let attempts: Vec<_> =
        (0..1_000).map(|_| addresses.attempt(address("192.0.2.1"), Instant::now())).collect();
    assert!(attempts.iter().all(Result::is_ok));
}
