use std::time::Duration;

use super::super::{Board, Options};
use crate::bus::sessions::{Record, Told};
use crate::domain::names::{RoomName, SessionId, TenantId, UserId};
use crate::domain::presence::{PresenceReason, Status};
use crate::domain::push::Push;
use crate::domain::time::{Moment, Now, Timestamp};

const GRACE: Duration = Duration::from_secs(10);
const OBSERVER: SessionId = SessionId(1);
const OLD: SessionId = SessionId(2);
const NEW: SessionId = SessionId(3);

fn at(millis: i64) -> Now {
    Now { time: Timestamp(millis), moment: Moment(millis as u64) }
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn lobby() -> RoomName {
    RoomName::parse("room:lobby").unwrap()
}

/// A board whose lobby somebody follows.
fn board(large_room: usize) -> Board {
    let options = Options { grace: GRACE, shared: true, large_room, ..Options::default() };
    let mut board = Board::new(TenantId::parse("acme").unwrap(), options);
    board.become_whole(at(0));
    board.connect(OBSERVER, &user("observer"), at(0));
    board.join(&lobby(), OBSERVER, true, at(0));
    board.take_changes(false, at(0));
    board
}

fn record() -> Record {
    Record::online(user("alice"), vec![lobby()])
}

fn told(session: SessionId, record: Record) -> Told {
    Told { session, has_left: false, record: Some(record) }
}

fn gone(session: SessionId, has_left: bool) -> Told {
    Told { session, has_left, record: None }
}

/// What the lobby's followers are told of it.
fn put(board: &mut Board, told: &Told, now: i64) -> Vec<(PresenceReason, u32)> {
    let notices = board.put(told, at(now));
    notices
        .into_iter()
        .filter_map(|notice| match notice.push {
            Push::Presence { state, reason, .. } => Some((reason, state.devices)),
            _ => None,
        })
        .collect()
}

#[test]
fn who_comes_changes_and_goes_elsewhere_is_told_here() {
    let mut board = board(100);
    assert_eq!(put(&mut board, &told(OLD, record()), 0), [(PresenceReason::Joined, 1)]);
    assert_eq!(put(&mut board, &told(OLD, record()), 0), [], "no news");
    let busy = Record { status: Status::Busy, ..record() };
    assert_eq!(put(&mut board, &told(OLD, busy), 0), [(PresenceReason::Changed, 1)]);
    assert_eq!(put(&mut board, &gone(OLD, true), 0), [(PresenceReason::Left, 0)]);
    put(&mut board, &told(NEW, record()), 0);
    assert_eq!(put(&mut board, &gone(NEW, false), 0), [(PresenceReason::Disconnected, 0)]);
    assert!(!board.has_changed(), "of others' sessions nobody is told from here");
    assert_eq!(board.own(), 1);
}

#[test]
fn devices_on_two_nodes_are_one_user() {
    let mut board = board(100);
    board.connect(NEW, &user("alice"), at(0));
    board.join(&lobby(), NEW, false, at(0));
    let late = Record { text: "lunch".into(), text_order: 5_000, ..record() };
    assert_eq!(put(&mut board, &told(OLD, late), 0), [(PresenceReason::Changed, 2)]);
    assert_eq!((board.occupancy(&lobby()), board.state(&user("alice")).text.as_str()), (2, "lunch"));
    // What is set here later is later than that, whatever the clocks say.
    board.set(NEW, Status::Away, "train", at(100));
    assert_eq!(board.state(&user("alice")).text, "train");
    assert_eq!(put(&mut board, &gone(OLD, false), 200), [(PresenceReason::Changed, 1)]);
    assert_eq!(board.occupancy(&lobby()), 2);
}

#[test]
fn who_was_lost_elsewhere_and_comes_back_here_was_never_away() {
    let mut board = board(100);
    put(&mut board, &told(OLD, record()), 0);
    let lost = Record { grace_left: Some(10_000), ..record() };
    assert_eq!(put(&mut board, &told(OLD, lost.clone()), 1_000), []);
    assert!(board.connect(NEW, &user("alice"), at(2_000)).is_empty());
    // Its node knows nothing of this yet.
    assert_eq!(put(&mut board, &told(OLD, lost), 2_100), []);
    assert_eq!(put(&mut board, &gone(OLD, false), 2_200), []);
    assert!(board.join(&lobby(), NEW, false, at(3_000)).is_empty());
    let changes = board.take_changes(false, at(3_000));
    let [Told { session: NEW, record: Some(new), .. }] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((&new.continues[..], new.grace_left, new.rooms.len()), (&[OLD][..], None, 1));
    assert!(board.tick(at(60_000)).is_empty());
    assert_eq!(board.occupancy(&lobby()), 2);
}

#[test]
fn who_comes_back_on_a_third_node_was_never_away() {
    let mut board = board(100);
    board.connect(OLD, &user("alice"), at(0));
    board.join(&lobby(), OLD, true, at(0));
    board.take_changes(false, at(0));
    board.disconnect(OLD, at(1_000));
    let new = Record { continues: vec![OLD], ..record() };
    assert_eq!(put(&mut board, &told(NEW, new), 2_000), []);
    // Others are told that it is no more this node's.
    assert_eq!(board.take_changes(false, at(2_000)), [gone(OLD, false)]);
    assert!(board.tick(at(60_000)).is_empty());
    assert_eq!((board.occupancy(&lobby()), board.own()), (2, 1));
}

#[test]
fn a_tab_that_comes_to_another_node_before_it_is_missed_is_one_device() {
    let mut board = board(100);
    put(&mut board, &told(OLD, Record { instance: 7, ..record() }), 0);
    assert!(board.connect_as(NEW, &user("alice"), 7, at(1_000)).is_empty());
    assert_eq!(board.state(&user("alice")).devices, 1);
    // Where it joins no more it is present until the grace is over.
    assert_eq!(board.occupancy(&lobby()), 2);
    assert_eq!(board.tick(at(11_000)).len(), 1);
    assert_eq!(board.occupancy(&lobby()), 1);
    // Another tab is another device.
    board.connect_as(SessionId(4), &user("alice"), 8, at(12_000));
    assert_eq!(board.state(&user("alice")).devices, 2);
}

#[test]
fn who_came_before_the_others_were_known_takes_the_lost_ones_place() {
    let options = Options { grace: GRACE, shared: true, ..Options::default() };
    let mut board = Board::new(TenantId::parse("acme").unwrap(), options);
    board.connect(NEW, &user("alice"), at(0));
    let lost = Record { grace_left: Some(5_000), status: Status::Busy, text_order: 3, ..record() };
    put(&mut board, &told(OLD, lost), 0);
    board.become_whole(at(0));
    let state = board.state(&user("alice"));
    assert_eq!((state.devices, state.status), (1, Status::Busy));
    assert_eq!(board.occupancy(&lobby()), 1);
    assert_eq!(put(&mut board, &gone(OLD, false), 100), []);
    board.join(&lobby(), NEW, false, at(100));
    board.tick(at(60_000));
    assert_eq!(board.occupancy(&lobby()), 1);
}

/// The first one's node has ended, and its lease still lasts: nobody forgets its session.
#[test]
fn who_goes_from_node_to_node_is_one_device() {
    let mut board = board(100);
    let lost = Record { grace_left: Some(60_000), ..record() };
    put(&mut board, &told(OLD, lost.clone()), 0);
    let second = SessionId(4);
    let continued = Record { continues: vec![OLD], ..record() };
    assert_eq!(put(&mut board, &told(second, continued.clone()), 0), []);
    put(&mut board, &told(second, Record { grace_left: Some(60_000), ..continued }), 0);
    assert!(board.connect(NEW, &user("alice"), at(0)).is_empty());
    assert!(board.take_released().is_empty());
    assert_eq!(put(&mut board, &told(OLD, lost.clone()), 0), []);
    let third = SessionId(5);
    let all = Record { continues: vec![NEW, second, OLD], ..record() };
    assert_eq!(put(&mut board, &told(third, all), 0), []);
    assert!(board.take_released().is_empty());
    assert_eq!(put(&mut board, &told(OLD, lost), 0), []);
    assert_eq!(put(&mut board, &gone(third, true), 0), [(PresenceReason::Left, 0)]);
    let mut released = board.take_released();
    released.sort();
    assert_eq!(released, [OLD, NEW, second], "their nodes know what is true of them");
}

#[test]
fn a_lost_session_of_a_node_that_says_nothing_more_ends_by_itself() {
    let mut board = board(100);
    put(&mut board, &told(OLD, Record { grace_left: Some(5_000), ..record() }), 0);
    assert!(board.tick(at(5_500)).is_empty(), "its node would have said so");
    assert_eq!(board.tick(at(6_000)).len(), 1);
    assert_eq!(board.occupancy(&lobby()), 1);
}

#[test]
fn a_node_that_takes_its_leave_says_so_of_all_its_sessions() {
    let mut board = board(100);
    put(&mut board, &told(OLD, record()), 0);
    board.leave_for(40_000);
    let changes = board.take_changes(false, at(0));
    let [Told { session: OBSERVER, record: Some(observer), .. }] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(observer.grace_left, Some(40_000));
}

#[test]
fn large_rooms_tell_how_many_there_are_on_all_nodes() {
    let mut board = board(3);
    let mut counts = Vec::new();
    for n in 10..20 {
        let one = Record { user: user(&format!("u{n}")), ..record() };
        for notice in board.put(&told(SessionId(n), one), at(0)) {
            if let Push::Occupancy { count, .. } = notice.push {
                counts.push(count);
            }
        }
    }
    assert_eq!(counts, [4], "no more often than the interval allows");
    assert_eq!((board.occupancy(&lobby()), board.is_large(&lobby())), (11, true));
    assert_eq!(board.tick(at(2_000)).len(), 1);
}

#[test]
fn activity_is_told_once_a_minute() {
    let mut board = board(100);
    for second in 1..=119 {
        board.touch(OBSERVER, at(second * 1_000));
        let told = board.take_changes(false, at(second * 1_000)).len();
        assert_eq!(told, usize::from(second == 60), "at {second}");
    }
}
