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
use tokio::time::sleep_until;

use crate::heard::{Heard, Hearings, rest};
use crate::room::Seat;

/// A connection's place. A request that has to show whose it is takes it for itself; where it made nobody known the
/// connection has it back.
pub(crate) struct Place {
    held: Mutex<Option<Attempt>>,
    /// Whether anything was asked: to have asked for a page is no failure.
    asked: AtomicBool,
    /// Whether the connection counts no more, because somebody known has asked, or never did: behind a trusted proxy each
    /// request says its address.
    free: AtomicBool,
    /// What it has in the place of one, if it is one too many of its address.
    one_too_many: Option<OneTooMany>,
    /// Its place among all connections.
    seat: Option<Arc<Seat>>,
}

/// A connection that found no place at its address.
struct OneTooMany {
    heard: Mutex<Option<Heard>>,
    /// When it has to go.
    until: tokio::time::Instant,
    /// When its address need not wait any more.
    waits_until: tokio::time::Instant,
    /// Whether it has found one by now, or is known.
    is_let_in: AtomicBool,
}

/// Until it is known whose a request is.
pub(crate) enum Standing {
    /// It counts at its address.
    Counted(Attempt),
    /// Its address has too many.
    Heard(Heard),
}

impl Place {
    /// That of a connection which has said nothing yet; `None` behind a trusted proxy.
    pub(crate) fn new(held: Option<Attempt>) -> Self {
        let free = AtomicBool::new(held.is_none());
        Self { free, held: Mutex::new(held), asked: AtomicBool::default(), one_too_many: None, seat: None }
    }

    /// That of a connection which is one too many of its address.
    pub(crate) fn heard(heard: Heard) -> Self {
        let one_too_many = OneTooMany {
            until: heard.until,
            waits_until: heard.waits_until,
            heard: Mutex::new(Some(heard)),
            is_let_in: AtomicBool::default(),
        };
        Self {
            held: Mutex::default(),
            asked: AtomicBool::default(),
            free: AtomicBool::default(),
            one_too_many: Some(one_too_many),
            seat: None,
        }
    }

    /// The same, with its place among all connections, which ends with this.
    pub(crate) fn seated(mut self, seat: Arc<Seat>) -> Self {
        self.seat = Some(seat);
        self
    }

    /// It carries something of somebody known: it gives way to nobody.
    pub(crate) fn is_used(&self) {
        self.seat.iter().for_each(|seat| seat.is_used());
    }

    /// What it carried has ended.
    pub(crate) fn rests(&self) {
        self.seat.iter().for_each(|seat| seat.rests());
    }

    /// Until the connection has to go as another has its place, which is nobody's failure.
    pub(crate) async fn gives_way(&self) {
        match &self.seat {
            Some(seat) => seat.gives_way().await,
            None => std::future::pending().await,
        }
        self.asks();
    }

