//! Buckets of users, of namespaces and of whole tenants.

use super::*;
use crate::domain::revocation::TokenMark;
use crate::domain::time::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

fn caller(user: &str, service: bool) -> Caller {
    Caller {
        tenant: TenantId::parse("acme").unwrap(),
        user: UserId::parse(user).unwrap(),
        service,
        cross_tenant: false,
        expires: Timestamp(0),
        token: TokenMark::default(),
        powers: crate::domain::powers::Powers::default(),
    }
}

fn limiter() -> Limiter {
    let rates = Rates::default().with(Limited::Send, Some(Rate::new(2, SECOND)));
    let own = |rate| FxHashMap::from_iter([(Limited::Send, rate)]);
    let (busy, free) = (own(Some(Rate::new(1, SECOND))), own(None));
    Limiter::new(rates, vec![("busy".to_owned(), busy), ("free".to_owned(), free)])
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

#[test]
fn each_user_and_kind_has_a_bucket_of_its_own() {
    let limiter = limiter();
    let (alice, bob, service) = (caller("alice", false), caller("bob", false), caller("alice", true));
    let take = |who: &Caller, at| limiter.check(who, Limited::Send, Some(&room("quiet:1")), Moment(at));
    assert!(take(&alice, 1).is_ok() && take(&alice, 1).is_ok());
    let refused = take(&alice, 1).unwrap_err();
    assert_eq!((refused.code, refused.retry_after), (ErrorCode::RateLimited, Some(SECOND)));
    assert!(take(&bob, 1).is_ok() && take(&service, 1).is_ok());
    assert!(limiter.check(&alice, Limited::Edit, None, Moment(1)).is_ok(), "without a rate");
    assert!(take(&alice, 1_001).is_ok());
    assert_eq!(limiter.refused(&alice.tenant), [(Limited::Send, 1)]);
}

#[test]
fn a_namespace_may_have_a_rate_of_its_own() {
    let limiter = limiter();
    let alice = caller("alice", false);
    let take = |name: &str| limiter.check(&alice, Limited::Send, Some(&room(name)), Moment(1)).is_ok();
    assert!((0..10).all(|_| take("free:1")));
    assert_eq!([take("busy:1"), take("busy:2"), take("quiet:1"), take("quiet:1")], [true, false, true, true]);
    let level = |namespace: Option<&str>, left, burst| Level {
        kind: Limited::Send,
        namespace: namespace.map(str::to_owned),
        left,
        burst,
    };
    let levels = limiter.levels(Some(&alice.tenant), &alice.user, Moment(1));
    assert_eq!(levels, [level(None, 0, 2), level(Some("busy"), 0, 1)]);
    assert_eq!(limiter.reset(Some(&alice.tenant), &alice.user, Moment(1)), 2);
    assert!(limiter.levels(Some(&alice.tenant), &alice.user, Moment(1)).is_empty());
    assert!(take("busy:1"));
}

#[test]
fn what_is_full_again_is_dropped() {
    let limiter = limiter();
    for user in 0..100 {
        let caller = caller(&format!("user-{user}"), false);
        assert!(limiter.check(&caller, Limited::Send, None, Moment(1)).is_ok());
    }
    let kept = |limiter: &Limiter| limiter.shards.iter().map(|s| s.lock().buckets.len()).sum::<usize>();
    assert_eq!(kept(&limiter), 100);
    assert_eq!(limiter.buckets(&caller("x", false).tenant, Moment(1)), 100);
    for user in 0..200 {
        let caller = caller(&format!("other-{user}"), false);
        assert!(limiter.check(&caller, Limited::Send, None, Moment(60_000)).is_ok());
    }
    assert_eq!(kept(&limiter), 200);
}

#[test]
fn all_of_a_tenant_share_a_bucket_of_its_own() {
    let rates = Rates::default().with(Limited::TenantMessages, Some(Rate::new(2, SECOND)));
    let limiter = Limiter::new(rates, Vec::new());
    let [acme, other] = ["acme", "other"].map(|tenant| TenantId::parse(tenant).unwrap());
    let take = |tenant, at| limiter.check_tenant(tenant, Moment(at)).map_err(|refusal| refusal.retry_after);
    let left = |at| limiter.tenant_level(&acme, Moment(at)).map(|level| (level.left, level.burst));
    assert_eq!(left(1), Some((2, 2)));
    assert_eq!((take(&acme, 1), take(&acme, 1), take(&acme, 1)), (Ok(()), Ok(()), Err(Some(SECOND))));
    assert_eq!((take(&other, 1), left(1)), (Ok(()), Some((0, 2))));
    limiter.give_back(&acme);
    assert_eq!((left(1), take(&acme, 1), take(&acme, 1)), (Some((1, 2)), Ok(()), Err(Some(SECOND))));
    assert_eq!(take(&acme, 1_001), Ok(()));
    assert_eq!(limiter.refused(&acme), [(Limited::TenantMessages, 2)]);
    let user = UserId::parse("alice").unwrap();
    assert!(limiter.levels(Some(&acme), &user, Moment(1)).is_empty(), "nobody's own");
    assert_eq!((limiter.reset(Some(&acme), &user, Moment(1)), left(1_001)), (0, Some((0, 2))));
}

#[test]
fn a_service_for_several_tenants_has_one_bucket() {
    let rates = Rates::default().with(Limited::Service, Some(Rate::new(2, SECOND)));
    let limiter = Limiter::new(rates, Vec::new());
    let name = UserId::parse("ops").unwrap();
    let [acme, other] = ["acme", "other"].map(|tenant| TenantId::parse(tenant).unwrap());
    let of = |tenant, is_for_several| Identity::new(Some(tenant), &name, true, is_for_several);
    let take = |service: Identity| limiter.check_request(&service, Moment(1)).is_ok();
    assert!(take(of(&acme, true)) && take(of(&other, true)) && !take(of(&acme, true)));
    // Those of its name that are for one have theirs.
    assert!([&acme, &acme, &other].into_iter().all(|tenant| take(of(tenant, false))));
    assert!(!take(of(&acme, false)));
    assert_eq!(
        limiter.refused(&acme),
        [(Limited::Service, 1)],
        "what was refused for several is in no figures"
    );
    let left = |tenant| limiter.levels(tenant, &name, Moment(1)).iter().map(|level| level.left).sum::<u32>();
    assert_eq!((left(None), left(Some(&acme)), left(Some(&other))), (0, 0, 1));
    assert_eq!(limiter.reset(None, &name, Moment(1)), 1);
    assert!(take(of(&other, true)) && !take(of(&acme, false)));
}
