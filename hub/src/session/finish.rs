//! What a session does with a command that is done.

use std::sync::Arc;

use crate::access::rules::{may_go_on, may_see_presence};
use crate::audit::{About, event};
use crate::delivery::To;
use crate::domain::command::{Join, Stateless};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::few;
use crate::domain::limits::{LARGE_ROOM, PAGE_BYTES, PAGE_DEFAULT};
use crate::domain::names::RoomKey;
use crate::domain::push::{LeaveReason, Push};
use crate::domain::reply::{JoinReason, Joined, Reply, RoomRules};
use crate::domain::time::{Now, Timestamp};
use crate::store::{Idempotency, InboxPage, PageBound, StoreError, refuse};

use super::dispatch::Done;
use super::driver::{Established, Session};
use super::executor::Answer;
use super::inbox_feed::InboxFeed;
use super::join::Joining;
use super::joins::Awaited;
use super::opening::{self, Opened};
use super::slots::{LiveSlot, Waited};

impl Session {
    /// Runs a command that needs no session.
    pub(super) fn execute(&mut self, id: u32, idempotency: Option<Idempotency>, command: Stateless) {
        let Some(established) = &mut self.established else { return };
        let services = Arc::clone(&self.services);
        let caller = established.caller.clone();
        let limit = self.services.settings.command_timeout;
        let is_change = command.changes_something();
        let order = is_change.then(|| established.order.get_or_insert_default().clone());
        let source = self.source.clone().of_command(id);
        let command = async move {
            let answer = services.execute(&caller, idempotency, command, order, &source);
            let answer = tokio::time::timeout(limit, answer).await;
            Done::Answered(id, Box::new(answer.unwrap_or_else(|_| Err(ErrorCode::DeadlineExceeded.into()))))
        };
        if is_change {
            self.begin(id, command);
        } else {
            self.begin_page(id, command);
        }
    }

    pub(super) fn finish_command(&mut self, done: Done) {
        match done {
            Done::Opened(id, opened) => {
                self.answered(id);
                match *opened {
                    Ok(opened) => self.finish_opening(id, opened),
                    Err(refusal) => {
                        if let Some(established) = &self.established {
                            let Established { live, caller, .. } = &**established;
                            // Only the first reason counts.
                            let _ = live.ends_as.set(refusal.code);
                            // They may go on asking.
                            if refusal.code == ErrorCode::RateLimited && live.told.set(false).is_ok() {
                                let source = live.source.clone().without_session();
                                self.services.tell_limited(&source, caller, &refusal);
                            }
                        }
                        self.refuse_and_end(id, refusal);
                    }
                }
            }
            Done::Exchanged(id, hello, token, ticket) => {
                self.answered(id);
                self.finish_exchange(id, hello, token, ticket);
            }
            Done::Joined(id, slot, joined) => self.finish_join(id, slot, joined.0, joined.1),
            Done::Answered(id, answer) => {
                self.answered(id);
                match *answer {
                    Ok(answer) => self.finish_answer(id, answer),
                    Err(refusal) => self.refuse(id, &refusal),
                }
            }
            Done::Inbox(page) => self.finish_inbox(page),
            Done::JoinsGoOn(may_resume) => {
                if let Some(established) = &mut self.established {
                    (established.joins.are_paused, established.joins.may_resume) = (false, may_resume);
                }
                self.begin_waiting_joins();
            }
            Done::JoinsFail(refusal) => self.resume_later(refusal),
            Done::JoinAgain => {
                if let Some(established) = &mut self.established {
                    established.joins.is_time();
                }
                self.begin_waiting_joins();
            }
            Done::ReadAgain(slot) => {
                if let Some(established) = &mut self.established {
                    established.slots.read_again(slot);
                }
            }
            Done::AskAgain => self.finish_wait(),
            Done::AskedAgain(denied) => self.finish_asking(denied),
        }
    }

    fn answered(&mut self, id: u32) {
        if let Some(index) = self.in_flight.iter().position(|other| *other == id) {
            self.in_flight.swap_remove(index);
        }
    }

    fn finish_opening(&mut self, id: u32, opened: Opened) {
        let Some(established) = &mut self.established else { return };
        let connected = opening::connected(&self.services, &established.live, &opened, Timestamp::now());
        let (feed, frames) = InboxFeed::begin(
            established.resume_inbox,
            opened.inbox,
            opened.first,
            self.services.delivery.encoder(),
        );
        established.feed = Some(feed);
        established.reach = opened.reach.map(Box::new);
        let left_out = std::mem::take(&mut established.left_out);
        self.reply(id, &Reply::Connected(Box::new(connected)));
        for frame in frames {
            self.send(frame);
        }
        for room in left_out {
            self.push(&Push::Left { room, reason: LeaveReason::Unavailable });
        }
        self.begin_waiting_joins();
    }

