//! `carillon chat`: talk in a room.

use std::time::Duration;

use anyhow::{Context, bail};
use carillon_client::{Client, ClientOptions, Code, CommandError, Events, v1};
use clap::Args;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::advice::Interrupted;
use crate::args::ConnectArgs;
use crate::output::Output;
use outbox::{Done, Target, Task};
use screen::{Input, Screen};
use typed::Typed;
use view::View;

mod log;
mod outbox;
mod screen;
mod typed;
mod view;

/// How long a message may wait for a hub that is away.
const PATIENCE: Duration = Duration::from_mins(10);
/// After the end of the input, how long what was typed may take to be done and to be shown.
const SETTLE: Duration = Duration::from_secs(30);
/// Marks go out at most this often, as the protocol asks.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// Lines that may wait to be done.
const QUEUE: usize = 64;

/// Talk in a room.
#[derive(Clone, Debug, Args)]
pub(crate) struct ChatArgs {
    /// The room.
    #[arg(required_unless_present = "with")]
    room: Option<String>,
    /// Talk with this user alone, in the direct conversation; it is created if there is none.
    #[arg(long, value_name = "USER", conflicts_with = "room")]
    with: Option<String>,
    /// Show this many earlier entries.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=1000))]
    history: u32,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Talks until the input ends.
pub(crate) async fn run(args: ChatArgs, output: Output) -> anyhow::Result<()> {
    let set = |options: ClientOptions| options.command_timeout(PATIENCE);
    let (client, events) = args.connect.client(set).await?;
    let room = room(&client, &args).await?;
    let join = v1::Join { room: room.clone(), since: None, rewind: args.history, presence: true };
    client.join_with(join).await.map_err(|error| no_room(error, &room))?;
    let mut chat = Chat {
        view: View::new(&client.user(), &room),
        screen: Screen::open(output)?,
        client: client.clone(),
        room,
        unsaid: 0,
        failed: false,
        ends_at: None,
    };
    let outcome = chat.talk(events).await;
    // What is on the screen was read. When the hub is away there is nobody to tell.
    if let Some(place) = chat.view.to_mark().filter(|_| outcome.is_ok()) {
        let brief = chat.client.with_timeout(MARK_EVERY);
        let _ = brief.mark_read(chat.room.clone(), place.seq).await;
    }
    drop(chat);
    client.close().await;
    outcome
}

async fn room(client: &Client, args: &ChatArgs) -> anyhow::Result<String> {
    match (&args.room, &args.with) {
        (Some(room), _) => Ok(room.clone()),
        (None, Some(user)) => {
            let made = client.direct(user).await;
            Ok(made.with_context(|| format!("cannot open a conversation with {user}"))?.room)
        }
        (None, None) => bail!("which room: name one, or --with USER"),
    }
}

fn no_room(error: CommandError, room: &str) -> anyhow::Error {
    if !matches!(error.code(), Some(Code::NotFound | Code::AccessDenied)) {
        return anyhow::Error::new(error).context(format!("cannot join {room}"));
    }
    // A hub tells nobody whether it is the room that is not there or its namespace.
    let namespace = room.split(':').next().unwrap_or(room);
    anyhow::anyhow!(
        "{error}: {room} does not exist, or you are no member of it\nif the hub's configuration has a namespace {namespace:?}, \
         create it with `carillon admin create-room {room} --member alice --member bob`; or talk to one user with \
         `carillon chat --with bob`"
    )
}

/// A chat that goes on.
struct Chat {
    client: Client,
    room: String,
    view: View,
    screen: Screen,
    /// Messages that wait to be written.
    unsaid: usize,
    /// Whether something that was typed was not done.
    failed: bool,
    /// When the input has ended: the latest that the chat may go on.
    ends_at: Option<Instant>,
}

impl Chat {
    async fn talk(&mut self, mut events: Events) -> anyhow::Result<()> {
        let (queue, tasks) = mpsc::channel(QUEUE);
        let (reports, mut done) = mpsc::channel(QUEUE);
        let mut queue = Some(queue);
        let work = outbox::work(self.client.clone(), self.room.clone(), tasks, reports);
        let mut mark = tokio::time::interval(MARK_EVERY);
        mark.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (marks, mut marked) = mpsc::channel(1);
        let mut works = true;
        tokio::pin!(work);
        loop {
            let room_in_queue = queue.as_ref().is_some_and(|queue| queue.capacity() > 0);
            let late = self.ends_at;
            tokio::select! {
                event = events.next() => {
                    let Some(event) = event else { return self.ended().await };
                    let line = self.view.apply(&event);
                    self.screen.show_event(&event, line)?;
                    if self.view.over {
                        return self.ended().await;
                    }
                }
                input = self.screen.input(), if room_in_queue => {
                    if !self.take(input?, queue.as_ref())? {
                        // Dropping the queue lets the work end when all is done.
                        queue = None;
                        self.ends_at = Some(Instant::now() + SETTLE);
                    }
                }
                () = &mut work, if works => works = false,
                Some(report) = done.recv() => self.report(report)?,
                _ = mark.tick(), if self.view.to_mark().is_some() => self.mark(&marks),
                Some(place) = marked.recv() => self.view.log.is_marked(place),
                () = tokio::time::sleep_until(late.unwrap_or_else(Instant::now)), if late.is_some() => {
                    bail!("the hub did not take all that was typed");
                }
                _ = tokio::signal::ctrl_c() => return Err(Interrupted.into()),
            }
            if queue.is_none() && !works && done.is_empty() && self.view.log.is_caught_up() {
                // A person has seen it; a script sees the exit code.
                if self.failed && !self.screen.is_terminal() {
                    bail!("not all that was typed was done: see above");
                }
                return Ok(());
            }
        }
    }

