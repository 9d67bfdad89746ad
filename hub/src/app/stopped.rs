//! How a hub stopped.

/// How a hub stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Stopped {
    /// All was done in time.
    InOrder,
    /// Sessions or calls were cut off. What was acknowledged is kept.
    CutOff,
    /// The store failed before, or could not be closed: the next start recovers what was acknowledged, as far as that is possible.
    StoreLeftOpen,
}

impl Stopped {
    /// Whether sessions and calls ended in time, and whether the store is closed.
    pub(super) const fn of(is_drained: bool, is_closed: bool) -> Self {
        match (is_drained, is_closed) {
            (_, false) => Self::StoreLeftOpen,
            (true, true) => Self::InOrder,
            (false, true) => Self::CutOff,
        }
    }
}
