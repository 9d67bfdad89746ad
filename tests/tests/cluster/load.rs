//! People on several nodes who send each message with a key of its own, and again with the same one until they are
//! answered; listeners on each node; and what must be so afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carillon_client::{Client, ClientOptions, Code, CommandError, Event, Events, v1};
use carillon_tests::process::HubProcess;
use carillon_tests::{Person, TestHub, seq, words};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::faults::{END, ROOM};

/// Senders on each node.
const SENDERS: usize = 4;
/// Nothing that is waited for takes longer.
const LONGEST: Duration = Duration::from_secs(60);

/// A node that people come to.
pub(crate) trait Enters {
    /// How somebody connects.
    fn options_of(&self, name: &str) -> ClientOptions;
}

impl Enters for TestHub {
    fn options_of(&self, name: &str) -> ClientOptions {
        self.options(name)
    }
}

impl Enters for HubProcess {
    /// All are one user, for whom there is a token.
    fn options_of(&self, _: &str) -> ClientOptions {
        self.options("alice")
    }
}

/// What a node's people were told so far.
#[derive(Clone, Copy, Default)]
struct Told {
    acknowledged: u64,
    /// The outcome was not known: they ask again.
    unknown: u64,
    /// What the listener heard.
    heard: u64,
}

/// The place of each message that was acknowledged.
type Acknowledged = BTreeMap<String, u64>;

/// A node's people.
struct Side {
    told: Arc<watch::Sender<Told>>,
    sending: Vec<JoinHandle<Acknowledged>>,
    listening: JoinHandle<Heard>,
}

/// What somebody heard, as (seq, text), and how often their session ended meanwhile.
struct Heard {
    messages: Vec<(u64, String)>,
    ended: usize,
}

/// People who send and listen.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    sides: Vec<Side>,
    /// One who reads what is there at the end, on the last node.
    reader: Client,
}

/// What came of it.
pub(crate) struct Outcome {
    /// How often sessions of listeners ended, for each node.
    pub(crate) ended: Vec<usize>,
}

impl Load {
    /// Begins on these nodes.
    pub(crate) async fn begin<N: Enters>(nodes: &[&N]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut sides = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            let options = node.options_of(&format!("listener{number}"));
            let (client, events) = Client::connect(options).await.expect("the session opens");
            client.join(ROOM).await.expect("the join is permitted");
            let told = Arc::new(watch::Sender::default());
            let listening = tokio::spawn(listens((client, events), Arc::clone(&told)));
            sides.push(Side { told, sending: Vec::new(), listening });
        }
        // Once all listen.
        for (number, (node, side)) in nodes.iter().zip(&mut sides).enumerate() {
            for sender in 0..SENDERS {
                let name = format!("sender{number}-{sender}");
                let client = enters(*node, &name).await;
                side.sending.push(tokio::spawn(sends(
                    client,
                    name,
                    Arc::clone(&side.told),
                    Arc::clone(&stop),
                )));
            }
        }
        let reader = enters(*nodes.last().expect("a node"), "reader").await;
        Self { stop, sides, reader }
    }

    async fn waits(&self, node: usize, what: &str, is_so: impl Fn(Told, Told) -> bool) -> Duration {
        let (begun, mut told) = (Instant::now(), self.sides[node].told.subscribe());
        let before = *told.borrow();
        let waiting = timeout(LONGEST, told.wait_for(|now| is_so(before, *now)));
        let come = waiting.await.unwrap_or_else(|_| panic!("on node {node} nobody {what}"));
        come.expect("they send");
        begun.elapsed()
    }

    /// Waits until so many more were acknowledged on a node; how long that took.
    pub(crate) async fn is_acknowledged(&self, node: usize, more: u64) -> Duration {
        let is_so = |before: Told, now: Told| now.acknowledged >= before.acknowledged + more;
        self.waits(node, "is answered any more", is_so).await
    }

    /// Waits until a node is as before; how long that took.
    pub(crate) async fn recovers(&self, node: usize) -> Duration {
        let is_so = |before: Told, now: Told| {
            now.acknowledged >= before.acknowledged + 100 && now.heard >= before.heard + 100
        };
        self.waits(node, "is told anything any more", is_so).await
    }

    /// Waits until on a node nobody knew so many more times what became of their message.
    pub(crate) async fn is_unknown(&self, node: usize, more: u64) {
        self.waits(node, "is left without an answer", |before, now| now.unknown >= before.unknown + more)
            .await;
    }

    /// Stops, and checks that each node told what was acknowledged, once, in its place, and that all have one log. Prints
    /// what happened.
    pub(crate) async fn end(self, what: &str, recovered: Duration) -> Outcome {
        self.stop.store(true, Ordering::SeqCst);
        let (mut acknowledged, mut logs, mut ended) = (Acknowledged::new(), Vec::new(), Vec::new());
        let mut listening = Vec::new();
        let mut unknown = 0;
        for side in self.sides {
            for sent in side.sending {
                acknowledged.extend(sent.await.expect("they send"));
            }
            unknown += side.told.borrow().unknown;
            listening.push(side.listening);
        }
        self.reader.with_key("the end of it").send(ROOM, END).await.expect("this node is well");
        logs.push(read(&self.reader).await);
        for listening in listening {
            let heard = timeout(LONGEST, listening).await.expect("the end is heard").expect("they listen");
            ended.push(heard.ended);
            logs.push(heard.messages);
        }
        let mut faults = [0; 4];
        for log in &logs {
            assert!(*log == logs[0], "one log everywhere");
            let found = faults_of(log, &acknowledged);
            faults.iter_mut().zip(found).for_each(|(all, found)| *all += found);
        }
        let [lost, duplicated, out_of_order, moved] = faults;
        eprintln!(
            "{what}: {} acknowledged, {unknown} unacknowledged and asked again, recovered in {} ms; lost {lost}, \
             duplicated {duplicated}, out of order {out_of_order}, false acknowledgements {moved}",
            acknowledged.len(),
            recovered.as_millis(),
        );
        assert_eq!(faults, [0; 4]);
        Outcome { ended }
    }
}

