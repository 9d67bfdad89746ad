//! Reading all up to a place: whatever lies below it is read, and what is unread above it is counted exactly, however much
//! that is.

use std::sync::Arc;
use std::time::Duration;

use carillon_hub::domain::inbox::{InboxChange, InboxFilter, InboxPlace, InboxSummary, Notice, Priority};
use carillon_hub::domain::limits::{INBOX_COUNTED, NOTIFICATION_IDS};
use carillon_hub::domain::names::NotificationId;
use carillon_hub::domain::position::{InboxPosition, Seq};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::{Change, InboxQuery, Store};
use futures::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::*;
use crate::inbox::{change, ids, items, newest};

/// All of the own log up to a place.
pub(crate) fn up_to(own: u64) -> InboxChange {
    InboxChange::ReadUpTo(InboxPosition { own: Seq(own), ..InboxPosition::default() })
}

fn unread_only(before: Option<InboxPosition>) -> InboxQuery {
    InboxQuery::Newest { before, filter: InboxFilter { unread_only: true, ..InboxFilter::default() } }
}

fn counts(summary: InboxSummary) -> (u64, u64) {
    (summary.unread, summary.critical)
}

/// What bob has, the newest first, each with whether it is read.
async fn states<F: Fixture>(scene: &Scene<F>) -> Vec<(String, bool)> {
    let page = scene.store().inbox(&user_key("bob"), newest(), items(100)).await.unwrap();
    page.notifications.iter().map(|n| (n.notice.id.as_str().to_owned(), n.read)).collect()
}

pub(crate) async fn says_what_is_read_and_nothing_else_does<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    for turn in 1..=6 {
        let priority = if turn % 3 == 0 { Priority::Critical } else { Priority::Low };
        scene.commit(notify("bob", notice(&format!("n{turn}"), priority))).await;
    }
    let told = |scene: &Scene<F>| {
        scene.setup.sink.changes().iter().filter(|change| matches!(change, Change::Inbox { .. })).count()
    };
    for (asked, expected, is_told) in [
        (InboxChange::Read(ids(&["n5"])), (5, 2), true),
        (up_to(3), (2, 1), true),
        // All of it is read already.
        (up_to(2), (2, 1), false),
        (InboxChange::Read(ids(&["n1", "n2", "n3"])), (2, 1), false),
        (InboxChange::Delete(ids(&["n2", "n5"])), (2, 1), true),
        (up_to(5), (1, 1), true),
        (InboxChange::Delete(ids(&["n6"])), (0, 0), true),
        (up_to(6), (0, 0), false),
    ] {
        let before = told(&scene);
        let committed = scene.commit(change("bob", asked.clone())).await;
        assert_eq!(counts(committed.inbox.unwrap()), expected, "{asked:?}");
        assert_eq!(told(&scene) - before, usize::from(is_told), "{asked:?}");
    }
    // An id of below the mark comes again, which is a new one, and the first after it.
    scene.commit(notify("bob", notice("n3", Priority::Critical))).await;
    scene.commit(notify("bob", notice("n7", Priority::Low))).await;
    for _ in 0..2 {
        let expected = [("n7", false), ("n3", false), ("n4", true), ("n1", true)];
        assert_eq!(states(&scene).await, expected.map(|(id, read)| (id.to_owned(), read)));
        assert_eq!(counts(scene.store().inbox_summary(&user_key("bob")).await.unwrap()), (2, 1));
        let page = scene.store().inbox(&user_key("bob"), unread_only(None), items(10)).await.unwrap();
        let unread: Vec<_> = page.notifications.iter().map(|n| n.notice.id.as_str()).collect();
        assert_eq!((unread, page.next), (vec!["n7", "n3"], None));
        scene.reopen();
    }
    // One beyond the head reads what there is, not what is to come.
    assert_eq!(counts(scene.commit(change("bob", up_to(1_000))).await.inbox.unwrap()), (0, 0));
    scene.commit(notify("bob", notice("n8", Priority::Low))).await;
    assert_eq!(counts(scene.store().inbox_summary(&user_key("bob")).await.unwrap()), (1, 0));
}

/// Where both much that is read and much that is unread has an end, and where that has come.
pub(crate) async fn holds_for_what_expires<F: Fixture>() {
    let scene = Scene::<F>::new();
    let mut told = Told::default();
    told.send(&scene, 30, |turn| (turn % 2 == 0, (turn % 3 == 0).then_some(10))).await;
    for own in [10, 20] {
        told.apply(&scene, up_to(own)).await;
        told.compare(&scene).await;
    }
    scene.setup.clock.advance(Duration::from_secs(11));
    told.compare(&scene).await;
    told.send(&scene, 5, |_| (true, Some(10))).await;
    told.apply(&scene, up_to(32)).await;
    told.compare(&scene).await;
    scene.setup.clock.advance(Duration::from_secs(11));
    told.compare(&scene).await;
    told.apply(&scene, up_to(35)).await;
    told.compare(&scene).await;
}

