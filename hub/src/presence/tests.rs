//! Stories of presence: single cases on a board, and the handle under threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::handle::{TURN_NOTICES, WAITING_NOTICES};
use super::{Audience, Board, Notice, NoticeSink, Options, Presence, Typing};
use crate::domain::names::{RoomKey, RoomName, SessionId, TenantId, UserId, UserKey};
use crate::domain::presence::{PresenceReason, Status};
use crate::domain::push::Push;
use crate::domain::time::{Moment, Now, Timestamp};

mod clock;

const START: Now = Now { time: Timestamp(1_000_000), moment: Moment(5_000) };

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn room() -> RoomName {
    RoomName::parse("room:tea").unwrap()
}

fn room_key(tenant_name: &str) -> RoomKey {
    RoomKey { tenant: tenant(tenant_name), room: room() }
}

fn after(millis: u64) -> Now {
    let duration = Duration::from_millis(millis);
    Now { time: START.time.plus(duration), moment: START.moment.plus(duration) }
}

fn board() -> Board {
    Board::new(tenant("acme"), Options::default())
}

/// What is told, in short: `joined alice`, `occupancy 101`.
fn told(notices: &[Notice]) -> Vec<String> {
    let say = |notice: &Notice| match &notice.push {
        Push::Presence { state, reason, .. } => format!("{reason:?} {}", state.user).to_lowercase(),
        Push::Occupancy { count, .. } => format!("occupancy {count}"),
        Push::Typing { user, active, .. } => format!("typing {user} {active}"),
        other => format!("{other:?}"),
    };
    notices.iter().map(say).collect()
}

/// A board with a follower in the room: session 0 of `zoe`.
fn followed() -> Board {
    let mut board = board();
    board.connect(SessionId(0), &user("zoe"), START);
    board.join(&room(), SessionId(0), true, START);
    board
}

#[test]
fn joining_and_leaving_are_told_once_whatever_the_number_of_sessions() {
    let mut board = followed();
    assert!(board.connect(SessionId(1), &user("alice"), START).is_empty());
    assert_eq!(told(&board.join(&room(), SessionId(1), false, START)), ["joined alice"]);
    assert_eq!(told(&board.connect(SessionId(2), &user("alice"), START)), ["changed alice"]);
    assert!(board.join(&room(), SessionId(2), true, START).is_empty());
    assert!(board.leave(&room(), SessionId(1), START).is_empty());
    assert_eq!(told(&board.leave(&room(), SessionId(2), START)), ["left alice"]);
}

#[test]
fn the_most_available_device_and_the_latest_text_count() {
    let mut board = board();
    for session in 1..=3 {
        board.connect(SessionId(session), &user("alice"), START);
    }
    board.set(SessionId(1), Status::Busy, "exam", after(1));
    board.set(SessionId(2), Status::Away, "train", after(2));
    let state = board.state(&user("alice"));
    assert_eq!((state.status, state.text.as_str(), state.devices), (Status::Online, "train", 3));
    board.close(SessionId(3), after(3));
    board.close(SessionId(2), after(3));
    let state = board.state(&user("alice"));
    assert_eq!((state.status, state.text.as_str(), state.devices), (Status::Busy, "exam", 1));
    board.touch(SessionId(1), after(9));
    assert_eq!(board.state(&user("alice")).last_active, after(9).time);
}

#[test]
fn a_reconnect_within_the_grace_is_silent_and_keeps_the_status() {
    let mut board = followed();
    board.connect(SessionId(1), &user("alice"), START);
    board.join(&room(), SessionId(1), true, START);
    board.set(SessionId(1), Status::Busy, "exam", START);
    assert!(board.disconnect(SessionId(1), START).is_empty());
    assert!(board.tick(after(9_999)).is_empty());
    assert!(board.connect(SessionId(2), &user("alice"), after(9_999)).is_empty());
    assert!(board.join(&room(), SessionId(2), true, after(9_999)).is_empty());
    assert_eq!(board.next_deadline(), None, "nothing is left to wait for");
    let state = board.state(&user("alice"));
    assert_eq!((state.status, state.text.as_str(), state.devices), (Status::Busy, "exam", 1));
}

