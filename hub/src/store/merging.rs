//! The merge of the two logs that an inbox is made of, which pages of it are.

use crate::domain::inbox::{InboxPlace, Notification};
use crate::domain::position::{InboxPosition, Seq};
use crate::domain::time::Timestamp;
use crate::store::filling::Filling;
use crate::store::{InboxPage, PageBound};

/// What was looked at of one log, in the order of the page.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// What the page lists of it.
    pub(super) found: Vec<Notification>,
    /// The last that was looked at, where there may be more past it. `None`: there is not.
    pub(super) last: Option<(Timestamp, InboxPlace)>,
}

/// Which way a page goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// In order of acceptance.
    Oldest,
    /// The other way.
    Newest,
}

/// The page of what was looked at of both logs. What is past the last that was looked at of one of them waits for the next
/// page, as there may be something before it.
pub(super) fn merge(
    own: Looked,
    broadcast: Looked,
    order: Order,
    bound: PageBound,
    head: InboxPosition,
) -> InboxPage {
    let lasts = [own.last, broadcast.last];
    let known = lasts.into_iter().flatten();
    let horizon = if order == Order::Newest { known.max() } else { known.min() };
    let is_known = |at: (Timestamp, InboxPlace)| match (horizon, order) {
        (None, _) => true,
        (Some(horizon), Order::Oldest) => at <= horizon,
        (Some(horizon), Order::Newest) => at >= horizon,
    };
    let mut all = own.found;
    all.extend(broadcast.found);
    all.sort_unstable_by_key(at);
    if order == Order::Newest {
        all.reverse();
    }
    let (mut page, mut waiting, mut given) = (Filling::new(bound), Ends::default(), Ends::default());
    for notification in all {
        let (place, size) = (notification.place, notification.size());
        let is_next = waiting.is_empty() && is_known(at(&notification));
        if is_next && page.take(notification, size) {
            given.put(place);
        } else {
            waiting.put_first(place);
        }
    }
    let is_all = waiting.is_empty() && horizon.is_none();
    let next = |waits: Option<Seq>, last: Option<(Timestamp, InboxPlace)>, given: Option<Seq>, head: Seq| {
        match (waits, last, order) {
            (Some(seq), _, Order::Newest) => seq.next(),
            (Some(seq), _, Order::Oldest) => Seq(seq.0 - 1),
            (None, Some((_, InboxPlace::Own(seq) | InboxPlace::Broadcast(seq))), _) => seq,
            // Nothing is left of it.
            (None, None, Order::Newest) => Seq(0),
            // The head was looked up before.
            (None, None, Order::Oldest) => head.max(given.unwrap_or_default()),
        }
    };
    let [own, broadcast] = lasts;
    let next = InboxPosition {
        epoch: head.epoch,
        own: next(waiting.own, own, given.own, head.own),
        broadcast: next(waiting.broadcast, broadcast, given.broadcast, head.broadcast),
    };
    InboxPage { notifications: page.items, head, next: (!is_all).then_some(next) }
}

fn at(notification: &Notification) -> (Timestamp, InboxPlace) {
    (notification.time, notification.place)
}

/// A place in each log.
#[derive(Default)]
struct Ends {
    own: Option<Seq>,
    broadcast: Option<Seq>,
}

impl Ends {
    fn is_empty(&self) -> bool {
        self.own.is_none() && self.broadcast.is_none()
    }

    fn put(&mut self, place: InboxPlace) {
        match place {
            InboxPlace::Own(seq) => self.own = Some(seq),
            InboxPlace::Broadcast(seq) => self.broadcast = Some(seq),
        }
    }

