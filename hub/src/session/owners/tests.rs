//! How many connections there may be, and whose.

use std::task::Waker;

use super::*;
use crate::domain::names::{TenantId, UserId};

fn user(name: &str) -> UserKey {
    UserKey { tenant: TenantId::parse("acme").unwrap(), user: UserId::parse(name).unwrap() }
}

fn code(result: Result<(), Refusal>) -> Option<ErrorCode> {
    result.err().map(|refusal| refusal.code)
}

fn address(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn owners(user: usize, node: usize) -> Owners {
    Owners::new(ConnectionLimits { node, user })
}

fn is_closed(present: &Present) -> bool {
    present.closer.is_closed(Waker::noop())
}

/// Connections of users and strangers, of strangers, and of services.
fn counts(owners: &Owners) -> (u64, u64, u64) {
    let figures = owners.figures();
    (figures.active, figures.unknown, figures.aside)
}

#[test]
fn a_user_has_so_many_until_they_end() {
    let owners = owners(2, 0);
    let (alice, bob) = (user("alice"), user("bob"));
    let mut held: Vec<_> = (0..4).map(|_| owners.arrive(address(1))).collect();
    assert_eq!(code(held[0].owned().is_of(&alice)), None);
    assert_eq!(code(held[0].owned().is_of(&alice)), None, "it is theirs already");
    assert_eq!(code(held[1].owned().is_of(&alice)), None);
    assert_eq!(code(held[2].owned().is_of(&alice)), Some(ErrorCode::TooManyConnections));
    assert_eq!(code(held[2].owned().is_of(&bob)), None);
    assert_eq!(code(held[2].owned().is_of(&alice)), None, "behind a proxy it is the first one's");
    drop(held.remove(0));
    assert_eq!(code(held[2].owned().is_of(&alice)), None);
    held.clear();
    assert!(owners.0.book.lock().users.is_empty() && counts(&owners) == (0, 0, 0));
}

#[test]
fn a_node_that_is_full_of_users_has_room_for_services_alone() {
    let owners = owners(0, 1);
    let first = owners.arrive(address(1));
    assert_eq!(code(first.owned().is_of(&user("alice"))), None);
    let (second, third) = (owners.arrive(address(2)), owners.arrive(address(3)));
    assert_eq!(code(second.owned().is_of(&user("bob"))), Some(ErrorCode::TooManyConnections));
    assert!(second.owned().is_too_many() && third.owned().is_too_many() && !first.owned().is_too_many());
    third.owned().is_aside();
    assert!(!third.owned().is_too_many());
    assert_eq!(counts(&owners), (1, 0, 1), "one that is one too many holds no place of others");
    drop((first, third));
    assert_eq!(code(owners.arrive(address(2)).owned().is_of(&user("bob"))), None);
    drop(second);
    assert_eq!(counts(&owners), (0, 0, 0));
}

#[test]
fn strangers_give_way_where_the_node_is_full() {
    let owners = owners(0, 4);
    let alice = owners.arrive(address(1));
    assert_eq!(code(alice.owned().is_of(&user("alice"))), None);
    let strangers: Vec<_> = [7, 8, 7].map(|n| owners.arrive(address(n))).into();
    let bob = owners.arrive(address(2));
    assert!(!bob.owned().is_too_many());
    assert_eq!(strangers.iter().map(is_closed).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(code(bob.owned().is_of(&user("bob"))), None);
    assert_eq!((counts(&owners), owners.figures().gave_way), ((4, 2, 0), 1));
    // Who is told to end has no place to take.
    let late = strangers[0].owned();
    assert_eq!(code(late.is_of(&user("mallory"))), Some(ErrorCode::TooManyConnections));
    late.is_aside();
    drop(strangers);
    assert_eq!(counts(&owners), (2, 0, 0));
    assert!(!is_closed(&alice) && !is_closed(&bob));
}

#[test]
fn those_of_services_take_no_places_of_users() {
    let owners = owners(0, 2);
    let services: Vec<_> =
        (0..5).map(|_| owners.arrive(address(1))).inspect(|s| s.owned().is_aside()).collect();
    let both = [owners.arrive(address(2)), owners.arrive(address(3))];
    assert!(both.iter().all(|present| code(present.owned().is_of(&user("alice"))).is_none()));
    assert_eq!(counts(&owners), (2, 0, 5));
    drop(services);
    assert_eq!(counts(&owners), (2, 0, 0));
}

#[test]
fn what_has_ended_counts_no_more_whoever_still_knows_it() {
    let owners = owners(1, 0);
    let (gone, next) = (owners.arrive(address(1)), owners.arrive(address(1)));
    let late = gone.owned();
    drop(gone);
    assert_eq!(code(late.is_of(&user("alice"))), None);
    assert_eq!(code(next.owned().is_of(&user("alice"))), None, "it is the only one");
}
