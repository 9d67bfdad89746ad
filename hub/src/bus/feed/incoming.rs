//! What the bus brings.

use std::sync::Weak;

use bytes::Bytes;

use super::{Inner, now};
use crate::bus::envelope::{self, Body, Control, Envelope, Head};
use crate::bus::feed::telling::Membership;
use crate::bus::port::Topic;
use crate::bus::sequence::Item;
use crate::domain::entry::Entry;
use crate::domain::inbox::{InboxPlace, Notification};
use crate::domain::position::{Position, Seq, Tag};
use crate::store::Change;

impl Inner {
    /// Takes a message. Whether revocations are to be read.
    pub(super) fn hear(&self, topic: &Topic, message: &Bytes) -> bool {
        match envelope::read(message, self.node) {
            Ok(Envelope::Read(head, body)) => return self.take(topic, head, body),
            Ok(Envelope::Own(Some((seq, previous)))) => self.expect(topic, seq, previous),
            Ok(Envelope::Own(None)) => {}
            Ok(Envelope::Foreign) => return self.verify(topic),
            Err(error) => {
                tracing::warn!(topic = ?topic, %error, "a message of the bus cannot be read");
                return self.verify(topic);
            }
        }
        false
    }

    /// A log has got to a place that was told, or is going to be, or has to be read.
    fn expect(&self, topic: &Topic, seq: Seq, previous: Option<Tag>) {
        self.with_shard(topic, |sequencer, out| {
            sequencer.echo(topic, seq, previous, now(), &mut |step| out(topic, step));
        });
    }

    /// Something that cannot be read was published in a topic. Whether revocations are to be read.
    fn verify(&self, topic: &Topic) -> bool {
        self.with_shard(topic, |sequencer, out| sequencer.verify(topic, now(), &mut |step| out(topic, step)));
        *topic == Topic::Hub
    }

    fn take(&self, topic: &Topic, head: Head, body: Body) -> bool {
        match (body, topic) {
            (Body::Entry(entry, previous), Topic::Room(room)) => {
                let (at, bytes) = (entry.position(), Entry::size(&entry));
                let what = Change::Entry { room: room.clone(), entry };
                self.sequence(topic, Item { at, previous: Some(previous), bytes, what });
            }
            (Body::Notice(seq, time, notice), Topic::User(user)) => {
                let notification = Notification { notice, place: InboxPlace::Own(seq), time, read: false };
                let bytes = notification.size();
                let at = Position { epoch: head.epoch, seq, tag: Tag(0) };
                let what = Change::Notified { user: user.clone(), notification };
                self.sequence(topic, Item { at, previous: None, bytes, what });
            }
            (Body::Notice(seq, time, notice), Topic::Tenant(tenant)) => {
                let place = InboxPlace::Broadcast(seq);
                let notification = Notification { notice, place, time, read: false };
                let bytes = notification.size();
                let at = Position { epoch: head.epoch, seq, tag: Tag(0) };
                let what = Change::Broadcast { tenant: tenant.clone(), notification };
                self.sequence(topic, Item { at, previous: None, bytes, what });
            }
            (Body::Marks(user, marks), Topic::Room(room)) => {
                self.listener.changed(&[Change::Marks { room: room.clone(), user, marks }]);
            }
            (Body::Reached(seq), _) => self.expect(topic, seq, None),
            (Body::Erased(user), _) => self.listener.changed(&[Change::Erased { user }]),
            (Body::Question(id, question), Topic::Hub) => self.answer(head.node, id, &question),
            (Body::Answer(to, answer), Topic::Hub) => self.take_answer(head.node, to, answer),
            (Body::Live(live), _) => self.listener.live(topic, live),
            (Body::Sessions(batch), Topic::Tenant(tenant)) => self.listener.sessions(tenant, &batch),
            (Body::Control(control), Topic::User(user)) => {
                if let Control::Member { room, is_member } = &control {
                    let of = Membership { user: user.clone(), room: room.clone(), is_member: *is_member };
                    self.work.add(|waiting| waiting.memberships.push(of));
                }
                self.listener.control(user, &control);
            }
            (Body::Revoked, _) => return true,
            _ => {}
        }
        false
    }

    /// What is of a topic that was let go of meanwhile is passed over; the store has it all the same.
    fn sequence(&self, topic: &Topic, item: Item<Change>) {
        if let Some(store) = self.store.get().and_then(Weak::upgrade) {
            store.heard(item.at.epoch, &item.what);
        }
        self.with_shard(topic, |sequencer, out| {
            let _ = sequencer.offer(topic, item, now(), &mut |step| out(topic, step));
        });
    }

    /// These topics are heard from now on. Whether revocations are to be read.
    pub(super) fn brings(&self, topics: &[Topic]) -> bool {
        let mut hub = false;
        for topic in topics {
            if *topic == Topic::Hub {
                hub = true;
            } else {
                self.with_shard(topic, |sequencer, out| {
                    sequencer.back(topic, now(), &mut |step| out(topic, step));
                });
            }
            if self.interests.lock().find_again(topic) {
                self.listener.may_have_missed(topic);
                if let Topic::User(user) = topic {
                    self.may_have_missed_rooms(user);
                }
            }
        }
        hub
    }

    /// These topics are not heard any more.
    pub(super) fn loses(&self, topics: &[Topic]) {
        for topic in topics {
            self.shard(topic).lock().lost(topic);
            self.interests.lock().lose(topic);
        }
    }
}
