//! Reads rooms' histories, many pages at once.

use std::ops::Range;
use std::time::Duration;

use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::{HistoryGet, HistoryPage, history_get::Bound};

use super::rooms::{Check, Rooms};
use crate::bench::BenchError;
use crate::bench::clock::Watchdog;
use crate::bench::payload::Payloads;
use crate::bench::report::progress;
use crate::wire::scan::kind;
use crate::wire::{Event, Fleet, Session, WireError};

/// Entries of a page: what a hub allows.
const PAGE: u32 = 200;
/// Pages asked for at once on each session.
const AT_ONCE: usize = 8;

/// Reads over these sessions.
pub(super) struct Pages<'a> {
    pub(super) fleet: &'a mut Fleet,
    pub(super) sessions: Range<Session>,
    pub(super) title: &'static str,
}

impl Pages<'_> {
    /// Reads where each room's log ends, and lets the run begin there.
    pub(super) fn heads(&mut self, rooms: &mut Rooms) -> Result<(), BenchError> {
        let names: Vec<String> = (0..rooms.count()).map(|room| rooms.name(room).to_owned()).collect();
        let newest = |room: usize, _: u64| HistoryGet { room: names[room].clone(), bound: None, limit: 1 };
        self.read(names.len(), newest, |room, page| {
            rooms.start_afresh(room, page.as_of.map_or(0, |position| position.seq));
            None
        })
    }

    /// Reads all that came since, and checks it.
    pub(super) fn verify(
        &mut self,
        rooms: &Rooms,
        payloads: &Payloads,
        check: &mut Check,
    ) -> Result<(), BenchError> {
        let after = |room: usize, after: u64| HistoryGet {
            room: rooms.name(room).to_owned(),
            bound: Some(Bound::After(after.max(rooms.base(room)))),
            limit: PAGE,
        };
        self.read(rooms.count(), after, |room, page| {
            let last = check.take(rooms, room, &page, payloads);
            page.more.then_some(last)
        })
    }

    /// Asks for a page of each of `count` rooms, and for the next one where `take` gives the place that it begins
    /// behind.
    fn read(
        &mut self,
        count: usize,
        ask: impl Fn(usize, u64) -> HistoryGet,
        mut take: impl FnMut(usize, HistoryPage) -> Option<u64>,
    ) -> Result<(), BenchError> {
        let bar = progress(count as u64, self.title);
        let mut watchdog = Watchdog::new("the hub gave no further page of history");
        let mut rooms = 0..count;
        let mut next: Vec<(Session, usize, u64)> = Vec::new();
        for _ in 0..AT_ONCE {
            next.extend(self.sessions.clone().zip(&mut rooms).map(|(session, room)| (session, room, 0)));
        }
        let (mut done, mut pages) = (0, 0);
        while done < count {
            for (session, room, after) in next.drain(..) {
                // A room is asked for once at a time, so its number is an id that is not in flight.
                self.fleet.command(session, room as u32 + 1, Command::History(ask(room, after)));
            }
            self.fleet.turn(Duration::from_millis(100), |session, event| {
                let Event::Response(response) = event else { return Err(event.unexpected()) };
                let page = match response.kind {
                    kind::HISTORY_PAGE => response.decode()?,
                    // A room that nothing was ever sent to may not exist yet.
                    kind::ERROR => match response.refusal() {
                        WireError::Refused { code, .. } if code == "NOT_FOUND" => HistoryPage::default(),
                        refusal => return Err(refusal),
                    },
                    _ => return Ok(()),
                };
                pages += 1;
                let room = response.command_id as usize - 1;
                if let Some(after) = take(room, page) {
                    next.push((session, room, after));
                } else {
                    done += 1;
                    next.extend(rooms.next().map(|room| (session, room, 0)));
                }
                Ok::<(), WireError>(())
            })?;
            bar.set_position(done as u64);
            watchdog.check(pages)?;
        }
        bar.finish_and_clear();
        Ok(())
    }
}
