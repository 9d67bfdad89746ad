//! Random schedules on a board, with a naive model and followers that believe what they are told beside it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Model, RoomNumber};
use super::{Audience, Board, Notice, Options};
use crate::domain::names::{RoomName, SessionId, TenantId, UserId};
use crate::domain::presence::{PresenceReason, Status, UserState};
use crate::domain::push::Push;
use crate::domain::time::{Moment, Now, Timestamp};

const USERS: usize = 3;
const SEATS: usize = 7;
const ROOMS: usize = 3;

/// One step of a schedule. A seat is a place for one session at a time; seats go round the users.
#[derive(Clone, Debug)]
enum Step {
    Connect(usize),
    Disconnect(usize),
    Close(usize),
    /// Kicks the session that the seat lost.
    CloseLost(usize),
    Join(usize, RoomNumber, bool),
    Leave(usize, RoomNumber),
    Set(usize, Status, &'static str),
    Watch(usize, Vec<usize>),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seat = || 0..SEATS;
    let status =
        prop_oneof![Just(Status::Online), Just(Status::Away), Just(Status::Busy), Just(Status::Offline)];
    let text = prop_oneof![Just(""), Just("lunch"), Just("train")];
    let step = prop_oneof![
        4 => seat().prop_map(Step::Connect),
        3 => seat().prop_map(Step::Disconnect),
        1 => seat().prop_map(Step::Close),
        1 => seat().prop_map(Step::CloseLost),
        6 => (seat(), 0..ROOMS, prop::bool::weighted(0.7)).prop_map(|(s, r, p)| Step::Join(s, r, p)),
        2 => (seat(), 0..ROOMS).prop_map(|(s, r)| Step::Leave(s, r)),
        3 => (seat(), status, text).prop_map(|(s, status, text)| Step::Set(s, status, text)),
        1 => (seat(), vec(0..USERS, 0..4)).prop_map(|(s, users)| Step::Watch(s, users)),
        4 => (1..6_000u64).prop_map(Step::Wait),
    ];
    vec(step, 1..120)
}

pub(super) type View = BTreeMap<UserId, UserState>;

/// The board, the model, and what each follower and watcher believes.
struct Run {
    board: Board,
    model: Model,
    options: Options,
    now: Moment,
    seats: Vec<SessionId>,
    sessions: u128,
    rooms: HashMap<(SessionId, RoomNumber), View>,
    watched: HashMap<SessionId, View>,
    occupancy_told: HashMap<RoomNumber, Moment>,
    occupancy: HashMap<(SessionId, RoomNumber), u32>,
}

fn user(seat: usize) -> UserId {
    UserId::parse(&format!("u{}", seat % USERS)).unwrap()
}

fn room(number: RoomNumber) -> RoomName {
    RoomName::of("room", &number.to_string()).unwrap()
}

fn room_number(name: &RoomName) -> RoomNumber {
    name.id().parse().unwrap()
}

/// What others see: all but the time of last activity.
pub(super) fn seen(mut state: UserState) -> UserState {
    state.last_active = Timestamp(0);
    state
}

impl Run {
    fn new(options: Options) -> Self {
        Self {
            board: Board::new(TenantId::parse("acme").unwrap(), options),
            model: Model::new(options.grace),
            options,
            now: Moment(1_000_000),
            seats: vec![SessionId(0); SEATS],
            sessions: 0,
            rooms: HashMap::new(),
            watched: HashMap::new(),
            occupancy_told: HashMap::new(),
            occupancy: HashMap::new(),
        }
    }

