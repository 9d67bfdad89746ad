//! What is decided elsewhere: the port to who decides, and what stands in front of it. Answers are remembered for a short
//! while; one that does not come in time is a failure; after several the breaker opens and nobody is asked for a while.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::caller::Caller;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{RoomName, TenantId, UserId};
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
    options: GateOptions,
    breaker: Mutex<Breaker>,
    answers: Mutex<Answers>,
}

impl Gate {
    /// In front of `authorizer`; without one everything is refused.
    pub fn new(authorizer: Option<Arc<dyn Authorizer>>, options: GateOptions) -> Self {
        let breaker = Mutex::new(Breaker::new(options.breaker));
        Self { authorizer, options, breaker, answers: Mutex::default() }
    }

    /// Whether `caller` may do this in `room`. `UNAVAILABLE` where nobody can say, unless that is allowed.
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
        if let Some(allowed) = self.answers.lock().get(&question, Moment::now()) {
            return Ok(allowed);
        }
        if !self.breaker.lock().admit(Moment::now()) {
            return self.unreachable();
        }
        let answer = tokio::time::timeout(self.options.timeout, authorizer.check(question.clone())).await;
        match answer {
            Ok(Ok(verdict)) => {
                self.breaker.lock().succeeded();
                let ttl = verdict.ttl.map_or(self.options.cache, |ttl| ttl.min(self.options.cache));
                let until = Moment::now().plus(ttl);
                self.answers.lock().put(question, (verdict.allowed, until), self.options.entries);
                Ok(verdict.allowed)
            }
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("it did not answer in time"),
        }
    }

    fn failed(&self, why: &str) -> Result<bool, Refusal> {
        if self.breaker.lock().failed(Moment::now()) {
            tracing::warn!(why, "the authoriser is left alone for a while");
        }
        self.unreachable()
    }

    fn unreachable(&self) -> Result<bool, Refusal> {
        if self.options.allow_unreachable {
            return Ok(true);
        }
        Err(Refusal { retry_after: Some(self.options.breaker.open_for), ..ErrorCode::Unavailable.into() })
    }

    /// Whether it is left alone now.
    pub fn is_open(&self) -> bool {
        self.breaker.lock().is_open(Moment::now())
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
        let caller = Caller {
            tenant: TenantId::parse("acme").unwrap(),
            user: UserId::parse(user).unwrap(),
            service: false,
            expires: Timestamp(0),
            token: TokenMark::default(),
            powers: Powers::default(),
        };
        let room = RoomName::parse("case:1").unwrap();
        gate.ask(&caller, &room, capability).await.map_err(|refusal| refusal.code)
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
        assert!(remembered(&gate.answers.lock()) <= 10);
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
        for _ in 0..10 {
            assert_eq!(asks(&gate, "alice", Capability::Send).await, Err(ErrorCode::Unavailable));
        }
        assert_eq!(scripted.asked.load(Ordering::SeqCst), 2);
        assert!(gate.is_open());
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
