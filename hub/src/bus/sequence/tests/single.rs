//! One log, step by step: what is told when, and which reads that costs.

use std::time::{Duration, Instant};

use super::super::{Counts, Item, Page, Read, Sequencer, Step};
use super::world::BOUNDS;
use crate::domain::position::{Epoch, Position, Seq, Tag};

const BYTES: usize = 10;

fn at(seq: u64) -> Position {
    Position { epoch: Epoch(1), seq: Seq(seq), tag: Tag(seq as u32) }
}

/// As [`at`], of another log.
fn other(seq: u64) -> Position {
    Position { tag: Tag(1_000 + seq as u32), ..at(seq) }
}

struct Log {
    node: Sequencer<u8, u64>,
    now: Instant,
    steps: Vec<Step<u64>>,
}

impl Log {
    /// A log of which nothing is known.
    fn closed() -> Self {
        let mut log = Self { node: Sequencer::new(BOUNDS), now: Instant::now(), steps: Vec::new() };
        log.node.open(&0);
        log
    }

    /// A log that is open at `head`.
    fn open_at(head: u64) -> Self {
        let mut log = Self::closed();
        let read = log.back();
        assert_eq!(read.after, None);
        assert_eq!(log.page(read, at(head), &[]), [Step::Opened(at(head))]);
        log
    }

    fn take(&mut self) -> Vec<Step<u64>> {
        std::mem::take(&mut self.steps)
    }

    /// The one read that is asked for.
    fn read(&mut self) -> Read {
        match self.take()[..] {
            [Step::Read(read)] => read,
            ref steps => panic!("{steps:?}"),
        }
    }

    fn offer(&mut self, at: Position, previous: Option<Position>) -> Vec<Step<u64>> {
        let previous = previous.map(|previous| previous.tag);
        let item = Item { at, previous, bytes: BYTES, what: at.seq.0 };
        assert!(self.node.offer(&0, item, self.now, &mut |step| self.steps.push(step)).is_none());
        self.take()
    }

    /// The entry at `seq` of the log, over the bus.
    fn hear(&mut self, seq: u64) -> Vec<Step<u64>> {
        self.offer(at(seq), Some(at(seq - 1)))
    }

    fn page(&mut self, read: Read, head: Position, places: &[u64]) -> Vec<Step<u64>> {
        let items = places.iter().map(|seq| (at(*seq), *seq)).collect();
        let page = Page { head, items, more: false };
        self.node.page(&0, read.id, page, self.now, &mut |step| self.steps.push(step));
        self.take()
    }

    fn pass(&mut self, time: Duration) -> Vec<Step<u64>> {
        self.now += time;
        self.node.tick(self.now, &mut |_, step| self.steps.push(step));
        self.take()
    }

    fn back(&mut self) -> Read {
        self.node.back(&0, self.now, &mut |step| self.steps.push(step));
        self.read()
    }
}

#[test]
fn what_comes_in_another_order_waits_for_what_is_missing_and_costs_no_read() {
    let mut log = Log::open_at(5);
    assert_eq!(log.hear(7), []);
    assert_eq!(log.pass(BOUNDS.hold / 2), []);
    assert_eq!(log.hear(6), [Step::Tell(6), Step::Tell(7)]);
    assert_eq!(log.node.next_deadline(), None);
    assert_eq!(log.pass(BOUNDS.hold), []);
    assert_eq!(log.node.held_bytes(), 0);
}

#[test]
fn what_does_not_come_is_read_once() {
    let mut log = Log::open_at(5);
    assert_eq!(log.hear(8), []);
    assert_eq!(log.pass(BOUNDS.hold / 2), []);
    assert_eq!(log.hear(7), [], "the first that waits says for how long");
    log.now += BOUNDS.hold / 2;
    log.node.tick(log.now, &mut |_, step| log.steps.push(step));
    let read = log.read();
    assert_eq!(read.after, Some(Seq(4)), "with the last that was told");
    assert_eq!(log.pass(BOUNDS.hold * 2), [], "one at a time");
    assert_eq!(log.page(read, at(8), &[5, 6, 7, 8]), [Step::Tell(6), Step::Tell(7), Step::Tell(8)]);
}

