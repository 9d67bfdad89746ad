//! Examples, and a model of a hub that is left and resumed at random.

use proptest::prelude::*;

use super::*;

const ROOM: &str = "conversation:1";

fn at(seq: u64) -> Position {
    Position { epoch: 1, seq, tag: if seq == 0 { 0 } else { 7 } }
}

fn header(seq: u64) -> EntryHeader {
    EntryHeader { seq, tag: 7, epoch: 1, ..EntryHeader::default() }
}

fn joined(head: u64) -> Joined {
    Joined { room: ROOM.into(), position: Some(at(head)), ..Joined::default() }
}

fn recovered(head: u64) -> Joined {
    Joined { recovered: true, ..joined(head) }
}

fn resume(rooms: &Rooms) -> Option<v1::Resume> {
    rooms.resume(usize::MAX).0
}

fn position(rooms: &Rooms) -> Option<Position> {
    rooms.positions().rooms[ROOM].position
}

#[test]
fn join_without_more_begins_at_the_head() {
    let mut rooms = Rooms::default();
    assert!(!rooms.joined(&joined(5), Some(&Join::default())));
    assert_eq!(position(&rooms), Some(at(5)));
    assert!(!rooms.entry(ROOM, &header(5)));
    assert!(rooms.entry(ROOM, &header(6)));
    assert!(!rooms.entry(ROOM, &header(6)));
}

#[test]
fn state_is_handed_over_from_before_the_head() {
    for command in [Some(Join::default()), None] {
        let mut rooms = Rooms::default();
        let joined = recovered(5);
        assert!(!rooms.joined(&joined, command.as_ref()));
        assert!(
            rooms.entry(ROOM, &header(2)) && rooms.entry(ROOM, &header(4)) && rooms.entry(ROOM, &header(6))
        );
        assert!(!rooms.entry(ROOM, &header(6)));
    }
}

#[test]
fn rewind_of_the_whole_log_begins_at_its_beginning() {
    let mut rooms = Rooms::default();
    rooms.joined(&recovered(5), Some(&Join { rewind: 10, ..Join::default() }));
    assert_eq!(position(&rooms), Some(at(0)));
}

#[test]
fn rewind_that_was_cut_off_before_its_first_entry_is_told() {
    let mut rooms = Rooms::default();
    let rewind = Join { rewind: 3, presence: true, ..Join::default() };
    assert!(!rooms.joined(&recovered(50), Some(&rewind)));
    assert_eq!(
        resume(&rooms).unwrap().rooms[0],
        v1::RoomPosition { room: ROOM.into(), position: None, presence: true }
    );
    assert!(rooms.joined(&joined(60), None));
    assert_eq!(position(&rooms), Some(at(60)));

    rooms.joined(&recovered(50), Some(&rewind));
    assert!(rooms.entry(ROOM, &header(48)));
    assert!(!rooms.joined(&recovered(60), None));
    assert_eq!(position(&rooms), Some(at(48)));
}

#[test]
fn rewind_that_recovers_nothing_begins_at_the_head() {
    for rewind in [3, 100] {
        let mut rooms = Rooms::default();
        let trimmed = joined(50);
        assert!(!rooms.joined(&trimmed, Some(&Join { rewind, ..Join::default() })));
        assert_eq!(position(&rooms), Some(at(50)));
        assert!(!rooms.joined(&trimmed, None), "nothing is missing after a reconnect");
    }
}

#[test]
fn truncated_moves_the_position_to_the_head() {
    let mut rooms = Rooms::default();
    rooms.joined(&joined(5), Some(&Join::default()));
    let other_life = Position { epoch: 2, seq: 3, tag: 9 };
    let cut = Joined { position: Some(other_life), truncated: true, ..joined(0) };
    assert!(rooms.joined(&cut, None));
    assert_eq!(position(&rooms), Some(other_life));
    assert!(rooms.entry(ROOM, &EntryHeader { epoch: 2, ..header(4) }));
}

#[test]
fn state_follows_truncated() {
    let mut rooms = Rooms::default();
    rooms.joined(&joined(5), Some(&Join::default()));
    let other_life = Position { epoch: 2, seq: 30, tag: 9 };
    let cut = Joined { position: Some(other_life), truncated: true, ..recovered(0) };
    let entry = |seq| EntryHeader { epoch: 2, ..header(seq) };
    // Broken off before any of it came, it comes from its beginning.
    for _ in 0..2 {
        assert!(rooms.joined(&cut, None));
        assert_eq!(position(&rooms), None);
    }
    assert!(rooms.entry(ROOM, &entry(3)) && rooms.entry(ROOM, &entry(7)) && !rooms.entry(ROOM, &entry(7)));
    assert_eq!(position(&rooms).unwrap().seq, 7);
    assert!(!rooms.joined(&Joined { truncated: false, ..cut }, None), "the rest of it follows");
    assert!(!rooms.entry(ROOM, &entry(7)) && rooms.entry(ROOM, &entry(12)));
}

#[test]
fn joined_that_recovers_nothing_of_what_is_missing_counts_as_truncated() {
    let mut rooms = Rooms::default();
    rooms.joined(&joined(5), Some(&Join::default()));
    assert!(!rooms.joined(&joined(5), None));
    assert!(rooms.joined(&joined(6), None));
}

