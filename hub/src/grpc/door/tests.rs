//! Who is counted, and who is believed.

use carillon_net::addresses::AddressLimits;
use http::HeaderValue;

use super::*;
use crate::domain::names::{TenantId, UserId};
use crate::domain::peer::Peer;
use crate::session::owners::{ConnectionLimits, Present};

const HERE: &str = "192.0.2.1";

fn door(key: Option<&[u8]>) -> Door {
    let limits = AddressLimits { unauthenticated: 3, attempts_per_minute: 4 };
    let bridges = Arc::new(Bridges::new(key, vec!["bridge.internal".to_owned()]));
    Door { addresses: Addresses::new(Some(limits)), bridges, ..Door::default() }
}

fn enter(door: &Door, names: Option<&[&str]>) -> Arc<Visitor> {
    let address = HERE.parse().unwrap();
    let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let attempt = door.arrival(address);
    Arc::new(Visitor::new(door.clone(), address, attempt, names))
}

fn alice() -> Caller {
    Caller {
        tenant: TenantId::parse("acme").unwrap(),
        user: UserId::parse("alice").unwrap(),
        service: false,
        cross_tenant: false,
        expires: crate::domain::time::Timestamp(0),
        token: crate::domain::revocation::TokenMark::default(),
        powers: crate::domain::powers::Powers::default(),
    }
}

