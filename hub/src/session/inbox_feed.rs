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
    /// Reading the store: what came after the cursor. `again` where something arrived meanwhile.
    Reading { again: bool },
    /// What arrives is sent.
    Live,
}

impl InboxFeed {
    /// Begins after `resume`, or, without one of this epoch, with the unread ones of `first`, whose frames it gives.
    /// Both `summary` and `first` were read after the session's mailbox was known to others.
    pub(super) fn begin(
        resume: Option<InboxPosition>,
        summary: InboxSummary,
        first: Option<InboxPage>,
        encoder: &dyn FrameEncoder,
    ) -> (Self, Vec<Frame>) {
        let head = first.as_ref().map_or(summary.head, |page| page.head);
        let cursor = of_this_life(resume, &summary).unwrap_or(head);
        let state = if cursor == head { State::Live } else { State::Reading { again: false } };
        let unread = first.map(|page| page.notifications).unwrap_or_default();
        let frames = unread.into_iter().rev().map(|n| encoder.push(&push(n, cursor))).collect();
        (Self { cursor, state }, frames)
    }

    /// What to read next; `None` where what arrives is enough.
    pub(super) fn next_query(&self) -> Option<InboxQuery> {
        match self.state {
            State::Live => None,
            State::Reading { .. } => Some(InboxQuery::After(self.cursor)),
        }
    }

    /// Takes what was read, and gives the frames in the order in which they were accepted.
    pub(super) fn take_page(&mut self, page: InboxPage, encoder: &dyn FrameEncoder) -> VecDeque<Frame> {
        if let State::Reading { again } = self.state {
            if let Some(next) = page.next {
                self.cursor = next;
            } else {
                self.cursor = page.head;
                self.state = if again { State::Reading { again: false } } else { State::Live };
            }
        }
        page.notifications.into_iter().map(|n| encoder.push(&push(n, self.cursor))).collect()
    }

    /// Something arrived that is in the store alone.
    pub(super) fn read_again(&mut self) {
        match &mut self.state {
            State::Reading { again, .. } => *again = true,
            State::Live => self.state = State::Reading { again: false },
        }
    }

    /// Whether a notification that arrived is to be sent now.
    pub(super) fn accept(&mut self, place: InboxPlace) -> bool {
        match &mut self.state {
            State::Reading { again } => {
                *again = true;
                false
            }
            State::Live => advance(&mut self.cursor, place),
        }
    }
}

/// What a session begins with that does not resume: the newest unread ones, where there are any.
pub(super) fn first_filter(resume: Option<InboxPosition>, summary: &InboxSummary) -> Option<InboxFilter> {
    let begins = of_this_life(resume, summary).is_none() && summary.unread > 0;
    begins.then(|| InboxFilter { unread_only: true, ..InboxFilter::default() })
}

/// The place before all that this page brings: after it a client can carry on at any of them.
pub(super) fn before(page: &InboxPage) -> InboxPosition {
    let mut before = page.head;
    for notification in &page.notifications {
        let (at, seq) = match notification.place {
            InboxPlace::Own(seq) => (&mut before.own, seq),
            InboxPlace::Broadcast(seq) => (&mut before.broadcast, seq),
        };
        at.0 = at.0.min(seq.0.saturating_sub(1));
    }
    before
}

fn of_this_life(resume: Option<InboxPosition>, summary: &InboxSummary) -> Option<InboxPosition> {
    let head = summary.head;
    // What lies beyond the head was lost, and what comes will take its places.
    let is_there =
        |position: &InboxPosition| position.own <= head.own && position.broadcast <= head.broadcast;
    resume.filter(|position| position.epoch == head.epoch && is_there(position))
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
