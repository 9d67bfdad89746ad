//! Inboxes: a user's own log and the tenant's broadcasts as one.

use std::sync::Arc;
use std::time::Duration;

use carillon_hub::domain::inbox::{
    InboxChange, InboxFilter, InboxPlace, Notice, Notification, NotificationKind, Priority,
};
use carillon_hub::domain::limits;
use carillon_hub::domain::names::{NotificationId, TenantId, UserId};
use carillon_hub::domain::position::{InboxPosition, Seq};
use carillon_hub::store::{
    Change, Effect, Home, InboxLog, InboxPage, InboxQuery, Outcome, PageBound, Store, Write,
};

use crate::harness::*;

pub(crate) fn broadcast(notice: Arc<Notice>) -> Outcome {
    outcome(Home::Tenant, "robot").writing(Write::Broadcast(notice))
}

pub(crate) fn know(who: &str) -> Outcome {
    outcome(Home::Tenant, who).writing(Write::Know)
}

pub(crate) fn change(who: &str, change: InboxChange) -> Outcome {
    outcome(Home::Inbox(user(who)), who).writing(Write::Inbox(change))
}

pub(crate) fn ids(ids: &[&str]) -> Vec<NotificationId> {
    ids.iter().map(|id| NotificationId::parse(id).unwrap()).collect()
}

fn listed(page: &InboxPage) -> Vec<&str> {
    page.notifications.iter().map(|notification| notification.notice.id.as_str()).collect()
}

pub(crate) fn items(items: u32) -> PageBound {
    PageBound { items, bytes: usize::MAX }
}

pub(crate) fn newest() -> InboxQuery {
    InboxQuery::Newest { before: None, filter: InboxFilter::default() }
}

/// Own and broadcast ones in turn, a second apart by pairs: bob's inbox is n0 to n9.
async fn ten_for_bob<F: Fixture>(scene: &Scene<F>) {
    scene.commit(know("bob")).await;
    for turn in 0..10 {
        let priority = if turn == 9 { Priority::Critical } else { Priority::Normal };
        let notice = notice(&format!("n{turn}"), priority);
        scene.commit(if turn % 2 == 0 { notify("bob", notice) } else { broadcast(notice) }).await;
        if turn % 2 == 1 {
            scene.setup.clock.advance(Duration::from_secs(1));
        }
    }
}

pub(crate) async fn merges_and_pages<F: Fixture>() {
    let scene = Scene::<F>::new();
    ten_for_bob(&scene).await;
    let bob = user_key("bob");
    let all = ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"];
    let mut reversed = all;
    reversed.reverse();
    let page = scene.store().inbox(&bob, newest(), items(100)).await.unwrap();
    assert_eq!((listed(&page), page.next.is_some()), (reversed.to_vec(), false));
    assert_eq!((page.head.own, page.head.broadcast), (Seq(5), Seq(5)));
    let other = TenantId::parse("other").unwrap();
    let logs = [
        (InboxLog::Own(bob.clone()), 5),
        (InboxLog::Own(user_key("nobody")), 0),
        (InboxLog::Broadcast(bob.tenant.clone()), 5),
        (InboxLog::Broadcast(other), 0),
    ];
    for (log, head) in logs {
        assert_eq!(scene.store().inbox_head(log.clone()).await.unwrap(), Seq(head), "{log:?}");
    }
    let last = page.notifications.last().unwrap();
    assert_eq!(
        (&last.notice, last.place, last.read),
        (&notice("n0", Priority::Normal), InboxPlace::Own(Seq(1)), false)
    );
    for limit in [1, 3, 4] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let query = InboxQuery::Newest { before, filter: InboxFilter::default() };
            let page = scene.store().inbox(&bob, query, items(limit)).await.unwrap();
            seen.extend(listed(&page).into_iter().map(str::to_owned));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, reversed);
        let (mut seen, mut after) = (Vec::new(), InboxPosition::default());
        loop {
            let page = scene.store().inbox(&bob, InboxQuery::After(after), items(limit)).await.unwrap();
            seen.extend(listed(&page).into_iter().map(str::to_owned));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(seen, all);
    }
    let nobody = scene.store().inbox(&user_key("nobody"), newest(), items(10)).await.unwrap();
    assert!(nobody.notifications.is_empty() && nobody.next.is_none());
}