fn alice_as_service() -> Whose {
    Whose { service: true, ..(&alice()).into() }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

fn bad() -> Result<Admitted, Refusal> {
    Err(ErrorCode::InvalidToken.into())
}

fn code(refused: Option<Refusal>) -> Option<ErrorCode> {
    refused.map(|refusal| refusal.code)
}

#[test]
fn an_address_has_so_many_connections_that_nobody_known_uses() {
    let (door, none) = (door(None), HeaderMap::new());
    let held: Vec<_> = (0..3).map(|_| enter(&door, None)).collect();
    let fourth = enter(&door, None);
    assert_eq!(code(fourth.turns_away(&none)), Some(ErrorCode::TooManyConnections));
    assert!(held.iter().all(|visitor| visitor.turns_away(&none).is_none()));
    held[0].admit(&none, || Ok(Admitted::Service(None))).unwrap();
    assert_eq!(code(enter(&door, None).turns_away(&none)), None, "one is known");
}

#[test]
fn what_nobody_can_judge_is_heard_so_often_and_a_good_token_always() {
    let (door, none) = (door(None), HeaderMap::new());
    let (away, many) = (ErrorCode::Unavailable, ErrorCode::TooManyConnections);
    let visitor = enter(&door, None);
    let unjudged = || Err(ErrorCode::Unavailable.into());
    let codes: Vec<_> = (0..6).map(|_| visitor.admit(&none, unjudged).unwrap_err().code).collect();
    assert_eq!(codes, [away, away, away, away, many, many]);
    // On another connection too.
    let another = enter(&door, None);
    assert_eq!(code(another.turns_away(&none)), Some(many));
    visitor.admit(&none, || Ok(Admitted::Service(None))).expect("the keys are here again");
}

#[test]
fn failures_count_also_where_somebody_known_is_on_the_connection() {
    let none = HeaderMap::new();
    let (invalid, many) = (ErrorCode::InvalidToken, ErrorCode::TooManyConnections);
    for is_known in [false, true] {
        let door = door(None);
        let visitor = enter(&door, None);
        if is_known {
            visitor.admit(&none, || Ok(Admitted::Service(None))).unwrap();
        }
        let codes: Vec<_> = (0..6).map(|_| visitor.admit(&none, bad).unwrap_err().code).collect();
        assert_eq!(codes, [invalid, invalid, invalid, invalid, many, many]);
    }
}

#[test]
fn a_good_token_is_let_in_whatever_others_at_its_address_do() {
    let (door, none) = (door(None), HeaderMap::new());
    let before = enter(&door, None);
    let suspect = enter(&door, None);
    assert_eq!(suspect.admit(&none, bad).unwrap_err().code, ErrorCode::InvalidToken);
    (0..3).for_each(|_| door.addresses.failed(HERE.parse().unwrap(), Instant::now()));
    for visitor in [&before, &suspect, &enter(&door, None)] {
        assert_eq!(visitor.admit(&none, bad).unwrap_err().code, ErrorCode::TooManyConnections);
        assert_eq!(code(visitor.try_call(&none, || false).err()), Some(ErrorCode::TooManyConnections));
        visitor.admit(&none, || Ok(Admitted::Service(None))).unwrap();
        assert_eq!(code(visitor.turns_away(&none)), None, "somebody known uses it");
    }
    assert!(enter(&door, None).try_call(&none, || true).is_ok(), "a session's token is looked at too");
}

#[test]
fn who_is_known_and_never_failed_is_not_counted() {
    let (door, none) = (door(None), HeaderMap::new());
    let visitor = enter(&door, None);
    for _ in 0..100 {
        visitor.admit(&none, || Err(ErrorCode::PermissionDenied.into())).unwrap_err();
    }
    let waits: Vec<_> = (0..10).map(|_| visitor.try_call(&none, || false).unwrap()).collect();
    let stranger = enter(&door, None);
    let others: Vec<_> = (0..3).map(|_| stranger.try_call(&none, || false).unwrap()).collect();
    assert!(stranger.try_call(&none, || false).is_err(), "calls of nobody known are");
    waits.into_iter().chain(others).for_each(Trial::succeeded);
}

#[test]
fn a_session_that_never_said_whose_it_is_has_failed_whatever_else_was_asked() {
    let (door, none) = (door(None), HeaderMap::new());
    let begun = |visitor: &Arc<Visitor>| visitor.try_call(&none, || false);
    let (first, other) = (enter(&door, None), enter(&door, None));
    other.admit(&none, || Ok(Admitted::Service(None))).unwrap();
    for visitor in [&first, &other, &first] {
        visitor.asks();
        drop(begun(visitor).unwrap());
    }
    begun(&first).unwrap().judge(None);
    assert_eq!(code(begun(&first).err()), Some(ErrorCode::TooManyConnections));
}

#[test]
fn who_says_nothing_that_can_be_read_has_failed() {
    let (door, none) = (door(None), HeaderMap::new());
    let visitor = enter(&door, None);
    let codes = [ErrorCode::InvalidArgument, ErrorCode::ProtocolError, ErrorCode::MessageTooLarge];
    for code in codes.into_iter().chain([ErrorCode::InvalidToken]) {
        visitor.try_call(&none, || false).unwrap().judge(Some(code));
    }
    assert_eq!(code(visitor.try_call(&none, || false).err()), Some(ErrorCode::TooManyConnections));
}

/// A connection among those that the door counts, and what keeps it counted.
fn enter_counted(door: &Door) -> (Arc<Visitor>, Present) {
    let address = HERE.parse().unwrap();
    let present = door.owners.arrive(address);
    let visitor = Visitor::new(door.clone(), address, door.arrival(address), None).on(present.owned());
    (Arc::new(visitor), present)
}

#[test]
fn who_has_too_many_connections_makes_the_next_nobodys() {
    let owners = Owners::new(ConnectionLimits { user: 1, node: 0 });
    let (door, none) = (Door { owners, ..door(None) }, HeaderMap::new());
    let (first, _first) = enter_counted(&door);
    first.admit(&none, || Ok(Admitted::User(alice()))).unwrap();
    let mut held = Vec::new();
    for answer in [Admitted::User, Admitted::Barred, Admitted::User] {
        let (visitor, present) = enter_counted(&door);
        visitor.asks();
        let refused = visitor.admit(&none, || Ok(answer(alice()))).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (ErrorCode::TooManyConnections, full().retry_after));
        held.push((visitor, present));
    }
    assert!(enter(&door, None).turns_away(&none).is_some(), "they have their places among those of nobody");
    drop(held);
    let (service, _service) = enter_counted(&door);
    service.admit(&none, || Ok(Admitted::Service(None))).unwrap();
}

#[test]
fn on_a_full_node_there_is_room_for_services_and_bridges_alone() {
    let owners = Owners::new(ConnectionLimits { user: 0, node: 1 });
    let (door, none) = (Door { owners, ..door(Some(b"secret")) }, HeaderMap::new());
    let (first, _first) = enter_counted(&door);
    first.admit(&none, || Ok(Admitted::User(alice()))).unwrap();
    let (full, _full) = enter_counted(&door);
    for _ in 0..2 {
        let refused = full.admit(&none, || Ok(Admitted::User(alice()))).unwrap_err();
        assert_eq!(refused.code, ErrorCode::TooManyConnections);
        assert_eq!(
            code(full.turns_away(&none)),
            Some(ErrorCode::TooManyConnections),
            "health is none either"
        );
    }
    full.admit(&none, || Ok(Admitted::Service(None))).unwrap();
    assert!(full.turns_away(&none).is_none());
    let certain = Door { services_need_certificate: true, ..door.clone() };
    let (thief, _thief) = enter_counted(&certain);
    let denied = thief.admit(&none, || Ok(Admitted::Service(None))).unwrap_err();
    assert_eq!(denied.code, ErrorCode::TooManyConnections);
    assert!(thief.turns_away(&none).is_some(), "a service that shows no certificate is none");
    let (bridge, _bridge) = enter_counted(&door);
    let with_key = headers(&[(port::BRIDGE_KEY, "secret")]);
    bridge.admit(&with_key, || Ok(Admitted::User(alice()))).unwrap();
}

