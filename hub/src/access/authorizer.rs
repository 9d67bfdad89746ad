//! What is decided elsewhere: the port to who decides, and what stands in front of it. Answers are remembered for a short
//! while, and what is being asked already is not asked twice. An answer that does not come in time is a failure; after
//! those of several users the breaker opens and nobody is asked for a while.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;

use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::limits::{AUTHORIZER_INTERVAL, AUTHORIZER_QUESTIONS, AUTHORIZER_QUESTIONS_OF_USER};
use crate::domain::names::{RoomName, TenantId, UserId, UserKey};
use crate::domain::time::Moment;

use super::breaker::{Breaker, BreakerOptions};
use super::rules::Capability;

/// Who wants to do what where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The tenant.
    pub tenant: TenantId,
    /// The user; services are not asked about.
    pub user: UserId,
    /// The room.
    pub room: RoomName,
    /// What.
    pub capability: Capability,
}

impl Question {
    fn user(&self) -> UserKey {
        UserKey { tenant: self.tenant.clone(), user: self.user.clone() }
    }
}

/// What the other side said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether they may.
    pub allowed: bool,
    /// How long this may be remembered; as configured where `None`.
    pub ttl: Option<Duration>,
}

/// It could not be asked, or did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the authoriser failed: {0}")]
pub struct AuthorizerError(pub Arc<str>);

/// Who decides.
pub trait Authorizer: Send + Sync + 'static {
    /// Asks.
    fn check(&self, question: Question) -> BoxFuture<'static, Result<Verdict, AuthorizerError>>;
}

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateOptions {
    /// An answer that does not come by then is a failure.
    pub timeout: Duration,
    /// Answers are remembered for so long, less where they say so.
    pub cache: Duration,
    /// How many are.
    pub entries: usize,
    /// When it is left alone.
    pub breaker: BreakerOptions,
    /// Whether what cannot be asked is allowed; else it is `UNAVAILABLE`.
    pub allow_unreachable: bool,
}

/// What stands in front of an authoriser.
pub struct Gate {
    authorizer: Option<Arc<dyn Authorizer>>,
    desk: Arc<Desk>,
}

/// What is known of an authoriser, and what it is being asked. Each question is a task of its own that ends with the
/// answer or the time limit: whoever asked may be gone by then, and others may wait for the same.
struct Desk {
    options: GateOptions,
    breaker: Mutex<Breaker>,
    answers: Mutex<Answers>,
    under_way: Mutex<FxHashMap<Question, Shared<oneshot::Receiver<Option<bool>>>>>,
}

impl Gate {
    /// In front of `authorizer`; without one everything is refused.
    pub fn new(authorizer: Option<Arc<dyn Authorizer>>, options: GateOptions) -> Self {
        let breaker = Mutex::new(Breaker::new(options.breaker));
        let desk = Desk { options, breaker, answers: Mutex::default(), under_way: Mutex::default() };
        Self { authorizer, desk: Arc::new(desk) }
    }

    /// Whether `caller` may do this in `room`. `UNAVAILABLE` where nobody can say, unless that is allowed, and where too
    /// much is being asked.
    pub async fn ask(
        &self,
        caller: &Caller,
        room: &RoomName,
        capability: Capability,
    ) -> Result<bool, Refusal> {
        let Some(authorizer) = &self.authorizer else { return Ok(false) };
        let question = Question {
            tenant: caller.tenant.clone(),
            user: caller.user.clone(),
            room: room.clone(),
            capability,
        };
        if let Some(allowed) = self.desk.answers.lock().get(&question, Moment::now()) {
            return Ok(allowed);
        }
        let Some(answer) = self.desk.put(authorizer, question)? else { return self.desk.unreachable() };
        match answer.await {
            Ok(Some(allowed)) => Ok(allowed),
            Ok(None) | Err(_) => self.desk.unreachable(),
        }
    }

    /// How long an answer to who follows a room may stand before it is asked for again.
    pub fn interval(&self) -> Duration {
        self.desk.options.cache.max(AUTHORIZER_INTERVAL)
    }

    /// Whether it is left alone now.
    pub fn is_open(&self) -> bool {
        self.desk.breaker.lock().is_open(Moment::now())
    }
}

impl Desk {
    /// Puts a question, unless it is being asked already; `None` while the authoriser is left alone.
    fn put(
        self: &Arc<Self>,
        authorizer: &Arc<dyn Authorizer>,
        question: Question,
    ) -> Result<Option<Shared<oneshot::Receiver<Option<bool>>>>, Refusal> {
        let mut under_way = self.under_way.lock();
        if let Some(asked) = under_way.get(&question) {
            return Ok(Some(asked.clone()));
        }
        let same = |other: &&Question| other.user == question.user && other.tenant == question.tenant;
        if under_way.len() >= AUTHORIZER_QUESTIONS
            || under_way.keys().filter(same).count() >= AUTHORIZER_QUESTIONS_OF_USER
        {
            return Err(Refusal { retry_after: Some(self.options.timeout), ..ErrorCode::Unavailable.into() });
        }
        if !self.breaker.lock().admit(&question.user(), Moment::now()) {
            return Ok(None);
        }
        let (tell, told) = oneshot::channel();
        let told = told.shared();
        under_way.insert(question.clone(), told.clone());
        drop(under_way);
        let asking = Asking { desk: Arc::clone(self), question };
        tokio::spawn(asking.ask(Arc::clone(authorizer), tell));
        Ok(Some(told))
    }

