//! A connection's place among those of its address that nobody known uses.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carillon_net::addresses::{Addresses, Attempt};
use carillon_proto::WireRow;
use carillon_proto::port::Known;
use http::StatusCode;
use parking_lot::Mutex;

/// A connection's place. A request that has to show whose it is takes it for itself; where it made nobody known the
/// connection has it back.
pub(crate) struct Place {
    held: Mutex<Option<Attempt>>,
    /// Whether anything was asked: to have asked for a page is no failure.
    asked: AtomicBool,
    /// Whether the connection counts no more, because somebody known has asked, or never did: behind a trusted proxy each
    /// request says its address.
    free: AtomicBool,
}

impl Place {
    /// That of a connection which has said nothing yet; `None` behind a trusted proxy.
    pub(crate) fn new(held: Option<Attempt>) -> Self {
        Self { free: AtomicBool::new(held.is_none()), held: Mutex::new(held), asked: AtomicBool::default() }
    }

    /// A request has come, whatever it is.
    pub(crate) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Lets a request of `address` try to show whose it is, or says how long that has to wait.
    pub(crate) fn try_request(
        self: &Arc<Self>,
        addresses: &Addresses,
        address: IpAddr,
    ) -> Result<Trial, Duration> {
        let now = Instant::now();
        let mut held = self.held.lock();
        let attempt = match held.take() {
            None => addresses.attempt(address, now)?,
            Some(mut attempt) => {
                if let Err(wait) = attempt.again(now) {
                    *held = Some(attempt);
                    return Err(wait);
                }
                attempt
            }
        };
        Ok(Trial { place: Arc::clone(self), attempt: Some(attempt) })
    }

    fn takes_back(&self, attempt: Attempt) {
        if self.free.load(Ordering::Relaxed) {
            attempt.succeeded();
        } else {
            *self.held.lock() = Some(attempt);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.asked.load(Ordering::Relaxed) {
            self.held.lock().take().into_iter().for_each(Attempt::succeeded);
        }
    }
}

/// Whether a session that ends with this code said in no way who it is: not with a good token, or in nothing that can be read.
pub(crate) fn says_nobody(row: &WireRow) -> bool {
    matches!(row.http, 400 | 401 | 413)
}

/// A request of which it is not known yet whose it is. Dropping it says that nobody could tell: whoever does not wait for a slow
/// hub has not failed.
pub(crate) struct Trial {
    place: Arc<Place>,
    attempt: Option<Attempt>,
}

/// A trial that may be over before its answer is there.
pub(crate) struct SharedTrial(Arc<Mutex<Option<Trial>>>);

impl SharedTrial {
    /// What came of it, unless that was known before.
    pub(crate) fn end(self, is_known: bool, status: StatusCode) {
        match self.take() {
            Some(trial) if is_known => trial.succeeded(),
            Some(trial) => trial.judge(status),
            None => {}
        }
    }

    fn take(&self) -> Option<Trial> {
        self.0.lock().take()
    }
}

impl Drop for SharedTrial {
    /// What would say that it is known may be there for longer than the request.
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl Trial {
    /// The same, with what says that it is known whose it is.
    pub(crate) fn until_known(self) -> (SharedTrial, Known) {
        let shared = Arc::new(Mutex::new(Some(self)));
        let trial = SharedTrial(Arc::clone(&shared));
        let known = move || {
            let trial = shared.lock().take();
            trial.into_iter().for_each(Trial::succeeded);
        };
        (trial, Box::new(known))
    }

    /// What came of it, as its answer says. Only those whom nobody knows have failed; and what is said of the request
    /// alone, or of the node, makes nobody known.
    pub(crate) fn judge(self, status: StatusCode) {
        match status {
            StatusCode::UNAUTHORIZED => self.failed(),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::CONFLICT => self.succeeded(),
            status if status.is_success() => self.succeeded(),
            // Nobody could say whose it is.
            StatusCode::SERVICE_UNAVAILABLE => drop(self),
            _ => self.spared(),
        }
    }

    /// It is known whose it is.
    pub(crate) fn succeeded(mut self) {
        self.place.free.store(true, Ordering::Relaxed);
        self.attempt.take().into_iter().for_each(Attempt::succeeded);
    }

    /// Whoever it is cannot say who they are.
    pub(crate) fn failed(mut self) {
        if let Some(mut attempt) = self.attempt.take() {
            attempt.failed_once(Instant::now());
            self.place.takes_back(attempt);
        }
    }

    /// It has not failed, and made nobody known.
    pub(crate) fn spared(mut self) {
        self.attempt.take().into_iter().for_each(|attempt| self.place.takes_back(attempt));
    }

    /// Goes on apart from the connection, which is a socket from now on.
    pub(crate) fn into_attempt(mut self) -> Option<Attempt> {
        self.attempt.take()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(mut attempt) = self.attempt.take() {
            attempt.unjudged(Instant::now());
            self.place.takes_back(attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use carillon_net::addresses::AddressLimits;

    use super::*;

    #[test]
    fn what_nobody_could_judge_is_heard_so_often_and_has_not_failed() {
        let limits = AddressLimits { unauthenticated: 10, attempts_per_minute: 2 };
        let addresses = Addresses::new(Some(limits));
        let here = "192.0.2.1".parse().unwrap();
        let place = Arc::new(Place::new(Some(addresses.attempt(here, Instant::now()).unwrap())));
        let mut answers = Vec::new();
        for _ in 0..4 {
            let trial = place.try_request(&addresses, here);
            answers.push(trial.map(|trial| trial.judge(StatusCode::SERVICE_UNAVAILABLE)).is_ok());
        }
        assert_eq!(answers, [true, true, false, false]);
        let wait = addresses.attempt(here, Instant::now()).err().unwrap();
        assert!(wait <= Duration::from_secs(5), "no minute");
    }
}