#[test]
fn a_connection_that_made_nobody_known_keeps_its_place() {
    let (door, none) = (door(None), HeaderMap::new());
    let held: Vec<_> = (0..3).map(|_| enter(&door, None)).collect();
    for visitor in &held {
        visitor.asks();
        visitor.try_call(&none, || false).unwrap().judge(Some(ErrorCode::GoingAway));
        // Nobody knows either whose a token is that cannot be judged, because the issuer's keys cannot be had.
        visitor.admit(&none, || Err(ErrorCode::Unavailable.into())).unwrap_err();
    }
    assert_eq!(code(enter(&door, None).turns_away(&none)), Some(ErrorCode::TooManyConnections));
    // One that ends while a session on it waits gives its place back once, with the session.
    let waits = held[0].try_call(&none, || false).unwrap();
    held[0].leaves();
    assert!(enter(&door, None).turns_away(&none).is_some());
    waits.judge(Some(ErrorCode::GoingAway));
    drop(held);
    assert!((0..3).map(|_| enter(&door, None)).all(|visitor| visitor.turns_away(&none).is_none()));
}

#[test]
fn to_ask_for_health_is_no_failure_and_to_say_nothing_is() {
    let (door, none) = (door(None), HeaderMap::new());
    for _ in 0..10 {
        let visitor = enter(&door, None);
        visitor.asks();
        visitor.leaves();
    }
    assert!(enter(&door, None).turns_away(&none).is_none());
    (0..4).for_each(|_| enter(&door, None).leaves());
    assert!(enter(&door, None).turns_away(&none).is_some());
}

#[test]
fn a_proven_bridge_is_believed_and_not_counted() {
    let door = door(Some(b"secret"));
    let told = [
        (port::CLIENT_ADDRESS, "198.51.100.7"),
        (port::CLIENT_AGENT, "browser/1"),
        (port::CLIENT_ORIGIN, "https://app.example.org"),
    ];
    let with_key = headers(&[&told[..], &[(port::BRIDGE_KEY, "secret")]].concat());
    let _silent: Vec<_> = (0..3).map(|_| enter(&door, None)).collect();
    for (visitor, headers) in
        [(enter(&door, None), with_key), (enter(&door, Some(&["x", "bridge.internal"])), headers(&told))]
    {
        assert!(visitor.turns_away(&headers).is_none());
        let peer = visitor.peer(&headers);
        assert_eq!(peer.address, Some("198.51.100.7".parse().unwrap()));
        assert_eq!(
            (peer.agent.as_deref(), peer.origin.as_deref()),
            (Some("browser/1"), Some("https://app.example.org"))
        );
        for _ in 0..20 {
            assert_eq!(visitor.admit(&headers, bad).unwrap_err().code, ErrorCode::InvalidToken);
        }
    }
}

#[test]
fn what_others_say_of_themselves_is_not_believed() {
    let door = door(Some(b"secret"));
    let forged = headers(&[
        (port::CLIENT_ADDRESS, "198.51.100.7"),
        (port::CLIENT_ORIGIN, "https://app.example.org"),
        (port::CLIENT_AGENT, "browser/1"),
        (port::BRIDGE_KEY, "guessed"),
        ("user-agent", "grpc-go/1"),
    ]);
    for names in [None, Some(&["*.internal", "bridge.internal.example.org"][..])] {
        let peer = enter(&door, names).peer(&forged);
        assert_eq!(peer, Peer::new(Some(HERE.parse().unwrap()), Some("grpc-go/1"), None));
    }
}

