//! The audit log: one JSON line for everything that somebody did or was refused, by ids, never with content or tokens.
//!
//! Lines form a chain: each bears an HMAC over the one before and itself, and where the chain stands is noted in the
//! store, so that a changed, removed or reordered line, a cut end and a rewritten log are found ([`Verifier`]). Who has
//! something to say puts it into the [`Trail`] and never waits; one thread numbers, seals and writes.

mod chain;
mod entry;
mod folder;
mod known;
mod line;
mod opening;
mod output;
mod source;
mod strangers;
mod trail;
mod verify;
mod writer;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use chain::{Parts, Place, SealKey, take_apart};
pub use entry::{About, Who, event};
pub use folder::{files, for_each_line};
pub use source::Source;
pub use trail::Trail;
pub use verify::{Finding, Report, Verifier};
pub use writer::{Anchor, AuditLog, Prepared};

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Into files in this folder.
    Folder(PathBuf),
    /// To standard output.
    Output,
}

impl Target {
    fn folder(&self) -> Option<&PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Output => None,
        }
    }
}

/// How the log is kept.
#[derive(Clone)]
pub struct Options {
    /// Where lines go.
    pub target: Target,
    /// What they are sealed with.
    pub key: SealKey,
    /// A file that has so many bytes is followed by another.
    pub file_bytes: u64,
    /// So many files are kept.
    pub files: usize,
    /// Bytes of lines that may wait to be written.
    pub queue_bytes: usize,
    /// Where the chain stands is noted this often.
    pub anchor_interval: Duration,
    /// Whether nobody new comes in while lines cannot be kept.
    pub refuses: bool,
}

/// Why the log cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The folder cannot be used.
    #[error("{}: {cause}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// No line there was sealed with this key.
    #[error("{}: written with another key; begin a new folder with a new key", .0.display())]
    OtherKey(PathBuf),
    /// There are no random numbers.
    #[error("no random numbers")]
    Random,
    /// The thread cannot be started, or a file cannot be made.
    #[error("{0}")]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests;