    fn unreachable(&self) -> Result<bool, Refusal> {
        if self.options.allow_unreachable {
            return Ok(true);
        }
        Err(Refusal { retry_after: Some(self.options.breaker.open_for), ..ErrorCode::Unavailable.into() })
    }
}

/// A question that is being asked; dropped, it is not any more.
struct Asking {
    desk: Arc<Desk>,
    question: Question,
}

impl Asking {
    async fn ask(self, authorizer: Arc<dyn Authorizer>, tell: oneshot::Sender<Option<bool>>) {
        let check = authorizer.check(self.question.clone());
        let answer = match tokio::time::timeout(self.desk.options.timeout, check).await {
            Ok(Ok(verdict)) => Some(self.answered(verdict)),
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("it did not answer in time"),
        };
        // Whoever asks from here on finds the answer, or asks anew.
        drop(self);
        // Nobody may be waiting any more.
        let _ = tell.send(answer);
    }

    fn answered(&self, verdict: Verdict) -> bool {
        let Desk { options, breaker, answers, .. } = &*self.desk;
        breaker.lock().succeeded();
        let ttl = verdict.ttl.map_or(options.cache, |ttl| ttl.min(options.cache));
        let until = Moment::now().plus(ttl);
        answers.lock().put(self.question.clone(), (verdict.allowed, until), options.entries);
        verdict.allowed
    }

    fn failed(&self, why: &str) -> Option<bool> {
        if self.desk.breaker.lock().failed(self.question.user(), Moment::now()) {
            tracing::warn!(why, "the authoriser is left alone for a while");
        }
        None
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.desk.under_way.lock().remove(&self.question);
    }
}

/// Answers in two generations: when the newer is full, the older goes. So what is asked for stays, and no walk over all
/// is ever made.
#[derive(Default)]
struct Answers {
    newer: FxHashMap<Question, (bool, Moment)>,
    older: FxHashMap<Question, (bool, Moment)>,
}

impl Answers {
    fn get(&self, question: &Question, now: Moment) -> Option<bool> {
        let (allowed, until) = self.newer.get(question).or_else(|| self.older.get(question))?;
        (now < *until).then_some(*allowed)
    }

    fn put(&mut self, question: Question, answer: (bool, Moment), entries: usize) {
        if self.newer.len() >= (entries / 2).max(1) {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(question, answer);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::powers::Powers;
    use crate::domain::revocation::TokenMark;
    use crate::domain::time::Timestamp;

    /// Says yes to `send` and no to the rest; fails, or never answers, where told to.
    #[derive(Default)]
    struct Scripted {
        asked: AtomicUsize,
        fails: AtomicUsize,
        hangs: bool,
        ttl: Option<Duration>,
    }

    impl Authorizer for Scripted {
        fn check(&self, question: Question) -> BoxFuture<'static, Result<Verdict, AuthorizerError>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.hangs {
                return Box::pin(std::future::pending());
            }
            let fails = self
                .fails
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
            let verdict = Verdict { allowed: question.capability == Capability::Send, ttl: self.ttl };
            Box::pin(std::future::ready(if fails {
                Err(AuthorizerError("down".into()))
            } else {
                Ok(verdict)
            }))
        }
    }

    const OPTIONS: GateOptions = GateOptions {
        timeout: Duration::from_millis(100),
        cache: Duration::from_secs(60),
        entries: 10,
        breaker: BreakerOptions { failures: 2, open_for: Duration::from_secs(60) },
        allow_unreachable: false,
    };

    async fn asks(gate: &Gate, user: &str, capability: Capability) -> Result<bool, ErrorCode> {
        let room = RoomName::parse("case:1").unwrap();
        gate.ask(&caller(user), &room, capability).await.map_err(|refusal| refusal.code)
    }

    async fn asks_in(gate: &Gate, user: &str, room: usize) -> Result<bool, ErrorCode> {
        let room = RoomName::parse(&format!("case:{room}")).unwrap();
        gate.ask(&caller(user), &room, Capability::Send).await.map_err(|refusal| refusal.code)
    }

    fn caller(user: &str) -> Caller {
        Caller {
            tenant: TenantId::parse("acme").unwrap(),
            user: UserId::parse(user).unwrap(),
            service: false,
            cross_tenant: false,
            expires: Timestamp(0),
            token: TokenMark::default(),
            powers: Powers::default(),
        }
    }