#[test]
fn ephemeral_rooms_are_resumed_without_a_position() {
    let mut rooms = Rooms::default();
    let ephemeral = Joined { position: None, ..joined(0) };
    assert!(!rooms.joined(&ephemeral, Some(&Join::default())));
    assert!(rooms.entry(ROOM, &EntryHeader::default()) && rooms.entry(ROOM, &EntryHeader::default()));
    assert!(!rooms.joined(&ephemeral, None));
    assert_eq!(position(&rooms), None);
}

#[test]
fn left_rooms_are_not_resumed_and_gaps_are_told_once() {
    let mut rooms = Rooms::default();
    rooms.joined(&joined(5), Some(&Join::default()));
    assert!(rooms.gap(ROOM, 9) && !rooms.gap(ROOM, 9));
    rooms.left(ROOM);
    assert!(resume(&rooms).is_none());
}

#[expect(clippy::unnecessary_wraps, reason = "as the protocol has it")]
fn inbox(own: u64, broadcast: u64, epoch: u64) -> Option<InboxPosition> {
    Some(InboxPosition { own, broadcast, epoch })
}

#[test]
fn unread_notifications_leave_a_place_after_each() {
    let mut rooms = Rooms::default();
    let unread = v1::Connected {
        inbox: inbox(9, 4, 1),
        inbox_unread: 3,
        inbox_after: inbox(2, 3, 1),
        ..Default::default()
    };
    assert!(!rooms.connected(&unread));
    assert_eq!(rooms.positions().inbox, inbox(2, 3, 1));
    for (place, after) in
        [(inbox(3, 0, 1), inbox(3, 3, 1)), (inbox(0, 4, 1), inbox(3, 4, 1)), (inbox(7, 0, 1), inbox(7, 4, 1))]
    {
        assert!(rooms.notification(place) && !rooms.notification(place));
        assert_eq!((rooms.positions().inbox, resume(&rooms).unwrap().inbox), (after, after));
    }
    let resumed = v1::Connected { inbox: inbox(9, 4, 1), inbox_unread: 2, ..Default::default() };
    assert!(!rooms.connected(&resumed), "the copy is not void");
    assert!(!rooms.notification(inbox(7, 0, 1)) && rooms.notification(inbox(8, 0, 1)));
}

#[test]
fn inbox_begins_at_its_end_and_a_new_life_is_told() {
    let connected = |inbox| v1::Connected { inbox, ..v1::Connected::default() };
    let mut rooms = Rooms::default();
    assert!(!rooms.connected(&connected(inbox(4, 2, 1))));
    assert_eq!(resume(&rooms).unwrap().inbox, inbox(4, 2, 1));
    assert!(rooms.notification(inbox(4, 3, 1)) && rooms.notification(inbox(5, 2, 1)));
    assert!(!rooms.connected(&connected(inbox(9, 9, 1))));
    assert_eq!(resume(&rooms).unwrap().inbox, inbox(5, 3, 1));
    assert!(rooms.connected(&connected(inbox(0, 0, 2))));
    assert_eq!(resume(&rooms).unwrap().inbox, inbox(0, 0, 2));
}

/// A hub that replays from a position, cut off after any number of entries; it may send some again.
fn replay(rooms: &mut Rooms, head: u64, entries: usize, again: u64, got: &mut Vec<u64>) {
    let since = resume(rooms).unwrap().rooms[0].position.unwrap();
    assert!(!rooms.joined(&recovered(head), None));
    let from = since.seq.saturating_sub(again) + 1;
    got.extend((from..=head).take(entries).filter(|seq| rooms.entry(ROOM, &header(*seq))));
}

proptest! {
    #[test]
    fn every_entry_once_and_in_order_over_any_breaks(
        breaks in prop::collection::vec((0_u64..20, 0_usize..30, 0_u64..5), 0..20),
    ) {
        let mut rooms = Rooms::default();
        rooms.joined(&joined(0), Some(&Join { rewind: 1, ..Join::default() }));
        let (mut head, mut got) = (0, Vec::new());
        for (sent, entries, again) in breaks {
            head += sent;
            replay(&mut rooms, head, entries, again, &mut got);
        }
        replay(&mut rooms, head, usize::MAX, 3, &mut got);
        prop_assert_eq!(got, (1..=head).collect::<Vec<_>>());
    }

    #[test]
    fn resume_keeps_within_its_bytes_and_leaves_no_room_out(
        names in prop::collection::btree_set("[a-z]{1,200}:1", 0..40), bytes in 0_usize..9_000, seq in 0_u64..1 << 40,
    ) {
        let place = RoomPlace { position: Some(at(seq)), presence: true };
        let rooms = names.iter().map(|name| (name.clone(), place)).collect();
        let inbox = Some(InboxPosition { own: seq, broadcast: 0, epoch: 1 });
        let (resume, late) = Rooms::from_positions(Positions { rooms, inbox }).resume(bytes);
        let resume = resume.unwrap();
        prop_assert!(resume.rooms.is_empty() || resume.encoded_len() <= bytes);
        let all: std::collections::BTreeSet<_> =
            resume.rooms.into_iter().map(|room| room.room).chain(late).collect();
        prop_assert_eq!(all, names);
    }

    #[test]
    fn stored_positions_resume_as_they_were(seqs in prop::collection::btree_map("[a-z]{1,5}:1", 0_u64..9, 0..9)) {
        let rooms = seqs.into_iter().map(|(room, seq)| {
            (room, RoomPlace { position: Some(at(seq)), presence: seq % 2 == 0 })
        });
        let positions = Positions { rooms: rooms.collect(), inbox: None };
        prop_assert_eq!(Rooms::from_positions(positions.clone()).positions(), positions);
    }
}