    /// Reads the next page of what the client has missed in its inbox, if anything, when the last one was written.
    pub(super) fn read_inbox(&mut self) {
        let Some(established) = &mut self.established else { return };
        if established.inbox_under_way {
            return;
        }
        let Some(query) = established.feed.as_ref().and_then(InboxFeed::next_query) else { return };
        established.inbox_under_way = true;
        let bound = PageBound { items: PAGE_DEFAULT, bytes: PAGE_BYTES };
        let page = self.services.store.inbox(established.live.user(), query, bound);
        self.begin(0, async move { Done::Inbox(page.await) });
    }

    fn finish_inbox(&mut self, page: Result<InboxPage, StoreError>) {
        let Some(established) = &mut self.established else { return };
        established.inbox_under_way = false;
        let Some(feed) = &mut established.feed else { return };
        match page {
            Ok(page) => {
                let frames = feed.take_page(page, self.services.delivery.encoder());
                for frame in frames {
                    self.send(frame);
                }
            }
            // Nothing may be missing without a word: the client resumes from where it is.
            Err(error) => self.end(Some(refuse(error))),
        }
    }

    fn finish_answer(&mut self, id: u32, answer: Answer) {
        let Some(established) = &self.established else { return };
        if let Some(event) = answer.ephemeral {
            let to = if event.exclude_self { To::Except(established.live.id()) } else { To::All };
            if let Err(refusal) = self.services.publish(&established.caller, &event, to) {
                return self.refuse(id, &refusal);
            }
        }
        self.reply(id, &answer.reply);
    }

    fn finish_join(&mut self, id: u32, slot: u32, awaited: Awaited, joined: Result<Joining, Refusal>) {
        let (room, reason) = (awaited.join.room.clone(), awaited.reason);
        self.answered(id);
        let Some(established) = &mut self.established else { return };
        if reason != JoinReason::Command {
            established.joins.under_way = established.joins.under_way.saturating_sub(1);
        }
        let Some(Waited { again, leave }) = established.slots.end_join(slot) else { return };
        // The token may have been renewed meanwhile, and say less.
        let rules = self.services.namespaces.rules(&room);
        let joined = joined.and_then(|joining| {
            let is_member = joining.member_since.is_some();
            let goes_on = |rules| may_go_on(rules, &established.caller, &room, is_member);
            if rules.is_some_and(goes_on) { Ok(joining) } else { Err(ErrorCode::AccessDenied.into()) }
        });
        let is_later = |refusal: &Refusal| reason != JoinReason::Command && refusal.code.row().retryable;
        let result = joined.as_ref().map(|_| ()).map_err(|refusal| refusal.code);
        if reason == JoinReason::Resumed && result.is_ok() {
            established.resumed.add(&room);
        } else if !joined.as_ref().is_err_and(is_later) {
            // Of one that is tried again nothing was decided.
            let source = self.source.clone().of_command(id);
            let about = About { room: Some(room.as_str()), ..About::default() };
            self.services.audit.tell("join", &source, Some(&established.caller), about, result);
        }
        match joined {
            Ok(joining) => {
                self.drop_slot(slot);
                self.follow(id, slot, joining);
            }
            Err(refusal) if reason == JoinReason::Command => {
                // Who may not join may not go on either.
                if matches!(refusal.code, ErrorCode::AccessDenied | ErrorCode::PermissionDenied) {
                    self.leave_unasked(slot, LeaveReason::Denied);
                }
                self.refuse(id, &refusal);
            }
            Err(refusal) if is_later(&refusal) => self.join_later(awaited, refusal),
            Err(_) => self.push(&Push::Left { room: room.clone(), reason: LeaveReason::Denied }),
        }
        if let Some(again) = again {
            self.join_anew(*again, leave);
        } else if let Some(leave) = leave {
            self.answered(leave);
            self.drop_slot(slot);
            self.forget_awaited(&room);
            self.reply(leave, &Reply::Left(room));
        }
        self.begin_waiting_joins();
        self.tell_resumed_whole();
    }