async fn enters(node: &impl Enters, name: &str) -> Client {
    Person::connect(name, node.options_of(name)).await.client
}

async fn sends(
    client: Client,
    name: String,
    told: Arc<watch::Sender<Told>>,
    stop: Arc<AtomicBool>,
) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    // People do not write without a break, nor ask again at once.
    let mut pace = interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 1_u64.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let text = format!("{name} {turn}");
        let keyed = client.with_key(format!("{name}-{turn:08}"));
        let sent = loop {
            pace.tick().await;
            match keyed.send(ROOM, text.as_str()).await {
                Ok(sent) => break sent,
                Err(CommandError::Refused(refusal)) if is_unknown(&refusal.code) => {}
                Err(CommandError::TimedOut(_)) => {}
                Err(other) => panic!("{other}"),
            }
            told.send_modify(|told| told.unknown += 1);
        };
        acknowledged.insert(text, sent.position.expect("a position").seq);
        told.send_modify(|told| told.acknowledged += 1);
    }
    acknowledged
}

/// Whether who hears this does not know what became of their message.
fn is_unknown(code: &Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded)
}

/// What somebody hears up to [`END`].
async fn listens((_client, mut events): (Client, Events), told: Arc<watch::Sender<Told>>) -> Heard {
    let mut heard = Heard { messages: Vec::new(), ended: 0 };
    while let Some(event) = events.next().await {
        match event {
            Event::Message(message) => {
                heard.messages.push((seq(&message), words(&message).to_owned()));
                told.send_modify(|told| told.heard += 1);
                if words(&message) == END {
                    break;
                }
            }
            Event::Disconnected(_) => heard.ended += 1,
            _ => {}
        }
    }
    heard
}

/// The log as the store has it.
async fn read(client: &Client) -> Vec<(u64, String)> {
    let mut log: Vec<(u64, String)> = Vec::new();
    loop {
        let after = log.last().map_or(0, |(seq, _)| *seq);
        let bound = Some(v1::history_get::Bound::After(after));
        let page = v1::HistoryGet { room: ROOM.to_owned(), bound, limit: 100 };
        let page = client.history(page).await.expect("the history is readable");
        log.extend(page.entries.into_iter().filter_map(|entry| match entry.entry.map(Event::from)? {
            Event::Message(message) => Some((seq(&message), words(&message).to_owned())),
            _ => None,
        }));
        if !page.more {
            return log;
        }
    }
}

/// Lost, duplicated, out of order, acknowledged with another place than it has.
fn faults_of(log: &[(u64, String)], acknowledged: &Acknowledged) -> [u64; 4] {
    let mut places: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut before, mut out_of_order) = (0, 0);
    for (seq, text) in log {
        out_of_order += u64::from(*seq != before + 1);
        before = *seq;
        places.entry(text).or_default().push(*seq);
        let Some((sender, turn)) = text.split_once(' ').filter(|_| text != END) else { continue };
        let turn = turn.parse().expect("a number");
        out_of_order += u64::from(last.insert(sender, turn).is_some_and(|last| last >= turn));
    }
    let lost = acknowledged.keys().filter(|text| !places.contains_key(text.as_str())).count();
    let duplicated = places.values().filter(|places| places.len() > 1).count();
    let is_elsewhere = |(text, place): &(&String, &u64)| {
        places.get(text.as_str()).is_some_and(|places| !places.contains(place))
    };
    let moved = acknowledged.iter().filter(is_elsewhere).count();
    [lost as u64, duplicated as u64, out_of_order, moved as u64]
}