#[test]
fn a_read_that_failed_is_done_again() {
    let mut log = Log::open_at(5);
    log.hear(7);
    log.now += BOUNDS.hold;
    log.node.tick(log.now, &mut |_, step| log.steps.push(step));
    let read = log.read();
    log.node.failed(&0, read.id, log.now);
    assert_eq!(log.pass(BOUNDS.retry / 2), []);
    log.now += BOUNDS.retry / 2;
    log.node.tick(log.now, &mut |_, step| log.steps.push(step));
    let again = log.read();
    assert_eq!(log.page(read, at(7), &[5, 6, 7]), [], "nobody waits for the first any more");
    assert_eq!(log.page(again, at(7), &[5, 6, 7]), [Step::Tell(6), Step::Tell(7)]);
}

#[test]
fn what_there_is_no_room_for_is_read_at_once() {
    let mut log = Log::open_at(5);
    for seq in 7..7 + BOUNDS.items as u64 {
        assert_eq!(log.hear(seq), []);
    }
    let last = 7 + BOUNDS.items as u64;
    let read = match log.hear(last)[..] {
        [Step::Read(read)] => read,
        ref steps => panic!("{steps:?}"),
    };
    assert_eq!(log.node.held_bytes(), BOUNDS.items * BYTES);
    let places: Vec<_> = (5..=last).collect();
    let told: Vec<_> = (6..=last).map(Step::Tell).collect();
    assert_eq!(log.page(read, at(last), &places), told);
    assert_eq!((log.node.held_bytes(), log.node.next_deadline()), (0, None));
}

#[test]
fn nothing_that_the_bus_did_not_prove_is_told_while_it_is_away() {
    let mut log = Log::open_at(5);
    log.node.lost(&0);
    assert_eq!(log.offer(at(6), Some(at(5))), [Step::Tell(6)], "it names the last one that was told");
    assert_eq!(log.offer(at(8), None), []);
    assert_eq!(log.offer(at(7), Some(at(6))), [Step::Tell(7)], "and not what is held after it");
    assert_eq!(log.pass(BOUNDS.hold * 2), [], "there is nothing to ask for before it is back");
    let read = log.back();
    assert_eq!(log.offer(at(10), Some(at(9))), []);
    assert_eq!(log.page(read, at(9), &[7, 8, 9]), [Step::Tell(8), Step::Tell(9), Step::Tell(10)]);
}

#[test]
fn an_answer_from_before_the_bus_was_away_settles_nothing() {
    let mut log = Log::open_at(5);
    log.node.lost(&0);
    let before = log.back();
    log.node.lost(&0);
    log.node.back(&0, log.now, &mut |step| log.steps.push(step));
    assert_eq!(log.take(), [], "one read at a time");
    assert!(matches!(log.page(before, at(5), &[5])[..], [Step::Read(_)]), "asked again");
}

#[test]
fn another_log_is_told_apart_wherever_it_shows() {
    let diverges =
        |steps: &[Step<u64>]| matches!(steps, [Step::Diverged, Step::Read(Read { after: None, .. })]);
    let mut log = Log::open_at(5);
    assert!(diverges(&log.offer(other(6), Some(other(5)))), "by what it follows on");

    let mut log = Log::open_at(4);
    log.hear(5);
    assert!(diverges(&log.offer(other(5), Some(at(4)))), "by the place that it takes");

    let mut log = Log::open_at(5);
    let elsewhere = Position { epoch: Epoch(2), ..at(6) };
    assert!(diverges(&log.offer(elsewhere, Some(at(5)))), "by its epoch");

    for (head, what) in [(at(4), "shorter"), (other(5), "another at its end")] {
        let mut log = Log::open_at(5);
        log.node.lost(&0);
        let read = log.back();
        assert!(diverges(&log.page(read, head, &[])), "{what}");
    }

    let mut log = Log::open_at(5);
    log.node.lost(&0);
    let read = log.back();
    let page = Page { head: other(6), items: vec![(other(5), 5), (other(6), 6)], more: false };
    log.node.page(&0, read.id, page, log.now, &mut |step| log.steps.push(step));
    let steps = log.take();
    assert!(diverges(&steps), "another in the page");
    let Some(Step::Read(read)) = steps.last() else { panic!("it asks for the head") };
    assert_eq!(log.page(*read, other(6), &[]), [Step::Opened(other(6))], "and begins anew");
    assert_eq!(log.offer(other(7), Some(other(6))), [Step::Tell(7)]);
}