#[test]
fn a_room_that_is_not_joined_again_is_left_when_the_grace_ends() {
    let mut board = followed();
    board.connect(SessionId(1), &user("alice"), START);
    board.join(&room(), SessionId(1), true, START);
    board.disconnect(SessionId(1), START);
    board.connect(SessionId(2), &user("alice"), after(1));
    assert_eq!(board.next_deadline(), Some(after(10_000).moment));
    assert_eq!(told(&board.tick(after(10_000))), ["disconnected alice"]);
    assert_eq!(board.state(&user("alice")).devices, 1);
}

#[test]
fn watchers_are_told_of_the_last_device_and_of_the_return() {
    let mut board = board();
    board.connect(SessionId(0), &user("zoe"), START);
    let watched = board.watch(SessionId(0), &[user("alice"), user("alice")]);
    assert_eq!(told(&watched), ["watched alice"]);
    assert_eq!(watched[0].to, Audience::Sessions(vec![SessionId(0)]));
    assert_eq!(told(&board.connect(SessionId(1), &user("alice"), START)), ["returned alice"]);
    board.disconnect(SessionId(1), START);
    assert_eq!(told(&board.tick(after(10_000))), ["disconnected alice"]);
    assert_eq!(told(&board.connect(SessionId(2), &user("alice"), after(10_001))), ["returned alice"]);
    assert_eq!(told(&board.close(SessionId(2), after(10_002))), ["left alice"]);
    assert!(board.watch(SessionId(0), &[]).is_empty());
    board.close(SessionId(0), after(10_003));
    assert!(board.is_empty());
}

#[test]
fn pages_go_through_a_room_in_the_order_of_ids() {
    let mut board = board();
    for (session, name) in ["dave", "alice", "carol", "bob"].into_iter().enumerate() {
        board.connect(SessionId(session as u128), &user(name), START);
        board.join(&room(), SessionId(session as u128), false, START);
    }
    let page = board.snapshot(&room(), 3);
    let names: Vec<_> = page.states.iter().map(|state| state.user.as_str()).collect();
    assert_eq!((names, page.occupancy, page.more), (vec!["alice", "bob", "carol"], 4, true));
    let page = board.page(&room(), Some(&user("carol")), 3);
    let names: Vec<_> = page.states.iter().map(|state| state.user.as_str()).collect();
    assert_eq!((names, page.more), (vec!["dave"], false));
}

#[test]
fn a_large_room_is_told_its_occupancy_until_it_is_small_again() {
    let mut board = followed();
    for number in 1..=100 {
        board.connect(SessionId(number), &user(&format!("u{number:03}")), START);
        let notices = board.join(&room(), SessionId(number), false, START);
        let expected = if number < 100 { format!("joined u{number:03}") } else { "occupancy 101".into() };
        assert_eq!(told(&notices), [expected]);
    }
    assert!(board.set(SessionId(1), Status::Away, "", after(1)).is_empty());
    assert!(board.leave(&room(), SessionId(100), after(2)).is_empty());
    assert!(!board.is_large(&room()));
    assert_eq!(told(&board.leave(&room(), SessionId(99), after(3))), ["left u099"]);
    assert_eq!(told(&board.tick(after(2_000))), ["occupancy 99"]);
    assert_eq!(board.next_deadline(), None);
}

#[test]
fn ten_thousand_in_a_room_cost_each_as_much_as_one_and_leave_nothing() {
    let mut board = followed();
    let mut told = 0;
    for number in 1..=10_000 {
        board.connect(SessionId(number), &user(&format!("u{number}")), START);
        told += board.join(&room(), SessionId(number), true, START).len();
    }
    assert_eq!(told, 100);
    assert_eq!(board.next_deadline(), Some(after(10_000).moment));
    for number in 0..=10_000 {
        board.disconnect(SessionId(number), after(1));
    }
    while board.next_deadline().is_some() {
        assert!(board.tick(after(20_000)).is_empty(), "nobody is left to be told");
    }
    assert!(board.is_empty());
}