pub(crate) async fn pages_are_bounded_in_bytes<F: Fixture>() {
    let scene = Scene::<F>::new();
    ten_for_bob(&scene).await;
    let bound = PageBound { items: 100, bytes: 1_000 };
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let query = InboxQuery::Newest { before, filter: InboxFilter::default() };
        let page = scene.store().inbox(&user_key("bob"), query, bound).await.unwrap();
        assert!(page.notifications.iter().map(Notification::size).sum::<usize>() <= bound.bytes);
        seen.extend(listed(&page).into_iter().map(str::to_owned));
        before = page.next;
        if before.is_none() {
            break;
        }
        assert!(!page.notifications.is_empty());
    }
    assert_eq!(seen, ["n9", "n8", "n7", "n6", "n5", "n4", "n3", "n2", "n1", "n0"]);
}

pub(crate) async fn read_and_delete<F: Fixture>() {
    let scene = Scene::<F>::new();
    ten_for_bob(&scene).await;
    let bob = user_key("bob");
    let summary = scene.store().inbox_summary(&bob).await.unwrap();
    assert_eq!((summary.unread, summary.critical), (10, 1));
    let committed = scene.commit(change("bob", InboxChange::Read(ids(&["n0", "n1", "n1", "unknown"])))).await;
    assert_eq!(committed.inbox.unwrap().unread, 8);
    let committed =
        scene.commit(change("bob", InboxChange::Delete(ids(&["n1", "n8", "n9", "unknown"])))).await;
    let summary = committed.inbox.unwrap();
    assert_eq!((summary.unread, summary.critical), (6, 0));
    let upto = InboxPosition { own: Seq(3), broadcast: Seq(2), ..InboxPosition::default() };
    assert_eq!(scene.commit(change("bob", InboxChange::ReadUpTo(upto))).await.inbox.unwrap().unread, 3);
    let lower = InboxPosition { own: Seq(1), broadcast: Seq(1), ..InboxPosition::default() };
    assert_eq!(scene.commit(change("bob", InboxChange::ReadUpTo(lower))).await.inbox.unwrap().unread, 3);
    let page = scene.store().inbox(&bob, newest(), items(100)).await.unwrap();
    let states: Vec<_> = page.notifications.iter().map(|n| (n.notice.id.as_str(), n.read)).collect();
    let expected =
        [("n7", false), ("n6", false), ("n5", false), ("n4", true), ("n3", true), ("n2", true), ("n0", true)];
    assert_eq!(states, expected);
    assert_eq!(scene.store().inbox_summary(&bob).await.unwrap().unread, 3);
    assert_eq!(page.head.own, Seq(5), "deleting does not move the head");
}

pub(crate) async fn broadcasts_reach_whom_the_directory_knew<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(know("early")).await;
    scene.commit(broadcast(notice("n1", Priority::Normal))).await;
    scene.commit(know("late")).await;
    scene.commit(know("early")).await;
    scene.commit(broadcast(notice("n2", Priority::Normal))).await;
    for (who, sees) in [("early", vec!["n2", "n1"]), ("late", vec!["n2"]), ("never", vec![])] {
        let page = scene.store().inbox(&user_key(who), newest(), items(10)).await.unwrap();
        assert_eq!(listed(&page), sees, "{who}");
        assert_eq!(scene.store().inbox_summary(&user_key(who)).await.unwrap().unread, sees.len() as u64);
    }
    let committed = scene.commit(change("late", InboxChange::Read(ids(&["n1", "n2"])))).await;
    assert_eq!(committed.inbox.unwrap().unread, 0);
    assert_eq!(
        scene.store().inbox_summary(&user_key("early")).await.unwrap().unread,
        2,
        "states are per user"
    );
}

pub(crate) async fn expired_are_neither_listed_nor_counted<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(know("bob")).await;
    let soon = Some(scene.setup.clock.now().plus(Duration::from_secs(10)));
    let expiring = |id| Arc::new(Notice { expires: soon, ..(*notice(id, Priority::Critical)).clone() });
    scene.commit(notify("bob", expiring("n1"))).await;
    scene.commit(broadcast(expiring("n2"))).await;
    scene.commit(notify("bob", notice("n3", Priority::Normal))).await;
    assert_eq!(scene.store().inbox_summary(&user_key("bob")).await.unwrap().critical, 2);
    scene.setup.clock.advance(Duration::from_secs(11));
    let page = scene.store().inbox(&user_key("bob"), newest(), items(10)).await.unwrap();
    assert_eq!(listed(&page), ["n3"]);
    let summary = scene.store().inbox_summary(&user_key("bob")).await.unwrap();
    assert_eq!((summary.unread, summary.critical), (1, 0));
}