    /// Now, by a clock on the wall that is set back again and again.
    fn at(&self) -> Now {
        Now { time: Timestamp(self.now.0 as i64 % 60_000), moment: self.now }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Connect(seat) => {
                if !self.model.is_connected(self.seats[seat]) {
                    self.sessions += 1;
                    self.seats[seat] = SessionId(self.sessions);
                    let silent = self.model.connect(self.seats[seat], &user(seat));
                    let notices = self.board.connect(self.seats[seat], &user(seat), self.at());
                    assert!(!silent || notices.is_empty(), "a reconnect was told: {notices:?}");
                    self.tell(notices);
                }
            }
            Step::Disconnect(seat) => {
                let session = self.seats[seat];
                self.model.disconnect(session, self.now);
                assert!(self.board.disconnect(session, self.at()).is_empty());
                self.forget(session);
            }
            Step::Close(seat) | Step::CloseLost(seat) => {
                let session = self.seats[seat];
                if self.model.is_connected(session) != matches!(step, Step::CloseLost(_)) {
                    self.forget(session);
                    self.model.close(session);
                    let notices = self.board.close(session, self.at());
                    self.tell(notices);
                }
            }
            Step::Join(seat, number, presence) => self.join(self.seats[seat], number, presence),
            Step::Leave(seat, number) => {
                let session = self.seats[seat];
                self.rooms.remove(&(session, number));
                self.occupancy.remove(&(session, number));
                self.model.leave(session, number);
                let notices = self.board.leave(&room(number), session, self.at());
                self.tell(notices);
            }
            Step::Set(seat, status, text) => {
                self.model.set(self.seats[seat], status, text);
                let notices = self.board.set(self.seats[seat], status, text, self.at());
                self.tell(notices);
            }
            Step::Watch(seat, users) => {
                let session = self.seats[seat];
                self.watched.remove(&session);
                if self.model.is_connected(session) {
                    self.watched.insert(session, View::new());
                }
                let users: Vec<_> = users.into_iter().map(user).collect();
                let notices = self.board.watch(session, &users);
                self.tell(notices);
            }
            Step::Wait(millis) => self.wait(Duration::from_millis(millis)),
        }
        self.check();
    }

    fn join(&mut self, session: SessionId, number: RoomNumber, presence: bool) {
        let silent = self.model.join(session, number);
        let notices = self.board.join(&room(number), session, presence, self.at());
        assert!(!silent || notices.is_empty(), "joining again was told: {notices:?}");
        self.tell(notices);
        self.rooms.remove(&(session, number));
        self.occupancy.remove(&(session, number));
        if presence && self.model.is_connected(session) {
            let page = self.board.snapshot(&room(number), USERS);
            let view = page.states.into_iter().map(|state| (state.user.clone(), seen(state))).collect();
            self.rooms.insert((session, number), view);
            self.occupancy.insert((session, number), page.occupancy);
        }
    }

    /// Lets time pass from deadline to deadline.
    fn wait(&mut self, duration: Duration) {
        let end = self.now.plus(duration);
        while let Some(deadline) = self.board.next_deadline().filter(|deadline| *deadline <= end) {
            assert!(deadline > self.now, "a tick left something due");
            self.now = deadline;
            self.model.tick(deadline);
            let notices = self.board.tick(self.at());
            self.tell(notices);
        }
        self.now = end;
        assert!(self.board.tick(self.at()).is_empty());
    }

    /// The session's stream is gone, and what it was told with it.
    fn forget(&mut self, session: SessionId) {
        self.rooms.retain(|(other, _), _| *other != session);
        self.occupancy.retain(|(other, _), _| *other != session);
        self.watched.remove(&session);
    }

