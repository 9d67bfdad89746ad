//! Users with a client, and what they are told.

use carillon_client::{Client, ClientOptions, Event, Events, v1};

use super::copy::Copy;
use super::fault::{Fault, Outcome, within};
use super::world::PATIENCE;

/// A user who is connected.
pub(super) struct Person {
    /// Who.
    pub(super) name: String,
    /// Commands.
    pub(super) client: Client,
    /// Pushes.
    pub(super) events: Events,
}

impl Person {
    /// Connects.
    pub(super) async fn connect(name: &str, options: ClientOptions) -> Outcome<Self> {
        let (client, events) = Client::connect(options).await?;
        Ok(Self { name: name.to_owned(), client, events })
    }

    /// Joins a room from its end on.
    pub(super) async fn joins(&self, room: &str) -> Outcome<v1::Joined> {
        Ok(self.client.join(room).await?)
    }

    /// Joins a room from its end on, and begins a copy of it.
    pub(super) async fn follows(&self, room: &str) -> Outcome<Copy> {
        let joined = self.joins(room).await?;
        Ok(Copy::after(room, joined.position.unwrap_or_default()))
    }

    /// Sends a message, and gives its seq.
    pub(super) async fn says(&self, room: &str, words: impl Into<String>) -> Outcome<u64> {
        Ok(self.client.send(room, words).await?.position.unwrap_or_default().seq)
    }

    /// The next event.
    pub(super) async fn next(&mut self) -> Outcome<Event> {
        let ended = || Fault::Broken(format!("the events of {} ended", self.name));
        self.events.next().await.ok_or_else(ended)
    }

    /// The next event that `pick` picks; the others are passed over.
    pub(super) async fn waits_for<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(Event) -> Option<T>,
    ) -> Outcome<T> {
        let what = format!("{} is told {what}", self.name);
        let wait = async {
            loop {
                if let Some(picked) = pick(self.next().await?) {
                    return Ok(picked);
                }
            }
        };
        within(PATIENCE, what, wait).await
    }

    /// Takes events until the copy has the entry at `seq`.
    pub(super) async fn catches_up(&mut self, copy: &mut Copy, seq: u64) -> Outcome<()> {
        let what = format!("{} has entry {seq} of {}", self.name, copy.room());
        let wait = async {
            while copy.head() < seq {
                copy.take(&self.next().await?)?;
            }
            Ok(())
        };
        let caught_up = within(PATIENCE, what, wait).await;
        caught_up.map_err(|fault| match fault {
            Fault::Late { what, after } => {
                Fault::Late { what: format!("{what}, but ends at {}", copy.head()), after }
            }
            Fault::Broken(text) => Fault::Broken(format!("{}: {text}", self.name)),
            other => other,
        })
    }

    /// Does something with the client while events are taken: a client whose events wait too long gets no replies.
    pub(super) async fn during<T>(
        &mut self,
        step: impl Future<Output = Outcome<T>>,
        mut take: impl FnMut(&Event) -> Outcome<()>,
    ) -> Outcome<T> {
        tokio::pin!(step);
        loop {
            tokio::select! {
                done = &mut step => return done,
                event = self.events.next() => match event {
                    Some(event) => take(&event)?,
                    None => return Err(Fault::Broken(format!("the events of {} ended", self.name))),
                },
            }
        }
    }

    /// Leaves for good.
    pub(super) async fn leaves(self) {
        self.client.close().await;
    }
}

/// The text of a content.
pub(super) fn words(content: Option<&v1::Content>) -> &str {
    match content.and_then(|content| content.body.as_ref()) {
        Some(v1::content::Body::Text(text)) => text,
        _ => "",
    }
}