pub(crate) async fn filters<F: Fixture>() {
    let scene = Scene::<F>::new();
    ten_for_bob(&scene).await;
    let kind = NotificationKind::parse("mention").unwrap();
    let mention = Arc::new(Notice { kind: kind.clone(), ..(*notice("m", Priority::Low)).clone() });
    scene.commit(notify("bob", mention)).await;
    scene.commit(change("bob", InboxChange::Read(ids(&["n8"])))).await;
    let query =
        |filter| scene.store().inbox(&user_key("bob"), InboxQuery::Newest { before: None, filter }, items(3));
    let page = query(InboxFilter { unread_only: true, ..InboxFilter::default() }).await.unwrap();
    assert_eq!((listed(&page), page.next.is_some()), (vec!["m", "n9", "n7"], true));
    let page = query(InboxFilter { kinds: vec![kind], ..InboxFilter::default() }).await.unwrap();
    assert_eq!((listed(&page), page.next.is_some()), (vec!["m"], false));
    let priorities = vec![Priority::Critical, Priority::Low];
    let page = query(InboxFilter { priorities, ..InboxFilter::default() }).await.unwrap();
    assert_eq!(listed(&page), ["m", "n9"]);
}

pub(crate) async fn survives_reopening<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    ten_for_bob(&scene).await;
    scene.commit(change("bob", InboxChange::Read(ids(&["n3", "n4"])))).await;
    let before = scene.store().inbox(&user_key("bob"), newest(), items(100)).await.unwrap();
    scene.reopen();
    assert_eq!(scene.store().inbox(&user_key("bob"), newest(), items(100)).await.unwrap(), before);
    scene.commit(notify("bob", notice("more", Priority::Normal))).await;
    let page = scene.store().inbox(&user_key("bob"), newest(), items(1)).await.unwrap();
    assert_eq!(page.notifications[0].place, InboxPlace::Own(Seq(6)));
}

/// To thousands at once: durable with the acknowledgement, in whatever pieces it then arrives, and once.
pub(crate) async fn to_many_arrives_once<F: Fixture>() {
    let mut scene = Scene::<F>::new();
    let (many, last) = (3_000, "user2999");
    let to_all = notice("all", Priority::High);
    let effects = (0..many)
        .map(|number| Effect::Notify { user: user(&format!("user{number}")), notice: Arc::clone(&to_all) });
    let to_many = Outcome { effects: effects.collect(), ..outcome(Home::Tenant, "robot") }.keyed("1", 1);
    assert!(!scene.commit(to_many.clone()).await.duplicate);
    scene.commit(notify(last, notice("one", Priority::Normal))).await;
    scene.reopen();
    assert!(scene.commit(to_many).await.duplicate);
    scene.commit(notify("somebody", notice("after", Priority::Normal))).await;
    let somebody = user_key("somebody");
    scene.setup.sink.wait_for(|change| matches!(change, Change::Notified { user, .. } if *user == somebody));
    let mut reached: Vec<_> = scene.setup.sink.changes().into_iter().filter_map(notified_of("all")).collect();
    reached.sort_unstable();
    let mut wanted: Vec<_> = (0..many).map(|number| user(&format!("user{number}"))).collect();
    wanted.sort_unstable();
    assert_eq!(reached, wanted, "each once");
    let page = scene.store().inbox(&user_key(last), newest(), items(10)).await.unwrap();
    assert_eq!(listed(&page), ["one", "all"], "in the order in which they were accepted");
}

fn notified_of(id: &'static str) -> impl Fn(Change) -> Option<UserId> {
    move |change| match change {
        Change::Notified { user, notification } if notification.notice.id.as_str() == id => Some(user.user),
        _ => None,
    }
}

pub(crate) async fn what_has_ended_is_removed<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(know("bob")).await;
    let soon = Some(scene.setup.clock.now().plus(Duration::from_secs(10)));
    let expiring = |id| Arc::new(Notice { expires: soon, ..(*notice(id, Priority::Low)).clone() });
    scene.commit(notify("bob", expiring("n1"))).await;
    scene.commit(broadcast(expiring("n2"))).await;
    scene.commit(notify("bob", notice("n3", Priority::Low))).await;
    scene.commit(broadcast(notice("n4", Priority::Low))).await;
    scene.setup.clock.advance(Duration::from_secs(11));
    stored_fall_to(&scene, 2).await;
    let page = scene.store().inbox(&user_key("bob"), newest(), items(10)).await.unwrap();
    assert_eq!(listed(&page), ["n4", "n3"]);
    scene.commit(change("bob", InboxChange::Delete(ids(&["n4"])))).await;
    scene.setup.clock.advance(limits::NOTIFICATION_RETENTION);
    stored_fall_to(&scene, 0).await;
    scene.commit(broadcast(notice("n5", Priority::Low))).await;
    let committed = scene.commit(change("bob", InboxChange::Read(ids(&["n4"])))).await;
    assert_eq!(committed.inbox.unwrap().unread, 1);
}

