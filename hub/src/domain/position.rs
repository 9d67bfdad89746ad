//! Places in a log.

/// An entry's place in its room's log, from 1, without holes. 0 is the place before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The highest place that a log can have: engines count in 63 bits.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The next place.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Changes when a log was lost, restored or restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// 32 random bits of each entry: a position whose tag does not match is of another log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tag(pub u32);

/// A place in a particular log. With seq 0 the tag is 0 and the place is the log's beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The log's epoch.
    pub epoch: Epoch,
    /// The entry's place.
    pub seq: Seq,
    /// The entry's tag.
    pub tag: Tag,
}

/// A place in a user's inbox: one in the user's own log and one in the tenant's broadcast log. Tags are not kept: the
/// epoch is the store's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InboxPosition {
    /// The epoch of both logs.
    pub epoch: Epoch,
    /// Place in the user's own log.
    pub own: Seq,
    /// Place in the tenant's broadcast log.
    pub broadcast: Seq,
}
