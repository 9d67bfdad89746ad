//! What came of it: a line for each scenario, and how to run a failure again; or one JSON object.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::target::Memory;

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
    /// The memory of a hub of our own.
    pub(super) memory: Option<Memory>,
}

impl Report {
    /// Of these verdicts.
    pub(super) fn new(seed: u64, took: Duration, scenarios: Vec<Verdict>, memory: Option<Memory>) -> Self {
        let passed = scenarios.iter().all(|verdict| verdict.passed) && !memory.is_some_and(Memory::grew);
        Self { seed, passed, seconds: took.as_secs_f64(), scenarios, memory }
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
            let (before, after) = (mebibytes(memory.before), mebibytes(memory.after));
            text = format!("{text}\n{verdict}the hub's memory: {before} MiB before, {after} MiB after");
        }
        text
    }
}
