//! Bounds of single values.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::{ConfigError, Origin};
use super::span;

/// A key that breaks a rule.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) key: String,
    pub(super) rule: String,
}

impl Broken {
    pub(super) fn new(key: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { key: key.into(), rule: rule.into() }
    }

    pub(super) fn at(self, origin: Origin) -> ConfigError {
        ConfigError::Key { origin, key: self.key, problem: self.rule }
    }
}

/// Refuses where `holds` is false.
pub(super) fn require(holds: bool, key: &str, rule: &str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::new(key, rule)) }
}

/// Refuses a number outside of the range.
pub(super) fn number(key: &str, value: usize, range: &RangeInclusive<usize>) -> Result<(), Broken> {
    require(range.contains(&value), key, &format!("{} to {}", range.start(), range.end()))
}

/// Refuses a duration outside of the range.
pub(super) fn duration(key: &str, value: Duration, range: &RangeInclusive<Duration>) -> Result<(), Broken> {
    let rule = format!("{} to {}", span::to_text(*range.start()), span::to_text(*range.end()));
    require(range.contains(&value), key, &rule)
}
