//! How many notifications of an inbox are unread, and who hears of changes.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_hub::domain::inbox::{InboxChange, InboxPlace, Notice, Priority};
use carillon_hub::domain::limits::INBOX_COUNTED;
use carillon_hub::domain::names::NotificationId;
use carillon_hub::domain::position::{InboxPosition, Seq};
use carillon_hub::domain::time::Timestamp;
use carillon_hub::store::{Change, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::*;
use crate::inbox::{broadcast, change, ids, items, know, newest};

/// Nobody is told of what changes nothing, and what changes something is told once.
pub(crate) async fn what_changes_nothing_is_told_nobody<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(broadcast(notice("before", Priority::Normal))).await;
    scene.commit(know("bob")).await;
    scene.commit(notify("bob", notice("own", Priority::Normal))).await;
    scene.commit(broadcast(notice("all", Priority::Normal))).await;
    let up_to = |own, broadcast| {
        InboxChange::ReadUpTo(InboxPosition {
            own: Seq(own),
            broadcast: Seq(broadcast),
            ..InboxPosition::default()
        })
    };
    let told = |scene: &Scene<F>| {
        scene.setup.sink.changes().iter().filter(|change| matches!(change, Change::Inbox { .. })).count()
    };
    for (asked, unread, is_told) in [
        (InboxChange::Read(ids(&["unknown", "before"])), 2, false),
        (InboxChange::Delete(ids(&["unknown", "before"])), 2, false),
        (up_to(0, 1), 2, false),
        (InboxChange::Read(ids(&["own"])), 1, true),
        (InboxChange::Read(ids(&["own"])), 1, false),
        (InboxChange::Read(ids(&["all"])), 0, true),
        (InboxChange::Read(ids(&["all", "own"])), 0, false),
        (up_to(1, 2), 0, false),
        (InboxChange::Delete(ids(&["all"])), 0, true),
        (InboxChange::Delete(ids(&["all"])), 0, false),
        (InboxChange::Delete(ids(&["own"])), 0, true),
        (InboxChange::Delete(ids(&["own"])), 0, false),
    ] {
        let before = told(&scene);
        let committed = scene.commit(change("bob", asked.clone())).await;
        assert_eq!(committed.inbox.unwrap().unread, unread, "{asked:?}");
        assert_eq!(told(&scene) - before, usize::from(is_told), "{asked:?}");
    }
    let strangers = scene.commit(change("stranger", InboxChange::Read(ids(&["all"])))).await;
    assert_eq!(strangers.inbox.unwrap().unread, 0);
}

/// Counting ends where there is more than anybody is told.
pub(crate) async fn is_counted_up_to_a_bound<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(know("bob")).await;
    let (many, bob) = (INBOX_COUNTED + 40, user_key("bob"));
    let sent: Vec<_> = (1..=many)
        .map(|turn| {
            let priority = if turn % 2 == 0 { Priority::Critical } else { Priority::Low };
            scene.store().commit(broadcast(notice(&format!("n{turn}"), priority)))
        })
        .collect();
    for committed in sent {
        committed.await.unwrap();
    }
    let summary = scene.store().inbox_summary(&bob).await.unwrap();
    assert_eq!((summary.unread, summary.critical), (INBOX_COUNTED, many / 2));
    // All but the first, in pieces that meet at last.
    let ids =
        |turns: Vec<u64>| turns.iter().map(|n| NotificationId::parse(&format!("n{n}")).unwrap()).collect();
    for rest in [1, 0] {
        let turns: Vec<u64> = (2..=many).filter(|turn| turn % 2 == rest).collect();
        for some in turns.chunks(200) {
            scene.commit(change("bob", InboxChange::Read(ids(some.to_vec())))).await;
        }
    }
    let summary = scene.store().inbox_summary(&bob).await.unwrap();
    assert_eq!((summary.unread, summary.critical), (1, 0));
    scene.commit(change("bob", InboxChange::Read(ids(vec![1])))).await;
    scene.commit(broadcast(notice("last", Priority::Critical))).await;
    let summary = scene.store().inbox_summary(&bob).await.unwrap();
    assert_eq!((summary.unread, summary.critical), (1, 1));
    let own: Vec<_> = (1..=many)
        .map(|turn| scene.store().commit(notify("bob", notice(&format!("own{turn}"), Priority::Low))))
        .collect();
    for committed in own {
        committed.await.unwrap();
    }
    assert_eq!(scene.store().inbox_summary(&bob).await.unwrap().unread, INBOX_COUNTED);
}

/// A step of a story. Notifications are chosen modulo those that there are.
#[derive(Clone, Debug)]
enum Step {
    Send { to_all: bool, critical: bool, expires: Option<u8> },
    Read { which: Vec<u8> },
    Delete { which: Vec<u8> },
    ReadUpTo { own: u8, broadcast: u8 },
    Pass { seconds: u8 },
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = || prop::collection::vec(any::<u8>(), 1..4);
    let step = prop_oneof![
        8 => (any::<bool>(), any::<bool>(), prop::option::of(1..30_u8))
            .prop_map(|(to_all, critical, expires)| Step::Send { to_all, critical, expires }),
        6 => which().prop_map(|which| Step::Read { which }),
        3 => which().prop_map(|which| Step::Delete { which }),
        1 => (0..12_u8, 0..12_u8).prop_map(|(own, broadcast)| Step::ReadUpTo { own, broadcast }),
        2 => (1..10_u8).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..100)
}

