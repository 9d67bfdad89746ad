//! A call of which it is not known yet whose it is.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use carillon_net::addresses::Attempt;

use super::Visitor;
use crate::domain::error::ErrorCode;
use crate::grpc::errors::wire;

/// The HTTP statuses of codes that say that nobody known calls, or somebody who says nothing that can be read, or nothing in time.
const FAILED: [u16; 4] = [400, 401, 413, 504];

/// Where a call counts of which it is not known yet whose it is.
pub(super) enum Counted {
    /// Nowhere, until it fails.
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
        if refused.is_some_and(|code| !FAILED.contains(&wire(code).http)) {
            self.is_spared();
        }
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
