//! Many sessions lose their connection at the same moment, again and again, while they and others send. In the end each
//! has everything once, and each send was done once.

use std::time::Duration;

use carillon_client::{Client, Event};
use futures::future::{try_join, try_join_all};

use crate::stress::copy::Copy;
use crate::stress::fault::{Outcome, holds};
use crate::stress::line::Line;
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::talk::{Sent, add, agree, send_all, texts};
use crate::stress::world::{World, users};

const ROOM: &str = "room:storm";
const PEOPLE: usize = 10;
const WAVES: usize = 4;
/// What each sends in a wave.
const OWN: usize = 3;
/// What one who is never cut off sends in a wave.
const STEADY: usize = 40;
/// The cut comes within this time of a wave's begin.
const CUT_WITHIN_MS: usize = 60;

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let line = world.line().await?;
    let mut people: Vec<(Person, Copy, usize)> = Vec::with_capacity(PEOPLE);
    for user in users("storm", PEOPLE) {
        let person = Person::connect(&user, world.options_over(&line, &user)?).await?;
        let copy = person.follows(ROOM).await?;
        people.push((person, copy, 0));
    }
    let steady = world.sender("steady").await?;
    let mut sent = Sent::new();
    for wave in 0..WAVES {
        let delay = Duration::from_millis(random.below(CUT_WITHIN_MS) as u64);
        let all = people.iter_mut().map(|(person, copy, lost)| talk(person, copy, lost, wave));
        let (own, steady) = try_join(try_join_all(all), cut(&line, delay, &steady, wave)).await?;
        for of_one in own.into_iter().chain([steady]) {
            add(&mut sent, of_one)?;
        }
    }
    let all = sent.len() as u64;
    try_join_all(people.iter_mut().map(|(person, copy, _)| person.catches_up(copy, all))).await?;
    agree(people.iter().map(|(_, copy, _)| copy), &sent, 1)?;
    let lost: usize = people.iter().map(|(_, _, lost)| lost).sum();
    holds("connections were lost", lost > 0)?;
    for (person, ..) in people {
        person.leaves().await;
    }
    steady.close().await;
    Ok(Counts::default().with("messages", all).with("connections lost", lost))
}

/// Sends while events come, and while the connection goes.
async fn talk(person: &mut Person, copy: &mut Copy, lost: &mut usize, wave: usize) -> Outcome<Sent> {
    let client = person.client.clone();
    let texts = texts(&format!("{} in wave {wave}:", person.name), OWN);
    let sending = send_all(&client, ROOM, &texts, 1);
    let take = |event: &Event| {
        *lost += usize::from(matches!(event, Event::Disconnected(_)));
        copy.take(event).map(|_| ())
    };
    person.during(sending, take).await
}

/// Sends from a session that stays, and cuts the line meanwhile.
async fn cut(line: &Line, delay: Duration, steady: &Client, wave: usize) -> Outcome<Sent> {
    let cutting = async {
        tokio::time::sleep(delay).await;
        line.cut();
        Ok(())
    };
    let texts = texts(&format!("wave {wave}:"), STEADY);
    let (sent, ()) = try_join(send_all(steady, ROOM, &texts, 4), cutting).await?;
    Ok(sent)
}
