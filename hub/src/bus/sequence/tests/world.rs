//! A server, the ways from it, and a node that follows it: what may happen between them, and what must hold.

use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::{Bounds, Item, Page, Read, Sequencer, Step};
use super::random::Random;
use super::server::{Accepted, Key, Server};
use crate::domain::position::{Position, Seq, Tag};

pub(super) const ROOMS: usize = 3;
const BYTES: usize = 10;
const PAGE: usize = 3;

pub(super) const BOUNDS: Bounds = Bounds {
    hold: Duration::from_millis(50),
    retry: Duration::from_millis(200),
    items: 4,
    bytes: 5 * BYTES,
    total: 8 * BYTES,
    tags: 3,
};

/// What somebody who follows a log was told.
#[derive(Default)]
struct Copy {
    last: Option<Position>,
}

enum Answer {
    Page(Page<Position>),
    Failed,
}

/// Something on its way.
struct Flying<T>(Key, T);

pub(super) struct World {
    pub(super) random: Random,
    pub(super) server: Server,
    node: Sequencer<Key, Position>,
    /// Whether the bus brings what the server publishes.
    connected: bool,
    /// Whether the node thinks so.
    knows: bool,
    /// Whether something was lost on the way that nobody could notice.
    deaf: bool,
    /// Whether the store's replies do not say what an entry follows on. Then a server that loses entries is not noticed
    /// before the bus has seen it: what is told meanwhile cannot be right.
    pub(super) is_silent: bool,
    bus: Vec<Flying<(Accepted, bool)>>,
    replies: Vec<Flying<Accepted>>,
    reads: Vec<Flying<Read>>,
    answers: Vec<Flying<(u64, Answer)>>,
    copies: FxHashMap<Key, Copy>,
    /// This node's own entries that the bus has brought back since it is connected.
    came_back: FxHashSet<Tag>,
    now: Instant,
    /// What happened, for who replays a seed.
    pub(super) story: Vec<String>,
    pub(super) told: usize,
    /// Of them this node's own, while the bus was away.
    pub(super) told_while_away: usize,
    pub(super) diverged: usize,
    pub(super) read: usize,
}

