//! One tenant's presence.

mod elsewhere;
mod tell;

use std::collections::{BTreeSet, HashMap};

use rustc_hash::FxHashMap;

use elsewhere::Shared;

use super::device::{Device, Place, User};
use super::notice::Notice;
use super::options::Options;
use super::room::{Room, RoomIndex, Rooms};
use super::watchers::Watchers;
use crate::domain::names::{RoomName, SessionId, TenantId, UserId};
use crate::domain::presence::{PresenceReason, Status, UserState};
use crate::domain::time::{Moment, Now};

/// Timers that one tick ends at most: about a millisecond's work.
const TICK_TIMERS: usize = 256;

/// One tenant's users with their devices, rooms with who is present, and watchers.
///
/// A user is **present** in a room while a device of theirs has a place in it. A place is taken by joining and given
/// up by leaving; where the session is lost instead, the place is held, and the device counts, for the grace. A new
/// session of the user within it, of whatever instance, continues the lost device with its status and text, and takes
/// the held places over as it joins; nobody is told of any of this. What it has not joined again when the grace ends
/// is given up then.
///
/// A session that the board does not know, or knows as lost, changes nothing.
///
/// Where other nodes have sessions of the tenant, those are devices of the board as well, and whatever is said here of a
/// user is said of all of them; see `board/elsewhere.rs`.
#[derive(Debug)]
pub struct Board {
    tenant: TenantId,
    options: Options,
    /// Whose each session is, lost ones in grace too.
    sessions: FxHashMap<SessionId, UserId>,
    users: HashMap<UserId, User>,
    rooms: Rooms,
    watchers: Watchers,
    timers: BTreeSet<(Moment, Timer)>,
    texts_set: u64,
    /// Where other nodes have sessions too.
    shared: Option<Shared>,
}

/// What happens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// What the device holds is given up.
    Grace(SessionId),
    /// The room's occupancy may be told.
    Occupancy(RoomIndex),
}

/// Who is present in a room, in order of user ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The users of this page.
    pub states: Vec<UserState>,
    /// How many are present in all.
    pub occupancy: u32,
    /// Whether more follow.
    pub more: bool,
}

impl Board {
    /// Nobody is there.
    pub fn new(tenant: TenantId, options: Options) -> Self {
        Self {
            tenant,
            options,
            sessions: FxHashMap::default(),
            users: HashMap::new(),
            rooms: Rooms::default(),
            watchers: Watchers::default(),
            timers: BTreeSet::new(),
            texts_set: 0,
            shared: options.shared.then(Shared::default),
        }
    }

    /// A session of the user opened: a new device, or a lost one that is back. Where a session replaces another, call
    /// [`Self::disconnect`] for that one first, and this is silent.
    pub fn connect(&mut self, session: SessionId, user: &UserId, now: Now) -> Vec<Notice> {
        self.connect_as(session, user, 0, now)
    }

