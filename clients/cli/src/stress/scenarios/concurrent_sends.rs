//! Many send to one room at once: the acknowledged seqs have no hole, and all see one order, their own sends included.

use futures::future::try_join_all;

use crate::stress::fault::{Fault, Outcome};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::talk::{Sent, add, agree, send_all, texts};
use crate::stress::world::{World, users};

const ROOM: &str = "room:crossing";
const SENDERS: usize = 8;
const MESSAGES: usize = 30;
const AT_ONCE: usize = 8;

pub(super) async fn play(world: World, _random: Random) -> Outcome<Counts> {
    let mut senders = Vec::with_capacity(SENDERS);
    for person in world.enter(&users("sender", SENDERS)).await? {
        let copy = person.follows(ROOM).await?;
        senders.push((person, copy));
    }
    let all = (SENDERS * MESSAGES) as u64;
    let sending = senders.iter_mut().map(|(person, copy)| async move {
        let client = person.client.clone();
        let texts = texts(&person.name, MESSAGES);
        let sending = send_all(&client, ROOM, &texts, AT_ONCE);
        let sent = person.during(sending, |event| copy.take(event).map(|_| ())).await?;
        person.catches_up(copy, all).await?;
        Ok::<_, Fault>(sent)
    });
    let mut sent = Sent::new();
    for of_one in try_join_all(sending).await? {
        add(&mut sent, of_one)?;
    }
    agree(senders.iter().map(|(_, copy)| copy), &sent, 1)?;
    for (person, _) in senders {
        person.leaves().await;
    }
    Ok(Counts::default().with("messages", all).with("deliveries", all * SENDERS as u64))
}