#[test]
fn what_came_before_the_store_was_asked_and_is_not_there_was_lost() {
    let mut log = Log::open_at(5);
    log.hear(8);
    log.now += BOUNDS.hold;
    log.node.tick(log.now, &mut |_, step| log.steps.push(step));
    let read = log.read();
    assert_eq!(log.page(read, at(6), &[5, 6]), [Step::Tell(6)]);
    assert_eq!((log.node.held_bytes(), log.node.next_deadline()), (0, None));
}

#[test]
fn a_read_shows_another_log_however_much_was_told_meanwhile() {
    let mut log = Log::open_at(5);
    log.node.lost(&0);
    let read = log.back();
    for seq in 6..12 {
        assert_eq!(log.hear(seq), [Step::Tell(seq)], "proven");
    }
    let page = Page { head: at(11), items: vec![(other(5), 5)], more: true };
    log.node.page(&0, read.id, page, log.now, &mut |step| log.steps.push(step));
    assert!(matches!(log.take()[..], [Step::Diverged, Step::Read(_)]));
}

#[test]
fn a_log_that_begins_anew_waits_for_no_answer_about_the_old_one() {
    let mut log = Log::open_at(5);
    log.hear(7);
    log.now += BOUNDS.hold;
    log.node.tick(log.now, &mut |_, step| log.steps.push(step));
    let old = log.read();
    let steps = log.offer(other(6), Some(other(5)));
    assert!(matches!(steps[..], [Step::Diverged, Step::Read(Read { after: None, .. })]), "{steps:?}");
    assert_eq!(log.page(old, at(7), &[5, 6, 7]), []);
}

#[test]
fn what_is_held_shows_another_log_too() {
    let mut log = Log::open_at(5);
    assert_eq!(log.offer(at(8), Some(other(7))), []);
    assert_eq!(log.hear(6), [Step::Tell(6)]);
    assert!(matches!(log.hear(7)[..], [Step::Tell(7), Step::Diverged, Step::Read(_)]));

    let mut log = Log::open_at(5);
    assert_eq!(log.hear(8), []);
    assert!(matches!(log.offer(other(8), None)[..], [Step::Read(_)]), "two for one place are not waited for");

    let mut log = Log::open_at(40);
    assert!(matches!(log.offer(other(7), None)[..], [Step::Read(_)]), "nor is one that nobody remembers");
    assert_eq!(log.offer(at(41), None), [], "the answer comes first");
}

#[test]
fn what_comes_while_a_log_is_opened_is_told_from_its_head_on() {
    let mut log = Log::closed();
    let read = log.back();
    for seq in [3, 4, 6] {
        assert_eq!(log.hear(seq), []);
    }
    assert_eq!(log.page(read, at(5), &[]), [Step::Opened(at(5)), Step::Tell(6)]);

    let mut log = Log::closed();
    let read = log.back();
    assert_eq!(log.offer(other(5), None), []);
    let steps = log.page(read, at(5), &[]);
    assert!(matches!(steps[..], [Step::Opened(_), Step::Diverged, Step::Read(_)]), "{steps:?}");
}

#[test]
fn a_log_that_is_back_twice_is_compared_after_the_second_time() {
    let mut log = Log::open_at(5);
    log.node.lost(&0);
    let first = log.back();
    log.node.back(&0, log.now, &mut |step| log.steps.push(step));
    assert_eq!(log.take(), []);
    let steps = log.page(first, at(5), &[5]);
    assert!(matches!(steps[..], [Step::Read(_)]), "{steps:?}");
}

#[test]
fn nothing_is_read_while_the_bus_is_away() {
    let mut log = Log::open_at(5);
    log.node.lost(&0);
    log.node.verify(&0, log.now, &mut |step| log.steps.push(step));
    assert_eq!(log.take(), []);
    log.back();
}

#[test]
fn an_own_commit_that_followed_on_another_one_shows_when_the_bus_brings_it_back() {
    let mut log = Log::open_at(5);
    assert_eq!(log.offer(at(6), None), [Step::Tell(6)], "its reply did not say what it follows on");
    log.node.echo(&0, Seq(6), Some(at(5).tag), log.now, &mut |step| log.steps.push(step));
    assert_eq!(log.take(), []);
    log.node.echo(&0, Seq(6), Some(other(5).tag), log.now, &mut |step| log.steps.push(step));
    assert!(matches!(log.take()[..], [Step::Diverged, Step::Read(_)]));
}

