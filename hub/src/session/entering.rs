//! Whether one more session is let in, and in whose place.
//!
//! A session that has said hello is there, but it is nobody to others before it is let in: it does not count, is not present, and
//! takes over from nobody. One that takes over from a session of its instance that was let in is none more of its user's and of its
//! tenant's; nor of its address's, where the other one has the same.

use std::sync::Arc;

use crate::bus::envelope::Control;
use crate::bus::registry::limits::{Entrants, TakesOver, Whose};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{InstanceId, SessionId, UserKey};
use crate::domain::time::{Moment, Now};

use super::counts::{counted, is_all, most};
use super::doors::Waiting;
use super::limits::{SessionLimits, too_many};
use super::live::Live;
use super::services::Services;
use super::sessions::Places;

impl Services {
    /// Whether a session that is there already may stay, as far as this node knows: with it there are `all`. Where nothing is
    /// counted with other nodes it is let in.
    pub(super) fn admit_here(&self, live: &Live, all: usize) -> Result<(), Refusal> {
        let SessionLimits { user, tenant, address, node } = self.limits.sessions;
        let takes_over = self.older(live).is_some();
        if node > 0 && all > node && !takes_over {
            return Err(too_many(ErrorCode::TooManyConnections));
        }
        // All may come back at once in each other's place; more would only wait for their turn.
        let are_here = || self.delivery.registry().sessions_of(live.user());
        if user > 0 && are_here().iter().filter(|mailbox| !mailbox.is_closed()).count() > 2 * user {
            return Err(too_many(ErrorCode::ConnectionLimitExceeded));
        }
        if self.shared.is_some() {
            return Ok(());
        }
        let older = self.sessions.let_in(live, |of_tenant, at_address| {
            let older = self.older(live);
            let is_none_more = older.is_some();
            let is_from_there = older.is_some_and(|older| older.counted_at() == live.counted_at());
            if !is_none_more
                && (user > 0 && self.of_user(live.user()).len() >= user || tenant > 0 && of_tenant >= tenant)
            {
                return Err(too_many(ErrorCode::ConnectionLimitExceeded));
            }
            let is_full = address > 0 && live.counted_at().is_some() && at_address >= address;
            if is_full && !is_from_there {
                return Err(too_many(ErrorCode::TooManyConnections));
            }
            Ok(self.of_instance(live.user(), live.instance.as_ref(), live.id()))
        })?;
        self.takes_its_place(live, older)
    }

    /// Whether all nodes' sessions leave room for one, which is let in then.
    pub(super) async fn enter(self: &Arc<Self>, live: &Arc<Live>) -> Result<(), Refusal> {
        if self.shared.is_none() {
            return Ok(());
        }
        // The whole of it in the user's turn: another of the instance finds it let in, or refused.
        match counted(&self.limits.sessions, live).next() {
            Some((whose @ Whose::User(_), _)) => self.take_turn(whose, Some(Arc::clone(live))).await,
            _ => self.enter_in_turn(live).await,
        }
    }

    /// The same, when it is the turn of its user's sessions.
    pub(super) async fn enter_in_turn(self: &Arc<Self>, live: &Arc<Live>) -> Result<(), Refusal> {
        let entered = self.find_places(live).await.and_then(|takes_over| {
            if live.mailbox.is_closed() {
                // It was told to end while it waited: it takes nobody's place.
                return Err(ErrorCode::Unavailable.into());
            }
            let of_instance = || self.of_instance(live.user(), live.instance.as_ref(), live.id());
            let older = self.sessions.let_in(live, |_, _| Ok::<_, Refusal>(of_instance()))?;
            self.takes_its_place(live, older)?;
            Ok(takes_over)
        });
        if entered.is_err() {
            self.sessions.give_up(live);
        }
        match &entered {
            // Others know that there is one more; that it may be taken over from only where it was let in at once.
            Ok(TakesOver::Nobody) if live.instance.is_none() || is_all(&self.limits.sessions, live) => {}
            Ok(TakesOver::Nobody) => self.note_count_of([Whose::User(live.user().clone())]),
            _ => self.note_count(live),
        }
        entered.map(drop)
    }

