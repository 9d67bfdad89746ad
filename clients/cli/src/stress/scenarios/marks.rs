//! Marks only grow, and unread counts follow: for who is there, for who is elsewhere, and for who comes back.

use carillon_client::{Code, Event, v1};

use crate::stress::fault::{Fault, Outcome, holds, refused, same};
use crate::stress::person::Person;
use crate::stress::random::Random;
use crate::stress::report::Counts;
use crate::stress::talk::{send_all, texts};
use crate::stress::world::{World, users};

const MESSAGES: usize = 15;
const MARKS: usize = 25;

/// What a user's marks must be.
#[derive(Clone, Copy, Default)]
struct Model {
    delivered: u64,
    read: u64,
}

pub(super) async fn play(world: World, mut random: Random) -> Outcome<Counts> {
    let names = users("member", 3);
    let room = world.conversation("marks", &names).await?;
    let mut people = world.enter(&names).await?;
    let (Some(mut absent), Some(mut reader), Some(sender)) = (people.pop(), people.pop(), people.pop()) else {
        return Err(Fault::broken("three people entered"));
    };
    let before = reader.joins(&room).await?.position.unwrap_or_default().seq;
    let head = before + MESSAGES as u64;
    send_all(&sender.client, &room, &texts("word", MESSAGES), 4).await?;
    // Who has not joined is told the count, merged.
    absent.waits_for("its unread count", |event| unread(&event, &room, head)).await?;
    unread_count(&absent, &room, MESSAGES as u64).await?;
    unread_count(&sender, &room, 0).await?;

    let mut models = [Model::default(); 2];
    for _ in 0..MARKS {
        let which = random.below(2);
        let (Some(model), person) = (models.get_mut(which), if which == 0 { &absent } else { &reader }) else {
            continue;
        };
        let up_to = 1 + random.below(head as usize) as u64;
        let marks = if random.percent(50) {
            model.read = model.read.max(up_to);
            person.client.mark_read(&room, up_to).await?
        } else {
            person.client.mark_delivered(&room, up_to).await?
        };
        model.delivered = model.delivered.max(up_to);
        same("marks", (marks.delivered, marks.read), (model.delivered, model.read))?;
        let after_mark = head - model.read.max(before);
        unread_count(person, &room, after_mark).await?;
    }
    let beyond = absent.client.mark_read(&room, head + 1).await;
    refused("a mark beyond the head", beyond, &Code::InvalidArgument)?;
    let seen = shown(&mut reader, &room, &absent.name, models.first().copied().unwrap_or_default()).await;
    seen?;

    comes_back(&world, absent, &room, head, models.first().copied().unwrap_or_default(), before).await?;
    sender.leaves().await;
    reader.leaves().await;
    Ok(Counts::default().with("messages", MESSAGES).with("marks", MARKS))
}

fn unread(event: &Event, room: &str, head: u64) -> Option<()> {
    match event {
        Event::Unread(unread) if unread.room == room && unread.last_seq == head => {
            (unread.count == MESSAGES as u64).then_some(())
        }
        _ => None,
    }
}

/// The list of rooms says so many.
async fn unread_count(person: &Person, room: &str, expected: u64) -> Outcome<()> {
    let page = person.client.rooms(v1::RoomsGet::default()).await?;
    let found = page.rooms.iter().find(|summary| summary.room == room);
    let found = found.ok_or_else(|| Fault::Broken(format!("{} is not listed for {}", room, person.name)))?;
    same(format!("unread messages of {}", person.name), found.unread, expected)
}

/// Who joined is shown how far the other is; marks may be merged, but the last is shown, and none is a step back.
async fn shown(reader: &mut Person, room: &str, user: &str, model: Model) -> Outcome<()> {
    if model.delivered == 0 {
        return Ok(());
    }
    let mut last = Model::default();
    let mut back = false;
    let done = |event: Event| {
        let Event::Marks(marks) = event else { return None };
        if marks.room != room || marks.user != user {
            return None;
        }
        back |= marks.read < last.read || marks.delivered < last.delivered;
        last = Model { delivered: marks.delivered, read: marks.read };
        ((last.delivered, last.read) == (model.delivered, model.read)).then_some(())
    };
    reader.waits_for("the last marks", done).await?;
    holds("marks never go back", !back)
}

/// A new session is told at once what is unread.
async fn comes_back(
    world: &World,
    person: Person,
    room: &str,
    head: u64,
    model: Model,
    before: u64,
) -> Outcome<()> {
    let name = person.name.clone();
    person.leaves().await;
    let person = world.enters(&name).await?;
    let unread = head - model.read.max(before);
    let connected = person.client.connected();
    let told = connected.unread.iter().find(|summary| summary.room == room);
    same("unread at connect", told.map_or(0, |summary| summary.unread), unread)?;
    if let Some(marks) = told.and_then(|summary| summary.marks.as_ref()) {
        same("marks at connect", (marks.delivered, marks.read), (model.delivered, model.read))?;
    }
    let joined = person.joins(room).await?;
    let marks = joined.marks.unwrap_or_default();
    same("marks on join", (marks.delivered, marks.read), (model.delivered, model.read))?;
    // To send moves one's own read mark.
    let seq = person.says(room, "I am back").await?;
    same("the seq", seq, head + 1)?;
    unread_count(&person, room, 0).await?;
    person.leaves().await;
    Ok(())
}
