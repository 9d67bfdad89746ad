//! How the store on Redis keeps what is read up to a mark: at a cost that does not grow with what is read, and so that nodes
//! which know no mark read it right.

use std::time::Duration;

use carillon_hub::domain::inbox::InboxChange;
use carillon_hub::domain::names::NotificationId;
use carillon_hub::redis::{self, Names};
use carillon_hub::store::redis::{Options, RedisStore};
use carillon_test_redis::{Keeps, Server};

use crate::harness::*;
use crate::inbox::change;
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