/// More than is counted on both sides of the mark, and then read, deleted and expired away in pieces.
pub(crate) async fn is_exact_among_thousands<F: Fixture>() {
    let scene = Scene::<F>::new();
    let mut told = Told::default();
    told.send(&scene, 6_000, |turn| (turn % 2 == 0, (turn > 5_500).then_some(60))).await;
    told.compare(&scene).await;
    told.apply(&scene, up_to(2_500)).await;
    told.compare(&scene).await;
    for (from, deletes) in [(2_400, true), (2_600, false), (2_800, true), (3_100, false)] {
        told.apply_to(&scene, from..from + NOTIFICATION_IDS, deletes).await;
        told.compare(&scene).await;
    }
    scene.setup.clock.advance(Duration::from_secs(61));
    told.compare(&scene).await;
    for from in (3_500..5_600).step_by(NOTIFICATION_IDS) {
        told.apply_to(&scene, from..from + NOTIFICATION_IDS, from % 400 == 0).await;
        told.compare(&scene).await;
    }
    told.apply(&scene, up_to(3_000)).await;
    told.compare(&scene).await;
    told.apply(&scene, up_to(6_000)).await;
    told.compare(&scene).await;
}

/// All that there is goes at the same moment, read and unread, before anybody has removed it.
pub(crate) async fn is_exact_where_all_have_expired<F: Fixture>() {
    let scene = Scene::<F>::new();
    let mut told = Told::default();
    told.send(&scene, 3_000, |turn| (turn % 5 == 0, Some(10))).await;
    told.apply(&scene, up_to(1_200)).await;
    told.compare(&scene).await;
    told.send(&scene, 5, |turn| (turn % 2 == 0, None)).await;
    scene.setup.clock.advance(Duration::from_secs(11));
    told.compare(&scene).await;
    told.apply(&scene, up_to(2_400)).await;
    told.compare(&scene).await;
    told.apply_to(&scene, 3_001..3_003, false).await;
    told.compare(&scene).await;
}

/// Who was erased begins anew: what comes then is unread, and nothing else.
pub(crate) async fn goes_with_what_was_erased<F: Fixture>() {
    let scene = Scene::<F>::new();
    let mut told = Told::default();
    told.send(&scene, 40, |turn| (turn % 2 == 0, None)).await;
    told.apply(&scene, up_to(20)).await;
    scene.store().erase(&user_key("bob")).await.unwrap();
    told.0.iter_mut().for_each(|one| one.deleted = true);
    told.compare(&scene).await;
    told.send(&scene, 3, |turn| (turn % 2 == 0, None)).await;
    told.compare(&scene).await;
    told.apply(&scene, up_to(42)).await;
    told.compare(&scene).await;
}

/// A notification as bob has it.
pub(crate) struct One {
    critical: bool,
    expires: Option<Timestamp>,
    read: bool,
    deleted: bool,
}

/// All of bob's, in order of their places, which are one more than their indexes here.
#[derive(Default)]
pub(crate) struct Told(Vec<One>);

impl Told {
    fn id(index: usize) -> NotificationId {
        NotificationId::parse(&format!("n{index}")).unwrap()
    }

    /// Sends so many: `kind` says of each whether it is critical, and after how many seconds it expires.
    pub(crate) async fn send<F: Fixture>(
        &mut self,
        scene: &Scene<F>,
        many: usize,
        kind: impl Fn(usize) -> (bool, Option<u64>),
    ) {
        let now = scene.setup.clock.now();
        let begin = self.0.len();
        let all: Vec<usize> = (begin..begin + many).collect();
        for some in all.chunks(500) {
            let sent: Vec<_> = some
                .iter()
                .map(|&index| {
                    let (critical, expires) = kind(index);
                    let expires = expires.map(|seconds| now.plus(Duration::from_secs(seconds)));
                    self.0.push(One { critical, expires, read: false, deleted: false });
                    let priority = if critical { Priority::Critical } else { Priority::Low };
                    let id = Self::id(index);
                    let notice = Arc::new(Notice { expires, ..(*notice(id.as_str(), priority)).clone() });
                    scene.store().commit(notify("bob", notice))
                })
                .collect();
            join_all(sent).await.into_iter().for_each(|committed| _ = committed.unwrap());
        }
        let last = Self::id(begin + many - 1);
        scene.setup.sink.wait_for(
            |change| matches!(change, Change::Notified { notification, .. } if notification.notice.id == last),
        );
    }

    pub(crate) async fn apply<F: Fixture>(&mut self, scene: &Scene<F>, asked: InboxChange) {
        if let InboxChange::ReadUpTo(position) = &asked {
            let below = usize::try_from(position.own.0).unwrap().min(self.0.len());
            self.0[..below].iter_mut().for_each(|one| one.read = true);
        }
        let summary = scene.commit(change("bob", asked)).await.inbox.unwrap();
        assert_eq!(counts(summary), self.counts(scene.setup.clock.now()));
    }

