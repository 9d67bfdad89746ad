//! One room, many receivers: every receiver gets every message once, in order, and says what was sent.

use futures::future::try_join_all;

use crate::stress::copy::Copy;
use crate::stress::fault::Outcome;
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::talk::{agree, send_all, texts};
use crate::stress::world::{World, users};

const ROOM: &str = "room:fanout";
const RECEIVERS: usize = 40;
const MESSAGES: usize = 120;
const AT_ONCE: usize = 16;

pub(super) async fn play(world: World, _random: Random) -> Outcome<Counts> {
    let people = world.enter(&users("receiver", RECEIVERS)).await?;
    let mut receivers: Vec<(Person, Copy)> = Vec::with_capacity(RECEIVERS);
    for person in people {
        let copy = person.follows(ROOM).await?;
        receivers.push((person, copy));
    }
    let sender = world.sender("sender").await?;
    let texts = texts("word", MESSAGES);
    let sending = send_all(&sender, ROOM, &texts, AT_ONCE);
    let receiving = try_join_all(
        receivers.iter_mut().map(|(person, copy)| person.catches_up(copy, MESSAGES as u64)),
    );
    let (sent, _) = futures::future::try_join(sending, receiving).await?;
    agree(receivers.iter().map(|(_, copy)| copy), &sent, 1)?;
    let delivered: usize = receivers.iter().map(|(_, copy)| copy.entries().len()).sum();
    for (person, _) in receivers {
        person.leaves().await;
    }
    sender.close().await;
    Ok(Counts::default().with("messages", MESSAGES).with("deliveries", delivered))
}
