//! The system's clock is set back: what was to end in seconds ends in seconds.

use super::*;

#[test]
fn a_clock_that_is_set_back_keeps_nobody() {
    let set_back = |millis| Now { time: START.time.minus(Duration::from_secs(3_600)), ..after(millis) };
    let mut board = followed();
    board.connect(SessionId(1), &user("alice"), START);
    board.join(&room(), SessionId(1), true, START);
    board.set(SessionId(1), Status::Busy, "exam", set_back(1));
    board.disconnect(SessionId(1), START);
    assert!(board.tick(set_back(9_999)).is_empty());
    assert_eq!(told(&board.tick(set_back(10_000))), ["disconnected alice"]);
    let mut typing = Typing::new(Duration::from_secs(6));
    let room = room_key("acme");
    typing.set(&room, &user("alice"), true, START.moment);
    assert_eq!(typing.tick(set_back(6_000).moment).len(), 1);
}

#[test]
fn a_large_room_tells_its_occupancy_though_the_clock_is_set_back() {
    let options = Options { large_room: 1, ..Options::default() };
    let mut board = Board::new(tenant("acme"), options);
    board.connect(SessionId(0), &user("zoe"), START);
    board.join(&room(), SessionId(0), true, START);
    for (session, name) in [(1, "alice"), (2, "bob")] {
        board.connect(SessionId(session), &user(name), START);
        board.join(&room(), SessionId(session), false, START);
    }
    let later = Now { time: Timestamp(0), ..after(2_000) };
    assert_eq!(told(&board.tick(later)), ["occupancy 3"]);
}