    /// Reads or deletes those at some places.
    pub(crate) async fn apply_to<F: Fixture>(
        &mut self,
        scene: &Scene<F>,
        places: std::ops::Range<usize>,
        deletes: bool,
    ) {
        let mut ids = Vec::new();
        for place in places {
            let Some(index) = place.checked_sub(1).filter(|index| *index < self.0.len()) else { continue };
            let one = &mut self.0[index];
            (one.read, one.deleted) = (true, one.deleted || deletes);
            ids.push(Self::id(index));
        }
        self.apply(scene, if deletes { InboxChange::Delete(ids) } else { InboxChange::Read(ids) }).await;
    }

    /// The places of the unread ones, in order.
    fn unread(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = (u64, &One)> {
        let is_unread = move |one: &One| !one.read && !one.deleted && one.expires.is_none_or(|end| end > now);
        let all = self.0.iter().enumerate().map(|(index, one)| (index as u64 + 1, one));
        all.filter(move |(_, one)| is_unread(one))
    }

    fn counts(&self, now: Timestamp) -> (u64, u64) {
        let counted = |count: usize| (count as u64).min(INBOX_COUNTED);
        let critical = self.unread(now).filter(|(_, one)| one.critical).count();
        (counted(self.unread(now).count()), counted(critical))
    }

    /// The summary says how many are unread, and pages list those.
    pub(crate) async fn compare<F: Fixture>(&self, scene: &Scene<F>) {
        let (now, bob) = (scene.setup.clock.now(), user_key("bob"));
        assert_eq!(counts(scene.store().inbox_summary(&bob).await.unwrap()), self.counts(now));
        let (mut listed, mut before) = (Vec::new(), None);
        loop {
            let page = scene.store().inbox(&bob, unread_only(before), items(40)).await.unwrap();
            assert!(page.notifications.iter().all(|notification| !notification.read));
            listed.extend(page.notifications.into_iter().map(|notification| notification.place));
            before = page.next;
            if before.is_none() || listed.len() >= 100 {
                break;
            }
        }
        let places = self.unread(now).map(|(place, _)| InboxPlace::Own(Seq(place)));
        let newest: Vec<_> = places.rev().take(listed.len().max(100)).collect();
        assert_eq!(listed, newest[..listed.len().min(newest.len())]);
        assert!(before.is_some() || listed.len() == newest.len());
    }
}

/// A step of a story. Places are parts of what there is, in 255ths.
#[derive(Clone, Debug)]
enum Step {
    Send { many: usize, critical: usize, expires: Option<u64> },
    Change { from: u8, many: usize, deletes: bool },
    ReadUpTo { part: u8 },
    Pass { seconds: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..900_usize, 1..4_usize, prop::option::of(1..30_u64))
            .prop_map(|(many, critical, expires)| Step::Send { many, critical, expires }),
        6 => (any::<u8>(), 1..=NOTIFICATION_IDS, any::<bool>())
            .prop_map(|(from, many, deletes)| Step::Change { from, many, deletes }),
        4 => any::<u8>().prop_map(|part| Step::ReadUpTo { part }),
        2 => (1..10_u8).prop_map(|seconds| Step::Pass { seconds }),
    ];
    prop::collection::vec(step, 1..25)
}

async fn tell<F: Fixture>(scene: &Scene<F>, told: &mut Told, step: Step) {
    let place = |part: u8, told: &Told| told.0.len() * usize::from(part) / 255;
    match step {
        Step::Send { many, critical, expires } => {
            told.send(scene, many, |turn| (turn % critical == 0, expires.filter(|_| turn % 2 == 0))).await;
        }
        Step::Change { from, many, deletes } => {
            let from = place(from, told);
            told.apply_to(scene, from..from + many, deletes).await;
        }
        Step::ReadUpTo { part } => told.apply(scene, up_to(place(part, told) as u64)).await,
        Step::Pass { seconds } => scene.setup.clock.advance(Duration::from_secs(seconds.into())),
    }
    told.compare(scene).await;
}

pub(crate) async fn random_changes_of_many_match_a_count<F: Fixture>() {
    // On a thread of its own: within a task, futures that are polled by another executor starve.
    std::thread::spawn(tell_random_stories::<F>).join().unwrap();
}

fn tell_random_stories<F: Fixture>() {
    let mut runner = TestRunner::new(Config { cases: 8, failure_persistence: None, ..Config::default() });
    let run = runner.run(&steps(), |story| {
        futures::executor::block_on(async {
            let (scene, mut told) = (Scene::<F>::new(), Told::default());
            for step in story {
                tell(&scene, &mut told, step).await;
            }
        });
        Ok(())
    });
    run.unwrap();
}
