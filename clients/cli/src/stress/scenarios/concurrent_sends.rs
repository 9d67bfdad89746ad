//! Many send to one room at once: the acknowledged seqs have no hole, all see one order, their own sends included, and
//! what one session sends stays in the order in which it was sent.

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, SessionRequest};
use futures::future::{try_join, try_join_all};
use prost::Message as _;

use crate::stress::fault::{Fault, Outcome};
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::talk::{Sent, add, agree, send_all, texts};
use crate::stress::wire::{Wire, prefixed};
use crate::stress::world::{World, users};

const ROOM: &str = "room:crossing";
const SENDERS: usize = 8;
const MESSAGES: usize = 30;
const AT_ONCE: usize = 8;
/// Sends in one write: as many as may be in flight.
const BURST: usize = 64;
const BURSTS: usize = 2;

pub(super) async fn play(world: World, _random: Random) -> Outcome<Counts> {
    let mut senders = Vec::with_capacity(SENDERS);
    for person in world.enter(&users("sender", SENDERS)).await? {
        let copy = person.follows(ROOM).await?;
        senders.push((person, copy));
    }
    let all = (SENDERS * MESSAGES + BURST * BURSTS) as u64;
    let sending = senders.iter_mut().map(|(person, copy)| async move {
        let client = person.client.clone();
        let texts = texts(&person.name, MESSAGES);
        let sending = send_all(&client, ROOM, &texts, AT_ONCE);
        let sent = person.during(sending, |event| copy.take(event).map(|_| ())).await?;
        person.catches_up(copy, all).await?;
        Ok::<_, Fault>(sent)
    });
    let mut wire = world.wire_session("burst").await?;
    let bursting = async {
        let mut sent = Sent::new();
        for number in 0..BURSTS {
            add(&mut sent, burst(&mut wire, number).await?)?;
        }
        Ok(sent)
    };
    let (of_all, mut sent) = try_join(try_join_all(sending), bursting).await?;
    for of_one in of_all {
        add(&mut sent, of_one)?;
    }
    wire.goodbye().await?;
    agree(senders.iter().map(|(_, copy)| copy), &sent, 1)?;
    for (person, _) in senders {
        person.leaves().await;
    }
    Ok(Counts::default().with("messages", all).with("deliveries", all * SENDERS as u64))
}

/// Sends many in one write. Their seqs must ascend as their ids do.
async fn burst(wire: &mut Wire, number: usize) -> Outcome<Sent> {
    let first = 1_000 * (number as u32 + 1);
    let texts = texts(&format!("burst {number}:"), BURST);
    let mut bytes = Vec::new();
    for (id, text) in (first..).zip(&texts) {
        let content = Some(carillon_client::text(text));
        let send = v1::MessageSend { room: ROOM.to_owned(), content, ..v1::MessageSend::default() };
        let command = Some(Command::MessageSend(send));
        let request = SessionRequest { command_id: id, command, ..SessionRequest::default() };
        bytes.extend(prefixed(&request.encode_to_vec()));
    }
    wire.bytes(bytes)?;
    let mut seqs = vec![0; BURST];
    let mut missing = BURST;
    wire.waits_for("a burst is answered", |id, kind| {
        let place = id.checked_sub(first).and_then(|place| seqs.get_mut(place as usize));
        if let (Some(place), Kind::MessageSent(sent)) = (place, kind) {
            *place = sent.position.unwrap_or_default().seq;
            missing -= 1;
        }
        (missing == 0).then_some(())
    })
    .await?;
    if !seqs.is_sorted_by(|earlier, later| earlier < later) {
        return Err(Fault::Broken(format!("a burst is out of order: {seqs:?}")));
    }
    Ok(seqs.into_iter().zip(texts).collect())
}
