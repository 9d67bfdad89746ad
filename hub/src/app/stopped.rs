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
    /// The audit log could not be closed: its last lines may be lost.
    AuditLeftOpen,
}

impl Stopped {
    /// Whether sessions and calls ended in time, and whether audit log and store are closed.
    pub(super) const fn of(is_drained: bool, audit_is_closed: bool, store_is_closed: bool) -> Self {
        match (is_drained, audit_is_closed, store_is_closed) {
            (_, _, false) => Self::StoreLeftOpen,
            (_, false, true) => Self::AuditLeftOpen,
            (true, true, true) => Self::InOrder,
            (false, true, true) => Self::CutOff,
        }
    }
}
