//! Where a listener is in its rooms and its inbox: what the `id:` of its events says, and what it comes back with.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{InboxPosition, JoinReason, Position, Resume, RoomPosition, SessionResponse};
use prost::Message as _;

/// Longest `id:`, characters.
const ID_CHARACTERS: usize = 16 * 1_024;
/// Bytes of all names that are asked for, past which ids name rooms in short.
const NAMES_BYTES: usize = 2 * 1_024;

/// Positions, as far as everything before them was handed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Positions {
    rooms: BTreeMap<String, Position>,
    inbox: Option<InboxPosition>,
    /// The rooms that are asked for. Others the hub joins by itself.
    asked: BTreeSet<String>,
    /// Those of them that the hub joins by itself too: asked for no more, they are not left.
    own: BTreeSet<String>,
    /// What the id has in the place of a room's name, where the names that are asked for are long in all: the request that
    /// comes back with it names them as well, and has to be taken.
    short: BTreeMap<String, String>,
}

impl Positions {
    /// None yet, for a listener that asks for these rooms.
    pub(super) fn none(asked: &[String]) -> Self {
        Self { asked: asked.iter().cloned().collect(), short: short_names(asked), ..Self::default() }
    }

    /// Reads an `id:` of a listener that asks for these rooms; `None` where it is none of ours. A room that was asked for and is
    /// no more is left out.
    pub(crate) fn parse(id: &str, asked: &[String]) -> Option<Self> {
        if id.len() > ID_CHARACTERS {
            return None;
        }
        let resume = Resume::decode(&*URL_SAFE_NO_PAD.decode(id).ok()?).ok()?;
        let named: BTreeMap<String, &String> = asked.iter().map(|room| (short_name(room), room)).collect();
        let (mut rooms, mut own) = (BTreeMap::new(), BTreeSet::new());
        for room in resume.rooms {
            let name = match room.room.strip_prefix(SHORT) {
                Some(_) => named.get(&room.room).map(|name| (*name).clone()),
                None => Some(room.room),
            };
            let (Some(name), Some(position)) = (name, room.position) else { continue };
            let is_asked = asked.contains(&name);
            if is_asked && !room.presence {
                own.insert(name.clone());
            }
            if is_asked || !room.presence {
                rooms.insert(name, position);
            }
        }
        Some(Self { rooms, own, inbox: resume.inbox, ..Self::none(asked) })
    }

    /// The `id:`.
    pub(crate) fn id(&self) -> String {
        let rooms = self.rooms.iter().map(|(room, position)| RoomPosition {
            // What may be asked for no more has to be found without being named.
            room: self.short.get(room).filter(|_| !self.own.contains(room)).unwrap_or(room).clone(),
            position: Some(*position),
            // In an id it says that the room is there for being asked for alone: no listener is told of presence.
            presence: self.asked.contains(room) && !self.own.contains(room),
        });
        let resume = Resume { rooms: rooms.collect(), inbox: self.inbox };
        URL_SAFE_NO_PAD.encode(resume.encode_to_vec())
    }

    /// What `hello` says: all rooms that the listener was in, those that the hub had joined by itself too.
    pub(super) fn resume(&self) -> Resume {
        Resume {
            rooms: self
                .rooms
                .iter()
                .map(|(room, position)| RoomPosition {
                    room: room.clone(),
                    position: Some(*position),
                    presence: false,
                })
                .collect(),
            inbox: self.inbox,
        }
    }

