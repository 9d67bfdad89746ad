//! Whether a log is whole: goes over its lines in order and says what was changed, taken out, reordered, cut off or
//! rewritten. Plain state.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::chain::{Place, SealKey, take_apart};
use super::entry::event;
use crate::domain::audit::{ChainHead, ChainId, Seal};

/// What is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Something that is no line, after line `after`.
    NoLine {
        /// The line before it; 0 where there was none.
        after: u64,
    },
    /// A line, or its seal or that of the line before, is not what was written.
    Changed {
        /// Which.
        seq: u64,
    },
    /// Lines are not there.
    Missing {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A line stands where its number does not belong.
    OutOfOrder {
        /// Which.
        seq: u64,
    },
    /// The end is not there: the hub had written more.
    CutOff {
        /// The first line that is missing.
        first: u64,
        /// The last that was noted; there may have been more.
        last: u64,
    },
    /// Whoever has the key wrote other lines: what the hub noted is not what stands there.
    Rewritten {
        /// The noted line.
        seq: u64,
    },
    /// Nothing of this chain is there, of which the hub had noted a line.
    ChainGone {
        /// Which chain.
        chain: ChainId,
    },
    /// The hub itself said so when it started.
    Reported {
        /// In which line.
        seq: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLine { after } => write!(f, "after line {after} stands something that is no line"),
            Self::Changed { seq } => {
                write!(f, "line {seq} was changed, or its seal or that of the line before")
            }
            Self::Missing { first, last } if first == last => write!(f, "line {first} is missing"),
            Self::Missing { first, last } => write!(f, "lines {first} to {last} are missing"),
            Self::OutOfOrder { seq } => write!(f, "line {seq} stands in the wrong place"),
            Self::CutOff { first, last } => write!(f, "the end is cut off: line {first} to {last} at least"),
            Self::Rewritten { seq } => write!(f, "rewritten up to line {seq} at least, by who has the key"),
            Self::ChainGone { chain } => write!(f, "nothing is left of chain {chain}"),
            Self::Reported { seq } => write!(f, "line {seq} says that the hub found the log broken"),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines gone over.
    pub lines: u64,
    /// The first line's number; 0 where there is none.
    pub first: u64,
    /// The last line's number.
    pub last: u64,
    /// Lines that the hub itself could not write and said so.
    pub lost: u64,
    /// Noted heads that were found as noted.
    pub heads: u64,
    /// What is wrong; nothing where the log is whole. At most [`Verifier::FINDINGS`].
    pub findings: Vec<Finding>,
}

/// Goes over a log.
pub struct Verifier<'a> {
    key: &'a SealKey,
    heads: BTreeMap<(ChainId, u64), Seal>,
    chain: Option<ChainId>,
    place: Option<Place>,
    /// Up to here lines were removed rightly, or are reported already.
    through: u64,
    report: Report,
}

/// The fields of lines that are about the log itself.
#[derive(Deserialize)]
struct OfLog {
    event: String,
    chain: Option<String>,
    prev: Option<String>,
    through: Option<u64>,
    count: Option<u64>,
}

impl<'a> Verifier<'a> {
    /// Findings that are kept; a log with more is no better for a longer list.
    pub const FINDINGS: usize = 1_000;

    /// With the key, and what the hub noted of where chains stood.
    pub fn new(key: &'a SealKey, heads: &[ChainHead]) -> Self {
        let heads = heads.iter().map(|head| ((head.chain, head.seq), head.seal)).collect();
        Self { key, heads, chain: None, place: None, through: 0, report: Report::default() }
    }

    /// The chain of the last line.
    pub fn chain(&self) -> Option<ChainId> {
        self.chain
    }