    /// Begins the join that waited for another of its room; what waited for both goes on waiting.
    fn join_anew(&mut self, (id, join): (u32, Join), then_leave: Option<u32>) {
        self.answered(id);
        let room = join.room.clone();
        self.begin_join(id, Awaited::new(join, JoinReason::Command));
        let Some(established) = &mut self.established else { return };
        let slots = &mut established.slots;
        if let Some(leave) = slots.find(&room).and_then(|slot| slots.leave_of_join(slot)) {
            *leave = then_leave;
        }
    }

    /// The room is followed from here on: `joined` goes out before anything of it.
    fn follow(&mut self, id: u32, slot: u32, mut joining: Joining) {
        let Some(established) = &mut self.established else { return };
        let key = joining.following.room.key.clone();
        let Some(rules) = self.services.namespaces.rules(&key.room) else { return };
        let session = established.live.id();
        let presence = &self.services.presence;
        // The token may have been renewed meanwhile, and say less.
        joining.presence &= may_see_presence(rules, &established.caller, &key.room, joining.role);
        if !joining.presence {
            joining.following.follower.end_presence();
        }
        // Before the snapshot is taken: what changes after it is heard.
        joining.following.follower.begin();
        if rules.presence {
            presence.join(&key, session, joining.presence, Now::read());
        }
        let (snapshot, presence_more) = if joining.presence {
            let page = presence.snapshot(&key, LARGE_ROOM);
            (page.states, page.more)
        } else {
            (Vec::new(), false)
        };
        let position = joining.following.room.head();
        let cursor = joining.start.after.unwrap_or(position.seq);
        let joined = Joined {
            room: key.room.clone(),
            position,
            recovered: cursor < position.seq || !joining.state.is_empty(),
            truncated: joining.start.truncated,
            user: established.live.user().user.clone(),
            marks: joining.marks,
            occupancy: presence.occupancy(&key),
            role: joining.role,
            presence: snapshot,
            presence_more,
            rules: RoomRules::from(rules),
            reason: joining.reason,
        };
        let (member_since, types) = (joining.member_since, joining.types);
        established.slots.begin(slot, joining.following, cursor, rules.presence, member_since, types);
        if let Some(live) = established.slots.live_mut(slot) {
            live.by_role = joining.by_role;
        }
        few::push(&mut established.live.rooms.lock(), key.room.clone());
        self.hold_to_token(slot);
        if joining.reason == JoinReason::Command {
            self.reply(id, &Reply::Joined(Box::new(joined)));
        } else {
            self.push(&Push::Joined(Box::new(joined)));
        }
        for frame in joining.state {
            self.send(frame);
        }
    }

    /// Ends following the room of a slot, where it is followed.
    pub(super) fn drop_slot(&mut self, slot: u32) {
        let Some(established) = &mut self.established else { return };
        let Some(live) = established.slots.take(slot) else { return };
        let key: RoomKey = live.following.room.key.clone();
        established.live.rooms.lock().retain(|room| *room != key.room);
        let (shows_presence, shows_typing) = (live.shows_presence, live.shows_typing);
        drop(live);
        if shows_typing {
            self.services.presence.typing(&key, &established.caller.user, false, Now::read());
        }
        if shows_presence {
            self.services.presence.leave(&key, established.live.id(), Now::read());
        }
    }

    /// Ends the joins that a new token does not grant any more.
    pub(super) fn leave_what_is_not_granted(&mut self) {
        let Some(established) = &self.established else { return };
        let goes_on = |live: &LiveSlot| {
            let room = &live.following.room.key.room;
            let is_member = live.follower().role().is_some();
            let rules = self.services.namespaces.rules(room);
            rules.is_some_and(|rules| may_go_on(rules, &established.caller, room, is_member))
        };
        let left = established.slots.followed().filter(|(_, live)| !goes_on(live));
        let slots: Vec<_> = left.map(|(slot, _)| slot).collect();
        for slot in slots {
            self.leave_unasked(slot, LeaveReason::Denied);
        }
    }

    /// The hub ends a join.
    pub(super) fn leave_unasked(&mut self, slot: u32, reason: LeaveReason) {
        let Some(established) = &mut self.established else { return };
        let Some(live) = established.slots.live_mut(slot) else { return };
        let room = live.following.room.key.room.clone();
        // That a member was removed is written down where it was done.
        if reason == LeaveReason::Denied {
            let about = About { room: Some(room.as_str()), ..About::default() };
            let denied = Err(ErrorCode::AccessDenied);
            self.services.audit.tell(event::LEFT, &self.source, Some(&established.caller), about, denied);
        }
        self.drop_slot(slot);
        self.push(&Push::Left { room, reason });
    }
}
