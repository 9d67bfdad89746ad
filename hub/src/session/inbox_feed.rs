//! A session's way through its inbox: what it missed from the store, then what arrives, each once.

use std::collections::VecDeque;

use carillon_proto::Frame;

use crate::delivery::encoder::FrameEncoder;
use crate::domain::inbox::{InboxFilter, InboxPlace, InboxSummary, Notification};
use crate::domain::position::InboxPosition;
use crate::domain::push::Push;
use crate::store::{InboxPage, InboxQuery};

/// Where a session is in its inbox. A notification that arrives while the session reads the store is dropped: the
/// store has it, and is read again.
#[derive(Debug)]
pub(super) struct InboxFeed {
    cursor: InboxPosition,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Reading the store: the newest unread ones where `fresh`, else what came after the cursor. `again` where
    /// something arrived meanwhile.
    Reading { fresh: bool, again: bool },
    /// What arrives is sent.
    Live,
}

impl InboxFeed {
    /// Begins after `resume`, or, without one of this epoch, with the unread ones. `summary` was read after the
    /// session's mailbox was known to others.
    pub(super) fn new(resume: Option<InboxPosition>, summary: InboxSummary) -> Self {
        let resume = resume.filter(|position| position.epoch == summary.head.epoch);
        let nothing_missed = resume.map_or(summary.unread == 0, |position| position == summary.head);
        let reading = State::Reading { fresh: resume.is_none(), again: false };
        Self {
            cursor: resume.unwrap_or(summary.head),
            state: if nothing_missed { State::Live } else { reading },
        }
    }

    /// What to read next; `None` where what arrives is enough.
    pub(super) fn next_query(&self) -> Option<InboxQuery> {
        match self.state {
            State::Live => None,
            State::Reading { fresh: false, .. } => Some(InboxQuery::After(self.cursor)),
            State::Reading { fresh: true, .. } => Some(InboxQuery::Newest {
                before: None,
                filter: InboxFilter { unread_only: true, ..InboxFilter::default() },
            }),
        }
    }

    /// Takes what was read, and gives the frames in the order in which they were accepted.
    pub(super) fn take_page(&mut self, page: InboxPage, encoder: &dyn FrameEncoder) -> VecDeque<Frame> {
        let mut notifications = page.notifications;
        if let State::Reading { fresh, again } = self.state {
            if fresh {
                notifications.reverse();
            }
            if page.more && !fresh {
                for notification in &notifications {
                    advance(&mut self.cursor, notification.place);
                }
            } else {
                self.cursor = page.head;
                self.state = if again { State::Reading { fresh: false, again: false } } else { State::Live };
            }
        }
        notifications.into_iter().map(|n| encoder.push(&push(n, self.cursor))).collect()
    }

    /// Something arrived that is in the store alone.
    pub(super) fn read_again(&mut self) {
        match &mut self.state {
            State::Reading { again, .. } => *again = true,
            State::Live => self.state = State::Reading { fresh: false, again: false },
        }
    }

    /// Whether a notification that arrived is to be sent now.
    pub(super) fn accept(&mut self, place: InboxPlace) -> bool {
        match &mut self.state {
            State::Reading { again, .. } => {
                *again = true;
                false
            }
            State::Live => advance(&mut self.cursor, place),
        }
    }
}

/// Moves the cursor to `place`; `false` where it was there already.
fn advance(cursor: &mut InboxPosition, place: InboxPlace) -> bool {
    let (at, seq) = match place {
        InboxPlace::Own(seq) => (&mut cursor.own, seq),
        InboxPlace::Broadcast(seq) => (&mut cursor.broadcast, seq),
    };
    let is_new = seq > *at;
    *at = seq.max(*at);
    is_new
}

fn push(notification: Notification, cursor: InboxPosition) -> Push {
    let mut position = InboxPosition { epoch: cursor.epoch, ..InboxPosition::default() };
    advance(&mut position, notification.place);
    Push::Notification { notification, position }
}
