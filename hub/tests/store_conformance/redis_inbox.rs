//! How the store on Redis keeps inboxes: at a cost that does not grow with what is read in them, and so that nodes which know no
//! mark of the own log read it right.

use std::time::Duration;

use carillon_hub::domain::inbox::{InboxChange, InboxFilter, Priority};
use carillon_hub::domain::limits::NOTIFICATION_IDS;
use carillon_hub::domain::names::NotificationId;
use carillon_hub::redis::{self, Names};
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_hub::store::{InboxQuery, Store};
use carillon_test_redis::{Keeps, Server};
use futures::future::join_all;

use crate::harness::*;
use crate::inbox::{broadcast, change, ids, items, know, newest};
use crate::read_mark::{Told, up_to};

/// A server beside which nothing goes on by itself.
struct Resting(Server);

impl Fixture for Resting {
    type Store = RedisStore;

    fn new() -> Self {
        Self(Server::start(Keeps::EverySecond))
    }

    fn open(&self, setup: &Setup) -> RedisStore {
        let options = Options {
            clock: setup.clock.source(),
            sweep: Duration::from_hours(1),
            queue: 65_536,
            ..Options::new(redis::Options::new(self.0.url()), setup.namespaces.clone(), setup.sink.clone())
        };
        RedisStore::open(options).unwrap()
    }
}

/// Commands on sets and hashes that the server has carried out, scripts' own among them.
fn commands(server: &Server) -> u64 {
    let stats: String = server.command("INFO commandstats");
    let calls = stats.lines().filter_map(|line| {
        let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let counts = ["z", "h", "s", "unlink"].iter().any(|kind| name.starts_with(kind)) && name != "set";
        counts.then(|| figures.split_once(',').unwrap().0.parse::<u64>().unwrap())
    });
    calls.sum()
}

/// To read half of it, then one more, then all, takes no more commands where ten times as much is unread, which expires.
#[tokio::test]
async fn reading_all_takes_no_more_where_more_is_unread() {
    let mut taken = Vec::new();
    for many in [1_200, 12_000] {
        for passes in [0, 3_600] {
            let scene = Scene::<Resting>::new();
            let mut told = Told::default();
            told.send(&scene, many, |turn| (turn % 3 == 0, Some(3_600))).await;
            scene.setup.clock.advance(Duration::from_secs(passes));
            let id = NotificationId::parse(&format!("n{}", many - 1)).unwrap();
            let before = commands(&scene.fixture.0);
            for asked in [up_to(many as u64 / 2), InboxChange::Read(vec![id]), up_to(many as u64)] {
                scene.commit(change("bob", asked)).await;
            }
            taken.push(commands(&scene.fixture.0) - before);
        }
    }
    let (few, many) = taken.split_at(2);
    assert!(few.iter().zip(many).all(|(few, many)| *many < few + 60), "{taken:?}");
}

/// A node that knows no mark takes out one by one what is read, and soon counts what there is.
#[tokio::test]
async fn nodes_that_know_no_mark_are_understood_and_understand() {
    let scene = Scene::<Resting>::new();
    let (server, mut told) = (&scene.fixture.0, Told::default());
    told.send(&scene, 2_400, |turn| (turn % 3 == 0, (turn % 2 == 0).then_some(60))).await;
    told.apply(&scene, up_to(1_200)).await;
    let base = Names::new(&redis::Options::new("").prefix).user(&user_key("bob"));
    let left: u64 = server.command(&format!("ZCOUNT {base}/u -inf 1200"));
    assert!(left > 0, "something is left to be taken out");
    // As one does that is told to read some, or all up to a place.
    for set in ["u", "ue", "c", "ce"] {
        for place in [1_150, 2_000, 2_001] {
            server.command::<()>(&format!("ZREM {base}/{set} {place}"));
        }
        for place in 900..1_000 {
            server.command::<()>(&format!("ZREM {base}/{set} {place}"));
        }
    }
    told.apply_to(&scene, 2_000..2_002, false).await;
    told.compare(&scene).await;
    scene.setup.clock.advance(Duration::from_secs(61));
    told.compare(&scene).await;
    let beside = Fixture::open(server, &scene.setup);
    let settled = async {
        while server.command::<Option<u64>>(&format!("HGET {base} own")).is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), settled).await.expect("all of it is taken out");
    let below: u64 = server.command(&format!("ZCOUNT {base}/u -inf 1200"));
    assert_eq!(below, 0);
    told.compare(&scene).await;
    drop(beside);
}

/// Bytes that the server has received and sent.
fn bytes(server: &Server) -> usize {
    let stats: String = server.command("INFO stats");
    let figure = |name: &str| stats.lines().find_map(|line| line.strip_prefix(name)?.parse::<usize>().ok());
    figure("total_net_input_bytes:").unwrap() + figure("total_net_output_bytes:").unwrap()
}

/// What is done to an inbox and read of it takes no more where the user has read and deleted thirty times as many broadcasts one by
/// one, none of which it is about.
#[tokio::test]
async fn what_was_done_to_other_broadcasts_is_not_read() {
    let mut taken = Vec::new();
    for many in [100, 3_000] {
        let (scene, bob) = (Scene::<Resting>::new(), user_key("bob"));
        scene.commit(know("bob")).await;
        let name = |n: usize| format!("n{n}");
        let sent = (0..many).map(|n| scene.store().commit(broadcast(notice(&name(n), Priority::Normal))));
        join_all(sent).await.into_iter().for_each(|committed| _ = committed.unwrap());
        // The first one stays unread, so that no mark passes over the others.
        let all: Vec<_> = (1..many).map(name).collect();
        for some in all.chunks(NOTIFICATION_IDS) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            scene.commit(change("bob", InboxChange::Read(ids(&some)))).await;
            scene.commit(change("bob", InboxChange::Delete(ids(&some[..20])))).await;
        }
        let unread_only = InboxFilter { unread_only: true, ..InboxFilter::default() };
        let unread_only = InboxQuery::Newest { before: None, filter: unread_only };
        let before = bytes(&scene.fixture.0);
        let committed = scene.commit(change("bob", InboxChange::Read(ids(&["unknown"])))).await;
        assert_eq!(committed.inbox.unwrap().unread, 1);
        let command = bytes(&scene.fixture.0) - before;
        let page = scene.store().inbox(&bob, newest(), items(10)).await.unwrap();
        assert_eq!(page.notifications.len(), 10);
        let page = scene.store().inbox(&bob, unread_only, items(10)).await.unwrap();
        assert_eq!(page.notifications.len(), 1);
        taken.extend([command, bytes(&scene.fixture.0) - before - command]);
    }
    let [command, pages, of_many, pages_of_many] = taken[..] else { panic!("{taken:?}") };
    assert!(of_many < command + 2_000 && pages_of_many < pages + 4_000, "{taken:?}");
}