    /// Places for it among all that are limited, and whose it takes.
    async fn find_places(self: &Arc<Self>, live: &Arc<Live>) -> Result<TakesOver, Refusal> {
        loop {
            let older = self.older(live);
            let mut takes_over = match &older {
                Some(older) if older.counted_at() == live.counted_at() => TakesOver::FromThere,
                Some(_) => TakesOver::Instance,
                None => TakesOver::Nobody,
            };
            for (whose, most) in counted(&self.limits.sessions, live) {
                match &whose {
                    Whose::User(_) => match &older {
                        Some(older) => self.succeed_in(&whose, live, older).await?,
                        None => takes_over = self.find_place_of_user(&whose, most, live).await?,
                    },
                    Whose::Tenant(_) if takes_over != TakesOver::Nobody => {}
                    Whose::Address(_) if takes_over == TakesOver::FromThere => {}
                    Whose::Tenant(_) | Whose::Address(_) => {
                        self.take_turn(whose, Some(Arc::clone(live))).await?;
                    }
                }
            }
            // Its place may have become free meanwhile, and be another's.
            if older.is_none_or(|older| older.places().has(Places::ADMITTED)) {
                return Ok(takes_over);
            }
        }
    }

    async fn find_place_of_user(&self, whose: &Whose, most: u32, live: &Live) -> Result<TakesOver, Refusal> {
        let Some(shared) = &self.shared else { return Ok(TakesOver::Nobody) };
        let (own, instance) = (self.own(whose), live.instance_from());
        let entrants = Entrants { many: 1, most, instance, is_all: is_all(&self.limits.sessions, live) };
        let entered = shared.count(whose.clone(), own, Some(entrants)).await;
        let entered = entered.map_err(|_| ErrorCode::Unavailable)?;
        if entered.many == 0 {
            return Err(too_many(ErrorCode::ConnectionLimitExceeded));
        }
        live.enters_at(entered.at);
        self.replaced_elsewhere(whose, &entered.later);
        self.sessions.take(live, Places::USER);
        Ok(entered.takes_over)
    }

