//! A call of which it is not known yet whose it is.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use carillon_net::addresses::Attempt;

use super::{Visitor, too_many};
use crate::domain::error::{ErrorCode, Refusal};
use crate::grpc::errors::wire;
use crate::session;

/// The HTTP statuses of codes that say that nobody known calls, or somebody who says nothing that can be read, or nothing in time.
const FAILED: [u16; 4] = [400, 401, 413, 504];

/// Where a call counts of which it is not known yet whose it is.
pub(super) enum Counted {
    /// Nowhere, until it fails or others are asked about it.
    Nowhere,
    /// As the connection that it is on.
    InPlace(Attempt),
    /// By itself.
    Beside(Attempt),
}

/// A call of which it is not known yet whose it is. Dropping it is a failure, whoever else is on the connection.
pub(crate) struct Trial {
    pub(super) visitor: Arc<Visitor>,
    /// Where its failure counts; `None` for a bridge's.
    pub(super) address: Option<IpAddr>,
    pub(super) attempt: Counted,
}

impl Trial {
    /// It is known whose it is.
    pub(crate) fn succeeded(mut self) {
        self.visitor.is_known();
        self.is_spared();
    }

    /// What came of it where nobody became known. Only those have failed who cannot say who they are, who say it in no way
    /// that the hub knows, or who left before they did.
    pub(crate) fn judge(mut self, refused: Option<ErrorCode>) {
        if refused == Some(ErrorCode::Unavailable)
            && let Counted::InPlace(attempt) | Counted::Beside(attempt) = &mut self.attempt
        {
            attempt.unjudged(Instant::now());
        }
        if refused.is_some_and(|code| !has_failed(code)) {
            self.is_spared();
        }
    }

    /// Counts it from now on at the latest, be somebody known on the connection or not: what is good beside it makes it no
    /// better. `TOO_MANY_CONNECTIONS` where too many of its address have failed or are pending.
    pub(crate) fn asks_others(&mut self) -> Result<(), Refusal> {
        if let (Some(address), Counted::Nowhere) = (self.address, &self.attempt) {
            let attempt = self.visitor.door.addresses.attempt_without_place(address, Instant::now());
            self.attempt = Counted::Beside(attempt.map_err(too_many)?);
        }
        Ok(())
    }

    /// It counts nowhere any more, and has not failed.
    fn is_spared(&mut self) {
        self.address = None;
        match std::mem::replace(&mut self.attempt, Counted::Nowhere) {
            Counted::Nowhere => {}
            Counted::InPlace(place) => self.visitor.takes_back(place),
            Counted::Beside(attempt) => attempt.succeeded(),
        }
    }
}

/// Whether this says that nobody known calls, or somebody who says nothing that can be read.
fn has_failed(code: ErrorCode) -> bool {
    FAILED.contains(&wire(code).http)
}

impl session::Attempt for Trial {
    fn asks_others(&mut self) -> Result<(), Refusal> {
        Self::asks_others(self)
    }

    fn is_refused(&mut self, refusal: Refusal) -> Refusal {
        if !has_failed(refusal.code) && refusal.code != ErrorCode::Unavailable {
            return refusal;
        }
        match Self::asks_others(self) {
            Ok(()) => refusal,
            Err(too_many) => Refusal { whose: refusal.whose, ..too_many },
        }
    }

    fn succeeded(self: Box<Self>) {
        (*self).succeeded();
    }

    fn ended(self: Box<Self>, reason: Option<ErrorCode>) {
        (*self).judge(reason);
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let now = Instant::now();
        self.visitor.suspect.store(true, Ordering::Relaxed);
        match std::mem::replace(&mut self.attempt, Counted::Nowhere) {
            Counted::Nowhere => self.visitor.door.addresses.failed(address, now),
            Counted::InPlace(mut place) => {
                place.failed_once(now);
                self.visitor.takes_back(place);
            }
            // Its end is its failure.
            Counted::Beside(attempt) => drop(attempt),
        }
    }
}
