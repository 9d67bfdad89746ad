//! One log: what was told of it, what is held, and which read is under way.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::domain::position::{Position, Seq, Tag};

use super::told::{Stands, Told};
use super::{Context, Item, Page, Read, Step};

/// An item that waits for those before it.
struct Held<T> {
    item: Item<T>,
    /// When it came, by the log's own count.
    came: u64,
}

/// A read that is under way.
struct Reading {
    id: u64,
    /// What had been told when it was asked for; `None` where only the head was.
    asked: Option<Position>,
    /// When it was asked for, by the log's own count: what came before is in its answer, or lost.
    asked_when: u64,
    /// Which doubt it was asked in.
    doubt: u64,
}

/// One log.
pub(super) struct Log<T> {
    told: Option<Told>,
    held: BTreeMap<Seq, Held<T>>,
    held_bytes: usize,
    /// The latest that was not held, as there was no room for it, and when it came.
    beyond: Option<(Seq, u64)>,
    /// The latest that the store itself is to tell this node of, and when that was known.
    expected: Option<(Seq, u64)>,
    /// The bus does not bring it now.
    away: bool,
    /// Counts the times that the log came into doubt. While [`Self::settled`] is behind, nothing is told that is not proven
    /// to be the next.
    doubt: u64,
    settled: u64,
    reading: Option<Reading>,
    /// Counts what comes and what is asked for.
    count: u64,
    deadline: Option<Instant>,
}

