//! Opens connections again, each server's for itself: one that stands still holds up no other.
//!
//! In rounds: it is learned who has which slots, and then every server is opened that has no connection that answers, unless
//! that is under way, or failed a moment ago. A round is due when something was lost or has moved, when a server that could not
//! be opened has waited for long enough, and for a cluster every [`LOOKS`].

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::back_off::BackOff;
use super::error::LinkError;
use super::link::{Check, Link};
use super::slots::{Address, Topology};

/// A cluster is looked at this often where nobody says that it has changed.
const LOOKS: Duration = Duration::from_secs(15);

/// What was under way and is done.
enum Done {
    Learned(Result<Topology, LinkError>),
    Opened(Address, Result<(), LinkError>),
}

/// Connects to all servers that have slots; `check` looks at each connection.
pub async fn connect(link: &Link, check: &Check) -> Result<(), LinkError> {
    link.follow(link.learned().await?);
    let missing = link.missing();
    let opened = join_all(missing.iter().map(|address| link.open(address, check))).await;
    opened.into_iter().collect()
}

/// Opens a link's connections again when they were lost, and follows what moves, until cancelled; `check` looks at each new
/// connection.
pub async fn keep(link: Link, cancel: CancellationToken, check: Check) {
    tokio::select! {
        () = Keeper::new(link, check).run() => {}
        () = cancel.cancelled() => {}
    }
}

struct Keeper {
    link: Link,
    check: Arc<Check>,
    /// At most one look, and one opening a server.
    jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    is_looking: bool,
    opening: FxHashSet<Address>,
    /// Servers that could not be opened, and when it is tried again.
    failed: FxHashMap<Address, (BackOff, Instant)>,
    looks: BackOff,
    /// When the next round is due; `None` while nobody asks for one.
    next: Option<Instant>,
    was_well: bool,
}

impl Keeper {
    fn new(link: Link, check: Check) -> Self {
        let next = link.options().cluster.then(|| Instant::now() + LOOKS);
        Self {
            link,
            check: Arc::new(check),
            jobs: FuturesUnordered::new(),
            is_looking: false,
            opening: FxHashSet::default(),
            failed: FxHashMap::default(),
            looks: BackOff::default(),
            next,
            was_well: true,
        }
    }

    /// Never ends.
    async fn run(mut self) {
        loop {
            let due = self.next.filter(|_| !self.is_looking);
            tokio::select! {
                () = self.link.has_changed() => {
                    self.was_well &= self.link.is_well();
                    self.is_due(BackOff::default().next(self.link.options()));
                }
                () = sleep_until(due), if due.is_some() => self.looks_around(),
                Some(done) = self.jobs.next() => self.is_done(done),
            }
        }
    }

    /// A round is due then, or earlier.
    fn is_due(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    fn looks_around(&mut self) {
        (self.next, self.is_looking) = (None, true);
        let link = self.link.clone();
        self.jobs.push(Box::pin(async move { Done::Learned(link.learned().await) }));
    }

    fn is_done(&mut self, done: Done) {
        match done {
            Done::Learned(Ok(topology)) => {
                self.is_looking = false;
                self.link.follow(topology);
                self.opens();
            }
            Done::Learned(Err(error)) => {
                self.is_looking = false;
                tracing::warn!(error = %error, "redis is not there");
                let at = self.looks.next(self.link.options());
                self.is_due(at);
            }
            Done::Opened(address, outcome) => {
                self.opening.remove(&address);
                match outcome {
                    Ok(()) => drop(self.failed.remove(&address)),
                    Err(error) => self.could_not_open(address, &error),
                }
            }
        }
        if !self.was_well && self.link.is_well() {
            self.was_well = true;
            tracing::info!("redis is there");
        }
    }

    /// Opens what is missing, and says when the next round is due.
    fn opens(&mut self) {
        let (missing, now) = (self.link.missing(), Instant::now());
        self.failed.retain(|address, _| missing.contains(address));
        for address in missing {
            if self.opening.contains(&address) {
                continue;
            }
            match self.failed.get(&address).map(|(_, at)| *at).filter(|at| *at > now) {
                Some(later) => self.is_due(later),
                None => self.open(address),
            }
        }
        if self.link.has_all_slots() {
            self.looks = BackOff::default();
            if self.link.options().cluster {
                self.is_due(now + LOOKS);
            }
        } else {
            let at = self.looks.next(self.link.options());
            self.is_due(at);
        }
    }

    fn open(&mut self, address: Address) {
        self.opening.insert(address.clone());
        let (link, check) = (self.link.clone(), self.check.clone());
        self.jobs.push(Box::pin(async move {
            let outcome = link.open(&address, &check).await;
            Done::Opened(address, outcome)
        }));
    }

    fn could_not_open(&mut self, address: Address, error: &LinkError) {
        tracing::warn!(error = %error, "redis is not there");
        let (back_off, at) =
            self.failed.entry(address).or_insert_with(|| (BackOff::default(), Instant::now()));
        *at = back_off.next(self.link.options());
        let at = *at;
        self.is_due(at);
    }
}

async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}