    /// Whether it says where the listener is in this room.
    pub(super) fn knows(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    /// Takes note of what is handed over beside entries; whether a position moved.
    pub(super) fn note(&mut self, response: &SessionResponse) -> bool {
        let before = (self.inbox, self.rooms.len());
        if let Some(Kind::Joined(joined)) = &response.kind
            && joined.reason() == JoinReason::Automatic
            && self.asked.contains(&joined.room)
        {
            self.own.insert(joined.room.clone());
        }
        let moved = match &response.kind {
            // What was missed follows: until it has come, the listener is where it was. Of another log it was nowhere.
            Some(Kind::Joined(joined)) if joined.recovered => {
                joined.truncated && self.rooms.remove(&joined.room).is_some()
            }
            Some(Kind::Joined(joined)) => match joined.position {
                Some(position) => self.rooms.insert(joined.room.clone(), position) != Some(position),
                None => false,
            },
            Some(Kind::Left(left)) => {
                self.own.remove(&left.room);
                self.rooms.remove(&left.room).is_some()
            }
            Some(Kind::Connected(connected)) => {
                // One beyond the head is of what the hub has lost: others will take those places.
                let is_good = |own: InboxPosition| {
                    connected.inbox.is_some_and(|head| {
                        own.epoch == head.epoch && own.own <= head.own && own.broadcast <= head.broadcast
                    })
                };
                if !self.inbox.is_some_and(is_good) {
                    // Where unread ones follow, the listener is before them.
                    self.inbox = connected.inbox_after.or(connected.inbox);
                }
                false
            }
            Some(Kind::Notification(notification)) => {
                self.notification(notification.position);
                false
            }
            _ => false,
        };
        moved || before != (self.inbox, self.rooms.len())
    }

    /// The same of an entry at this place; whether the listener's position moved.
    pub(super) fn entry(&mut self, room: &str, position: Position) -> bool {
        match self.rooms.get_mut(room) {
            // The last events of keys, handed over on join, are from before.
            Some(known) if known.epoch == position.epoch && known.seq >= position.seq => false,
            Some(known) => {
                *known = position;
                true
            }
            None => self.rooms.insert(room.to_owned(), position).is_none(),
        }
    }

    fn notification(&mut self, position: Option<InboxPosition>) {
        if let (Some(place), Some(inbox)) = (position, &mut self.inbox) {
            inbox.own = inbox.own.max(place.own);
            inbox.broadcast = inbox.broadcast.max(place.broadcast);
        }
    }
}

/// What short names begin with, and no room's name does.
const SHORT: char = '#';

/// What ids have in the place of these rooms' names; nothing where those are short enough, or not to be told apart so.
fn short_names(asked: &[String]) -> BTreeMap<String, String> {
    let bytes: usize = asked.iter().map(String::len).sum();
    let short: BTreeMap<_, _> = asked.iter().map(|room| (room.clone(), short_name(room))).collect();
    let distinct: BTreeSet<_> = short.values().collect();
    if bytes > NAMES_BYTES && distinct.len() == short.len() { short } else { BTreeMap::new() }
}

/// The same at every bridge and in every version: FNV-1a of 64 bits. Where two rooms met, the hub would find that a position
/// is not of the log, and say so.
fn short_name(room: &str) -> String {
    let hash = room.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{SHORT}{}", URL_SAFE_NO_PAD.encode(hash.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use carillon_proto::v1::{Connected, EntryHeader, Event, Joined, Left, Message, Notification};
    use carillon_proto::{Frame, Place};

    use super::*;

    fn push(kind: Kind) -> SessionResponse {
        SessionResponse { command_id: 0, kind: Some(kind) }
    }

    /// As a listener takes note of a frame.
    fn note(positions: &mut Positions, response: &SessionResponse) -> bool {
        match Frame::encode(response).place() {
            Place::Entry(entry) => positions.entry(&entry.0, entry.1),
            Place::Nowhere => false,
            Place::Other => positions.note(response),
        }
    }

    fn message(room: &str, seq: u64) -> SessionResponse {
        let header = EntryHeader { seq, tag: seq as u32, epoch: 1, ..EntryHeader::default() };
        push(Kind::Message(Message { room: room.to_owned(), header: Some(header), ..Message::default() }))
    }

    fn joined(room: &str, seq: u64, recovered: bool) -> SessionResponse {
        let position = Some(Position { epoch: 1, seq, tag: seq as u32 });
        push(Kind::Joined(Joined { room: room.to_owned(), position, recovered, ..Joined::default() }))
    }

    fn place(own: u64, broadcast: u64) -> InboxPosition {
        InboxPosition { own, broadcast, epoch: 1 }
    }

    fn notification(own: u64, broadcast: u64) -> SessionResponse {
        push(Kind::Notification(Notification {
            position: Some(place(own, broadcast)),
            ..Notification::default()
        }))
    }

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let mut positions = Positions::default();
        assert!(note(&mut positions, &joined("room:a", 7, false)));
        assert!(note(&mut positions, &message("room:b", 3)));
        assert_eq!(Positions::parse(&positions.id(), &[]), Some(positions));
        for bad in ["!", "AAAA", &"A".repeat(ID_CHARACTERS + 1)] {
            assert_eq!(Positions::parse(bad, &[]), None, "{bad}");
        }
    }

    #[test]
    fn rooms_with_long_names_are_named_in_short_where_they_are_asked_for() {
        let asked: Vec<String> = (0..50).map(|number| format!("room:{number:0>250}")).collect();
        let mut positions = Positions::none(&asked);
        for (room, seq) in asked.iter().zip(u64::from(u32::MAX)..) {
            note(&mut positions, &joined(room, seq, false));
        }
        // The hub joins a listener to rooms by itself too: nobody asks for those.
        for room in ["org", "user"].map(|namespace| format!("{namespace}:{}", "x".repeat(128))) {
            note(&mut positions, &joined(&room, 7, false));
        }
        let id = positions.id();
        assert!(id.len() <= 4 * 1_024, "{}", id.len());
        assert_eq!(Positions::parse(&id, &asked), Some(positions.clone()));
        let fewer = Positions::parse(&id, &asked[..1]).unwrap();
        assert_eq!(fewer.rooms.len(), 3, "what is asked for no more is left out");
        assert_eq!(fewer.rooms[&asked[0]], positions.rooms[&asked[0]]);
        let few = Positions::none(&asked[..8]);
        assert!(few.short.is_empty(), "few names stand in full, whatever comes back with them");
    }

