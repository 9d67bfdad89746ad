//! Random commands of several users in one conversation, beside a model of it. Every answer is as the model says, right
//! or wrong; connections are lost all the while; in the end the stored log, every copy and every count agree.

mod model;

use carillon_client::v1::session_request::Command;
use carillon_client::{Client, Code, CommandError, Event, text, v1};

use crate::stress::copy::Copy;
use crate::stress::fault::{Fault, Outcome, same};
use crate::stress::line::Line;
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::world::{World, key, users};

use model::Model;

const USERS: usize = 4;
const COMMANDS: usize = 220;
const CUT_EVERY: usize = 40;
const REACTIONS: [&str; 3] = ["+1", "heart", "?"];

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let names = users("user", USERS);
    let room = world.conversation("mix", &names).await?;
    let line = world.line().await?;
    let mut people: Vec<(Person, Copy)> = Vec::with_capacity(USERS);
    for name in &names {
        let person = Person::connect(name, world.options_over(&line, name)?).await?;
        let copy = person.follows(&room).await?;
        people.push((person, copy));
    }
    let head = people.first().map_or(0, |(_, copy)| copy.head());
    let mut model = Model::new(head, names.first().map_or("", String::as_str));
    let mut refusals = 0;
    for number in 0..COMMANDS {
        if number % CUT_EVERY == CUT_EVERY - 1 {
            line.cut();
        }
        let who = random.below(USERS);
        let Some((person, copy)) = people.get_mut(who) else { continue };
        let client = person.client.with_key(key(&mut random));
        let name = person.name.clone();
        let step = command(&client, &room, &name, number, &mut random, &mut model);
        refusals += usize::from(!person.during(step, |event: &Event| copy.take(event).map(|_| ())).await?);
    }
    for (person, copy) in &mut people {
        person.catches_up(copy, model.head).await?;
    }
    agree(&world, &room, &people, &model).await?;
    over(people, line).await;
    Ok(Counts::default()
        .with("commands", COMMANDS)
        .with("refused", refusals)
        .with("entries", model.head - head))
}

async fn over(people: Vec<(Person, Copy)>, line: Line) {
    for (person, _) in people {
        person.leaves().await;
    }
    drop(line);
}

/// One random command. Gives whether it was accepted, which is as the model says.
async fn command(
    client: &Client,
    room: &str,
    user: &str,
    number: usize,
    random: &mut Random,
    model: &mut Model,
) -> Outcome<bool> {
    let words = format!("{user} says {number}");
    let seq = 1 + random.below(model.places()) as u64;
    match random.below(10) {
        0..=3 => {
            let reply_to = random.percent(20).then_some(seq);
            let content = Some(text(words.clone()));
            let send = v1::MessageSend { room: room.to_owned(), content, reply_to, ..Default::default() };
            let sent = client.send_message(send).await;
            let sent = sent.map(|sent| (sent.position.unwrap_or_default().seq, sent.number));
            expect("a message", sent, model.send(user, &words, reply_to))
        }
        4 | 5 => {
            let expected_version = random.percent(50).then(|| 1 + random.below(3) as u32);
            let content = Some(text(words.clone()));
            let edit = v1::MessageEdit { room: room.to_owned(), seq, content, expected_version };
            let edited = client.edit_message(edit).await;
            let edited = edited.map(|edit| (edit.position.unwrap_or_default().seq, edit.version));
            expect("an edit", edited, model.edit(user, seq, &words, expected_version))
        }
        6 => {
            let deleted = client.delete(room, seq).await;
            let deleted = deleted.map(|entry| {
                // What was gone already is answered with the message's own place.
                (!entry.duplicate).then(|| entry.position.unwrap_or_default().seq)
            });
            expect("a deletion", deleted, model.delete(user, seq))
        }
        7 | 8 => {
            let key = random.pick(&REACTIONS).copied().unwrap_or_default();
            let add = random.percent(70);
            let reacted = client.react(room, seq, key, add).await;
            let reacted = reacted.map(|entry| entry.position.unwrap_or_default().seq);
            expect("a reaction", reacted, model.react(user, seq, key, add))
        }
        _ => {
            let marks = client.mark_read(room, seq).await.map(|marks| marks.read);
            expect("a mark", marks, model.mark_read(user, seq))
        }
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: Result<T, CommandError>,
    expected: Result<T, Code>,
) -> Outcome<bool> {
    match (found, expected) {
        (Ok(found), Ok(expected)) => same(what, found, expected).map(|()| true),
        (Err(CommandError::Refused(refusal)), Err(code)) => same(what, refusal.code, code).map(|()| false),
        (found, expected) => Err(Fault::Broken(format!("{what}: expected {expected:?}, found {found:?}"))),
    }
}

/// The copies, the stored log and the counts are those of the model.
async fn agree(world: &World, room: &str, people: &[(Person, Copy)], model: &Model) -> Outcome<()> {
    let Some((_, reference)) = people.first() else { return Ok(()) };
    for (person, copy) in people {
        same("the last seq of a copy", copy.head(), model.head)?;
        copy.is_like(&person.name, reference)?;
        let stored = stored(world, room, &person.name).await?;
        model.compare(&stored)?;
        let page = person.client.rooms(v1::RoomsGet::default()).await?;
        let summary = page.rooms.iter().find(|summary| summary.room == room);
        let unread = summary.map(|summary| summary.unread);
        same(format!("unread messages of {}", person.name), unread, Some(model.unread(&person.name)))?;
    }
    Ok(())
}

/// All messages as they are stored.
async fn stored(world: &World, room: &str, user: &str) -> Outcome<Vec<v1::Message>> {
    let executor = world.executor(user)?;
    let (mut messages, mut after) = (Vec::new(), 0);
    loop {
        let bound = Some(v1::history_get::Bound::After(after));
        let get = v1::HistoryGet { room: room.to_owned(), bound, limit: 50 };
        let page: v1::HistoryPage = executor.call(Command::History(get)).await?;
        for entry in page.entries.into_iter().filter_map(|entry| entry.entry) {
            let event = Event::from(entry);
            after = event.entry().map_or(after, |(_, header)| header.seq);
            if let Event::Message(message) = event {
                messages.push(*message);
            }
        }
        if !page.more {
            return Ok(messages);
        }
    }
}
