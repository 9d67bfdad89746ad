//! Which processors a process may run on: a server and its load generator must not take them from each other.

use std::fmt;
use std::str::FromStr;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::BenchError;

/// A list of processors, as `0`, `0-3` or `0,2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Processors(Vec<usize>);

/// Why a list is none.
#[derive(Clone, Debug, thiserror::Error)]
#[error("expected a list of processors as `0`, `0-3` or `0,2`, each below {}", CpuSet::MAX_CPU)]
pub(super) struct ProcessorsError;

impl FromStr for Processors {
    type Err = ProcessorsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut processors = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| ProcessorsError)?;
            let last: usize = last.trim().parse().map_err(|_| ProcessorsError)?;
            if last < first || last >= CpuSet::MAX_CPU {
                return Err(ProcessorsError);
            }
            processors.extend(first..=last);
        }
        Ok(Self(processors))
    }
}

impl fmt::Display for Processors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&list.join(","))
    }
}

impl Processors {
    /// The list of one processor.
    pub(super) fn one(processor: usize) -> Self {
        Self(vec![processor])
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The processors that this thread may run on now.
    pub(super) fn current() -> Result<Self, BenchError> {
        let set = sched_getaffinity(None).map_err(|error| BenchError::Affinity(error.into()))?;
        Ok(Self((0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect()))
    }

    /// Binds this thread, and the processes and threads that it starts from now on.
    pub(super) fn bind(&self) -> Result<(), BenchError> {
        let mut set = CpuSet::new();
        for processor in &self.0 {
            set.set(*processor);
        }
        sched_setaffinity(None, &set).map_err(|error| BenchError::Affinity(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_parse() {
        for (text, expected) in [("0", "0"), ("0-3", "0,1,2,3"), ("0,2", "0,2"), ("1-2,5", "1,2,5")] {
            assert_eq!(text.parse::<Processors>().unwrap().to_string(), expected);
        }
        for text in ["", "a", "3-1", "0,", "99999"] {
            assert!(text.parse::<Processors>().is_err(), "{text}");
        }
    }
}