#[test]
fn an_own_commit_whose_reply_was_lost_is_read() {
    let mut log = Log::open_at(5);
    log.node.echo(&0, Seq(6), Some(at(5).tag), log.now, &mut |step| log.steps.push(step));
    assert_eq!(log.pass(BOUNDS.hold / 2), []);
    assert_eq!(log.offer(at(6), None), [Step::Tell(6)], "it comes before long");
    assert_eq!(log.node.next_deadline(), None);
    log.node.echo(&0, Seq(7), Some(at(6).tag), log.now, &mut |step| log.steps.push(step));
    assert_eq!(log.take(), []);
    log.now += BOUNDS.hold;
    log.node.tick(log.now, &mut |_, step| log.steps.push(step));
    let read = log.read();
    log.node.echo(&0, Seq(8), None, log.now, &mut |step| log.steps.push(step));
    assert_eq!(log.page(read, at(7), &[6, 7]), [Step::Tell(7)]);
    log.now += BOUNDS.hold;
    log.node.tick(log.now, &mut |_, step| log.steps.push(step));
    let read = log.read();
    assert_eq!(log.page(read, at(8), &[7, 8]), [Step::Tell(8)]);
    assert_eq!(log.node.next_deadline(), None);
}

#[test]
fn what_the_store_keeps_no_more_is_skipped() {
    let mut log = Log::open_at(5);
    log.node.lost(&0);
    let read = log.back();
    assert_eq!(log.page(read, at(9), &[8, 9]), [Step::Tell(8), Step::Tell(9)]);
    log.node.lost(&0);
    let read = log.back();
    assert_eq!(log.page(read, at(12), &[]), [Step::Skipped(at(12))], "all of it");
    assert_eq!(log.hear(13), [Step::Tell(13)]);
}

#[test]
fn what_cannot_be_read_makes_the_log_be_compared() {
    let mut log = Log::open_at(5);
    log.node.verify(&0, log.now, &mut |step| log.steps.push(step));
    let read = log.read();
    assert_eq!(log.hear(7), []);
    assert_eq!(log.page(read, at(6), &[5, 6]), [Step::Tell(6), Step::Tell(7)]);
}

#[test]
fn a_log_that_is_closed_holds_nothing() {
    let mut log = Log::open_at(5);
    log.hear(7);
    log.node.close(&0);
    assert_eq!((log.node.held_bytes(), log.node.next_deadline(), log.node.len()), (0, None, 0));
    let item = Item { at: at(6), previous: None, bytes: BYTES, what: 6 };
    assert!(log.node.offer(&0, item, log.now, &mut |_| {}).is_some(), "it is handed back");
}

#[test]
fn what_became_of_it_is_counted() {
    let mut log = Log::open_at(5);
    let opened = Counts { pages: 1, ..Counts::default() };
    assert_eq!(log.node.counts(), opened);
    log.hear(6);
    assert_eq!(log.hear(6), []);
    log.hear(8);
    assert_eq!(log.hear(7), [Step::Tell(7), Step::Tell(8)]);
    assert_eq!(log.node.counts(), Counts { repeated: 1, ..opened }, "what comes in time is no gap");
    log.hear(10);
    log.now += BOUNDS.hold;
    log.node.tick(log.now, &mut |_, step| log.steps.push(step));
    let read = log.read();
    log.node.failed(&0, read.id, log.now);
    let failed = Counts { gaps: 1, failures: 1, repeated: 1, ..opened };
    assert_eq!(log.node.counts(), failed);
    log.now += BOUNDS.retry;
    log.node.tick(log.now, &mut |_, step| log.steps.push(step));
    let read = log.read();
    assert_eq!(log.page(read, at(10), &[8, 9, 10]), [Step::Tell(9), Step::Tell(10)]);
    assert_eq!(log.node.counts(), Counts { gaps: 2, pages: 2, ..failed }, "it was still missing");
    log.offer(other(10), Some(other(9)));
    assert_eq!(log.node.counts().diverged, 1);
}
