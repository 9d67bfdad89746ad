//! What a listener asks for.

use std::collections::VecDeque;

use carillon_proto::v1::{Join, Resume, RoomPosition, Violation};
use http::Request;

use super::positions::Positions;
use crate::caller::{queries, query, raw_queries};

/// Rooms that one stream listens to at most.
const ROOMS: usize = 50;

/// Bytes of an address that asks for a stream, the id of an earlier event aside. That one must fit into a request too, in
/// which the listener comes back.
const ADDRESS_BYTES: usize = 16 * 1_024;

/// Entries that a room may begin before now, as the hub has it.
const REWIND: u32 = 1_000;
/// Bytes of a room's name, as the hub has it.
const ROOM_BYTES: usize = 255;

/// What a listener asks for.
pub(crate) struct Wanted {
    rooms: Vec<String>,
    rewind: u32,
    /// Names the tab or process, if it is not empty.
    pub(super) instance: String,
    pub(super) positions: Positions,
}

impl Wanted {
    /// What `hello` says: where the listener is, and the rooms that are new to it, which it is to be in from now on.
    pub(super) fn resume(&self) -> Resume {
        let mut resume = self.positions.resume();
        if self.rewind == 0 {
            let new =
                self.new_rooms().map(|room| RoomPosition { room: room.clone(), ..RoomPosition::default() });
            resume.rooms.extend(new);
        }
        resume
    }

    /// The joins of rooms that are new to the listener, where those are to begin before now.
    pub(super) fn joins(&self) -> VecDeque<Join> {
        let new = self.new_rooms().filter(|_| self.rewind > 0);
        new.map(|room| Join { room: room.clone(), rewind: self.rewind, ..Join::default() }).collect()
    }

    fn new_rooms(&self) -> impl Iterator<Item = &String> {
        self.rooms.iter().filter(|room| !self.positions.knows(room))
    }
}

/// What a request asks for, or the field that breaks a rule.
pub(crate) fn wanted<B>(request: &Request<B>) -> Result<Wanted, Violation> {
    let violation = |field: &str, rule: &str| Violation { field: field.to_owned(), rule: rule.to_owned() };
    let uri = request.uri();
    let mut rooms: Vec<String> = queries(uri, "room").collect();
    rooms.sort();
    rooms.dedup();
    if rooms.len() > ROOMS {
        return Err(violation("room", "at most 50 rooms"));
    }
    let id_bytes: usize = raw_queries(uri, "lastEventId").map(str::len).sum();
    if uri.path_and_query().map_or(0, |all| all.as_str().len()) - id_bytes > ADDRESS_BYTES {
        return Err(violation("room", "names that make an address of at most 16 KiB"));
    }
    let rewind = match query(uri, "rewind") {
        Some(text) => text.parse().map_err(|_| violation("rewind", "a number of entries"))?,
        None => 0,
    };
    if rewind > REWIND {
        return Err(violation("rewind", "at most 1000"));
    }
    // What cannot set headers names it in the address.
    let header = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let last = header.or_else(|| query(uri, "lastEventId")).filter(|id| !id.is_empty());
    let positions = match last {
        Some(id) => {
            let parsed = Positions::parse(&id, &rooms);
            parsed.ok_or_else(|| violation("lastEventId", "the id of an earlier event"))?
        }
        None => Positions::none(&rooms),
    };
    let instance = query(uri, "instance").unwrap_or_default();
    let wanted = Wanted { rooms, rewind, instance, positions };
    // The names of others are in `hello`, which the hub answers before the stream begins.
    let broken = wanted.joins().iter().find_map(|join| broken_rule(&join.room));
    broken.map_or(Ok(wanted), |rule| Err(violation("room", rule)))
}

/// The rule that a room's name breaks, in the words of the hub.
fn broken_rule(room: &str) -> Option<&'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:@|+=-".contains(&byte);
    let has_both =
        room.split_once(':').is_some_and(|(namespace, id)| !namespace.is_empty() && !id.is_empty());
    match room {
        "" => Some("required"),
        _ if room.len() > ROOM_BYTES => Some("at most 255 bytes"),
        _ if !room.bytes().all(fits) => Some("only A-Z a-z 0-9 _ . : @ | + = -"),
        _ if !has_both => Some("namespace:id"),
        _ => None,
    }
}