    fn put_first(&mut self, place: InboxPlace) {
        match place {
            InboxPlace::Own(seq) => self.own.get_or_insert(seq),
            InboxPlace::Broadcast(seq) => self.broadcast.get_or_insert(seq),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::content::Pairs;
    use crate::domain::inbox::{Notice, NotificationKind, Priority};
    use crate::domain::names::{NotificationId, UserId};

    /// A log as it is stored: the time of each, and whether the page lists it.
    type Log = Vec<(u8, bool)>;

    fn log() -> impl Strategy<Value = Log> {
        prop::collection::vec((0..2_u8, any::<bool>()), 0..40).prop_map(|mut log| {
            let mut time = 0;
            for (passed, _) in &mut log {
                time += *passed;
                *passed = time;
            }
            log
        })
    }

    fn notification(place: InboxPlace, time: u8) -> Notification {
        let notice = Notice {
            id: NotificationId::parse("n").unwrap(),
            kind: NotificationKind::parse("news").unwrap(),
            title: "news".into(),
            body: None,
            priority: Priority::Normal,
            data: Pairs::default(),
            sender: UserId::parse("robot").unwrap(),
            expires: None,
        };
        Notification { notice: Arc::new(notice), place, time: Timestamp(time.into()), read: false }
    }

    fn stored(log: &Log, place: fn(Seq) -> InboxPlace) -> Vec<(Notification, bool)> {
        let seqs = 1..;
        let stored =
            |(seq, (time, listed)): (u64, &(u8, bool))| (notification(place(Seq(seq)), *time), *listed);
        seqs.zip(log).map(stored).collect()
    }

    /// Looks at so many past a place, as a store does.
    fn look(stored: &[(Notification, bool)], from: Seq, order: Order, items: u32, most: usize) -> Looked {
        let seq = |notification: &Notification| {
            let (InboxPlace::Own(seq) | InboxPlace::Broadcast(seq)) = notification.place;
            seq
        };
        let mut rest: Vec<_> = match order {
            Order::Oldest => stored.iter().filter(|(n, _)| seq(n) > from).collect(),
            Order::Newest => stored.iter().rev().filter(|(n, _)| seq(n) < from).collect(),
        };
        let is_all = rest.len() < most;
        rest.truncate(most);
        let mut looked = Looked::default();
        for (notification, listed) in rest {
            looked.last = Some(at(notification));
            if *listed {
                looked.found.push(notification.clone());
            }
            if looked.found.len() > items as usize {
                return looked;
            }
        }
        if is_all {
            looked.last = None;
        }
        looked
    }

    proptest! {
        /// However few are looked at for a page, the pages are all that is to be listed, in order, each once.
        #[test]
        fn pages_are_the_whole_list(
            own in log(), broadcast in log(), newest: bool, items in 1..5_u32, most in 1..8_usize,
        ) {
            let order = if newest { Order::Newest } else { Order::Oldest };
            let (own, broadcast) = (stored(&own, InboxPlace::Own), stored(&broadcast, InboxPlace::Broadcast));
            let head = InboxPosition {
                own: Seq(own.len() as u64),
                broadcast: Seq(broadcast.len() as u64),
                ..InboxPosition::default()
            };
            let mut expected: Vec<_> =
                own.iter().chain(&broadcast).filter(|(_, listed)| *listed).map(|(n, _)| n.clone()).collect();
            expected.sort_by_key(at);
            let mut from = InboxPosition::default();
            if newest {
                expected.reverse();
                from = InboxPosition { own: Seq::MAX, broadcast: Seq::MAX, ..from };
            }
            let (mut listed, bound) = (Vec::new(), PageBound { items, bytes: usize::MAX });
            for _ in 0..100 {
                let page = merge(
                    look(&own, from.own, order, items, most),
                    look(&broadcast, from.broadcast, order, items, most),
                    order,
                    bound,
                    head,
                );
                prop_assert!(page.notifications.len() <= items as usize);
                listed.extend(page.notifications);
                match page.next {
                    Some(next) => prop_assert_ne!(std::mem::replace(&mut from, next), next),
                    None => {
                        prop_assert_eq!(listed, expected);
                        return Ok(());
                    }
                }
            }
            prop_assert!(false, "it does not end");
        }
    }
}