    fn tell(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            match (notice.push, notice.to) {
                (Push::Presence { room: Some(name), state, reason }, Audience::Room(key)) => {
                    assert_eq!(name, key.room);
                    let number = room_number(&name);
                    assert!(self.model.present(number).len() <= self.options.large_room);
                    let followers: Vec<_> =
                        self.rooms.iter_mut().filter(|((_, n), _)| *n == number).collect();
                    assert!(!followers.is_empty(), "told to nobody");
                    for (_, view) in followers {
                        apply(view, &state, reason, self.options.large_room == usize::MAX);
                    }
                }
                (Push::Presence { room: None, state, reason }, Audience::Sessions(sessions)) => {
                    for session in sessions {
                        let view = self.watched.get_mut(&session).expect("a watcher that is there");
                        let before = view.insert(state.user.clone(), seen(state.clone()));
                        let returned = before.as_ref().is_some_and(|before| before.devices == 0);
                        assert_eq!(before.is_none(), reason == PresenceReason::Watched);
                        assert_eq!(returned, reason == PresenceReason::Returned);
                        assert!(before.is_none_or(|before| !before.looks_like(&state)), "no news");
                    }
                }
                (Push::Occupancy { room: name, count }, Audience::Room(_)) => {
                    self.tell_occupancy(&name, count);
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    fn tell_occupancy(&mut self, name: &RoomName, count: u32) {
        let number = room_number(name);
        let huge = count as usize > self.options.huge_room;
        let interval =
            if huge { self.options.occupancy_interval_huge } else { self.options.occupancy_interval };
        if let Some(told) = self.occupancy_told.insert(number, self.now) {
            assert!(self.now.since(told) >= interval, "too soon after {told:?}");
        }
        for (_, known) in self.occupancy.iter_mut().filter(|((_, n), _)| *n == number) {
            *known = count;
        }
    }

    fn check(&mut self) {
        let small = self.options.large_room == usize::MAX;
        for number in 0..ROOMS {
            let present = self.model.present(number);
            let page = self.board.snapshot(&room(number), USERS);
            let listed: Vec<_> = page.states.into_iter().map(seen).collect();
            assert_eq!(listed, present.values().cloned().collect::<Vec<_>>());
            assert_eq!(page.occupancy as usize, present.len());
            if present.is_empty() {
                self.occupancy_told.remove(&number);
            }
            for ((session, _), view) in self.rooms.iter().filter(|((_, n), _)| *n == number && small) {
                assert_eq!(view, &present, "what {session:?} believes of room {number}");
            }
        }
        for (session, view) in &self.watched {
            for (user, state) in view {
                assert_eq!(state, &self.model.state(user), "what {session:?} believes of {user}");
            }
        }
    }

    /// Everyone goes, and the graces pass.
    fn finish(mut self) {
        for seat in 0..SEATS {
            self.step(Step::Disconnect(seat));
        }
        self.wait(self.options.grace);
        self.check();
        assert!(self.board.is_empty(), "left behind: {:?}", self.board);
    }
}

pub(super) fn apply(view: &mut View, state: &UserState, reason: PresenceReason, strictly: bool) {
    let user = state.user.clone();
    let before = if matches!(reason, PresenceReason::Left | PresenceReason::Disconnected) {
        view.remove(&user)
    } else {
        view.insert(user, seen(state.clone()))
    };
    if strictly {
        assert_eq!(before.is_none(), reason == PresenceReason::Joined, "{reason:?} of {before:?}");
        let changed = before.is_none_or(|before| !before.looks_like(state));
        assert!(changed || reason != PresenceReason::Changed, "no news");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// In small rooms a follower knows at every moment who is present and how they are, and is told nothing else.
    #[test]
    fn followers_know_what_is_true(steps in steps()) {
        let mut run = Run::new(Options { large_room: usize::MAX, ..Options::default() });
        for step in steps {
            run.step(step);
        }
        run.finish();
    }

    /// Occupancy keeps its intervals, and a follower of a large room knows it once they have passed.
    #[test]
    fn followers_of_large_rooms_know_the_count(steps in steps()) {
        let options = Options { large_room: 1, huge_room: 2, ..Options::default() };
        let mut run = Run::new(options);
        for step in steps {
            run.step(step);
        }
        // The last change is the end of a grace.
        run.wait(options.grace + options.occupancy_interval_huge);
        for ((_, number), known) in &run.occupancy {
            let count = run.board.occupancy(&room(*number));
            prop_assert!(*known == count || !run.board.is_large(&room(*number)));
        }
        run.finish();
    }
}