    /// It takes the place of a session here: when that was others know as well.
    async fn succeed_in(&self, whose: &Whose, live: &Live, older: &Live) -> Result<(), Refusal> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let mut own = self.own(whose);
        let theirs = older.instance_from();
        own.instances.retain(|present| Some(present.instance) != theirs);
        own.sessions = own.sessions.saturating_sub(1);
        let entrants = Entrants { many: 1, most: u32::MAX, instance: live.instance_from(), is_all: true };
        let entered = shared.count(whose.clone(), own, Some(entrants)).await;
        live.enters_at(entered.map_err(|_| ErrorCode::Unavailable)?.at);
        Ok(())
    }

    /// It is somebody's turn: who waits is let in, as far as there is room, and it is said how many there are.
    pub(super) async fn count_waiting(self: &Arc<Self>, whose: &Whose, waiting: Vec<Waiting>) {
        let places = match whose {
            Whose::User(_) => return self.count_waiting_of_user(whose, waiting).await,
            Whose::Tenant(_) => Places::TENANT,
            Whose::Address(_) => Places::ADDRESS,
        };
        let refused = match whose {
            Whose::Address(_) => ErrorCode::TooManyConnections,
            _ => ErrorCode::ConnectionLimitExceeded,
        };
        let Some(shared) = &self.shared else { return };
        let waiting: Vec<_> = waiting.into_iter().filter(|waiting| !waiting.has_gone()).collect();
        let (own, most) = (self.own(whose), most(&self.limits.sessions, whose));
        let many = waiting.iter().filter(|waiting| waiting.entrant.is_some()).count() as u32;
        let entrants = Entrants { many, most, instance: None, is_all: false };
        let mut room = match shared.count(whose.clone(), own, (many > 0).then_some(entrants)).await {
            Ok(entered) => entered.many,
            Err(_) => {
                let unavailable = |waiting: Waiting| waiting.tell(Err(ErrorCode::Unavailable.into()));
                return waiting.into_iter().for_each(unavailable);
            }
        };
        for waiting in waiting {
            let answer = match &waiting.entrant {
                Some(_) if room == 0 => Err(too_many(refused)),
                Some(live) if self.sessions.take(live, places) => {
                    room -= 1;
                    Ok(())
                }
                // It has ended meanwhile: its place is the next one's.
                Some(_) => Err(ErrorCode::Unavailable.into()),
                None => Ok(()),
            };
            waiting.tell(answer);
        }
        if room > 0 {
            self.note_count_of([whose.clone()]);
        }
    }

    /// A user's sessions enter one after the other: which of them is the newest of an instance is asked of each.
    async fn count_waiting_of_user(self: &Arc<Self>, whose: &Whose, waiting: Vec<Waiting>) {
        for waiting in waiting {
            let answer = match &waiting.entrant {
                _ if waiting.has_gone() => continue,
                Some(live) => self.enter_in_turn(live).await,
                None => self.say_count(whose).await,
            };
            waiting.tell(answer);
        }
    }

    /// Whom a session takes over from here: who is of its instance, and was let in. One that has been told to end has ended.
    fn older(&self, live: &Live) -> Option<Arc<Live>> {
        let mut all = self.of_instance(live.user(), live.instance.as_ref(), live.id());
        all.retain(|older| !older.mailbox.is_closed());
        all.pop()
    }

    /// Sessions here of a user's instance that were let in, but for one.
    fn of_instance(&self, user: &UserKey, instance: Option<&InstanceId>, but: SessionId) -> Vec<Arc<Live>> {
        let Some(instance) = instance else { return Vec::new() };
        let mut all = self.of_user(user);
        all.retain(|other| {
            let was_let_in = other.places().has(Places::ADMITTED);
            was_let_in && other.instance.as_ref() == Some(instance) && other.id() != but
        });
        all
    }

    /// It was let in, in the place of older ones of its instance, unless it has ended: those end, wherever they are, and it is
    /// present. To presence the device is the same, so nobody is told.
    fn takes_its_place(&self, live: &Live, older: Option<Vec<Arc<Live>>>) -> Result<(), Refusal> {
        let older = older.ok_or(ErrorCode::Unavailable)?;
        let now = Now::read();
        for older in &older {
            go_on_with_less(live, older);
        }
        self.replace(&older, now);
        if let (Some(feed), Some(instance)) = (self.delivery.feed(), &live.instance) {
            let (instance, by, at) = (instance.clone(), live.id(), live.entered_at());
            feed.tell(live.user(), &Control::Replaced { instance, by, at });
        }
        self.presence.connect_as(live.user(), live.id(), live.instance.as_ref(), now);
        if !live.places().has(Places::ADMITTED) {
            // It has ended at this moment, before it was there.
            self.presence.close(&live.user().tenant, live.id(), now);
        }
        Ok(())
    }

    /// A session of an instance has been let in on another node: those here that were let in before it end.
    pub fn replaced(&self, user: &UserKey, instance: &InstanceId, (by, at): (SessionId, u64), now: Now) {
        let mut older = self.of_instance(user, Some(instance), by);
        older.retain(|older| was_before(older, at));
        self.replace(&older, now);
    }

    /// Of these instances other nodes have let in one later than this one has: nobody may have heard of it.
    pub(super) fn replaced_elsewhere(&self, whose: &Whose, later: &[(u64, u64)]) {
        let Whose::User(user) = whose else { return };
        if later.is_empty() {
            return;
        }
        let is_older = |live: &Arc<Live>| {
            let is_of = |(mark, at): &(u64, u64)| {
                live.instance.as_ref().is_some_and(|instance| instance.mark() == *mark)
                    && was_before(live, *at)
            };
            live.places().has(Places::ADMITTED) && later.iter().any(is_of)
        };
        let mut older = self.of_user(user);
        older.retain(is_older);
        self.replace(&older, Now::read());
    }

    /// Somebody may have been told to end a session of this user, and was not heard. Of none that names no instance.
    pub fn may_be_replaced(&self, user: &UserKey) {
        let has_instance = || self.of_user(user).iter().any(|live| live.instance.is_some());
        if self.shared.is_some() && has_instance() {
            self.note_count_of([Whose::User(user.clone())]);
        }
    }

    fn replace(&self, older: &[Arc<Live>], now: Now) {
        for older in older {
            // Before the new one is counted, so that nobody is told of two devices.
            self.presence.disconnect(&older.user().tenant, older.id(), now);
            self.sessions.give_up(older);
            self.note_count(older);
            self.sessions.leave_count(older);
            older.close(ErrorCode::SessionReplaced);
            self.upkeep.replaced.add(older, Moment::now());
        }
    }
}

/// Whether it was let in before then, where both are known.
fn was_before(live: &Live, at: u64) -> bool {
    let own = live.entered_at();
    own == 0 || at == 0 || own < at
}

/// Of two sessions' commands the newer one has what is less.
fn go_on_with_less(newer: &Live, older: &Live) {
    let theirs = *older.commands.lock();
    let mut own = newer.commands.lock();
    if theirs.has_less_than(&own) {
        let ours = std::mem::replace(&mut *own, theirs);
        drop(own);
        *older.commands.lock() = ours;
    }
}