#[test]
fn typing_is_told_when_it_begins_and_ends() {
    let mut typing = Typing::new(Duration::from_secs(6));
    let (room, alice) = (room_key("acme"), user("alice"));
    assert!(typing.set(&room, &alice, true, START.moment).is_some());
    assert!(typing.set(&room, &alice, true, after(5_000).moment).is_none());
    assert!(typing.tick(after(6_000).moment).is_empty());
    assert_eq!(typing.next_deadline(), Some(after(11_000).moment));
    assert!(matches!(&typing.tick(after(11_000).moment)[..], [(_, Push::Typing { active: false, .. })]));
    assert!(typing.is_empty());
    assert!(typing.set(&room, &alice, false, after(11_000).moment).is_none());
    typing.set(&room, &alice, true, after(11_000).moment);
    assert!(matches!(typing.leave(&room, &alice), Some(Push::Typing { active: false, .. })));
    assert!(typing.leave(&room, &alice).is_none() && typing.is_empty());
}

/// Keeps what it is told, and notices when it is told two things at once.
#[derive(Default)]
struct Sink {
    notices: Mutex<Vec<Notice>>,
    busy: AtomicBool,
    at_once: AtomicUsize,
}

impl NoticeSink for Sink {
    fn deliver(&self, notice: Notice) {
        if self.busy.swap(true, Ordering::SeqCst) {
            self.at_once.fetch_add(1, Ordering::SeqCst);
        }
        self.notices.lock().push(notice);
        self.busy.store(false, Ordering::SeqCst);
    }
}

fn presence() -> (Presence, Arc<Sink>) {
    let sink = Arc::new(Sink::default());
    (Presence::new(Options::default(), sink.clone()), sink)
}

#[test]
fn threads_tell_a_room_in_the_order_of_its_changes() {
    // As short a turn as there is makes threads take over from each other all the time.
    for turn in [TURN_NOTICES, 1] {
        let sink = Arc::new(Sink::default());
        let presence = Presence::with_turn(Options::default(), sink.clone(), turn);
        let room = room_key("acme");
        let key = |name| UserKey { tenant: tenant("acme"), user: user(name) };
        presence.connect(&key("zoe"), SessionId(0), START);
        presence.join(&room, SessionId(0), true, START);
        std::thread::scope(|scope| {
            for session in 1..=4 {
                let (presence, room, alice) = (&presence, &room, key("alice"));
                scope.spawn(move || {
                    presence.connect(&alice, SessionId(session), START);
                    for _ in 0..2_000 {
                        presence.join(room, SessionId(session), false, START);
                        presence.leave(room, SessionId(session), START);
                    }
                });
            }
        });
        presence.tick(START);
        assert_eq!(sink.at_once.load(Ordering::SeqCst), 0);
        let mut there = false;
        for notice in sink.notices.lock().iter() {
            let Push::Presence { reason, .. } = &notice.push else { continue };
            match reason {
                PresenceReason::Joined => assert!(!std::mem::replace(&mut there, true)),
                PresenceReason::Left => assert!(std::mem::take(&mut there)),
                _ => {}
            }
        }
        assert!(!there, "nothing is lost");
        for session in 0..=4 {
            presence.close(&room.tenant, SessionId(session), START);
        }
        presence.tick(START);
        assert!(presence.is_empty());
    }
}

/// Others who change something while each notice is passed on: as many as there are numbers.
struct BusySink {
    presence: std::sync::OnceLock<Presence>,
    changes: usize,
    told: Mutex<Vec<String>>,
}

impl NoticeSink for BusySink {
    fn deliver(&self, notice: Notice) {
        let Push::Presence { state, .. } = notice.push else { return };
        let next = state.text.parse::<usize>().map_or(0, |number| number + 1);
        self.told.lock().push(state.text);
        if next < self.changes
            && let Some(presence) = self.presence.get()
        {
            let text = next.to_string();
            presence.set(&tenant("acme"), SessionId(0), Status::Online, &text, START);
        }
    }
}