#[test]
fn services_may_need_a_certificate_of_their_own() {
    let door = Door { services_need_certificate: true, ..door(Some(b"secret")) };
    let none = HeaderMap::new();
    let service = || Ok(Admitted::Service(None));
    let admit = |names: Option<&[&str]>, headers: &HeaderMap| {
        enter(&door, names).admit(headers, service).map_err(|refusal| refusal.code).is_ok()
    };
    assert!(admit(Some(&["billing"]), &none));
    assert!(!admit(None, &none));
    assert!(!admit(Some(&["bridge.internal"]), &none), "it is the bridge's");
    assert!(!admit(Some(&["billing"]), &headers(&[(port::CLIENT_ADDRESS, "198.51.100.7")])));
}

#[test]
fn calls_that_a_trusted_proxy_passes_on_count_where_they_come_from() {
    let door = Door { trusted_proxies: [HERE.parse().unwrap()].into(), ..door(None) };
    let from = |client| headers(&[("x-forwarded-for", client)]);
    let (bad_one, good_one) = (from("198.51.100.7"), from("198.51.100.8"));
    let _idle: Vec<_> = (0..50).map(|_| enter(&door, None)).collect();
    let proxy = enter(&door, None);
    assert!(proxy.turns_away(&bad_one).is_none(), "its own connections are nobody's");
    for _ in 0..4 {
        assert_eq!(proxy.admit(&bad_one, bad).unwrap_err().code, ErrorCode::InvalidToken);
    }
    let refused = proxy.admit(&bad_one, bad).unwrap_err();
    assert_eq!(refused.code, ErrorCode::TooManyConnections);
    assert!(refused.retry_after.is_some_and(|wait| wait <= Duration::from_secs(60)));
    proxy.admit(&good_one, || Ok(Admitted::Service(None))).unwrap();
    assert_eq!(proxy.peer(&good_one).address, Some("198.51.100.8".parse().unwrap()));
    let certain = Door { services_need_certificate: true, ..door };
    let shows = enter(&certain, Some(&["proxy"]));
    let denied = shows.admit(&good_one, || Ok(Admitted::Service(None))).unwrap_err();
    assert_eq!(denied.code, ErrorCode::PermissionDenied, "the certificate is the proxy's");
}

#[test]
fn a_services_token_without_the_certificate_that_it_needs_is_nobodys() {
    let (invalid, many) = (ErrorCode::PermissionDenied, ErrorCode::TooManyConnections);
    let (door, none) = (Door { services_need_certificate: true, ..door(None) }, HeaderMap::new());
    let thief = enter(&door, None);
    assert!(thief.refuses_service(&none));
    let codes: Vec<_> =
        (0..6).map(|_| thief.admit(&none, || Ok(Admitted::Service(None))).unwrap_err().code).collect();
    assert_eq!(codes, [invalid, invalid, invalid, invalid, many, many]);
    let named = || Ok(Admitted::Service(Some(Box::new(alice_as_service()))));
    let other = Door { addresses: Addresses::default(), ..door.clone() };
    let refused = enter(&other, None).admit(&none, named).unwrap_err();
    assert_eq!((refused.code, refused.whose), (invalid, Some(Box::new(alice_as_service()))));
    let certified = enter(&door, Some(&["billing.internal"]));
    assert!(!certified.refuses_service(&none));
    certified.admit(&none, || Ok(Admitted::Service(None))).unwrap();
    // So it is where the call was let try before anybody could say whose it is.
    let door = Door { addresses: self::door(None).addresses, ..door };
    let thief = enter(&door, None);
    for _ in 0..4 {
        let trial = thief.try_call(&none, || false).unwrap();
        assert_eq!(thief.judge(trial, &none, Ok(Admitted::Service(None))).unwrap_err().code, invalid);
    }
    assert_eq!(code(thief.try_call(&none, || false).err()), Some(many));
}

#[test]
fn a_connection_on_which_bad_tokens_go_on_is_closed() {
    let (door, none) = (door(None), HeaderMap::new());
    for is_known in [false, true] {
        let address = HERE.parse().unwrap();
        let (closer, noop) = (Closer::default(), std::task::Waker::noop());
        let visitor = Visitor::new(door.clone(), address, door.arrival(address), None);
        let visitor = Arc::new(visitor.closed_by(closer.clone()));
        if is_known {
            assert!(visitor.admit(&none, || Ok(Admitted::User(alice()))).is_ok());
        }
        let mut denied = 0;
        while denied < DENIED_CALLS {
            assert!(!closer.is_closed(noop), "{denied} of {DENIED_CALLS}");
            denied += u32::from(visitor.admit(&none, bad).unwrap_err().code == ErrorCode::TooManyConnections);
        }
        assert_eq!(closer.is_closed(noop), !is_known, "others may be on it");
    }
}
