//! From `hello` to `connected`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::access::authentication::TokenLife;
use crate::audit::Source;
use crate::bus::feed::Reach;
use crate::conversations;
use crate::delivery::mailbox::{Mailbox, Signal};
use crate::domain::caller::Caller;
use crate::domain::command::{Hello, Join, Resume, Token};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::inbox::{InboxFilter, InboxSummary, Notification};
use crate::domain::limits::{CONNECTED_BYTES, CONNECTED_ROOMS, PAGE_BYTES, PAGE_DEFAULT};
use crate::domain::names::{RoomName, SessionId, UserKey};
use crate::domain::position::InboxPosition;
use crate::domain::reply::{Connected, JoinReason};
use crate::domain::room::RoomSummary;
use crate::domain::time::{Moment, Now, Timestamp};
use crate::store::{InboxPage, InboxQuery, PageBound, RoomsQuery, Store, StoreError, refuse};

use super::connection::Closer;
use super::inbox_feed;
use super::joins::Joins;
use super::live::Live;
use super::services::Services;

/// Reads of an inbox in which a session looks for what it begins with, each of [`INBOX_LOOKED_AT`] notifications of each log.
///
/// [`INBOX_LOOKED_AT`]: crate::domain::limits::INBOX_LOOKED_AT
const FIRST_READS: usize = 20;

/// Who says hello, before anything was read.
pub(super) struct Welcome {
    /// What others see of the session.
    pub(super) live: Arc<Live>,
    /// Who it is.
    pub(super) caller: Caller,
    /// Where the client was.
    pub(super) resume: Option<Resume>,
}

/// Whether anybody is let in now.
pub(super) fn is_open(services: &Services) -> Result<(), Refusal> {
    if services.is_draining() {
        return Err(ErrorCode::GoingAway.into());
    }
    if !services.audit.admits() {
        return Err(ErrorCode::Unavailable.into());
    }
    Ok(())
}

/// Checks the token that was shown.
pub(super) fn identify(
    services: &Services,
    shown: Result<Option<Token>, Refusal>,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    is_open(services)?;
    services.authenticate(&shown?.ok_or(ErrorCode::AuthRequired)?, now)
}

/// Whether a caller may open one more session, on one more connection where it is the first on its own.
pub(super) fn may_open(
    services: &Services,
    caller: &Caller,
    (closer, from): (&Closer, Option<IpAddr>),
) -> Result<(), Refusal> {
    services.limit_opening(caller, from)?;
    closer.is_of(&caller.key())
}

/// Makes the session of a caller known to others: from now on what is meant for the user waits in its mailbox.
pub(super) fn welcome(
    services: &Services,
    hello: Hello,
    caller: Caller,
    (shard, source, closer): (usize, Source, Closer),
    now: Timestamp,
) -> Result<Welcome, Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| ErrorCode::Internal)?;
    let id = SessionId(u128::from_le_bytes(random));
    let mailbox = Arc::new(Mailbox::new(id, caller.key(), shard, services.settings.mailbox_bytes));
    let life = TokenLife::new(&caller, services.settings.token_notice, now);
    let live = Live::new(
        Arc::clone(&mailbox),
        hello.instance,
        hello.client,
        life,
        services.metrics.session_opened(),
        closer,
        Moment::now(),
    );
    *live.commands.lock() = services.upkeep.spent.take(live.user());
    let live = Arc::new(live.from(source, &caller));
    let all = services.sessions.insert(Arc::clone(&live));
    services.delivery.registry().insert(mailbox);
    services.admit_here(&live, all).inspect_err(|_| {
        // Whoever answers says so.
        let _ = live.told.set(false);
        services.end_session(&live, true, Now::read());
    })?;
    if services.is_draining() {
        // The drain may have gone over the sessions before this one was among them.
        live.mailbox.signal(Signal::Drain(Duration::ZERO));
    }
    Ok(Welcome { live, caller, resume: hello.resume })
}

/// What `connected` says.
pub(super) struct Opened {
    /// The rooms with unread messages, up to [`CONNECTED_ROOMS`] and [`CONNECTED_BYTES`].
    pub(super) unread: Vec<RoomSummary>,
    /// Whether there may be more.
    pub(super) unread_more: bool,
    /// What the inbox holds.
    pub(super) inbox: InboxSummary,
    /// The newest unread notifications, where the session begins with those.
    pub(super) first: Option<InboxPage>,
    /// What keeps followed what concerns the user, where other nodes write to the store too.
    pub(super) reach: Option<Reach>,
}