#[test]
fn a_thread_that_others_keep_busy_gives_up_its_turn() {
    const TURN: usize = 100;
    let changes = TURN * 5 / 2;
    let sink = Arc::new(BusySink { presence: std::sync::OnceLock::new(), changes, told: Mutex::default() });
    let presence = Presence::with_turn(Options::default(), sink.clone(), TURN);
    let zoe = UserKey { tenant: tenant("acme"), user: user("zoe") };
    presence.connect(&zoe, SessionId(0), START);
    assert!(sink.presence.set(presence.clone()).is_ok());
    let told = || sink.told.lock().len();
    presence.watch(&zoe.tenant, SessionId(0), std::slice::from_ref(&zoe.user));
    assert_eq!(told(), TURN);
    assert_eq!(presence.next_deadline(), Some(Moment::default()), "the rest waits for whoever comes next");
    // Anybody's change of the tenant goes on, and a tick does.
    presence.touch(&zoe.tenant, SessionId(0), START);
    presence.connect(&UserKey { user: user("alice"), ..zoe.clone() }, SessionId(1), START);
    assert_eq!(told(), 2 * TURN);
    presence.tick(START);
    let expected = std::iter::once(String::new()).chain((0..changes).map(|number| number.to_string()));
    assert!(sink.told.lock().iter().cloned().eq(expected), "none is lost, and they are in order");
    assert_ne!(presence.next_deadline(), Some(Moment::default()));
}

/// Holds up its first notice until it is let go.
struct SlowSink {
    go: Mutex<std::sync::mpsc::Receiver<()>>,
    delivered: AtomicUsize,
}

impl NoticeSink for SlowSink {
    fn deliver(&self, _: Notice) {
        if self.delivered.fetch_add(1, Ordering::SeqCst) == 0 {
            self.go.lock().recv().unwrap();
        }
    }
}

#[test]
fn no_more_than_a_bounded_number_of_notices_waits() {
    const CHANGES: usize = 10_000;
    let (go, wait) = std::sync::mpsc::sync_channel(1);
    let sink = Arc::new(SlowSink { go: Mutex::new(wait), delivered: AtomicUsize::new(0) });
    let presence = Presence::new(Options::default(), sink.clone());
    let zoe = UserKey { tenant: tenant("acme"), user: user("zoe") };
    presence.connect(&zoe, SessionId(0), START);
    let changed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| presence.watch(&zoe.tenant, SessionId(0), std::slice::from_ref(&zoe.user)));
        while sink.delivered.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        scope.spawn(|| {
            for number in 0..CHANGES {
                presence.set(&zoe.tenant, SessionId(0), Status::Online, &number.to_string(), START);
                changed.fetch_add(1, Ordering::SeqCst);
            }
        });
        while changed.load(Ordering::SeqCst) < WAITING_NOTICES {
            std::thread::yield_now();
        }
        assert_eq!(changed.load(Ordering::SeqCst), WAITING_NOTICES, "the next one waits");
        go.send(()).unwrap();
    });
    presence.tick(START);
    assert_eq!(sink.delivered.load(Ordering::SeqCst), 1 + CHANGES);
}

#[test]
fn a_tick_ends_what_is_due_of_every_tenant() {
    let (presence, sink) = presence();
    for name in ["acme", "globex"] {
        let watcher = UserKey { tenant: tenant(name), user: user("zoe") };
        presence.connect(&watcher, SessionId(0), START);
        presence.watch(&tenant(name), SessionId(0), &[user("alice")]);
        presence.connect(&UserKey { tenant: tenant(name), user: user("alice") }, SessionId(1), START);
        presence.disconnect(&tenant(name), SessionId(1), START);
    }
    assert_eq!(
        told(&std::mem::take(&mut *sink.notices.lock())),
        ["watched alice", "returned alice"].repeat(2)
    );
    presence.tick(after(9_999));
    assert!(sink.notices.lock().is_empty());
    assert_eq!(presence.next_deadline(), Some(after(10_000).moment));
    presence.tick(after(10_000));
    assert_eq!(told(&sink.notices.lock()), ["disconnected alice"; 2]);
    presence.close(&tenant("acme"), SessionId(0), after(10_001));
    presence.close(&tenant("globex"), SessionId(0), after(10_001));
    assert!(presence.is_empty());
}

#[test]
fn typing_expires_and_is_dropped_in_large_rooms() {
    let (presence, sink) = presence();
    let room = room_key("acme");
    presence.typing(&room, &user("alice"), true, START);
    presence.tick(after(6_000));
    assert_eq!(told(&std::mem::take(&mut *sink.notices.lock())), ["typing alice true", "typing alice false"]);
    for number in 0..=100 {
        let key = UserKey { tenant: tenant("acme"), user: user(&format!("u{number}")) };
        presence.connect(&key, SessionId(number), START);
        presence.join(&room, SessionId(number), false, START);
    }
    presence.typing(&room, &user("u1"), true, START);
    assert!(sink.notices.lock().is_empty());
}