    #[tokio::test]
    async fn an_answer_is_remembered_by_question() {
        let scripted = Arc::new(Scripted::default());
        let gate = Gate::new(Some(scripted.clone()), OPTIONS);
        for _ in 0..3 {
            assert_eq!(asks(&gate, "alice", Capability::Send).await, Ok(true));
            assert_eq!(asks(&gate, "alice", Capability::Join).await, Ok(false));
            assert_eq!(asks(&gate, "bob", Capability::Send).await, Ok(true));
        }
        assert_eq!(scripted.asked.load(Ordering::SeqCst), 3);
        for user in 0..100 {
            assert_eq!(asks(&gate, &format!("user-{user}"), Capability::Send).await, Ok(true));
        }
        let remembered = |answers: &Answers| answers.newer.len() + answers.older.len();
        assert!(remembered(&gate.desk.answers.lock()) <= 10);
        let brief = Arc::new(Scripted { ttl: Some(Duration::ZERO), ..Scripted::default() });
        let gate = Gate::new(Some(brief.clone()), OPTIONS);
        for _ in 0..3 {
            assert_eq!(asks(&gate, "alice", Capability::Send).await, Ok(true));
        }
        assert_eq!(brief.asked.load(Ordering::SeqCst), 3, "it says that it may not be remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_refuse_and_then_it_is_left_alone() {
        let scripted = Arc::new(Scripted { fails: AtomicUsize::new(2), ..Scripted::default() });
        let gate = Gate::new(Some(scripted.clone()), OPTIONS);
        for user in 0..10 {
            let user = format!("user-{user}");
            assert_eq!(asks(&gate, &user, Capability::Send).await, Err(ErrorCode::Unavailable));
        }
        assert_eq!(scripted.asked.load(Ordering::SeqCst), 2);
        assert!(gate.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_for_one_user_is_asked_for_others() {
        let scripted = Arc::new(Scripted { fails: AtomicUsize::new(10), ..Scripted::default() });
        let gate = Gate::new(Some(scripted), OPTIONS);
        for _ in 0..10 {
            assert_eq!(asks(&gate, "mallory", Capability::Send).await, Err(ErrorCode::Unavailable));
        }
        assert_eq!(asks(&gate, "alice", Capability::Send).await, Ok(true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_being_asked_is_asked_once() {
        let scripted = Arc::new(Scripted { hangs: true, ..Scripted::default() });
        let gate = Gate::new(Some(scripted.clone()), OPTIONS);
        let same = (0..50).map(|_| asks(&gate, "alice", Capability::Send));
        for answer in futures::future::join_all(same).await {
            assert_eq!(answer, Err(ErrorCode::Unavailable));
        }
        assert_eq!(scripted.asked.load(Ordering::SeqCst), 1);
        assert!(gate.desk.under_way.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn so_much_is_asked_at_a_time_and_less_for_one_user() {
        let lenient = GateOptions { allow_unreachable: true, ..OPTIONS };
        let scripted = Arc::new(Scripted { hangs: true, ..Scripted::default() });
        let gate = Gate::new(Some(scripted.clone()), lenient);
        let rooms = (0..500).map(|room| asks_in(&gate, "mallory", room));
        let answers = futures::future::join_all(rooms).await;
        // Past the bound nobody is let in, also where what cannot be asked is allowed.
        let allowed = answers.iter().filter(|answer| **answer == Ok(true)).count();
        assert_eq!(allowed, AUTHORIZER_QUESTIONS_OF_USER);
        let gate = Gate::new(Some(scripted), lenient);
        let users: Vec<_> = (0..AUTHORIZER_QUESTIONS + 100).map(|user| format!("user-{user}")).collect();
        let answers = futures::future::join_all(users.iter().map(|user| asks_in(&gate, user, 1))).await;
        let allowed = answers.iter().filter(|answer| **answer == Ok(true)).count();
        assert_eq!(allowed, AUTHORIZER_QUESTIONS);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_has_failed() {
        let scripted = Arc::new(Scripted { hangs: true, ..Scripted::default() });
        let gate = Gate::new(Some(scripted), OPTIONS);
        assert_eq!(asks(&gate, "alice", Capability::Send).await, Err(ErrorCode::Unavailable));
        let lenient = GateOptions { allow_unreachable: true, ..OPTIONS };
        let gate = Gate::new(Some(Arc::new(Scripted { hangs: true, ..Scripted::default() })), lenient);
        assert_eq!(asks(&gate, "alice", Capability::Send).await, Ok(true));
    }

    #[tokio::test]
    async fn without_an_authoriser_nobody_may() {
        let gate = Gate::new(None, OPTIONS);
        assert_eq!(asks(&gate, "alice", Capability::Send).await, Ok(false));
    }
}
