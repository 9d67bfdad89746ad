//! `bench inbox`: what it takes to read all of an inbox where little is unread in it, and where much is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_hub::domain::content::Pairs;
use carillon_hub::domain::inbox::{InboxChange, Notice, NotificationKind, Priority};
use carillon_hub::domain::limits::INBOX_COUNTED;
use carillon_hub::domain::names::{NotificationId, TenantId, UserId, UserKey};
use carillon_hub::domain::position::{InboxPosition, Seq};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::{Effect, Home, InboxLog, Outcome, Store, Write};
use clap::Args;
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::{StoreBenchError, TENANT, open_one, runtime};
use crate::bench::BenchError;
use crate::bench::clock::check_interrupt;
use crate::bench::options::count;
use crate::bench::report::{Figures, Report, progress};
use crate::bench::target::Scratch;

/// Notifications that are sent at a time.
const AT_ONCE: u64 = 500;
/// How long they may be on their way.
const WAIT: Duration = Duration::from_secs(60);

/// Whose inboxes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    scratch: Scratch,
    /// Unread notifications of each user, one user after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000], value_parser = count(4..=10_000_000))]
    unread: Vec<usize>,
    /// Users with so many.
    #[arg(long, default_value_t = 5, value_parser = count(1..=1_000))]
    users: usize,
    /// All of them expire, in a day.
    #[arg(long)]
    expire: bool,
    /// Measure the store on Redis instead of the embedded one: redis://HOST:PORT or unix:///PATH.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

/// Runs it.
pub(in crate::bench) fn run(options: &Options) -> Result<Report, BenchError> {
    let folder = options.scratch.make()?;
    let store = open_one(options.redis.as_deref(), &folder.path().join("data"))?;
    let runtime = runtime()?;
    let (mut rounds, mut notes) = (Vec::new(), Vec::new());
    let total = options.unread.iter().sum::<usize>() * options.users;
    let bar = progress(total as u64, "sending notifications");
    for unread in &options.unread {
        let mut fastest = BTreeMap::new();
        for user in 0..options.users {
            let inbox = Inbox::new(&*store, &format!("bench-{unread}-{user}"), *unread as u64)?;
            let measured = async {
                inbox.fill(options.expire, |sent| bar.inc(sent)).await?;
                inbox.measure().await
            };
            for (what, ms) in runtime.block_on(measured)? {
                let least = fastest.entry(what).or_insert(ms);
                *least = ms.min(*least);
            }
        }
        let said: Vec<String> = fastest.iter().map(|(what, ms)| format!("{what} {ms:.2} ms")).collect();
        notes.push(format!("of {unread} unread: {}", said.join(", ")));
        let mut round = json!({"unread": unread});
        for (what, ms) in fastest {
            round[what] = ms.into();
        }
        rounds.push(round);
    }
    bar.finish_and_clear();
    runtime.block_on(store.close());
    let unread: Vec<Value> = options.unread.iter().map(|unread| (*unread).into()).collect();
    let parameters = [
        ("unread", unread.into()),
        ("users", options.users.into()),
        ("expire", options.expire.into()),
        ("redis", options.redis.is_some().into()),
        ("memory_backed_data", Scratch::is_memory(folder.path()).into()),
    ];
    let mut report = Report::new("inbox", parameters, Figures::default());
    (report.rounds, report.notes) = (rounds, notes);
    Ok(report)
}

/// One user's.
struct Inbox<'a> {
    store: &'a dyn Store,
    tenant: TenantId,
    user: UserId,
    unread: u64,
}

impl<'a> Inbox<'a> {
    fn new(store: &'a dyn Store, user: &str, unread: u64) -> Result<Self, StoreBenchError> {
        let broken = |_| StoreBenchError::Name;
        let (tenant, user) = (TenantId::parse(TENANT).map_err(broken)?, UserId::parse(user).map_err(broken)?);
        Ok(Self { store, tenant, user, unread })
    }

    fn id(number: u64) -> Result<NotificationId, StoreBenchError> {
        NotificationId::parse(&format!("bench-{number}")).map_err(|_| StoreBenchError::Name)
    }

    fn outcome(&self, home: Home) -> Outcome {
        Outcome {
            tenant: self.tenant.clone(),
            home,
            actor: self.user.clone(),
            by_service: false,
            idempotency: None,
            conditions: Vec::new(),
            writes: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Sends all of them, every fourth of which is critical.
    async fn fill(&self, expire: bool, sent: impl Fn(u64)) -> Result<(), BenchError> {
        let in_a_day = Timestamp::now().plus(Duration::from_hours(24));
        for begin in (0..self.unread).step_by(AT_ONCE as usize) {
            check_interrupt()?;
            let end = self.unread.min(begin + AT_ONCE);
            let some = (begin..end).map(|number| {
                let notice = Arc::new(Notice {
                    id: Self::id(number)?,
                    kind: NotificationKind::parse("bench").map_err(|_| StoreBenchError::Name)?,
                    title: "something has happened".into(),
                    body: None,
                    priority: if number % 4 == 0 { Priority::Critical } else { Priority::Normal },
                    data: Pairs::default(),
                    sender: self.user.clone(),
                    expires: expire.then_some(in_a_day),
                });
                let effects = vec![Effect::Notify { user: self.user.clone(), notice }];
                Ok(self.store.commit(Outcome { effects, ..self.outcome(Home::Tenant) }))
            });
            let some = some.collect::<Result<Vec<_>, StoreBenchError>>()?;
            try_join_all(some).await.map_err(StoreBenchError::from)?;
            sent(end - begin);
        }
        self.wait_for_all().await
    }

    /// What was accepted reaches the inbox a moment later.
    async fn wait_for_all(&self) -> Result<(), BenchError> {
        let log = InboxLog::Own(UserKey { tenant: self.tenant.clone(), user: self.user.clone() });
        let begun = Instant::now();
        while self.store.inbox_head(log.clone()).await.map_err(StoreBenchError::from)? < Seq(self.unread) {
            check_interrupt()?;
            if begun.elapsed() > WAIT {
                return Err(BenchError::Silence {
                    what: "not all notifications arrived",
                    seconds: WAIT.as_secs(),
                });
            }
        }
        Ok(())
    }

    /// Reads half of it, one more, and all of it; milliseconds of each.
    async fn measure(&self) -> Result<Vec<(&'static str, f64)>, BenchError> {
        let up_to = |own| InboxChange::ReadUpTo(InboxPosition { own: Seq(own), ..InboxPosition::default() });
        let (half, last) = (self.unread / 2, Self::id(self.unread - 1)?);
        let steps = [
            ("half_ms", up_to(half), self.unread - half),
            ("one_ms", InboxChange::Read(vec![last]), self.unread - half - 1),
            ("all_ms", up_to(self.unread), 0),
        ];
        let mut measured = Vec::new();
        for (what, change, left) in steps {
            let mut outcome = self.outcome(Home::Inbox(self.user.clone()));
            outcome.writes.push(Write::Inbox(change));
            let begun = Instant::now();
            let committed = self.store.commit(outcome).await.map_err(StoreBenchError::from)?;
            measured.push((what, begun.elapsed().as_secs_f64() * 1e3));
            let told = committed.inbox.map(|summary| summary.unread);
            if told != Some(left.min(INBOX_COUNTED)) {
                return Err(BenchError::Faults);
            }
        }
        Ok(measured)
    }
}
