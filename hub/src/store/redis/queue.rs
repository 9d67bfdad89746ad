//! What waits in a lane: each partition's in the order in which it was asked for, the partitions in turn, so that one with
//! much to do does not keep the others waiting.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::oneshot;

use crate::redis::Partition;

/// What came between two fences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Era(u64);

/// What waits, and what of it has not been told yet.
pub(super) struct Queue<T> {
    /// Of a partition, at most.
    most: usize,
    waiting: FxHashMap<Partition, VecDeque<(T, Era)>>,
    /// Partitions of which something waits, the next first.
    turns: VecDeque<Partition>,
    /// Partitions that have no turn, whatever of them waits.
    held: FxHashSet<Partition>,
    /// The first era that has not passed.
    first: u64,
    /// From there on, the last without a fence: what is left of each, and who is told when it and those before have passed.
    eras: VecDeque<(usize, Option<oneshot::Sender<()>>)>,
}

impl<T> Queue<T> {
    /// An empty one, in which so many of a partition may wait.
    pub(super) fn new(most: usize) -> Self {
        let (waiting, turns) = (FxHashMap::default(), VecDeque::new());
        let (held, eras) = (FxHashSet::default(), VecDeque::from([(0, None)]));
        Self { most, waiting, turns, held, first: 0, eras }
    }

    /// Whether nothing waits; some may be under way.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Puts one in; gives it back where too many of its partition wait.
    pub(super) fn put(&mut self, partition: Partition, what: T) -> Option<T> {
        let waiting = self.waiting.entry(partition).or_default();
        if waiting.len() >= self.most {
            return Some(what);
        }
        if waiting.is_empty() && !self.held.contains(&partition) {
            self.turns.push_back(partition);
        }
        let era = Era(self.first + self.eras.len() as u64 - 1);
        waiting.push_back((what, era));
        if let Some((left, _)) = self.eras.back_mut() {
            *left += 1;
        }
        None
    }

    /// Takes so many out, at most: one of each partition, then another of each.
    pub(super) fn take(&mut self, most: usize) -> Vec<(T, Era)> {
        let mut taken = Vec::with_capacity(most.min(self.turns.len()));
        while taken.len() < most {
            let Some(partition) = self.turns.pop_front() else { break };
            let Some(waiting) = self.waiting.get_mut(&partition) else { continue };
            taken.extend(waiting.pop_front());
            if waiting.is_empty() {
                self.waiting.remove(&partition);
            } else {
                self.turns.push_back(partition);
            }
        }
        taken
    }

    /// A partition has no turn any more.
    pub(super) fn hold(&mut self, partition: Partition) {
        if self.held.insert(partition) {
            self.turns.retain(|turn| *turn != partition);
        }
    }

    /// It has turns again.
    pub(super) fn free(&mut self, partition: Partition) {
        if self.held.remove(&partition) && self.waiting.contains_key(&partition) {
            self.turns.push_back(partition);
        }
    }

    /// Puts back what was taken out of one that is held: it comes first.
    pub(super) fn put_back(&mut self, partition: Partition, taken: Vec<(T, Era)>) {
        if taken.is_empty() {
            return;
        }
        let waiting = self.waiting.entry(partition).or_default();
        taken.into_iter().rev().for_each(|one| waiting.push_front(one));
    }

    /// Takes out the first of one that is held.
    pub(super) fn take_first(&mut self, partition: Partition) -> Option<(T, Era)> {
        let waiting = self.waiting.get_mut(&partition)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&partition);
        }
        first
    }

    /// Takes out all of one that is held of which this is so.
    pub(super) fn take_those(&mut self, partition: Partition, is_so: impl Fn(&T) -> bool) -> Vec<(T, Era)> {
        let waiting = self.waiting.remove(&partition).unwrap_or_default();
        let (taken, left): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(|one| is_so(&one.0));
        if !left.is_empty() {
            self.waiting.insert(partition, left);
        }
        taken.into()
    }

    /// One that was taken out has been told.
    pub(super) fn finished(&mut self, era: Era) {
        let place = usize::try_from(era.0 - self.first).unwrap_or(usize::MAX);
        if let Some((left, _)) = self.eras.get_mut(place) {
            *left -= 1;
        }
        self.pass();
    }

    /// Has `fence` told when all that was put in before has been told.
    pub(super) fn fence(&mut self, fence: oneshot::Sender<()>) {
        if let Some((_, last)) = self.eras.back_mut() {
            *last = Some(fence);
        }
        self.eras.push_back((0, None));
        self.pass();
    }

    fn pass(&mut self) {
        while let Some((0, Some(_))) = self.eras.front() {
            let fence = self.eras.pop_front().and_then(|(_, fence)| fence);
            self.first += 1;
            // Nobody may be waiting any more.
            let _ = fence.map(|fence| fence.send(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u64) -> Partition {
        Partition::from_number(number).unwrap()
    }

    fn taken(queue: &mut Queue<u32>, most: usize) -> Vec<u32> {
        queue.take(most).into_iter().map(|(what, _)| what).collect()
    }

    #[test]
    fn partitions_take_turns_and_keep_their_order() {
        let mut queue = Queue::new(10);
        for what in 0..5 {
            assert_eq!(queue.put(partition(1), what), None);
        }
        assert_eq!((queue.put(partition(2), 10), queue.put(partition(3), 20)), (None, None));
        assert_eq!(taken(&mut queue, 4), [0, 10, 20, 1]);
        assert_eq!(queue.put(partition(2), 11), None);
        assert_eq!(taken(&mut queue, 100), [2, 11, 3, 4]);
        assert!(queue.is_empty() && queue.waiting.is_empty());
    }

    #[test]
    fn a_partition_that_has_too_much_is_refused_and_no_other() {
        let mut queue = Queue::new(2);
        assert_eq!((queue.put(partition(1), 0), queue.put(partition(1), 1)), (None, None));
        assert_eq!(queue.put(partition(1), 2), Some(2));
        assert_eq!(queue.put(partition(2), 3), None);
        queue.take(1);
        assert_eq!(queue.put(partition(1), 4), None, "one has left");
    }

    #[test]
    fn a_fence_waits_for_what_came_before_it_and_for_nothing_else() {
        let mut queue = Queue::new(10);
        let ((first, mut is_first), (second, mut is_second)) = (oneshot::channel(), oneshot::channel());
        for what in 0..2 {
            queue.put(partition(what), what);
        }
        queue.fence(first);
        queue.put(partition(0), 2);
        queue.fence(second);
        queue.put(partition(0), 3);
        let taken: Vec<Era> = queue.take(10).into_iter().map(|(_, era)| era).collect();
        let [of_0, of_1, of_2, of_3] = taken[..] else { panic!("four were put in") };
        queue.finished(of_3);
        queue.finished(of_2);
        queue.finished(of_0);
        assert!(is_first.try_recv().is_err() && is_second.try_recv().is_err(), "one is left from before");
        queue.finished(of_1);
        assert_eq!((is_first.try_recv(), is_second.try_recv()), (Ok(()), Ok(())));
    }

    #[test]
    fn a_fence_passes_at_once_where_nothing_is_before_it() {
        let mut queue = Queue::<u32>::new(1);
        for _ in 0..2 {
            let (fence, mut passed) = oneshot::channel();
            queue.fence(fence);
            assert_eq!(passed.try_recv(), Ok(()));
        }
    }
}