    #[test]
    fn a_room_that_is_asked_for_no_more_is_left_and_one_of_the_hubs_own_is_not() {
        let asked = ["room:a".to_owned(), "room:b".to_owned()];
        let mut positions = Positions::none(&asked);
        for room in ["room:a", "room:b", "org:acme"] {
            note(&mut positions, &joined(room, 7, false));
        }
        let fewer = Positions::parse(&positions.id(), &asked[..1]).unwrap();
        assert_eq!(fewer.rooms.keys().collect::<Vec<_>>(), ["org:acme", "room:a"]);
    }

    #[test]
    fn a_room_of_the_hubs_own_stays_that_once_it_was_asked_for() {
        let asked = ["room:a".to_owned(), "org:acme".to_owned()];
        let mut named = Positions::none(&asked);
        note(&mut named, &joined("room:a", 7, false));
        let Some(Kind::Joined(own)) = joined("org:acme", 7, false).kind else { unreachable!() };
        note(&mut named, &push(Kind::Joined(Joined { reason: JoinReason::Automatic.into(), ..own })));
        // Or it was there before it was asked for.
        let mut before = Positions::none(&asked[..1]);
        for room in ["room:a", "org:acme"] {
            note(&mut before, &joined(room, 7, false));
        }
        let before = Positions::parse(&before.id(), &asked).unwrap();
        for positions in [named, before] {
            let again = Positions::parse(&positions.id(), &asked).unwrap();
            assert_eq!(again, positions);
            let fewer = Positions::parse(&again.id(), &[]).unwrap();
            assert_eq!(fewer.rooms.keys().collect::<Vec<_>>(), ["org:acme"]);
        }
    }

    #[test]
    fn while_missed_entries_come_the_position_is_the_last_that_came() {
        let mut positions = Positions::default();
        note(&mut positions, &joined("room:a", 2, false));
        assert!(!note(&mut positions, &joined("room:a", 9, true)));
        assert_eq!(positions.rooms["room:a"].seq, 2);
        assert!(note(&mut positions, &message("room:a", 3)));
        assert!(!note(&mut positions, &message("room:a", 3)), "an older entry moves nothing");
        assert_eq!(positions.rooms["room:a"].seq, 3);
        assert!(note(
            &mut positions,
            &push(Kind::Left(Left { room: "room:a".to_owned(), ..Left::default() }))
        ));
        assert!(!positions.knows("room:a"));
    }

    #[test]
    fn the_state_of_a_room_whose_log_is_another_begins_before_its_head() {
        let mut positions = Positions::default();
        note(&mut positions, &joined("room:a", 50, false));
        let Some(Kind::Joined(again)) = joined("room:a", 40, true).kind else { unreachable!() };
        let cut = push(Kind::Joined(Joined { truncated: true, ..again }));
        assert!(note(&mut positions, &cut));
        assert!(!positions.knows("room:a"), "broken off here, all of it comes again");
        assert!(note(&mut positions, &message("room:a", 3)) && note(&mut positions, &message("room:a", 38)));
        assert_eq!(positions.rooms["room:a"].seq, 38);
    }

    #[test]
    fn ephemeral_events_have_no_place() {
        let mut positions = Positions::default();
        let event = Event { room: "live:a".to_owned(), ..Event::default() };
        assert!(!note(&mut positions, &push(Kind::Event(event))));
        assert_eq!(positions, Positions::default());
    }

    #[test]
    fn the_inbox_moves_with_each_notification() {
        let mut positions = Positions::default();
        let (inbox, inbox_after) = (Some(place(5, 5)), Some(place(3, 2)));
        let connected = Connected { inbox, inbox_after, inbox_unread: 2, ..Connected::default() };
        assert!(note(&mut positions, &push(Kind::Connected(connected))));
        assert_eq!(positions.inbox, Some(place(3, 2)));
        assert!(note(&mut positions, &notification(0, 3)));
        assert!(note(&mut positions, &notification(4, 0)));
        assert!(!note(&mut positions, &notification(4, 0)));
        assert_eq!(positions.inbox, Some(place(4, 3)));
        let nothing = Connected { inbox, ..Connected::default() };
        assert!(
            !note(&mut positions, &push(Kind::Connected(nothing.clone()))),
            "a resumed one is where it was"
        );
        let mut fresh = Positions::default();
        assert!(note(&mut fresh, &push(Kind::Connected(nothing))));
        assert_eq!(fresh.inbox, inbox);
    }

    #[test]
    fn an_inbox_beyond_the_hubs_head_begins_anew() {
        let connected =
            |inbox| push(Kind::Connected(Connected { inbox: Some(inbox), ..Connected::default() }));
        for (own, broadcast, begins_anew) in [(5, 5, false), (6, 5, true), (5, 6, true), (0, 0, false)] {
            let mut positions = Positions::default();
            note(&mut positions, &connected(place(own, broadcast)));
            note(&mut positions, &connected(place(5, 5)));
            let expected = if begins_anew { place(5, 5) } else { place(own, broadcast) };
            assert_eq!(positions.inbox, Some(expected), "{own}, {broadcast}");
        }
    }
}