/// Reads what `connected` says.
pub(super) async fn open(
    services: Arc<Services>,
    caller: Caller,
    resume: Option<InboxPosition>,
    live: Arc<Live>,
) -> Result<Opened, Refusal> {
    services.presence.comes_among_nodes().await.map_err(|_| ErrorCode::Unavailable)?;
    services.limit_opening_anywhere(&caller).await?;
    services.enter(&live).await?;
    services.tell_opened(&live);
    let user = caller.key();
    // Before anything is read: what is accepted later is told.
    let reach = match services.delivery.feed() {
        Some(feed) => feed.reach(&user).await.map_err(|_| ErrorCode::Unavailable)?,
        None => None,
    };
    // Whoever has taken its place on another node in between was not heard to say so.
    if live.instance.is_some() {
        services.may_be_replaced(&user);
    }
    // Before rooms are joined: who is present there may be on other nodes.
    services.presence.gather(&user.tenant).await.map_err(|_| ErrorCode::Unavailable)?;
    services.know(&user).await?;
    let bound = PageBound { items: CONNECTED_ROOMS, bytes: CONNECTED_BYTES };
    let query = RoomsQuery { after: None, bound, unread_only: true };
    let rooms = services.store.rooms_of(&user, query);
    let inbox = services.store.inbox_summary(&user);
    let unread = rooms.await.map_err(refuse)?;
    let inbox = inbox.await.map_err(refuse)?;
    let first = match inbox_feed::first_filter(resume, &inbox) {
        Some(filter) => Some(newest(&*services.store, &user, filter).await.map_err(refuse)?),
        None => None,
    };
    let unread_more = unread.next.is_some();
    let unread = conversations::pages::shown(&services.namespaces, &caller, unread.rooms);
    Ok(Opened { unread, unread_more, inbox, first, reach })
}

/// The newest notifications of a filter, as many as a page holds: one read gives what it comes by, which may be less, or nothing
/// where much else lies before them.
async fn newest(store: &dyn Store, user: &UserKey, filter: InboxFilter) -> Result<InboxPage, StoreError> {
    let whole = PageBound { items: PAGE_DEFAULT, bytes: PAGE_BYTES };
    let read =
        |before, bound| store.inbox(user, InboxQuery::Newest { before, filter: filter.clone() }, bound);
    let mut page = read(None, whole).await?;
    for _ in 1..FIRST_READS {
        let bytes = page.notifications.iter().map(Notification::size).sum();
        let items = whole.items.saturating_sub(page.notifications.len() as u32);
        let bound = PageBound { items, bytes: whole.bytes.saturating_sub(bytes) };
        let Some(before) = page.next.filter(|_| bound.items > 0 && bound.bytes > 0) else { break };
        let next = read(Some(before), bound).await?;
        page.notifications.extend(next.notifications);
        page.next = next.next;
    }
    Ok(page)
}

/// The reply to `hello`.
pub(super) fn connected(services: &Services, live: &Live, opened: &Opened, now: Timestamp) -> Connected {
    Connected {
        session: live.id(),
        user: live.user().user.clone(),
        tenant: live.user().tenant.clone(),
        now,
        terms: services.settings.terms,
        unread: opened.unread.clone(),
        unread_more: opened.unread_more,
        inbox: opened.inbox,
        inbox_after: opened.first.as_ref().map(inbox_feed::before),
        token_expires: live.life.lock().expires(),
    }
}

/// The rooms that a session of the user is joined to by itself. They take no place of those that it may ask for.
pub(super) fn automatic_rooms(services: &Services, caller: &Caller) -> Vec<RoomName> {
    let rooms = services.namespaces.iter();
    rooms.filter_map(|rules| rules.automatic_room(&caller.tenant, &caller.user)).collect()
}

/// The rooms that a session of the user begins with: those that it is joined to by itself, then those that it resumes; and
/// which of these it has no place for, as where the limit was lowered since.
pub(super) fn joins(services: &Services, caller: &Caller, resumed: &[Join]) -> (Joins, Vec<RoomName>) {
    let automatic = automatic_rooms(services, caller);
    let anew = automatic.iter().filter(|room| !resumed.iter().any(|join| join.room == **room));
    let anew = anew.map(|room| Join { room: room.clone(), since: None, rewind: 0, presence: false });
    let mut joins: Vec<_> = anew.map(|join| (join, JoinReason::Automatic)).collect();
    let mut left_out = Vec::new();
    let mut places = services.settings.terms.rooms_per_session;
    for join in resumed {
        let is_automatic = automatic.contains(&join.room);
        if is_automatic || places > 0 {
            places -= u32::from(!is_automatic);
            joins.push((join.clone(), JoinReason::Resumed));
        } else {
            left_out.push(join.room.clone());
        }
    }
    (Joins::new(joins), left_out)
}