    /// Where the last line stands.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// What was found so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The next line, without its end.
    pub fn line(&mut self, line: &str) {
        self.report.lines += 1;
        let Some(parts) = take_apart(line) else {
            return self.find(Finding::NoLine { after: self.place.map_or(0, |place| place.seq) });
        };
        let about = Self::of_log(line);
        if let Some(about) = about.as_ref().filter(|about| about.event == event::FILE) {
            self.file_begins(about, parts.seq);
        }
        let Some(before) = self.place else {
            // Only a file's first line says what was before it.
            self.find(Finding::Missing { first: 1, last: parts.seq.saturating_sub(1).max(1) });
            (self.through, self.report.first, self.report.last) = (parts.seq, parts.seq, parts.seq);
            self.place = Some(Place { seq: parts.seq, seal: parts.seal });
            return;
        };
        if parts.seq <= before.seq {
            return self.find(Finding::OutOfOrder { seq: parts.seq });
        }
        if parts.seq > before.seq + 1 {
            self.find(Finding::Missing { first: before.seq + 1, last: parts.seq - 1 });
        } else if self.key.seal(before.seal, parts.sealed.as_bytes()) != parts.seal {
            self.find(Finding::Changed { seq: parts.seq });
        }
        self.place = Some(Place { seq: parts.seq, seal: parts.seal });
        self.report.last = parts.seq;
        self.note(parts.seq, parts.seal);
        if let Some(about) = about {
            self.takes(&about, parts.seq);
        }
    }

    /// What was found, after the last line. `all` says that every chain that was noted of this folder must be there.
    pub fn finish(mut self, all: bool) -> Report {
        let last = self.place.map_or(0, |place| place.seq);
        if self.report.first > self.through + 1 {
            self.find(Finding::Missing { first: self.through + 1, last: self.report.first - 1 });
        }
        let mut unseen: BTreeMap<ChainId, u64> = BTreeMap::new();
        for (chain, seq) in self.heads.keys() {
            unseen.insert(*chain, *seq);
        }
        for (chain, seq) in unseen {
            if Some(chain) == self.chain && seq > last {
                self.find(Finding::CutOff { first: last + 1, last: seq });
            } else if Some(chain) != self.chain && all && self.is_of_folder(chain) {
                self.find(Finding::ChainGone { chain });
            }
        }
        self.report
    }

    /// Whether another chain is one of the folder that was gone over; of any folder, where nothing is left of it.
    fn is_of_folder(&self, chain: ChainId) -> bool {
        match self.chain {
            Some(here) => here.folder().is_some() && here.folder() == chain.folder(),
            None => chain.folder().is_some(),
        }
    }

    fn of_log(line: &str) -> Option<OfLog> {
        let is_ours = line.contains("\"event\":\"audit.");
        is_ours.then(|| serde_json::from_str(line).ok()).flatten()
    }

    /// A file begins: the chain goes on, or is the first that is seen.
    fn file_begins(&mut self, about: &OfLog, seq: u64) {
        let chain = about.chain.as_deref().and_then(ChainId::parse);
        let prev = about.prev.as_deref().and_then(Seal::parse).unwrap_or_default();
        if self.place.is_some() && chain == self.chain {
            return;
        }
        if let (Some(old), Some(place)) = (self.chain, self.place) {
            // What was noted of it beyond its last line is missing.
            let beyond = self.heads.range((old, place.seq + 1)..=(old, u64::MAX)).next_back();
            if let Some(((_, noted), _)) = beyond {
                let (first, last) = (place.seq + 1, *noted);
                self.find(Finding::CutOff { first, last });
            }
            self.heads.retain(|(chain, _), _| *chain != old);
        }
        self.chain = chain;
        self.place = Some(Place { seq: seq.saturating_sub(1), seal: prev });
        self.report.first = seq;
    }

    fn takes(&mut self, about: &OfLog, seq: u64) {
        match about.event.as_str() {
            event::LOST => self.report.lost += about.count.unwrap_or(0),
            event::BROKEN => self.find(Finding::Reported { seq }),
            event::REMOVED => self.through = self.through.max(about.through.unwrap_or(0)),
            _ => {}
        }
    }

    /// Compares a line with what was noted of it.
    fn note(&mut self, seq: u64, seal: Seal) {
        let Some(chain) = self.chain else { return };
        match self.heads.remove(&(chain, seq)) {
            Some(noted) if noted == seal => self.report.heads += 1,
            Some(_) => self.find(Finding::Rewritten { seq }),
            None => {}
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < Self::FINDINGS {
            self.report.findings.push(finding);
        }
    }
}