async fn stored_fall_to<F: Fixture>(scene: &Scene<F>, wanted: u64) {
    let stored = async {
        while scene.store().tenant_figures(&tenant()).await.unwrap().notifications != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stored).await.expect("notifications that have ended go");
}

/// A key that was forgotten and is used again brings a new notification under the id of the old one, which gives way.
pub(crate) async fn an_id_that_comes_again_is_the_newer_one<F: Fixture>() {
    let scene = Scene::<F>::new();
    let bob = user_key("bob");
    scene.commit(know("bob")).await;
    for (own, all) in [("own", "all"), ("own", "all")] {
        scene.commit(notify("bob", notice(own, Priority::Normal))).await;
        scene.commit(broadcast(notice(all, Priority::Normal))).await;
        let page = scene.store().inbox(&bob, newest(), items(10)).await.unwrap();
        assert_eq!(listed(&page), ["all", "own"]);
        assert_eq!(scene.store().inbox_summary(&bob).await.unwrap().unread, 2);
        let committed = scene.commit(change("bob", InboxChange::Read(ids(&["own", "all"])))).await;
        assert_eq!(committed.inbox.unwrap().unread, 0);
    }
    let page = scene.store().inbox(&bob, newest(), items(10)).await.unwrap();
    assert_eq!((page.head.own, page.head.broadcast), (Seq(2), Seq(2)));
}

fn arrives<F: Fixture>(scene: &Scene<F>, id: &str) {
    let is_it = |change: &Change| matches!(change, Change::Notified { notification, .. } if notification.notice.id.as_str() == id);
    scene.setup.sink.wait_for(is_it);
}

/// Many that do not pass are not all looked at for one page; pages go on past them, and miss and double nothing.
pub(crate) async fn filters_look_at_so_many<F: Fixture>() {
    let scene = Scene::<F>::new();
    scene.commit(know("bob")).await;
    let (bob, rare) = (user_key("bob"), NotificationKind::parse("rare").unwrap());
    let rarely = |id| Arc::new(Notice { kind: rare.clone(), ..(*notice(id, Priority::Low)).clone() });
    let many = 2 * u64::from(limits::INBOX_LOOKED_AT) + 300;
    scene.commit(notify("bob", rarely("own"))).await;
    scene.commit(broadcast(rarely("all"))).await;
    scene.setup.clock.advance(Duration::from_secs(1));
    let to_many = (0..many).map(|turn| Effect::Notify {
        user: user("bob"),
        notice: notice(&format!("n{turn}"), Priority::Normal),
    });
    let to_many = Outcome { effects: to_many.collect(), ..outcome(Home::Tenant, "robot") };
    scene.commit(to_many).await;
    scene.setup.clock.advance(Duration::from_secs(1));
    scene.commit(notify("bob", rarely("last"))).await;
    arrives(&scene, "last");
    let filter = InboxFilter { kinds: vec![rare], ..InboxFilter::default() };
    let (mut seen, mut before, mut pages) = (Vec::new(), None, 0);
    loop {
        let query = InboxQuery::Newest { before, filter: filter.clone() };
        let page = scene.store().inbox(&bob, query, items(10)).await.unwrap();
        seen.extend(listed(&page).into_iter().map(str::to_owned));
        pages += 1;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!((seen, pages), (vec!["last".to_owned(), "all".to_owned(), "own".to_owned()], 3));
    // Those that are read are not in the way of unread ones.
    let all_but_last = InboxPosition { own: Seq(many + 1), broadcast: Seq(1), ..InboxPosition::default() };
    scene.commit(change("bob", InboxChange::ReadUpTo(all_but_last))).await;
    let to_many = (0..many).map(|turn| notice(&format!("m{turn}"), Priority::Normal));
    let to_many = to_many.map(|notice| Effect::Notify { user: user("bob"), notice });
    scene.commit(Outcome { effects: to_many.collect(), ..outcome(Home::Tenant, "robot") }).await;
    arrives(&scene, &format!("m{}", many - 1));
    let newer: Vec<_> = (0..many).map(|turn| format!("m{turn}")).collect();
    for some in newer.chunks(limits::NOTIFICATION_IDS) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        scene.commit(change("bob", InboxChange::Read(ids(&some)))).await;
    }
    let unread = InboxFilter { unread_only: true, ..InboxFilter::default() };
    let query = InboxQuery::Newest { before: None, filter: unread };
    let page = scene.store().inbox(&bob, query, items(10)).await.unwrap();
    assert_eq!((listed(&page), page.next), (vec!["last"], None));
}