type Checked = Result<(), String>;

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut node = Sequencer::new(BOUNDS);
        (0..ROOMS).for_each(|key| node.open(&key));
        Self {
            random: Random(seed),
            server: Server::default(),
            node,
            connected: false,
            knows: false,
            deaf: false,
            is_silent: seed.is_multiple_of(4),
            bus: Vec::new(),
            replies: Vec::new(),
            reads: Vec::new(),
            answers: Vec::new(),
            copies: FxHashMap::default(),
            came_back: FxHashSet::default(),
            now: Instant::now(),
            story: Vec::new(),
            told: 0,
            told_while_away: 0,
            diverged: 0,
            read: 0,
        }
    }

    fn key(&mut self) -> Key {
        self.random.below(ROOMS)
    }

    /// Somebody writes: this node or another one.
    pub(super) fn append(&mut self, own: bool) {
        let key = self.key();
        let accepted = self.server.append(key);
        self.story.push(format!("append {key} {:?} own {own}", accepted.at));
        if self.connected {
            self.bus.push(Flying(key, (accepted, own)));
        }
        if own {
            self.replies.push(Flying(key, accepted));
        }
    }

    /// The bus brings something: the oldest, or one of those after it.
    pub(super) fn deliver(&mut self, reorder: bool, repeat: bool) -> Checked {
        if self.bus.is_empty() || !self.knows {
            return Ok(());
        }
        let among = if reorder { self.bus.len() } else { 1 };
        let index = self.random.below(among);
        let Flying(key, (accepted, own)) = self.bus.remove(index);
        if repeat {
            self.bus.push(Flying(key, (accepted, own)));
        }
        self.story.push(format!("bus {key} {:?} own {own}", accepted.at));
        if own {
            self.came_back.insert(accepted.at.tag);
            let (seq, previous, now) = (accepted.at.seq, Some(accepted.previous), self.now);
            return self.step(key, |node, out| node.echo(&key, seq, previous, now, out));
        }
        self.offer(key, accepted.at, Some(accepted.previous))
    }

    /// Something that the bus carries never comes.
    pub(super) fn drop_one(&mut self) {
        if !self.bus.is_empty() {
            let index = self.random.below(self.bus.len());
            let Flying(key, (accepted, _)) = self.bus.remove(index);
            self.story.push(format!("dropped {key} {:?}", accepted.at));
            self.deaf = true;
        }
    }

    /// The store's answer is lost, and whoever committed does not know whether it was done.
    pub(super) fn lose_reply(&mut self) {
        if self.replies.is_empty() {
            return;
        }
        let index = self.random.below(self.replies.len());
        let Flying(key, accepted) = self.replies.remove(index);
        self.story.push(format!("lost reply {key} {:?}", accepted.at));
        // The bus has not brought it back yet, or never will.
        let comes_back = self.bus.iter().any(|Flying(_, (flying, _))| flying.at == accepted.at);
        self.deaf |= !comes_back && !self.came_back.contains(&accepted.at.tag);
    }

    /// The store answers a commit of this node.
    pub(super) fn reply(&mut self) -> Checked {
        if self.replies.is_empty() {
            return Ok(());
        }
        let index = self.random.below(self.replies.len());
        let Flying(key, accepted) = self.replies.remove(index);
        self.story.push(format!("reply {key} {:?}", accepted.at));
        let previous = Some(accepted.previous).filter(|_| !self.is_silent);
        let last = self.copies.get(&key).and_then(|copy| copy.last);
        let is_next = last.is_some_and(|last| {
            (last.epoch, last.seq.next(), Some(last.tag)) == (accepted.at.epoch, accepted.at.seq, previous)
        });
        let told = self.told;
        self.offer(key, accepted.at, previous)?;
        // Whatever the bus does: what is proven to be the next waits for nothing.
        if is_next && self.told == told {
            return Err(format!("{:?} follows on what was told, and waits", accepted.at));
        }
        self.told_while_away += usize::from(is_next && !self.knows);
        Ok(())
    }

    fn offer(&mut self, key: Key, at: Position, previous: Option<Tag>) -> Checked {
        let item = Item { at, previous, bytes: BYTES, what: at };
        let now = self.now;
        self.step(key, |node, out| {
            assert!(node.offer(&key, item, now, out).is_none(), "it is followed");
        })
    }

    /// The store does a read, or fails to.
    pub(super) fn do_read(&mut self, may_fail: bool) {
        if self.reads.is_empty() {
            return;
        }
        let index = self.random.below(self.reads.len());
        let Flying(key, read) = self.reads.remove(index);
        let fails = may_fail && self.random.one_in(4);
        self.story.push(format!("read {key} {read:?} fails {fails}"));
        let answer =
            if fails { Answer::Failed } else { Answer::Page(self.server.read(key, read.after, PAGE)) };
        self.answers.push(Flying(key, (read.id, answer)));
    }

    /// The answer of a read arrives.
    pub(super) fn answer(&mut self) -> Checked {
        if self.answers.is_empty() {
            return Ok(());
        }
        let index = self.random.below(self.answers.len());
        let Flying(key, (id, answer)) = self.answers.remove(index);
        let now = self.now;
        self.read += 1;
        match answer {
            Answer::Failed => {
                self.story.push(format!("answer {key} {id} failed"));
                self.node.failed(&key, id, now);
                Ok(())
            }
            Answer::Page(page) => {
                self.story.push(format!("answer {key} {id} {page:?}"));
                self.step(key, |node, out| node.page(&key, id, page, now, out))
            }
        }
    }

    /// Time passes.
    pub(super) fn tick(&mut self) -> Checked {
        self.now += Duration::from_millis(self.random.below(80) as u64);
        self.story.push("tick".to_owned());
        let mut steps = Vec::new();
        self.node.tick(self.now, &mut |key, step| steps.push((*key, step)));
        steps.iter().try_for_each(|(key, step)| self.check(*key, step))
    }

    /// The server, or what leads to it, is gone: what was on its way may or may not have come.
    pub(super) fn disconnect(&mut self) {
        self.story.push("disconnect".to_owned());
        self.connected = false;
        self.knows = false;
        self.bus.clear();
        (0..ROOMS).for_each(|key| self.node.lost(&key));
    }

    pub(super) fn connect(&mut self) -> Checked {
        if self.connected && self.knows {
            return Ok(());
        }
        self.disconnect();
        self.story.push("connect".to_owned());
        (self.connected, self.knows, self.deaf) = (true, true, false);
        // A reply that the old server gave is not still on its way when the new one has been found.
        let server = &mut self.server;
        self.replies.retain(|Flying(key, accepted)| server.has(*key, accepted.at));
        let now = self.now;
        (0..ROOMS).try_for_each(|key| self.step(key, |node, out| node.back(&key, now, out)))
    }

    /// The server restarts and has lost some of the last entries: every connection breaks.
    pub(super) fn restart(&mut self) {
        self.lose_some();
        self.disconnect();
    }

    /// Another server takes over that does not have some of the last entries; the node still hears the old one.
    pub(super) fn fail_over(&mut self) {
        self.lose_some();
        self.connected = false;
    }

    fn lose_some(&mut self) {
        for key in 0..ROOMS {
            let lost = self.random.below(4);
            self.server.lose(key, lost);
            self.story.push(format!("lost {lost} of {key}"));
        }
    }

    pub(super) fn lose_everything(&mut self) {
        self.server.lose_everything();
        self.disconnect();
    }

    pub(super) fn trim(&mut self) {
        let key = self.key();
        let entries = 1 + self.random.below(4) as u64;
        self.server.trim(key, entries);
        self.story.push(format!("trimmed {entries} of {key}"));
    }

    /// Everything works and all that is on its way comes: then what was told is the log.
    pub(super) fn quiet(&mut self) -> Checked {
        self.story.push("quiet".to_owned());
        if self.deaf || !self.connected {
            self.disconnect();
        }
        self.connect()?;
        for _ in 0..10_000 {
            self.deliver(false, false)?;
            self.reply()?;
            self.do_read(false);
            self.answer()?;
            if self.node.next_deadline().is_some() {
                self.tick()?;
            }
            if self.is_still() {
                return (0..ROOMS).try_for_each(|key| self.check_complete(key));
            }
        }
        Err("it never comes to rest".to_owned())
    }

    fn is_still(&self) -> bool {
        let flying = self.bus.len() + self.replies.len() + self.reads.len() + self.answers.len();
        flying == 0 && self.node.next_deadline().is_none()
    }

    fn check_complete(&mut self, key: Key) -> Checked {
        let head = self.server.head(key);
        let last = self.copies.get(&key).and_then(|copy| copy.last);
        if last != Some(head) {
            return Err(format!("of room {key} {last:?} was told, and the head is {head:?}"));
        }
        if self.node.held_bytes() > 0 {
            return Err("something is held, and nothing is missing".to_owned());
        }
        Ok(())
    }

    fn step(
        &mut self,
        key: Key,
        act: impl FnOnce(&mut Sequencer<Key, Position>, &mut dyn FnMut(Step<Position>)),
    ) -> Checked {
        let mut steps = Vec::new();
        act(&mut self.node, &mut |step| steps.push(step));
        if self.node.held_bytes() > BOUNDS.total {
            return Err(format!("{} bytes are held", self.node.held_bytes()));
        }
        steps.iter().try_for_each(|step| self.check(key, step))
    }

    fn check(&mut self, key: Key, step: &Step<Position>) -> Checked {
        self.story.push(format!("    {key} {step:?}"));
        let trimmed = self.server.trimmed.get(&key).copied().unwrap_or_default();
        let copy = self.copies.entry(key).or_default();
        match *step {
            Step::Read(read) => self.reads.push(Flying(key, read)),
            Step::Opened(head) if copy.last.is_none() => copy.last = Some(head),
            Step::Opened(_) => return Err("opened twice".to_owned()),
            Step::Diverged => {
                self.diverged += 1;
                copy.last = None;
            }
            Step::Tell(at) | Step::Skipped(at) => {
                let Some(last) = copy.last else { return Err("told before it was opened".to_owned()) };
                // What the store keeps no more cannot be compared, neither here nor by a client that resumes.
                let is_next = last.seq.next() == at.seq && (last.seq.0 > trimmed || trimmed == 0);
                if matches!(step, Step::Tell(_)) && is_next {
                    let follows = self.server.accepted.get(&at.tag).is_some_and(|accepted| {
                        accepted.at == at && accepted.previous == last.tag && at.epoch == last.epoch
                    });
                    if !follows {
                        return Err(format!("{at:?} does not follow on {last:?}"));
                    }
                } else if at.seq <= last.seq {
                    return Err(format!("{at:?} after {last:?}"));
                } else {
                    let whole = if matches!(step, Step::Tell(_)) { Seq(at.seq.0 - 1) } else { at.seq };
                    if whole.0 > trimmed && whole > last.seq {
                        return Err(format!("a hole from {last:?} to {at:?}"));
                    }
                }
                self.told += 1;
                copy.last = Some(at);
            }
        }
        Ok(())
    }
}