impl<T> Log<T> {
    /// A log of which nothing is known, and which the bus does not bring yet.
    pub(super) fn new() -> Self {
        Self {
            told: None,
            held: BTreeMap::new(),
            held_bytes: 0,
            beyond: None,
            expected: None,
            away: true,
            doubt: 1,
            settled: 0,
            reading: None,
            count: 0,
            deadline: None,
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.told.as_ref().map(Told::position)
    }

    fn is_in_doubt(&self) -> bool {
        self.doubt != self.settled
    }

    /// Something has come.
    pub(super) fn offer(&mut self, item: Item<T>, cx: &mut Context<'_, T>) {
        self.count += 1;
        let Some(told) = &mut self.told else { return self.hold(item, cx) };
        let in_doubt = self.doubt != self.settled;
        match told.judge(item.at, item.previous) {
            Stands::Told => cx.counts.repeated += 1,
            Stands::Next { proven } if proven || !in_doubt => {
                told.advance(item.at, cx.bounds.tags);
                cx.tell(item.what);
                self.drain(cx);
            }
            Stands::Elsewhere if !in_doubt => self.diverge(cx),
            Stands::Forgotten if !in_doubt => self.verify(cx),
            Stands::Next { .. } | Stands::Later | Stands::Elsewhere | Stands::Forgotten => {
                self.hold(item, cx);
            }
        }
    }

    /// The bus has brought back what this node committed at `seq`. It says what the entry before it was, where the log has
    /// tags, which the store's reply may not have said; and where the reply was lost, that it is there.
    pub(super) fn echo(&mut self, seq: Seq, previous: Option<Tag>, cx: &mut Context<'_, T>) {
        self.count += 1;
        let before = Seq(seq.0.saturating_sub(1));
        match &self.told {
            Some(told) if seq <= told.last() => {
                let is_other = previous.is_some_and(|previous| !told.may_have(before, previous));
                if is_other && !self.is_in_doubt() {
                    self.diverge(cx);
                }
            }
            told => {
                let waits = told.is_some() && !self.is_in_doubt();
                let latest = self.expected.map_or(seq, |(expected, _)| expected.max(seq));
                self.expected = Some((latest, self.count));
                if waits {
                    self.deadline.get_or_insert(cx.now + cx.bounds.hold);
                }
            }
        }
    }

    /// What comes over the bus cannot be relied on: the log is compared with the store's before anything later is told.
    pub(super) fn verify(&mut self, cx: &mut Context<'_, T>) {
        self.doubt += 1;
        self.read(cx);
    }

    /// The bus brings it no more.
    pub(super) fn lost(&mut self) {
        self.away = true;
        self.doubt += 1;
    }

    /// The bus brings it again, or for the first time.
    pub(super) fn back(&mut self, cx: &mut Context<'_, T>) {
        self.away = false;
        // What is asked for from now on includes all that the bus did not bring.
        self.doubt += 1;
        self.read(cx);
    }

    /// A read was answered.
    pub(super) fn page(&mut self, id: u64, page: Page<T>, cx: &mut Context<'_, T>) {
        let Some(reading) = self.reading.take_if(|reading| reading.id == id) else { return };
        cx.counts.pages += 1;
        match reading.asked {
            None => self.open(&page, &reading, cx),
            Some(asked) if !agrees(asked, &page) => return self.diverge(cx),
            Some(_) => {
                let (head, more) = (page.head, page.more);
                if !self.take(page, cx) {
                    return self.diverge(cx);
                }
                if more {
                    return self.read(cx);
                }
                self.skip_to(head, cx);
            }
        }
        self.settle(&reading, cx);
    }

    /// A read failed.
    pub(super) fn failed(&mut self, id: u64, cx: &mut Context<'_, T>) {
        if self.reading.take_if(|reading| reading.id == id).is_some() {
            cx.counts.failures += 1;
            self.deadline = Some(cx.now + cx.bounds.retry);
        }
    }

    /// Its deadline has passed: what is missing did not come.
    pub(super) fn due(&mut self, cx: &mut Context<'_, T>) {
        self.deadline = None;
        let misses = !self.held.is_empty() || self.beyond.is_some() || self.expected.is_some();
        let is_known = self.told.is_some() && !self.is_in_doubt();
        cx.counts.gaps += u64::from(is_known && misses);
        if !is_known || misses {
            self.read(cx);
        }
    }

    /// The head is known: the log begins there. What was held of places up to it is in the store, and so in what is read
    /// by whoever begins now.
    fn open(&mut self, page: &Page<T>, reading: &Reading, cx: &mut Context<'_, T>) {
        self.told = Some(Told::at(page.head));
        (cx.out)(Step::Opened(page.head));
        let conflicts = |held: &Held<T>| {
            let (at, head) = (held.item.at, page.head);
            held.came > reading.asked_when && at.seq == head.seq && at != head
        };
        if self.held.values().any(conflicts) {
            return;
        }
        self.drop_held(|held| held.item.at.epoch == page.head.epoch && held.item.at.seq <= page.head.seq);
    }

    /// Tells what a page has of the log. Whether it is still the one that was told: more may have been told since the read
    /// was asked for.
    fn take(&mut self, page: Page<T>, cx: &mut Context<'_, T>) -> bool {
        let Some(told) = &mut self.told else { return true };
        for (at, what) in page.items {
            if at.seq <= told.last() {
                if !told.may_have(at.seq, at.tag) {
                    return false;
                }
                continue;
            }
            told.advance(at, cx.bounds.tags);
            cx.tell(what);
        }
        true
    }

    fn skip_to(&mut self, head: Position, cx: &mut Context<'_, T>) {
        if self.told.as_ref().is_some_and(|told| told.last() < head.seq) {
            self.told = Some(Told::at(head));
            (cx.out)(Step::Skipped(head));
        }
    }

    /// All that the store has was told: what came before it was asked and is not in it was lost there.
    fn settle(&mut self, reading: &Reading, cx: &mut Context<'_, T>) {
        if reading.doubt == self.doubt {
            self.settled = self.doubt;
        }
        self.drop_held(|held| held.came < reading.asked_when);
        self.beyond.take_if(|(_, came)| *came < reading.asked_when);
        self.expected.take_if(|(_, came)| *came < reading.asked_when);
        self.drain(cx);
        if self.told.is_some() && self.is_in_doubt() {
            self.read(cx);
        }
    }

    fn hold(&mut self, item: Item<T>, cx: &mut Context<'_, T>) {
        let seq = item.at.seq;
        let replaces = self.held.get(&seq).map(|held| (held.item.bytes, held.item.at != item.at));
        let freed = replaces.map_or(0, |(bytes, _)| bytes);
        let bytes = self.held_bytes - freed + item.bytes;
        let is_full = self.held.len() >= cx.bounds.items && replaces.is_none();
        let fits = !is_full && bytes <= cx.bounds.bytes && item.bytes <= cx.left.saturating_add(freed);
        if fits {
            self.held_bytes = bytes;
            self.held.insert(seq, Held { item, came: self.count });
        } else {
            let beyond = self.beyond.map_or(seq, |(beyond, _)| beyond.max(seq));
            self.beyond = Some((beyond, self.count));
        }
        if self.told.is_none() || self.is_in_doubt() {
            return;
        }
        cx.counts.gaps += u64::from(!fits);
        if !fits || replaces.is_some_and(|(_, is_another)| is_another) {
            self.read(cx);
        } else {
            self.deadline.get_or_insert(cx.now + cx.bounds.hold);
        }
    }

    /// Tells what is held and follows on what was told.
    fn drain(&mut self, cx: &mut Context<'_, T>) {
        while let Some(told) = &mut self.told
            && let Some(first) = self.held.first_entry()
        {
            let in_doubt = self.doubt != self.settled;
            let held = first.get();
            let stands = told.judge(held.item.at, held.item.previous);
            // What came before the store was asked is in its answer, or was lost.
            let is_asked_for = self.reading.as_ref().is_some_and(|reading| held.came < reading.asked_when);
            match stands {
                Stands::Later => break,
                Stands::Next { proven } if in_doubt && (is_asked_for || !proven) => break,
                Stands::Elsewhere | Stands::Forgotten if in_doubt => break,
                _ => {}
            }
            let Held { item, .. } = first.remove();
            self.held_bytes -= item.bytes;
            match stands {
                Stands::Next { .. } => {
                    told.advance(item.at, cx.bounds.tags);
                    cx.tell(item.what);
                }
                Stands::Elsewhere => return self.diverge(cx),
                Stands::Forgotten => return self.verify(cx),
                Stands::Told => cx.counts.repeated += 1,
                Stands::Later => {}
            }
        }
        self.wait(cx);
    }

    /// Sees to it that what is missing before what is held comes.
    fn wait(&mut self, cx: &mut Context<'_, T>) {
        let last = self.told.as_ref().map_or(Seq(0), Told::last);
        self.beyond.take_if(|(seq, _)| *seq <= last);
        self.expected.take_if(|(seq, _)| *seq <= last);
        if self.is_in_doubt() {
            return;
        }
        if self.beyond.is_some() {
            self.read(cx);
        } else if self.held.is_empty() && self.expected.is_none() {
            self.deadline = None;
        } else {
            self.deadline.get_or_insert(cx.now + cx.bounds.hold);
        }
    }

    /// The log is another one than was told.
    fn diverge(&mut self, cx: &mut Context<'_, T>) {
        cx.counts.diverged += 1;
        (cx.out)(Step::Diverged);
        self.begin_anew(cx);
    }

    /// It begins anew. What is held came before its head is asked for, and goes then.
    pub(super) fn begin_anew(&mut self, cx: &mut Context<'_, T>) {
        self.told = None;
        self.reading = None;
        self.deadline = None;
        self.doubt += 1;
        self.read(cx);
    }

    fn drop_held(&mut self, which: impl Fn(&Held<T>) -> bool) {
        let bytes = &mut self.held_bytes;
        self.held.retain(|_, held| {
            let goes = which(held);
            *bytes -= if goes { held.item.bytes } else { 0 };
            !goes
        });
    }

    /// Asks for a read, where none is under way and the bus brings what comes after it.
    fn read(&mut self, cx: &mut Context<'_, T>) {
        if self.away || self.reading.is_some() {
            return;
        }
        self.count += 1;
        *cx.reads += 1;
        let asked = self.told.as_ref().map(Told::position);
        let (id, asked_when) = (*cx.reads, self.count);
        self.reading = Some(Reading { id, asked, asked_when, doubt: self.doubt });
        self.deadline = None;
        // From the last one that was told, so that the page shows whether it is still there.
        let after = asked.map(|asked| Seq(asked.seq.0.saturating_sub(1)));
        (cx.out)(Step::Read(Read { id, after }));
    }
}

/// Whether a page that was read from `asked` on is of the log in which `asked` is.
fn agrees<T>(asked: Position, page: &Page<T>) -> bool {
    let head = page.head;
    if head.epoch != asked.epoch || head.seq < asked.seq {
        return false;
    }
    if head.seq == asked.seq {
        return head.tag == asked.tag;
    }
    // Where the store keeps it no more, the epoch is all there is to compare.
    page.items.first().is_none_or(|(first, _)| first.seq != asked.seq || first.tag == asked.tag)
}
