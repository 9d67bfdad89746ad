//! Does what was typed, one after the other, so that messages keep their order over a broken connection.

use carillon_client::{Client, CommandError, v1};
use tokio::sync::mpsc;

use super::typed::{HELP, Typed};
use crate::render::text;

/// Members or users of one page.
const PAGE: u32 = 200;

/// Something to do.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) typed: Typed,
    pub(super) target: Target,
}

/// What a line is about that names no message.
#[derive(Debug)]
pub(super) enum Target {
    /// The message that was the last when it was typed.
    Known(Option<u64>),
    /// What was said before it, and had not been done then.
    Said,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    /// A message was written.
    Said(v1::Position),
    /// Another entry was written.
    Wrote(v1::Position),
    /// Something to show.
    Show(String),
    /// A message was not written, or nobody knows, and why.
    NotSaid(String),
    /// Nothing was done, and why.
    Failed(String),
}

/// Works until the queue is closed and empty.
pub(super) async fn work(
    client: Client,
    room: String,
    mut queue: mpsc::Receiver<Task>,
    done: mpsc::Sender<Done>,
) {
    // The place of what was said last; `None`: it has none that is known.
    let mut said = None;
    while let Some(Task { typed, target }) = queue.recv().await {
        let says = matches!(typed, Typed::Say(_));
        let target = match target {
            Target::Known(seq) => seq,
            Target::Said => said,
        };
        let outcome = perform(&client, &room, typed, target).await.unwrap_or_else(|error| {
            let why = format!("* not done: {error}");
            if says { Done::NotSaid(why) } else { Done::Failed(why) }
        });
        match &outcome {
            Done::Said(place) => said = Some(place.seq),
            Done::NotSaid(_) => said = None,
            _ => {}
        }
        if done.send(outcome).await.is_err() {
            return;
        }
    }
}

async fn perform(
    client: &Client,
    room: &str,
    typed: Typed,
    target: Option<u64>,
) -> Result<Done, CommandError> {
    let wrote = |accepted: v1::EntryAccepted| Done::Wrote(accepted.position.unwrap_or_default());
    let which = || Done::Failed("* which message: name it, as #7".to_owned());
    Ok(match typed {
        Typed::Say(words) => Done::Said(client.send(room, words).await?.position.unwrap_or_default()),
        Typed::Edit(seq, words) => match seq.or(target) {
            Some(seq) => wrote(client.edit(room, seq, words).await?),
            None => which(),
        },
        Typed::Delete(seq) => match seq.or(target) {
            Some(seq) => wrote(client.delete(room, seq).await?),
            None => which(),
        },
        Typed::React(seq, key) => match seq.or(target) {
            Some(seq) => wrote(client.react(room, seq, key, true).await?),
            None => which(),
        },
        Typed::Members => Done::Show(members(client, room).await?),
        Typed::Who => Done::Show(who(client, room).await?),
        Typed::Help => Done::Show(HELP.to_owned()),
        Typed::Wrong(why) => Done::Failed(format!("* {why}")),
        Typed::Empty | Typed::Quit => Done::Show(String::new()),
    })
}

async fn members(client: &Client, room: &str) -> Result<String, CommandError> {
    let mut page = v1::MembersGet { room: room.to_owned(), limit: PAGE, ..Default::default() };
    let mut names = Vec::new();
    loop {
        let members = client.members(page.clone()).await?;
        names.extend(
            members.members.iter().map(|member| format!("{} ({})", member.user, text::role(member.role()))),
        );
        if members.next_cursor.is_empty() {
            return Ok(format!("* members: {}", names.join(", ")));
        }
        page.cursor = members.next_cursor;
    }
}

async fn who(client: &Client, room: &str) -> Result<String, CommandError> {
    let page = v1::PresenceGet { room: room.to_owned(), limit: PAGE, ..Default::default() };
    let present = client.presence_get(page).await?;
    let mut names: Vec<_> = present.states.iter().map(text::presence).collect();
    let more = (present.occupancy as usize).saturating_sub(names.len());
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    Ok(format!("* here: {}", names.join(", ")))
}
