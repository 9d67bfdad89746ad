use std::collections::VecDeque;
use std::task::{Wake, Waker};

use carillon_proto::v1::SessionResponse;
use parking_lot::Mutex;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::delivery::follower::Follower;
use crate::delivery::mailbox::Mailbox;
use crate::delivery::room::ActiveRoom;
use crate::delivery::tally::{Tally, Turn};
use crate::domain::names::{RoomKey, RoomName, SessionId, TenantId, UserId, UserKey};
use crate::domain::position::{Epoch, Position, Seq};
use crate::domain::time::Timestamp;

/// Entries by their place; pushes that are in no log from here on.
const PUSHES: u32 = 1_000_000;

fn frame(number: u32) -> Frame {
    Frame::encode(&SessionResponse { command_id: number, ..SessionResponse::default() })
}

fn number(frame: &Frame) -> u32 {
    SessionResponse::decode(frame.message()).unwrap().command_id
}

/// What a front does: it writes all, some or nothing of what is written past its task.
#[derive(Default)]
struct Front {
    answers: Mutex<VecDeque<Written>>,
    out: Mutex<Vec<u32>>,
    /// Whether its task has to finish a frame.
    begun: AtomicBool,
    past: AtomicBool,
}

impl Shortcut for Front {
    fn write(&self, frame: &Frame) -> Written {
        assert!(!self.begun.load(Ordering::SeqCst), "it is in the middle of another");
        let written = self.answers.lock().pop_front().unwrap_or(Written::All);
        if written != Written::Nothing {
            self.out.lock().push(number(frame));
            self.past.store(true, Ordering::SeqCst);
        }
        self.begun.store(written == Written::Begun, Ordering::SeqCst);
        written
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A session of one room.
struct Session {
    room: ActiveRoom,
    follower: Arc<Follower>,
    front: Arc<Front>,
    /// Raised when its task is woken.
    woken: Arc<Woken>,
    turn: Turn,
    tally: Tally,
    head: u32,
    pushes: u32,
}

impl Session {
    fn new(answers: Vec<Written>) -> Self {
        let (tenant, user) = (TenantId::parse("acme").unwrap(), UserId::parse("bob").unwrap());
        let key = RoomKey { tenant: tenant.clone(), room: RoomName::parse("room:x").unwrap() };
        let mailbox = Arc::new(Mailbox::new(SessionId(1), UserKey { tenant, user }, 0, 1 << 20));
        let front = Arc::new(Front { answers: Mutex::new(answers.into()), ..Front::default() });
        mailbox.offer(Arc::clone(&front) as Arc<dyn Shortcut>);
        let follower = Follower::new(mailbox, 0, false);
        let room = ActiveRoom::new(key, 1);
        room.follow(0, &follower);
        follower.begin();
        Self {
            room,
            follower,
            front,
            woken: Arc::default(),
            turn: Turn::default(),
            tally: Tally::default(),
            head: 0,
            pushes: PUSHES,
        }
    }

    fn appends(&mut self) {
        self.head += 1;
        let position = Position { epoch: Epoch(1), seq: Seq(self.head.into()), ..Position::default() };
        self.room.append(position, Seq(0), Timestamp(0), Some(frame(self.head)));
    }

    fn delivers(&mut self) {
        self.room.deliver_before(0, usize::MAX, 16, &mut self.turn);
        self.turn.ends(&self.tally);
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    fn pushes(&mut self) {
        self.follower.mailbox.push(frame(self.pushes), None);
        self.pushes += 1;
    }

    /// As the task does: pushes first, then what lies past the cursor.
    fn is_polled(&self) {
        let mailbox = &self.follower.mailbox;
        self.woken.0.store(false, Ordering::SeqCst);
        mailbox.register(&Waker::from(Arc::clone(&self.woken)));
        mailbox.end_rest();
        self.front.begun.store(false, Ordering::SeqCst);
        let mut is_ready = false;
        mailbox.take(|_| is_ready = true, &mut Vec::new());
        let mut out = self.front.out.lock();
        mailbox.take_pushes(|waiting| {
            out.push(number(&waiting.frame));
            true
        });
        if is_ready {
            self.follower.clear_ready();
            let mut cursor = self.follower.cursor();
            self.room.pull(&mut cursor, self.follower.until(), |frame| {
                out.push(number(frame));
                true
            });
            self.follower.set_cursor(cursor);
        }
        mailbox.begin_rest();
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Append,
    Deliver,
    Push,
    Poll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Append),
        4 => Just(Step::Deliver),
        1 => Just(Step::Push),
        2 => Just(Step::Poll),
    ];
    prop::collection::vec(step, 1..120)
}

fn answers() -> impl Strategy<Value = Vec<Written>> {
    let answer = prop_oneof![4 => Just(Written::All), 1 => Just(Written::Begun), 1 => Just(Written::Nothing)];
    prop::collection::vec(answer, 0..40)
}

proptest! {
    /// Whatever is polled when, and whatever the front takes: each entry comes once and in order, and none goes past a push that
    /// waits.
    #[test]
    fn everything_comes_once_and_in_order(steps in steps(), answers in answers()) {
        let mut session = Session::new(answers);
        session.is_polled();
        for step in steps {
            let waits = session.follower.mailbox.has_waiting();
            let before = session.front.out.lock().len();
            match step {
                Step::Append => session.appends(),
                Step::Deliver => session.delivers(),
                Step::Push => session.pushes(),
                Step::Poll => session.is_polled(),
            }
            if session.front.begun.load(Ordering::SeqCst) {
                prop_assert!(session.is_woken() && session.follower.mailbox.has_waiting(), "nobody finishes it");
            }
            if waits && !matches!(step, Step::Poll) {
                prop_assert_eq!(session.front.out.lock().len(), before, "something went past what waits");
            }
        }
        session.delivers();
        if session.is_woken() {
            session.is_polled();
        }
        let out = session.front.out.lock();
        let (pushes, entries): (Vec<_>, Vec<_>) = out.iter().copied().partition(|number| *number >= PUSHES);
        prop_assert_eq!(entries, (1..=session.head).collect::<Vec<_>>());
        prop_assert_eq!(pushes, (PUSHES..session.pushes).collect::<Vec<_>>());
    }
}

#[test]
fn one_entry_goes_past_a_session_that_rests_and_is_counted() {
    let mut session = Session::new(Vec::new());
    session.appends();
    session.delivers();
    assert!(session.front.out.lock().is_empty(), "it has not begun to rest");
    session.is_polled();
    session.appends();
    session.delivers();
    let tally = &session.tally;
    assert_eq!(tally.frames(), 1);
    assert_eq!((tally.take(), tally.take(), tally.frames()), ((1, frame(2).len() as u64), (0, 0), 1));
    assert!(session.front.past.load(Ordering::SeqCst) && !session.follower.mailbox.has_waiting());
    assert!(!session.is_woken());
    // More than one goes out together, by the session itself.
    session.appends();
    session.appends();
    session.delivers();
    assert!(session.follower.mailbox.has_waiting());
    session.is_polled();
    assert_eq!(*session.front.out.lock(), [1, 2, 3, 4]);
    // Nothing new wakes nobody.
    session.delivers();
    assert!(!session.follower.mailbox.has_waiting());
}

#[test]
fn who_may_see_no_more_or_has_ended_is_not_written_to() {
    let mut removed = Session::new(Vec::new());
    removed.is_polled();
    removed.follower.end_at(Seq(0));
    removed.appends();
    removed.delivers();
    assert!(removed.follower.mailbox.has_waiting(), "the session finds out");
    let mut ended = Session::new(Vec::new());
    ended.is_polled();
    ended.follower.mailbox.close();
    ended.appends();
    ended.delivers();
    // Nor does it rest again.
    ended.is_polled();
    ended.delivers();
    for session in [removed, ended] {
        assert!(session.front.out.lock().is_empty());
    }
}
