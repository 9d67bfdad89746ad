//! A user who is erased now and then.

use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::position::Seq;
use carillon_hub::store::Store;
use carillon_hub::store::sqlite::SqliteStore;

use super::{arrived, inbox_of, log, message, name, notify, now};
use crate::disk::Random;
use crate::lanes::{Ask, Model, Tenant, user};

/// What a user wrote and was told, until they are erased.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Erased {
    /// Whether each message still says something.
    messages: Vec<bool>,
    told: u64,
    /// All that they were told ever.
    notices: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum ErasedStep {
    Send,
    Tell,
    Erase,
}

impl Erased {
    const ROOM: &str = "room:2";
    /// Told at once with the user, so that what is for them waits.
    const OTHERS: u64 = 150;
}

impl Model for Erased {
    type Step = ErasedStep;

    fn next(&self, random: &mut Random) -> ErasedStep {
        match random.below(10) {
            0 => ErasedStep::Erase,
            1..4 => ErasedStep::Tell,
            _ => ErasedStep::Send,
        }
    }

    fn ask(&self, tenant: &Tenant, step: &ErasedStep) -> Ask {
        match step {
            ErasedStep::Send => tenant.in_room(Self::ROOM, "bob", vec![message("a secret")]),
            ErasedStep::Tell => {
                let all = (0..Self::OTHERS).map(name).chain(["bob".to_owned()]);
                notify(tenant, &format!("n{}", self.notices + 1), all)
            }
            ErasedStep::Erase => Ask::Erase(tenant.user("bob")),
        }
    }

    fn apply(&mut self, step: &ErasedStep) {
        match step {
            ErasedStep::Send => self.messages.push(true),
            ErasedStep::Tell => (self.told, self.notices) = (self.told + 1, self.notices + 1),
            ErasedStep::Erase => {
                self.messages.fill(false);
                self.told = 0;
            }
        }
    }

    fn read(store: &SqliteStore, tenant: &Tenant) -> Result<Self, String> {
        arrived(store, tenant)?;
        let says = |body: EntryBody| matches!(body, EntryBody::Message(Message { content: Some(_), .. }));
        let entries = log(store, tenant, Self::ROOM)?.entries;
        let messages: Vec<bool> = entries.into_iter().map(|entry| says(entry.body)).collect();
        let marks = now(store.marks(&tenant.room(Self::ROOM), &user("bob")))?;
        let last = messages.iter().rposition(|says| *says).map_or(0, |index| index as u64 + 1);
        if marks.read != Seq(last) {
            return Err(format!("{marks:?} are bob's where {last} is the last of what they said"));
        }
        let told = inbox_of(store, tenant, "bob")?.notifications.len() as u64;
        // What others were told stays.
        let notices = inbox_of(store, tenant, &name(0))?.head.own.0;
        Ok(Self { messages, told, notices })
    }

    fn is_resumed(step: &ErasedStep) -> bool {
        matches!(step, ErasedStep::Erase)
    }
}
