//! What the lanes' tenants hold.

mod conversation;
mod erased;
mod inbox;
mod keyed;
mod to_many;

use std::sync::Arc;

use carillon_hub::domain::content::{Content, Pairs};
use carillon_hub::domain::entry::{EntryBody, Message};
use carillon_hub::domain::inbox::{InboxFilter, Notice, NotificationKind, Priority};
use carillon_hub::domain::names::NotificationId;
use carillon_hub::domain::position::Seq;
use carillon_hub::store::sqlite::SqliteStore;
use carillon_hub::store::{
    Effect, EntryPage, EntryRange, Home, InboxPage, InboxQuery, PageBound, Reading, Store, Write,
};
use futures::executor::block_on;

use crate::lanes::{Ask, Tenant, user};

pub(crate) use conversation::Conversation;
pub(crate) use erased::Erased;
pub(crate) use inbox::Inbox;
pub(crate) use keyed::Keyed;
pub(crate) use to_many::ToMany;

const BOUND: PageBound = PageBound { items: 1_000_000, bytes: usize::MAX };

fn now<T>(reading: Reading<T>) -> Result<T, String> {
    block_on(reading).map_err(|error| error.to_string())
}

fn log(store: &SqliteStore, tenant: &Tenant, room: &str) -> Result<EntryPage, String> {
    now(store.entries(&tenant.room(room), EntryRange::After(Seq(0)), BOUND))
}

fn inbox_of(store: &SqliteStore, tenant: &Tenant, name: &str) -> Result<InboxPage, String> {
    let query = InboxQuery::Newest { before: None, filter: InboxFilter::default() };
    now(store.inbox(&tenant.user(name), query, BOUND))
}

fn text(text: &str) -> Content {
    Content::text(text, "").unwrap()
}

fn message(content: &str) -> Write {
    Write::Append(EntryBody::Message(Message::new(text(content), None, Pairs::default())))
}

fn name(number: u64) -> String {
    format!("user{number}")
}

fn notice(id: &str) -> Arc<Notice> {
    Arc::new(Notice {
        id: NotificationId::parse(id).unwrap(),
        kind: NotificationKind::parse("news").unwrap(),
        title: "news".into(),
        body: None,
        priority: Priority::Normal,
        data: Pairs::default(),
        sender: user("robot"),
        expires: None,
    })
}

/// Notifies all of these at once.
fn notify(tenant: &Tenant, id: &str, names: impl IntoIterator<Item = String>) -> Ask {
    let notice = notice(id);
    let effect = |name: String| Effect::Notify { user: user(&name), notice: Arc::clone(&notice) };
    let mut outcome = tenant.outcome(Home::Tenant, "robot", Vec::new());
    outcome.effects = names.into_iter().map(effect).collect();
    Ask::Commit(outcome)
}

/// Waits until all that waited in a tenant has arrived: what is accepted later comes behind it.
fn arrived(store: &SqliteStore, tenant: &Tenant) -> Result<(), String> {
    let last = || now(store.inbox_summary(&tenant.user("last"))).map(|summary| summary.head.own.0);
    let before = last()?;
    let Ask::Commit(outcome) = notify(tenant, &format!("last{before}"), ["last".to_owned()]) else {
        return Ok(());
    };
    block_on(store.commit(outcome)).map_err(|error| error.to_string())?;
    while last()? == before {
        std::thread::yield_now();
    }
    Ok(())
}