    /// Takes what the user did. False: that was the end.
    fn take(&mut self, input: Input, queue: Option<&mpsc::Sender<Task>>) -> anyhow::Result<bool> {
        let line = match input {
            Input::End => return Ok(false),
            Input::Typing => {
                let (client, room) = (self.client.with_timeout(MARK_EVERY), self.room.clone());
                tokio::spawn(async move { client.typing(room, true).await });
                return Ok(true);
            }
            Input::Line(line) => line,
        };
        let typed = Typed::parse(&line);
        let says = matches!(typed, Typed::Say(_));
        let target = match typed {
            Typed::Quit => return Ok(false),
            _ if self.unsaid > 0 => Target::Said,
            Typed::React(..) => Target::Known(self.view.log.last_message()),
            _ => Target::Known(self.view.log.last_own()),
        };
        if typed != Typed::Empty
            && let Some(queue) = queue
        {
            if queue.try_send(Task { typed, target }).is_ok() {
                self.unsaid += usize::from(says);
            } else {
                self.fails("* too much is waiting for the hub: this line was not taken")?;
            }
        }
        self.screen.next_line();
        Ok(true)
    }

    fn report(&mut self, report: Done) -> anyhow::Result<()> {
        if let Done::Said(_) | Done::NotSaid(_) = report {
            self.unsaid = self.unsaid.saturating_sub(1);
        }
        match report {
            Done::Said(place) => self.view.log.wrote(place, true),
            Done::Wrote(place) => self.view.log.wrote(place, false),
            Done::Show(line) => self.screen.show(&line)?,
            Done::NotSaid(line) => {
                self.view.log.is_lost();
                self.fails(&line)?;
            }
            Done::Failed(line) => self.fails(&line)?,
        }
        Ok(())
    }

    /// Something that was typed was not done.
    fn fails(&mut self, why: &str) -> anyhow::Result<()> {
        self.failed = true;
        self.screen.show(why)
    }

    /// Tells the hub how far was read; one at a time, which the channel's only place is for.
    fn mark(&mut self, marks: &mpsc::Sender<v1::Position>) {
        let (Ok(free), Some(place)) = (marks.clone().try_reserve_owned(), self.view.to_mark()) else {
            return;
        };
        let (client, room) = (self.client.clone(), self.room.clone());
        tokio::spawn(async move {
            if client.mark_read(room, place.seq).await.is_ok() {
                free.send(place);
            }
        });
    }

    /// The session has ended for good. At a terminal the editor must come back before the program may leave.
    async fn ended(&mut self) -> anyhow::Result<()> {
        if self.screen.is_terminal() {
            self.screen.show("* press Enter to leave")?;
            while let Input::Typing = self.screen.input().await? {}
        }
        bail!("the session has ended")
    }
}