    /// Whether another has its place.
    pub(crate) fn gave_way(&self) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.gave_way())
    }

    /// A request has come, whatever it is.
    pub(crate) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// How long the connection has to wait before anything is answered that anyone may ask; `None` where it is none too many.
    pub(crate) fn turns_away(&self) -> Option<Duration> {
        self.still_too_many().map(|late| rest(late.waits_until))
    }

    fn still_too_many(&self) -> Option<&OneTooMany> {
        self.one_too_many.as_ref().filter(|late| !late.is_let_in.load(Ordering::Relaxed))
    }

    /// Until the connection has to go: one too many, and used by nobody known for as long as those are heard.
    pub(crate) async fn overstays(&self) {
        if let Some(late) = &self.one_too_many {
            sleep_until(late.until).await;
            if self.still_too_many().is_some() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// It is none too many any more. Gives what it has of those that are heard, which ends with this.
    fn is_let_in(&self) -> Option<Heard> {
        let late = self.one_too_many.as_ref()?;
        late.is_let_in.store(true, Ordering::Relaxed);
        late.heard.lock().take()
    }

    /// Lets a request of `address` try to show whose it is, or says how long that has to wait. One of an address that has too many
    /// is heard, where not too many of those are.
    pub(crate) fn try_request(
        self: &Arc<Self>,
        addresses: &Addresses,
        hearings: &Hearings,
        address: IpAddr,
    ) -> Result<Trial, Duration> {
        let standing = match self.attempt(addresses, address) {
            Ok(attempt) => {
                drop(self.is_let_in());
                Standing::Counted(attempt)
            }
            Err(wait) => {
                let heard = self.still_too_many().and_then(|late| late.heard.lock().take());
                Standing::Heard(heard.or_else(|| hearings.hear(address, wait)).ok_or(wait)?)
            }
        };
        Ok(Trial { place: Arc::clone(self), standing: Some(standing) })
    }

    fn attempt(&self, addresses: &Addresses, address: IpAddr) -> Result<Attempt, Duration> {
        let now = Instant::now();
        let mut held = self.held.lock();
        let Some(mut attempt) = held.take() else { return addresses.attempt(address, now) };
        match attempt.again(now) {
            Ok(()) => Ok(attempt),
            Err(wait) => {
                *held = Some(attempt);
                Err(wait)
            }
        }
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

/// Whether a session that ends with this code said in no way who it is: not with a good token, in nothing that can be read, or not
/// in time.
pub(crate) fn says_nobody(row: &WireRow) -> bool {
    matches!(row.http, 400 | 401 | 413 | 504)
}

/// A request of which it is not known yet whose it is. Dropping it says that nobody could tell: whoever does not wait for a slow
/// hub has not failed.
pub(crate) struct Trial {
    place: Arc<Place>,
    standing: Option<Standing>,
}

/// A trial that may be over before its answer is there.
pub(crate) struct SharedTrial(Arc<Mutex<Option<Trial>>>);

impl SharedTrial {
    /// What came of it, unless that was known before. See [`Trial::judge`].
    pub(crate) fn end(self, is_known: bool, status: StatusCode) -> Result<(), Duration> {
        match self.take() {
            Some(trial) if is_known => {
                trial.succeeded();
                Ok(())
            }
            Some(trial) => trial.judge(status),
            None => Ok(()),
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
    /// alone, or of the node, makes nobody known. An error is how long whoever was only heard has to wait: they are told that and
    /// nothing else.
    pub(crate) fn judge(self, status: StatusCode) -> Result<(), Duration> {
        match status {
            StatusCode::UNAUTHORIZED => self.failed(),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
                self.succeeded();
                Ok(())
            }
            status if status.is_success() => {
                self.succeeded();
                Ok(())
            }
            // Nobody could say whose it is.
            StatusCode::SERVICE_UNAVAILABLE => self.wait(),
            _ => self.spared(),
        }
    }

    /// How long whoever is only heard has to wait.
    fn wait(&self) -> Result<(), Duration> {
        match &self.standing {
            Some(Standing::Heard(heard)) => Err(heard.wait()),
            _ => Ok(()),
        }
    }

    /// It is known whose it is.
    pub(crate) fn succeeded(mut self) {
        self.place.is_used();
        self.place.free.store(true, Ordering::Relaxed);
        self.place.is_let_in().into_iter().for_each(Heard::succeeded);
        match self.standing.take() {
            Some(Standing::Counted(attempt)) => attempt.succeeded(),
            Some(Standing::Heard(heard)) => heard.succeeded(),
            None => {}
        }
    }

    /// Whoever it is cannot say who they are. See [`Self::judge`].
    pub(crate) fn failed(mut self) -> Result<(), Duration> {
        let wait = self.wait();
        if let Some(Standing::Counted(mut attempt)) = self.standing.take() {
            attempt.failed_once(Instant::now());
            self.place.takes_back(attempt);
        }
        wait
    }

    /// It has not failed, and made nobody known. See [`Self::judge`].
    pub(crate) fn spared(mut self) -> Result<(), Duration> {
        let wait = self.wait();
        if let Some(Standing::Counted(attempt)) = self.standing.take() {
            self.place.takes_back(attempt);
        }
        wait
    }

    /// Goes on apart from the connection, which is a socket from now on.
    pub(crate) fn into_standing(mut self) -> Option<Standing> {
        self.standing.take()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(Standing::Counted(mut attempt)) = self.standing.take() {
            attempt.unjudged(Instant::now());
            self.place.takes_back(attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use carillon_net::addresses::AddressLimits;

    use super::*;
    use crate::heard::HEARD_OF_ADDRESS;

    impl Standing {
        fn succeeded(self) {
            match self {
                Self::Counted(attempt) => attempt.succeeded(),
                Self::Heard(heard) => heard.succeeded(),
            }
        }
    }

    #[tokio::test]
    async fn what_nobody_could_judge_is_heard_so_often_and_has_not_failed() {
        let limits = AddressLimits { unauthenticated: 10, attempts_per_minute: 2 };
        let addresses = Addresses::new(Some(limits));
        let here = "192.0.2.1".parse().unwrap();
        let place = Arc::new(Place::new(Some(addresses.attempt(here, Instant::now()).unwrap())));
        let hearings = Hearings::default();
        let mut answers = Vec::new();
        for _ in 0..4 {
            let Ok(trial) = place.try_request(&addresses, &hearings, here) else {
                panic!("it is heard at least")
            };
            answers.push(trial.judge(StatusCode::SERVICE_UNAVAILABLE).is_ok());
        }
        assert_eq!(answers, [true, true, false, false]);
        let wait = addresses.attempt(here, Instant::now()).err().unwrap();
        assert!(wait <= Duration::from_secs(5), "no minute");
    }

    /// Whoever came as one too many and found room by the time of asking is heard no more, however long they stay.
    #[tokio::test(start_paused = true)]
    async fn who_finds_room_takes_no_place_of_those_that_are_heard() {
        let limits = AddressLimits { unauthenticated: 1, attempts_per_minute: 1_000 };
        let addresses = Addresses::new(Some(limits));
        let here = "192.0.2.1".parse().unwrap();
        let (hearings, now) = (Hearings::default(), Instant::now());
        for is_known in [false, true] {
            let mut stay = Vec::new();
            for _ in 0..HEARD_OF_ADDRESS {
                let silent = addresses.attempt(here, now).unwrap();
                let wait = addresses.attempt(here, now).err().unwrap();
                let place = Arc::new(Place::heard(hearings.hear(here, wait).expect("few are heard")));
                silent.succeeded();
                let trial = place.try_request(&addresses, &hearings, here).ok().unwrap();
                if is_known {
                    trial.succeeded();
                } else {
                    trial.into_standing().into_iter().for_each(Standing::succeeded);
                }
                stay.push(place);
            }
            tokio::task::yield_now().await;
            tokio::time::advance(Duration::from_secs(6)).await;
            for _ in 0..HEARD_OF_ADDRESS {
                tokio::task::yield_now().await;
            }
            let Some(heard) = hearings.hear(here, Duration::from_secs(1)) else { panic!("{is_known}") };
            heard.succeeded();
        }
    }
}
