//! Tokens that are good no more.

use std::time::Duration;

use carillon_hub::domain::revocation::{Revocation, Revoked, Scope, TokenId};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::{Change, Store};

use crate::harness::*;

fn token(scope: Scope, id: u8, ends: Timestamp) -> Revocation {
    Revocation { scope, what: Revoked::Token { id: TokenId([id; 32]), ends } }
}

fn of_user(name: &str, before: Timestamp) -> Revocation {
    Revocation { scope: Scope::Tenant(tenant()), what: Revoked::User { user: user(name), before } }
}

async fn all<F: Fixture>(scene: &Scene<F>) -> Vec<Revocation> {
    let page = scene.store().revocations(0, 100).await.unwrap();
    assert!(!page.more);
    page.revocations
}

pub(crate) async fn are_told_kept_and_paged<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let (now, here) = (scene.setup.clock.now(), Scope::Tenant(tenant()));
    let ends = now.plus(Duration::from_secs(60));
    let service = Revoked::Service { name: user("alice"), before: now };
    let made = [
        token(here.clone(), 1, ends),
        token(Scope::Everywhere, 1, ends),
        of_user("alice", now),
        Revocation { scope: here.clone(), what: service },
        Revocation { scope: here, what: Revoked::Everybody { before: now } },
    ];
    for revocation in &made {
        scene.store().revoke(revocation.clone()).await.unwrap();
        // Before it is acknowledged.
        assert_eq!(scene.setup.sink.changes().last(), Some(&Change::Revoked(revocation.clone())));
    }
    for _ in 0..2 {
        assert_eq!(all(&scene).await, made);
        let first = scene.store().revocations(0, 3).await.unwrap();
        assert_eq!((&first.revocations[..], first.more), (&made[..3], true));
        let second = scene.store().revocations(first.last, 3).await.unwrap();
        assert_eq!((&second.revocations[..], second.more), (&made[3..], false));
        scene.reopen();
    }
}

pub(crate) async fn the_later_instant_counts<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let now = scene.setup.clock.now();
    let later = now.plus(Duration::from_secs(1));
    for revocation in [of_user("alice", later), of_user("bob", now), of_user("alice", now)] {
        scene.store().revoke(revocation).await.unwrap();
    }
    // What was repeated comes last: whoever has read up to the end finds it.
    assert_eq!(all(&scene).await, [of_user("bob", now), of_user("alice", later)]);
    scene.close_and_open().await;
    assert_eq!(all(&scene).await, [of_user("bob", now), of_user("alice", later)]);
}

pub(crate) async fn go_when_their_token_has_ended<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let (now, here) = (scene.setup.clock.now(), Scope::Tenant(tenant()));
    let soon = now.plus(Duration::from_secs(10));
    let late = now.plus(Duration::from_secs(1_000));
    for revocation in [token(here.clone(), 1, soon), of_user("alice", now), token(here.clone(), 2, late)] {
        scene.store().revoke(revocation).await.unwrap();
    }
    let last = scene.store().revocations(0, 100).await.unwrap().last;
    scene.setup.clock.advance(Duration::from_secs(11));
    let left = [of_user("alice", now), token(here.clone(), 2, late)];
    while all(&scene).await != left {
        tokio::task::yield_now().await;
    }
    // The last one's place is not given out again, though it goes.
    scene.setup.clock.advance(Duration::from_secs(1_000));
    while all(&scene).await != left[..1] {
        tokio::task::yield_now().await;
    }
    scene.reopen();
    scene.store().revoke(of_user("bob", late)).await.unwrap();
    let page = scene.store().revocations(last, 100).await.unwrap();
    assert_eq!(page.revocations, [of_user("bob", late)]);
}

pub(crate) async fn go_when_nothing_is_left_that_they_reach<F: Fixture>() {
    let kept = Duration::from_secs(100);
    let mut scene = Scene::<F>::with(Setup { revoked_for: Some(kept), ..Setup::new() });
    let (now, here) = (scene.setup.clock.now(), Scope::Tenant(tenant()));
    let of_service = |before| Revoked::Service { name: user("mailer"), before };
    let later = now.plus(Duration::from_secs(50));
    let lasting = token(here.clone(), 1, now.plus(Duration::from_secs(1_000)));
    for revocation in [
        of_user("alice", now),
        of_user("bob", later),
        Revocation { scope: here.clone(), what: of_service(now) },
        Revocation { scope: Scope::Everywhere, what: Revoked::Everybody { before: now } },
        // The later instant counts.
        of_user("carol", now),
        of_user("carol", later),
        lasting.clone(),
    ] {
        scene.store().revoke(revocation).await.unwrap();
    }
    scene.setup.clock.advance(kept - Duration::from_secs(1));
    assert_eq!(all(&scene).await.len(), 6, "as long as a token may live");
    scene.setup.clock.advance(Duration::from_secs(1));
    while all(&scene).await != [of_user("bob", later), of_user("carol", later), lasting.clone()] {
        tokio::task::yield_now().await;
    }
    scene.reopen();
    scene.setup.clock.advance(Duration::from_secs(50));
    while all(&scene).await != [lasting.clone()] {
        tokio::task::yield_now().await;
    }
}