/// A notification as one user has it.
struct Told {
    place: InboxPlace,
    critical: bool,
    expires: Option<Timestamp>,
    read: bool,
    deleted: bool,
}

#[derive(Default)]
struct Model {
    sent: usize,
    own: u64,
    broadcast: u64,
    told: BTreeMap<String, Told>,
}

impl Model {
    fn listed(&self, now: Timestamp) -> impl Iterator<Item = (&String, &Told)> {
        self.told.iter().filter(move |(_, told)| !told.deleted && told.expires.is_none_or(|end| end > now))
    }

    fn pick(&self, which: &[u8]) -> Vec<String> {
        let known: Vec<&String> = self.told.keys().collect();
        which
            .iter()
            .filter_map(|n| known.get(usize::from(*n) % known.len().max(1)))
            .map(|id| (*id).clone())
            .collect()
    }
}

async fn apply<F: Fixture>(scene: &mut Scene<F>, model: &mut Model, step: Step) {
    match step {
        Step::Send { to_all, critical, expires } => {
            let id = format!("n{:03}", model.sent);
            model.sent += 1;
            let priority = if critical { Priority::Critical } else { Priority::Low };
            let now = scene.setup.clock.now();
            let expires = expires.map(|seconds| now.plus(Duration::from_secs(seconds.into())));
            let notice = std::sync::Arc::new(Notice { expires, ..(*notice(&id, priority)).clone() });
            let place = if to_all {
                model.broadcast += 1;
                scene.commit(broadcast(notice)).await;
                InboxPlace::Broadcast(Seq(model.broadcast))
            } else {
                model.own += 1;
                scene.commit(notify("bob", notice)).await;
                InboxPlace::Own(Seq(model.own))
            };
            model.told.insert(id, Told { place, critical, expires, read: false, deleted: false });
        }
        Step::Read { which } | Step::Delete { which } if model.told.is_empty() => drop(which),
        Step::Read { which } => {
            let picked = model.pick(&which);
            picked.iter().for_each(|id| model.told.get_mut(id).unwrap().read = true);
            let picked: Vec<&str> = picked.iter().map(String::as_str).collect();
            scene.commit(change("bob", InboxChange::Read(ids(&picked)))).await;
        }
        Step::Delete { which } => {
            let picked = model.pick(&which);
            picked.iter().for_each(|id| model.told.get_mut(id).unwrap().deleted = true);
            let picked: Vec<&str> = picked.iter().map(String::as_str).collect();
            scene.commit(change("bob", InboxChange::Delete(ids(&picked)))).await;
        }
        Step::ReadUpTo { own, broadcast } => {
            let (own, broadcast) = (u64::from(own).min(model.own), u64::from(broadcast).min(model.broadcast));
            for told in model.told.values_mut() {
                told.read |= match told.place {
                    InboxPlace::Own(seq) => seq.0 <= own,
                    InboxPlace::Broadcast(seq) => seq.0 <= broadcast,
                };
            }
            let up_to =
                InboxPosition { own: Seq(own), broadcast: Seq(broadcast), ..InboxPosition::default() };
            scene.commit(change("bob", InboxChange::ReadUpTo(up_to))).await;
        }
        Step::Pass { seconds } => scene.setup.clock.advance(Duration::from_secs(seconds.into())),
        Step::Reopen => scene.reopen(),
    }
    compare(scene, model).await;
}

async fn compare<F: Fixture>(scene: &Scene<F>, model: &Model) {
    let (now, bob) = (scene.setup.clock.now(), user_key("bob"));
    let unread = |critical: bool| {
        model.listed(now).filter(|(_, told)| !told.read && (told.critical || !critical)).count() as u64
    };
    let summary = scene.store().inbox_summary(&bob).await.unwrap();
    assert_eq!((summary.unread, summary.critical), (unread(false), unread(true)));
    let page = scene.store().inbox(&bob, newest(), items(1_000)).await.unwrap();
    let listed: BTreeMap<_, _> =
        page.notifications.iter().map(|n| (n.notice.id.as_str().to_owned(), n.read)).collect();
    assert_eq!(listed, model.listed(now).map(|(id, told)| (id.clone(), told.read)).collect());
}

pub(crate) async fn random_changes_match_the_model<F: Fixture>() {
    // On a thread of its own: within a task, futures that are polled by another executor starve.
    std::thread::spawn(tell_random_stories::<F>).join().unwrap();
}

fn tell_random_stories<F: Fixture>() {
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let told = runner.run(&steps(), |story| {
        futures::executor::block_on(async {
            let (mut scene, mut model) = (Scene::<F>::new(), Model::default());
            scene.commit(know("bob")).await;
            for step in story {
                apply(&mut scene, &mut model, step).await;
            }
        });
        Ok(())
    });
    told.unwrap();
}
