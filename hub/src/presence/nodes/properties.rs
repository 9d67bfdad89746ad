//! Nodes that come, go, are cut off and lose messages, in random schedules: once all is quiet each shows who is anywhere.
//!
//! The bus and the registry are played here, with everything that may happen to a call.

mod node;
mod registry;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::bus::registry::Writing;
use crate::bus::sessions::Batch;
use crate::domain::names::{RoomName, SessionId, UserId};
use crate::domain::presence::{Status, UserState};
use node::Node;
use registry::Registry;

const NODES: usize = 3;
const ROOMS: usize = 2;
const USERS: usize = 3;
const LEASE: Duration = Duration::from_secs(15);
const GRACE: Duration = Duration::from_secs(10);

/// What becomes of a call to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    /// It was done, but nobody heard of it.
    Unheard,
    /// Nothing happened.
    Failed,
    /// Nobody heard of it; it comes later, or never.
    Late,
}

/// One step of a schedule, at one of the nodes. A session is picked among the node's own by any number.
#[derive(Clone, Debug)]
enum Step {
    Connect(usize, u64),
    Disconnect(usize),
    Close(usize),
    Join(usize, usize),
    Leave(usize, usize),
    Set(usize, Status, &'static str),
    Tell(Fate),
    /// The next of those that are late comes to the registry.
    Arrive,
    /// The next message comes.
    Hear,
    /// One that came comes again, late.
    HearAgain(usize),
    /// All that was on its way is lost; the bus says so later.
    Lose,
    /// The next message is lost, and nobody says so.
    Drop,
    /// The tenant's topic is heard, where it was not yet.
    Follow,
    BeginRenewing(Fate),
    EndRenewing,
    /// What it found of the dead is removed.
    Remove,
    BeginRead,
    EndRead(bool),
    Wait(u64),
    /// `kill -9`; another process takes its place.
    Kill,
    /// It stops as it should; another process takes its place.
    Stop,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let any = || 0..100usize;
    let status = prop_oneof![Just(Status::Online), Just(Status::Away), Just(Status::Busy)];
    let text = prop_oneof![Just(""), Just("lunch"), Just("train")];
    let fate = || prop_oneof![8 => Just(Fate::Done), 1 => Just(Fate::Unheard), 1 => Just(Fate::Failed)];
    let told = || prop_oneof![4 => fate(), 1 => Just(Fate::Late)];
    let step = prop_oneof![
        8 => (0..USERS, 0..3u64).prop_map(|(user, instance)| Step::Connect(user, instance)),
        4 => any().prop_map(Step::Disconnect),
        2 => any().prop_map(Step::Close),
        8 => (any(), 0..ROOMS).prop_map(|(session, room)| Step::Join(session, room)),
        3 => (any(), 0..ROOMS).prop_map(|(session, room)| Step::Leave(session, room)),
        4 => (any(), status, text).prop_map(|(session, status, text)| Step::Set(session, status, text)),
        12 => told().prop_map(Step::Tell),
        3 => Just(Step::Arrive),
        16 => Just(Step::Hear),
        2 => any().prop_map(Step::HearAgain),
        2 => Just(Step::Lose),
        1 => Just(Step::Drop),
        4 => Just(Step::Remove),
        2 => Just(Step::Follow),
        6 => fate().prop_map(Step::BeginRenewing),
        6 => Just(Step::EndRenewing),
        8 => Just(Step::BeginRead),
        8 => prop::bool::weighted(0.8).prop_map(Step::EndRead),
        8 => (1..6_000u64).prop_map(Step::Wait),
        1 => Just(Step::Kill),
        1 => Just(Step::Stop),
    ];
    vec((0..NODES, step), 1..160)
}

fn user(number: usize) -> UserId {
    UserId::parse(&format!("u{number}")).unwrap()
}

fn room(number: usize) -> RoomName {
    RoomName::of("room", &number.to_string()).unwrap()
}

/// All nodes, and what is between them.
struct Run {
    now: u64,
    nodes: Vec<Node>,
    registry: Registry,
    /// What was said to have failed and may still come to the registry.
    late: VecDeque<(Writing, Batch)>,
    started: u64,
    sessions: u128,
    /// Whether a message was lost of which nobody said so: it is found missing when more is said.
    is_dropped: bool,
}

impl Run {
    fn new() -> Self {
        let mut run = Self {
            now: 1_000_000,
            nodes: Vec::new(),
            registry: Registry::default(),
            late: VecDeque::new(),
            started: 0,
            sessions: 0,
            is_dropped: false,
        };
        for _ in 0..NODES {
            let node = run.start();
            run.nodes.push(node);
        }
        run
    }

    fn start(&mut self) -> Node {
        self.started += 1;
        self.sessions += 1;
        Node::start(self.started, SessionId(self.sessions), self.now)
    }

    fn step(&mut self, at: usize, step: &Step) {
        let now = self.now;
        let node = &mut self.nodes[at];
        match *step {
            Step::Connect(number, instance) => {
                self.sessions += 1;
                node.connect(SessionId(self.sessions), &user(number), instance, now);
            }
            Step::Disconnect(any) => node.disconnect(any, now),
            Step::Close(any) => node.close(any, now),
            Step::Join(any, number) => node.join(any, &room(number), now),
            Step::Leave(any, number) => node.leave(any, &room(number), now),
            Step::Set(any, status, text) => node.set(any, status, text, now),
            Step::Tell(fate) => self.tell(at, fate),
            Step::Arrive => self.late_one_arrives(),
            Step::Hear => node.hear(now),
            Step::HearAgain(any) => node.hear_again(any, now),
            Step::Lose => node.lose(),
            Step::Drop => self.is_dropped |= node.drop_next(),
            Step::Remove => node.remove(&mut self.registry),
            Step::Follow => node.follow(),
            Step::BeginRenewing(fate) => node.begin_renewing(&mut self.registry, fate, now),
            Step::EndRenewing => node.end_renewing(now),
            Step::BeginRead => node.begin_read(&self.registry, now),
            Step::EndRead(succeeds) => node.end_read(succeeds, now),
            Step::Wait(time) => self.wait(time),
            Step::Kill => self.nodes[at] = self.start(),
            Step::Stop => self.stop(at),
        }
        self.nodes.iter().for_each(|node| node.check(self.now));
    }

