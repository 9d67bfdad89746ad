//! How fast a session reads that is behind: a stream that moves is none that stands still, but one that takes a little now
//! and then would stay behind for ever, and hold its pages for as long.

use std::time::Duration;

use crate::domain::time::Moment;

/// The pace of one session, measured while it is behind. Plain data: whoever writes for the session says what happens.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Behind>);

/// Since when it is behind, or since its pace was last found good.
#[derive(Debug)]
struct Behind {
    since: Moment,
    /// Bytes that it has taken since.
    taken: usize,
    /// Bytes that it was given and is not known to have taken.
    given: usize,
    /// Since when there is nothing to give because the hub has not read it yet.
    paused: Option<Moment>,
}

impl Pace {
    /// The transport is given `bytes` more, so it has taken what it was given before. Whether it was behind for all of
    /// `patience` and took less than `floor` bytes a second.
    pub(super) fn gives(&mut self, bytes: usize, patience: Duration, floor: usize, now: Moment) -> bool {
        let behind = self.0.get_or_insert(Behind { since: now, taken: 0, given: 0, paused: None });
        if let Some(paused) = behind.paused.take() {
            // That was not the client's time.
            behind.since = behind.since.plus(now.since(paused));
        }
        behind.taken += std::mem::replace(&mut behind.given, bytes);
        let passed = now.since(behind.since);
        if passed < patience {
            return false;
        }
        let least = floor as u128 * passed.as_millis() / 1_000;
        let too_slow = (behind.taken as u128) < least;
        (behind.since, behind.taken) = (now, 0);
        too_slow
    }

    /// It has taken all that there is to give so far, and more is being read for it.
    pub(super) fn waits(&mut self, now: Moment) {
        if let Some(behind) = &mut self.0 {
            behind.paused.get_or_insert(now);
        }
    }

    /// It has taken everything.
    pub(super) fn caught_up(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);
    const FLOOR: usize = 1_024;

    /// Gives `bytes` every `millis` for ten minutes; when it was found too slow.
    fn reads(pace: &mut Pace, bytes: usize, millis: u64) -> Option<u64> {
        (0..600_000).step_by(millis as usize).find(|at| pace.gives(bytes, PATIENCE, FLOOR, Moment(1 + at)))
    }

    #[test]
    fn who_takes_less_than_the_floor_is_too_slow_when_patience_ends() {
        // What a stream takes at once, 25 s apart: it never stands still for 30 s.
        assert_eq!(reads(&mut Pace::default(), 16 * 1_024, 25_000), Some(125_000));
        assert_eq!(reads(&mut Pace::default(), 1, 1_000), Some(120_000));
    }

    #[test]
    fn who_takes_more_goes_on_however_long_it_stays_behind() {
        assert_eq!(reads(&mut Pace::default(), 16 * 1_024, 15_000), None);
        assert_eq!(reads(&mut Pace::default(), 1_100, 1_000), None);
    }

    #[test]
    fn who_was_fast_and_is_slow_from_then_on_is_found_too() {
        let mut pace = Pace::default();
        assert!(!pace.gives(10 << 20, PATIENCE, FLOOR, Moment(1)));
        let slow = |at: u64| Moment(1 + at * 1_000);
        let ended = (1..600).find(|&at| pace.gives(100, PATIENCE, FLOOR, slow(at)));
        assert_eq!(ended, Some(240), "one patience for what it took at first, and one more");
    }

    #[test]
    fn who_catches_up_begins_anew() {
        let mut pace = Pace::default();
        for at in 0..600 {
            assert!(!pace.gives(10, PATIENCE, FLOOR, Moment(1 + at * 1_000)));
            if at % 100 == 99 {
                pace.caught_up();
            }
        }
    }

    #[test]
    fn the_hubs_own_time_is_not_the_clients() {
        let mut pace = Pace::default();
        for at in 0..600 {
            let asked = Moment(1 + at * 1_000);
            assert!(!pace.gives(10, PATIENCE, FLOOR, asked), "it waits for the hub all the time");
            pace.waits(asked);
            pace.waits(asked.plus(Duration::from_millis(500)));
        }
        let slow = Moment(600_000);
        assert!((0..200).any(|at| pace.gives(10, PATIENCE, FLOOR, slow.plus(Duration::from_secs(at)))));
    }
}
