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
    /// What it is done to where the line names none.
    pub(super) target: Option<u64>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    /// An entry was written.
    Wrote(u64),
    /// Something to show.
    Say(String),
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
    while let Some(task) = queue.recv().await {
        let outcome = perform(&client, &room, task).await;
        let outcome = outcome.unwrap_or_else(|error| Done::Failed(format!("* not done: {error}")));
        if done.send(outcome).await.is_err() {
            return;
        }
    }
}

async fn perform(client: &Client, room: &str, task: Task) -> Result<Done, CommandError> {
    let wrote = |position: Option<v1::Position>| Done::Wrote(position.unwrap_or_default().seq);
    let which = || Done::Failed("* which message: name it, as #7".to_owned());
    Ok(match task.typed {
        Typed::Say(words) => wrote(client.send(room, words).await?.position),
        Typed::Edit(seq, words) => match seq.or(task.target) {
            Some(seq) => wrote(client.edit(room, seq, words).await?.position),
            None => which(),
        },
        Typed::Delete(seq) => match seq.or(task.target) {
            Some(seq) => wrote(client.delete(room, seq).await?.position),
            None => which(),
        },
        Typed::React(seq, key) => match seq.or(task.target) {
            Some(seq) => wrote(client.react(room, seq, key, true).await?.position),
            None => which(),
        },
        Typed::Members => Done::Say(members(client, room).await?),
        Typed::Who => Done::Say(who(client, room).await?),
        Typed::Help => Done::Say(HELP.to_owned()),
        Typed::Wrong(why) => Done::Failed(format!("* {why}")),
        Typed::Empty | Typed::Quit => Done::Say(String::new()),
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