    fn tell(&mut self, at: usize, fate: Fate) {
        let Some((writing, batch)) = self.nodes[at].tell(self.now) else { return };
        match fate {
            Fate::Failed => {}
            Fate::Late => self.late.push_back((writing, batch)),
            Fate::Done | Fate::Unheard => {
                if self.is_kept(&writing, &batch) && fate == Fate::Done {
                    self.nodes[at].was_told(&writing);
                }
            }
        }
    }

    fn late_one_arrives(&mut self) {
        if let Some((writing, batch)) = self.late.pop_front() {
            self.is_kept(&writing, &batch);
        }
    }

    /// A batch has come to the registry. Where it is kept it is published.
    fn is_kept(&mut self, writing: &Writing, batch: &Batch) -> bool {
        let is_kept = self.registry.write(writing);
        if is_kept {
            for node in self.nodes.iter_mut().filter(|node| node.id != writing.life.node) {
                node.arrives(batch.clone());
            }
        }
        is_kept
    }

    fn stop(&mut self, at: usize) {
        self.nodes[at].take_leave();
        self.tell(at, Fate::Done);
        self.nodes[at].disconnect_all(self.now);
        self.tell(at, Fate::Done);
        self.registry.park(self.nodes[at].life(), GRACE, self.now);
        self.nodes[at] = self.start();
    }

    fn wait(&mut self, time: u64) {
        self.now += time;
        for node in &mut self.nodes {
            node.tick(self.now);
        }
    }

    /// All goes well from here on.
    fn quieten(&mut self) {
        while !self.late.is_empty() {
            self.late_one_arrives();
        }
        if self.is_dropped {
            self.nodes.iter_mut().for_each(|node| node.says_something(self.now));
        }
        for _ in 0..20 {
            for at in 0..NODES {
                let now = self.now;
                let node = &mut self.nodes[at];
                node.follow();
                node.end_renewing(now);
                node.begin_renewing(&mut self.registry, Fate::Done, now);
                node.end_renewing(now);
                node.remove(&mut self.registry);
                while node.hears_something() {
                    node.hear(now);
                }
                node.is_back(now);
                for _ in 0..2 * NODES {
                    node.begin_read(&self.registry, now);
                    node.end_read(true, now);
                }
                self.tell(at, Fate::Done);
            }
            self.wait(3_000);
            self.nodes.iter().for_each(|node| node.check(self.now));
        }
    }

    /// Who is anywhere, as the nodes themselves say of their own.
    fn union(&self) -> BTreeMap<SessionId, (UserId, Vec<RoomName>)> {
        self.nodes.iter().flat_map(Node::own).collect()
    }

    fn finish(&mut self) {
        self.quieten();
        let union = self.union();
        for node in &self.nodes {
            for session in node.unnamed() {
                assert!(union.contains_key(&session), "an own session is lost");
            }
            for number in 0..USERS {
                let devices = union.values().filter(|(of, _)| *of == user(number)).count();
                assert_eq!(node.state(&user(number)).devices as usize, devices, "devices at {}", node.id);
            }
            for number in 0..ROOMS {
                let here = union.values().filter(|(_, rooms)| rooms.contains(&room(number)));
                let mut here: Vec<_> = here.map(|(user, _)| user.clone()).collect();
                here.sort();
                here.dedup();
                let present: Vec<_> =
                    node.present(&room(number)).into_iter().map(|state| state.user).collect();
                assert_eq!(present, here, "present at {}", node.id);
            }
        }
        let (first, others) = self.nodes.split_first().unwrap();
        for number in 0..ROOMS {
            let present = first.present(&room(number));
            for node in others {
                assert_eq!(node.present(&room(number)), present);
            }
        }
        let mut lives: Vec<_> = self.nodes.iter().map(Node::life).collect();
        lives.sort();
        assert_eq!(self.registry.lives(), lives, "of the dead nothing is kept");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn once_all_is_quiet_each_node_shows_who_is_anywhere(steps in steps()) {
        let mut run = Run::new();
        for (at, step) in steps {
            run.step(at, &step);
        }
        run.finish();
    }
}

/// Texts of one instant, set on two nodes, and a session that is continued on another: what is shown stays.
#[test]
fn of_texts_of_one_instant_the_same_stays() {
    use Step::{BeginRenewing, Connect, EndRenewing, Follow, Hear, Join, Kill, Set, Stop};
    let mut run = Run::new();
    for (at, step) in [
        (1, Kill),
        (0, Follow),
        (1, Follow),
        (2, Follow),
        (0, Connect(1, 0)),
        (1, Connect(1, 0)),
        (1, Set(0, Status::Online, "lunch")),
        (0, Set(0, Status::Online, "")),
        (0, Connect(1, 2)),
        (0, BeginRenewing(Fate::Done)),
        (0, EndRenewing),
        (0, Connect(0, 0)),
        (0, Join(0, 0)),
        (0, Connect(0, 0)),
        (0, Stop),
        (1, Hear),
        (0, Connect(1, 0)),
    ] {
        run.step(at, &step);
    }
    run.finish();
}

/// As others see a user, but for the time of last activity.
fn seen(state: UserState) -> UserState {
    super::super::properties::seen(state)
}
