//! Shared state.

use std::collections::BTreeMap;

use carillon_hub::domain::entry::{EntryBody, Event, EventKey, EventName};
use carillon_hub::store::sqlite::SqliteStore;
use carillon_hub::store::{Store, Write};

use super::{BOUND, log, now, text};
use crate::disk::Random;
use crate::lanes::{Ask, Model, Tenant};

/// A room that keeps the last event of each key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Keyed {
    published: u64,
    latest: BTreeMap<String, String>,
}

impl Keyed {
    const ROOM: &str = "state:1";
}

impl Model for Keyed {
    type Step = u64;

    fn next(&self, random: &mut Random) -> u64 {
        random.below(6)
    }

    fn ask(&self, tenant: &Tenant, key: &u64) -> Ask {
        let event = Event {
            by_service: false,
            name: EventName::parse("moved").unwrap(),
            key: Some(EventKey::parse(&format!("key{key}")).unwrap()),
            payload: Some(text(&format!("to {}", self.published + 1))),
        };
        tenant.in_room(Self::ROOM, "alice", vec![Write::Append(EntryBody::Event(event))])
    }

    fn apply(&mut self, key: &u64) {
        self.published += 1;
        self.latest.insert(format!("key{key}"), format!("to {}", self.published));
    }

    fn read(store: &SqliteStore, tenant: &Tenant) -> Result<Self, String> {
        let mut latest = BTreeMap::new();
        for entry in now(store.latest_events(&tenant.room(Self::ROOM), BOUND))? {
            let EntryBody::Event(Event { key: Some(key), payload: Some(payload), .. }) = entry.body else {
                return Err(format!("{:?} is no keyed event", entry.body));
            };
            let payload = String::from_utf8(payload.as_bytes().to_vec()).unwrap();
            latest.insert(key.as_str().to_owned(), payload);
        }
        Ok(Self { published: log(store, tenant, Self::ROOM)?.head.seq.0, latest })
    }
}
