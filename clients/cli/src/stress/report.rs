//! What came of it: a line for each scenario, and how to run a failure again; or one JSON object.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// What a scenario counted, for people to see that it did something.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// With one more count.
    #[must_use]
    pub(super) fn with(mut self, what: &'static str, count: impl TryInto<u64>) -> Self {
        self.0.insert(what, count.try_into().unwrap_or(u64::MAX));
        self
    }
}

/// One scenario's end.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// Which scenario.
    pub(super) scenario: &'static str,
    /// The seed of its round.
    pub(super) seed: u64,
    /// Whether every invariant held.
    pub(super) passed: bool,
    /// How long it took.
    pub(super) seconds: f64,
    /// What it did.
    pub(super) counts: Counts,
    /// The first broken invariant.
    pub(super) fault: Option<String>,
    /// The command that runs it again.
    pub(super) replay: Option<String>,
}

impl Verdict {
    /// The line for people.
    pub(super) fn line(&self) -> String {
        let verdict = if self.passed { "PASS" } else { "FAIL" };
        let counts: Vec<_> = self.counts.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let mut line =
            format!("{verdict}  {:<18} {:>5.1} s  {}", self.scenario, self.seconds, counts.join(", "));
        if let Some(fault) = &self.fault {
            line.push_str(fault);
        }
        if let Some(replay) = &self.replay {
            line = format!("{line}\n      again: {replay}");
        }
        line
    }
}

/// A scenario that was not played.
#[derive(Debug, Serialize)]
pub(super) struct Skipped {
    /// Which.
    pub(super) scenario: &'static str,
    /// Why.
    pub(super) why: &'static str,
}

impl Skipped {
    /// The line for people.
    pub(super) fn line(&self) -> String {
        format!("SKIP  {:<18} {}", self.scenario, self.why)
    }
}

/// Memory that a hub may gain after its first round, bytes, though it ends each as it began it: what the allocator keeps
/// at hand.
const SLACK_BYTES: u64 = 8 << 20;
/// The same for each later round: rooms for a minute after the last has left them, keys and users for longer. Measured: 5
/// MiB in a second round, 14 in five rounds.
const ROUND_BYTES: u64 = 4 << 20;

/// The memory of a hub of our own. The first round fills its caches and pools; what later ones add is growth.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Memory {
    /// After the first round, bytes.
    pub(super) first: u64,
    /// After the last, bytes.
    pub(super) last: u64,
    /// Rounds between.
    rounds: u64,
}

impl Memory {
    /// Of what was measured after each round; `None` where there were less than two.
    pub(super) fn of(levels: &[u64]) -> Option<Self> {
        match levels {
            [first, later @ .., last] => {
                Some(Self { first: *first, last: *last, rounds: later.len() as u64 + 1 })
            }
            _ => None,
        }
    }

    /// Whether it grew more than is explained.
    pub(super) fn grew(self) -> bool {
        self.last.saturating_sub(self.first) > SLACK_BYTES + ROUND_BYTES * self.rounds
    }
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The first round's seed.
    pub(super) seed: u64,
    /// Whether all passed and the hub's memory came back.
    pub(super) passed: bool,
    /// How long it took.
    pub(super) seconds: f64,
    /// Each scenario of each round.
    pub(super) scenarios: Vec<Verdict>,
    /// The memory of a hub of our own, where there was more than one round.
    pub(super) memory: Option<Memory>,
    /// What makes no sense on the transport.
    pub(super) skipped: Vec<Skipped>,
}

impl Report {
    /// Of these verdicts.
    pub(super) fn new(
        seed: u64,
        took: Duration,
        scenarios: Vec<Verdict>,
        memory: Option<Memory>,
        skipped: Vec<Skipped>,
    ) -> Self {
        let passed = scenarios.iter().all(|verdict| verdict.passed) && !memory.is_some_and(Memory::grew);
        Self { seed, passed, seconds: took.as_secs_f64(), scenarios, memory, skipped }
    }

    /// The last lines for people; those of the scenarios were printed as they ended.
    pub(super) fn summary(&self) -> String {
        let failed = self.scenarios.iter().filter(|verdict| !verdict.passed).count();
        let mut text = format!(
            "{} scenarios, {failed} failed, {:.1} s, seed {}",
            self.scenarios.len(),
            self.seconds,
            self.seed
        );
        if let Some(memory) = self.memory {
            let verdict = if memory.grew() { "FAIL  " } else { "" };
            let mebibytes = |bytes: u64| bytes / (1 << 20);
            let (first, last) = (mebibytes(memory.first), mebibytes(memory.last));
            text = format!(
                "{text}\n{verdict}the hub's memory: {first} MiB after the first round, {last} MiB after the last"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_judged_from_the_second_round_on() {
        let grew = |levels: &[u64]| {
            let levels: Vec<_> = levels.iter().map(|mebibytes| mebibytes << 20).collect();
            Memory::of(&levels).map(Memory::grew)
        };
        assert_eq!(grew(&[500]), None);
        assert_eq!(
            [grew(&[50, 55]), grew(&[50, 63]), grew(&[50, 63, 64])],
            [Some(false), Some(true), Some(false)]
        );
        let grown = Report::new(1, Duration::ZERO, Vec::new(), Memory::of(&[0, 1 << 30]), Vec::new());
        assert!(
            !grown.passed && grown.summary().contains("FAIL  the hub's memory: 0 MiB after the first round")
        );
    }
}