    /// The same, of an instance that other nodes know by this hash.
    pub fn connect_as(&mut self, session: SessionId, user: &UserId, instance: u64, now: Now) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.sessions.contains_key(&session) {
            return notices;
        }
        let user = self.known(user);
        self.sessions.insert(session, user.clone());
        let devices = self.users.entry(user.clone()).or_insert_with(User::new);
        if let Some(device) = devices.continued_by(instance) {
            let lost = std::mem::replace(&mut device.session, session);
            self.sessions.remove(&lost);
            if device.connected {
                // Its node cannot know yet that it was lost: here that is so from now on.
                device.places.iter_mut().for_each(|place| place.held = true);
                device.until = Some(now.moment.plus(self.options.grace));
            } else if let Some(until) = device.until {
                self.timers.remove(&(until, Timer::Grace(lost)));
            }
            if let Some(until) = device.until {
                self.timers.insert((until, Timer::Grace(session)));
            }
            device.connected = true;
            device.instance = instance;
            device.last_active = now.time;
            settle(&mut self.timers, device);
            self.note_continued(lost, session);
            return notices;
        }
        let before = devices.state(&user);
        devices.add(Device { instance, ..Device::new(session, now.time) });
        let after = devices.state(&user);
        self.note_new(session);
        self.spread(&before, &after, PresenceReason::Changed, &mut notices);
        notices
    }

    /// The session was lost: its device counts until the grace is over.
    pub fn disconnect(&mut self, session: SessionId, now: Now) -> Vec<Notice> {
        if self.options.grace.is_zero() {
            return self.end(session, PresenceReason::Disconnected, now.moment);
        }
        let Some(devices) = self.sessions.get(&session).and_then(|user| self.users.get_mut(user)) else {
            return Vec::new();
        };
        let Some(device) = devices.connected(session) else { return Vec::new() };
        device.connected = false;
        for place in &mut device.places {
            if std::mem::take(&mut place.follows)
                && let Some(room) = self.rooms.get_mut(place.room)
            {
                room.followers -= 1;
            }
            place.held = true;
        }
        if let Some(until) = device.until.replace(now.moment.plus(self.options.grace)) {
            self.timers.remove(&(until, Timer::Grace(session)));
        }
        self.timers.insert((now.moment.plus(self.options.grace), Timer::Grace(session)));
        self.watchers.remove(session);
        self.note(session, false);
        Vec::new()
    }

    /// The session ended on purpose (goodbye, kick): without grace, and what a lost device had left ends with it.
    pub fn close(&mut self, session: SessionId, now: Now) -> Vec<Notice> {
        self.end(session, PresenceReason::Left, now.moment)
    }

    /// The session joined the room, with its presence or without. Asked again, it only changes that.
    pub fn join(
        &mut self,
        name: &RoomName,
        session: SessionId,
        wants_presence: bool,
        now: Now,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Some(user) = self.sessions.get(&session) else { return notices };
        let Some(devices) = self.users.get_mut(user) else { return notices };
        let Some(device) = devices.connected(session) else { return notices };
        device.last_active = now.time;
        let index = self.rooms.open(name);
        let Some(room) = self.rooms.get_mut(index) else { return notices };
        if let Some(place) = device.place(index) {
            room.followers = room.followers + u32::from(wants_presence) - u32::from(place.follows);
            *place = Place { room: index, follows: wants_presence, held: false };
            settle(&mut self.timers, device);
            return notices;
        }
        device.places.push(Place { room: index, follows: wants_presence, held: false });
        if let Some(shared) = &mut self.shared {
            shared.note(session);
        }
        if let Some(holder) = devices.holder(index, session) {
            room.followers += u32::from(wants_presence);
            holder.take_place(index);
            settle(&mut self.timers, holder);
            let holder = holder.session;
            self.note(holder, false);
            return notices;
        }
        if room.present.add(user) == 1 {
            let state = devices.state(user);
            self.tell_room(index, &state, PresenceReason::Joined, now.moment, &mut notices);
        }
        // Last, so that nothing is told where only the session itself follows: it is about to take a snapshot.
        if let Some(room) = self.rooms.get_mut(index) {
            room.followers += u32::from(wants_presence);
        }
        notices
    }

    /// The session left the room.
    pub fn leave(&mut self, name: &RoomName, session: SessionId, now: Now) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Some(index) = self.rooms.index(name) else { return notices };
        let Some(user) = self.sessions.get(&session).cloned() else { return notices };
        let Some(devices) = self.users.get_mut(&user) else { return notices };
        let Some(device) = devices.connected(session) else { return notices };
        device.last_active = now.time;
        let Some(place) = device.take_place(index) else { return notices };
        settle(&mut self.timers, device);
        let state = devices.state(&user);
        self.note(session, true);
        self.vacate(place, &state, PresenceReason::Left, now.moment, &mut notices);
        notices
    }

    /// The session's device shows this status and text.
    pub fn set(&mut self, session: SessionId, status: Status, text: &str, now: Now) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Some(user) = self.sessions.get(&session).cloned() else { return notices };
        let Some(devices) = self.users.get_mut(&user) else { return notices };
        let before = devices.state(&user);
        let Some(device) = devices.connected(session) else { return notices };
        // Of one node in the order in which they were set; of several by their clocks, and always the same on all.
        self.texts_set = (self.texts_set + 1).max(now.time.millis().cast_unsigned());
        device.text_order = self.texts_set;
        device.status = status;
        device.text = (!text.is_empty()).then(|| text.into());
        device.last_active = now.time;
        let after = devices.state(&user);
        self.note(session, false);
        self.spread(&before, &after, PresenceReason::Changed, &mut notices);
        notices
    }

    /// The session did something at `now`. Told to nobody; the next state of the user says it.
    pub fn touch(&mut self, session: SessionId, now: Now) {
        let Some(device) = self.connected(session) else { return };
        let before = device.last_active;
        device.last_active = before.max(now.time);
        if before.minute() != now.time.minute() {
            self.note(session, false);
        }
    }

    /// The session watches these users instead of those before, and is told how each is now.
    pub fn watch(&mut self, session: SessionId, users: &[UserId]) -> Vec<Notice> {
        if self.connected(session).is_none() {
            return Vec::new();
        }
        let mut users = users.to_vec();
        users.sort_unstable();
        users.dedup();
        self.watchers.replace(session, &users);
        let notice = |user| Notice::watched(vec![session], self.state(user), PresenceReason::Watched);
        users.iter().map(notice).collect()
    }

    /// Ends what is over at `now`: graces, and the wait of occupancies. It stops after a few hundred, so that
    /// a network that is lost with thousands of sessions stalls nobody: then [`Self::next_deadline`] is still past.
    pub fn tick(&mut self, now: Now) -> Vec<Notice> {
        let mut notices = Vec::new();
        for _ in 0..TICK_TIMERS {
            let Some((when, timer)) = self.timers.first().copied().filter(|(when, _)| *when <= now.moment)
            else {
                break;
            };
            self.timers.remove(&(when, timer));
            match timer {
                Timer::Grace(session) => notices.append(&mut self.end_grace(session, now.moment)),
                Timer::Occupancy(index) => self.tell_occupancy(index, now.moment, &mut notices),
            }
        }
        notices
    }

    /// When [`Self::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.timers.first().map(|(when, _)| *when)
    }

    /// How the user is now.
    pub fn state(&self, user: &UserId) -> UserState {
        self.users.get(user).map_or_else(|| UserState::offline(user.clone()), |devices| devices.state(user))
    }

    /// How many are present in the room.
    pub fn occupancy(&self, room: &RoomName) -> u32 {
        self.rooms.named(room).map_or(0, Room::count)
    }

    /// Whether the room's changes are told as occupancy alone.
    pub fn is_large(&self, room: &RoomName) -> bool {
        self.rooms.named(room).is_some_and(|room| room.large)
    }

    /// The first who are present in the room.
    pub fn snapshot(&self, room: &RoomName, limit: usize) -> Page {
        self.page(room, None, limit)
    }

    /// At most `limit` who are present in the room, those whose ids come after `after`.
    pub fn page(&self, room: &RoomName, after: Option<&UserId>, limit: usize) -> Page {
        let Some(room) = self.rooms.named(room) else { return Page::default() };
        let mut users = room.present.after(after);
        let states = users.by_ref().take(limit).map(|user| self.state(user)).collect();
        Page { states, occupancy: room.count(), more: users.next().is_some() }
    }

    fn connected(&mut self, session: SessionId) -> Option<&mut Device> {
        self.users.get_mut(self.sessions.get(&session)?)?.connected(session)
    }

    /// Whether nobody is there, and nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
            && self.users.is_empty()
            && self.rooms.is_empty()
            && self.watchers.is_empty()
            && self.timers.is_empty()
    }
}

/// Drops the device's timer where there is nothing left for it to end.
fn settle(timers: &mut BTreeSet<(Moment, Timer)>, device: &mut Device) {
    if device.is_settled()
        && let Some(until) = device.until.take()
    {
        timers.remove(&(until, Timer::Grace(device.session)));
    }
}
