//! Whether Redis still has what was acknowledged. A server that comes back, or a replica that takes over, may have lost the
//! end of what was written, and what it is given then takes the lost entries' places. So whenever a connection is opened
//! again, the last thing that was acknowledged in each partition is looked for: logs of writes end at one point, so where
//! the last is there all before it is. Where it is not, the hub gets another epoch ([`epochs`](super::epochs)), and everybody
//! is told that logs are other ones.
//!
//! What other nodes were heard to commit is looked for as well, as they may be gone with what only they knew; and so is every
//! revocation that is known here.

use parking_lot::Mutex;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, Value, cmd};
use rustc_hash::FxHashMap;

use crate::domain::inbox::InboxPlace;
use crate::domain::names::{NotificationId, RoomKey, TenantId, UserKey};
use crate::domain::position::{Epoch, Seq, Tag};
use crate::domain::revocation::Revocation;
use crate::redis::{Link, LinkError, Names, Partition, Server};
use crate::store::Change;

use super::answer::number;
use super::revoked::{self, Revoked};
use super::script;
use super::shared::Shared;

/// The last thing of each kind that was acknowledged in each partition, here or elsewhere.
#[derive(Default)]
pub(super) struct Acknowledged {
    marks: Mutex<FxHashMap<Place, Mark>>,
    pub(super) revoked: Revoked,
}

/// Where there is one mark. What was heard may come late: it is not to take the place of what comes after it in the log.
type Place = (Partition, Kind, Whose);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Entry,
    Notice,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Own,
    Heard,
}

/// What tells that it is there.
#[derive(Clone, PartialEq, Eq)]
enum Mark {
    Entry(RoomKey, Seq, Tag),
    Own(UserKey, Seq, NotificationId),
    Broadcast(TenantId, Seq, NotificationId),
}

impl Mark {
    fn of(change: &Change) -> Option<Self> {
        Some(match change {
            Change::Entry { room, entry } => Self::Entry(room.clone(), entry.seq, entry.tag),
            Change::Notified { user, notification } => {
                let InboxPlace::Own(seq) = notification.place else { return None };
                Self::Own(user.clone(), seq, notification.notice.id.clone())
            }
            Change::Broadcast { tenant, notification } => {
                let InboxPlace::Broadcast(seq) = notification.place else { return None };
                Self::Broadcast(tenant.clone(), seq, notification.notice.id.clone())
            }
            _ => return None,
        })
    }

    fn place(&self, whose: Whose) -> Place {
        match self {
            Self::Entry(room, ..) => (Partition::of_room(&room.tenant, &room.room), Kind::Entry, whose),
            Self::Own(user, ..) => (Partition::of_user(&user.tenant, &user.user), Kind::Notice, whose),
            Self::Broadcast(tenant, ..) => (Partition::of_tenant(tenant), Kind::Notice, whose),
        }
    }

    /// The question whether it is there.
    fn question(&self, partition: Partition, names: &Names) -> Cmd {
        let mut question = cmd("EVALSHA");
        question.arg(script::SURVIVES.get_hash()).arg(1).arg(names.partition(partition));
        match self {
            Self::Entry(room, seq, tag) => question.arg("r").arg(names.room(room)).arg(seq.0).arg(tag.0),
            Self::Own(user, seq, id) => question.arg("n").arg(names.user(user)).arg(seq.0).arg(id.as_str()),
            Self::Broadcast(tenant, seq, id) => {
                question.arg("n").arg(names.tenant(tenant)).arg(seq.0).arg(id.as_str())
            }
        };
        question
    }
}

/// What a server does not have.
#[derive(Default)]
pub(super) struct Lost {
    marks: Vec<(Place, Mark)>,
    revocations: Vec<Revocation>,
}

impl Lost {
    pub(super) fn is_nothing(&self) -> bool {
        self.marks.is_empty() && self.revocations.is_empty()
    }

    pub(super) fn into_revocations(self) -> Vec<Revocation> {
        self.revocations
    }
}

impl Acknowledged {
    /// Takes note of what this node wrote.
    pub(super) fn note(&self, changes: &[Change]) {
        for change in changes {
            if let Change::Revoked(revocation) = change {
                self.revoked.learn(revocation);
            } else if let Some(mark) = Mark::of(change) {
                self.marks.lock().insert(mark.place(Whose::Own), mark);
            }
        }
    }

    /// Those of a server.
    fn at(&self, link: &Link, server: &Server, names: &Names) -> Vec<(Place, Mark)> {
        let marks = self.marks.lock();
        let is_here = |(partition, ..): &Place| link.is_owner(server, names.partition(*partition).as_bytes());
        marks.iter().filter(|(place, _)| is_here(place)).map(|(place, mark)| (*place, mark.clone())).collect()
    }

    /// What is lost is not looked for any more; what others must still have is.
    pub(super) fn forget(&self, lost: &Lost) {
        let mut marks = self.marks.lock();
        for (place, mark) in &lost.marks {
            if marks.get(place) == Some(mark) {
                marks.remove(place);
            }
        }
    }
}

impl Shared {
    /// Takes note of what another node committed in an epoch.
    pub(super) fn hear(&self, epoch: Epoch, change: &Change) {
        if epoch == self.epoch() {
            self.note_told(epoch, change);
        }
        let Some(mark) = Mark::of(change) else { return };
        let mut marks = self.acknowledged.marks.lock();
        // The epoch changes under the same lock: what is lost by then is looked for after.
        if epoch == self.epoch() {
            marks.insert(mark.place(Whose::Heard), mark);
        }
    }

    /// Goes over from one epoch to another. `false` where somebody else has.
    pub(super) fn go_over(&self, before: Epoch, epoch: Epoch) -> bool {
        let _marks = self.acknowledged.marks.lock();
        self.replace_epoch(before, epoch)
    }
}

/// What a server does not have of what was acknowledged there. One question, in one piece.
pub(super) async fn lost(shared: &Shared, link: &Link, server: &Server) -> Result<Lost, LinkError> {
    let names = &shared.names;
    let mut lost = Lost { marks: shared.acknowledged.at(link, server, names), revocations: Vec::new() };
    if link.is_owner(server, names.hub().as_bytes()) {
        lost.revocations = shared.acknowledged.revoked.all(shared.now(), shared.options.revoked_for);
    }
    if lost.is_nothing() {
        return Ok(lost);
    }
    let mut questions = Pipeline::with_capacity(lost.marks.len() + 2);
    questions.cmd("SCRIPT").arg("LOAD").arg(script::text::SURVIVES);
    for ((partition, ..), mark) in &lost.marks {
        questions.add_command(mark.question(*partition, names));
    }
    revoked::ask(names, &lost.revocations, &mut questions);
    let mut connection = server.connection.clone();
    let asking = connection.req_packed_commands(&questions, 0, questions.len());
    let answers = shared.link.traffic().count(asking).await;
    let answers = answers.and_then(|answers| answers.into_iter().map(Value::extract_error).collect());
    let answers: Vec<Value> = answers.map_err(|error| LinkError::unreachable(&error))?;
    let mut answers = answers.into_iter().skip(1);
    // What it does not say it does not have.
    lost.marks.retain(|_| answers.next().is_none_or(|found| number(&found).is_ok_and(|found| found == 0)));
    revoked::retain_missing(&mut lost.revocations, answers);
    Ok(lost)
}
