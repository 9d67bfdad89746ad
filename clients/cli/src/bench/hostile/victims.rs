//! Who is to be served meanwhile: pairs who write to each other.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carillon_client::v1::Content;
use carillon_client::v1::content::Body;
use carillon_client::{Client, ClientOptions, Event, Events};

use super::super::report::Latency;

/// Between two messages of a writer.
const PACE: Duration = Duration::from_millis(20);

/// A pair: one writes, the other reads.
pub(super) struct Pair {
    writer: Client,
    reader: Events,
    _reader: Client,
    room: String,
}

/// What the pairs saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Messages that were acknowledged.
    pub(super) sent: u64,
    /// Those that the reader heard.
    pub(super) heard: u64,
    /// From the call to the reader's ear.
    pub(super) latency: Option<Latency>,
}

impl Pair {
    /// Connects both.
    pub(super) async fn enter(url: &str, number: usize, tokens: [String; 2]) -> anyhow::Result<Self> {
        let [writes, reads] = tokens;
        let (writer, _) = Client::connect(ClientOptions::new(url).token(writes)).await?;
        let (listener, reader) = Client::connect(ClientOptions::new(url).token(reads)).await?;
        let room = format!("room:pair-{number}");
        listener.join(&*room).await?;
        Ok(Self { writer, reader, _reader: listener, room })
    }

    /// Writes until `over`, and reads all of it.
    async fn talk(&mut self, over: &AtomicBool, seen: &Mutex<Seen>) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(PACE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut number = 0;
        while !over.load(Ordering::Relaxed) {
            ticks.tick().await;
            number += 1;
            let text = number.to_string();
            let begin = Instant::now();
            let sent = self.writer.send(&*self.room, text.clone());
            let heard = async {
                while let Some(event) = self.reader.next().await {
                    if let Event::Message(message) = event
                        && matches!(&message.content, Some(Content { body: Some(Body::Text(said)), .. }) if *said == text)
                    {
                        return Some(begin.elapsed());
                    }
                }
                None
            };
            let (sent, heard) = tokio::join!(sent, heard);
            let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            seen.sent += u64::from(sent.is_ok());
            if let Some(after) = heard {
                seen.heard += 1;
                let nanoseconds = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
                seen.latency.get_or_insert_with(Latency::new).record(nanoseconds);
            }
        }
        Ok(())
    }
}

/// Lets all pairs talk until `over`.
pub(super) async fn talk(pairs: &mut [Pair], over: &AtomicBool) -> anyhow::Result<Seen> {
    let seen = Mutex::new(Seen::default());
    let talking = pairs.iter_mut().map(|pair| pair.talk(over, &seen));
    futures::future::try_join_all(talking).await?;
    Ok(seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}
