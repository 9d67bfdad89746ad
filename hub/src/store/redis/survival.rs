//! Whether Redis still has what was acknowledged. A server that comes back, or a replica that takes over, may have lost the
//! end of what was written, and what it is given then takes the lost entries' places. So whenever a connection is opened
//! again, the last thing that was acknowledged in each partition is looked for: logs of writes end at one point, so where
//! the last is there all before it is. Where it is not, the hub gets another epoch, and everybody is told that logs are
//! other ones.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use redis::ScriptInvocation;
use rustc_hash::FxHashMap;

use crate::domain::inbox::InboxPlace;
use crate::domain::names::{NotificationId, RoomKey, TenantId, UserKey};
use crate::domain::position::{Epoch, Seq, Tag};
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::time::Timestamp;
use crate::redis::{Link, LinkError, Names, Partition, Server};
use crate::store::Change;

use super::revocations;
use super::script;
use super::shared::Shared;

/// Revocations of this node's that it can give again.
const REVOCATIONS: usize = 1_000;
/// After one could not be given again it is tried once more after so long.
const REVOKE_AGAIN: Duration = Duration::from_millis(250);

/// The last thing of each kind that was acknowledged in each partition.
#[derive(Default)]
pub(super) struct Acknowledged {
    marks: Mutex<FxHashMap<(Partition, Kind), Mark>>,
    /// The latest revocations: nobody can read those again that are lost.
    revocations: Mutex<VecDeque<Revocation>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Entry,
    Notice,
}

/// What tells that it is there.
#[derive(Clone)]
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

    fn place(&self) -> (Partition, Kind) {
        match self {
            Self::Entry(room, ..) => (Partition::of_room(&room.tenant, &room.room), Kind::Entry),
            Self::Own(user, ..) => (Partition::of_user(&user.tenant, &user.user), Kind::Notice),
            Self::Broadcast(tenant, ..) => (Partition::of_tenant(tenant), Kind::Notice),
        }
    }

    /// The question whether it is there.
    fn question(&self, names: &Names) -> ScriptInvocation<'static> {
        let mut call = script::SURVIVES.key(names.partition(self.place().0));
        match self {
            Self::Entry(room, seq, tag) => call.arg("r").arg(names.room(room)).arg(seq.0).arg(tag.0),
            Self::Own(user, seq, id) => call.arg("n").arg(names.user(user)).arg(seq.0).arg(id.as_str()),
            Self::Broadcast(tenant, seq, id) => {
                call.arg("n").arg(names.tenant(tenant)).arg(seq.0).arg(id.as_str())
            }
        };
        call
    }
}

impl Acknowledged {
    /// Takes note of what was written.
    pub(super) fn note(&self, changes: &[Change]) {
        for change in changes {
            if let Change::Revoked(revocation) = change {
                let mut revocations = self.revocations.lock();
                if revocations.len() == REVOCATIONS {
                    revocations.pop_front();
                }
                revocations.push_back(revocation.clone());
            } else if let Some(mark) = Mark::of(change) {
                self.marks.lock().insert(mark.place(), mark);
            }
        }
    }

    fn of(&self, link: &Link, server: &Server, names: &Names) -> Vec<Mark> {
        let marks = self.marks.lock();
        let is_here = |partition: Partition| link.is_owner(server, names.partition(partition).as_bytes());
        marks.iter().filter(|((partition, _), _)| is_here(*partition)).map(|(_, mark)| mark.clone()).collect()
    }

    /// The last revocation, unless it has ended by now: then nobody need have it.
    fn last_revocation(&self, now: Timestamp) -> Option<Revocation> {
        let last = self.revocations.lock().back().cloned()?;
        let has_ended = matches!(last.what, Revoked::Token { ends, .. } if ends <= now);
        (!has_ended).then_some(last)
    }
}

/// Whether a server that was connected again has all that this node acknowledged.
pub(super) async fn has_all(shared: &Shared, link: &Link, server: &mut Server) -> Result<bool, LinkError> {
    let names = &shared.names;
    let marks = shared.acknowledged.of(link, server, names);
    let mut questions: Vec<_> = marks.iter().map(|mark| mark.question(names)).collect();
    if link.is_owner(server, names.hub().as_bytes())
        && let Some(revocation) = shared.acknowledged.last_revocation(shared.now())
    {
        let mut call = script::SURVIVES.key(names.partition(Partition::of_hub()));
        call.arg("v").arg(format!("{}/v", names.hub())).arg(0).arg(revocations::subject(&revocation).0);
        questions.push(call);
    }
    for call in questions {
        let found = call.invoke_async::<u8>(&mut server.connection).await;
        if found.map_err(|error| LinkError::unreachable(&error))? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives the hub another epoch, unless another node has.
pub(super) async fn renew(shared: &Shared, server: &mut Server) -> Result<(), LinkError> {
    let found = another_epoch(server, &shared.names, shared.epoch()).await;
    adopt(shared, found.map_err(|error| LinkError::unreachable(&error))?);
    Ok(())
}

/// Asks for another epoch than the known one; gives that in which the hub is now.
pub(super) async fn another_epoch(
    server: &mut Server,
    names: &Names,
    known: Epoch,
) -> redis::RedisResult<Epoch> {
    let mut call = script::RENEW.key(names.partition(Partition::of_hub()));
    call.arg(known.0).arg(super::random::epoch().0);
    call.invoke_async(&mut server.connection).await.map(Epoch)
}

/// Gives this node's latest revocations again, once it can: what is lost of them lets in whom nobody may let in.
pub(super) async fn revoke_again(shared: &Shared) {
    let latest = std::mem::take(&mut *shared.acknowledged.revocations.lock());
    for revocation in latest {
        while revocations::revoke(shared, revocation.clone()).await.is_err() {
            if shared.is_closing() {
                return;
            }
            tokio::time::sleep(REVOKE_AGAIN).await;
        }
    }
}

/// Goes on in an epoch. Where it is another one than before everybody is told. Whether it is.
pub(super) fn adopt(shared: &Shared, epoch: Epoch) -> bool {
    if epoch.0 == 0 || shared.set_epoch(epoch) == epoch {
        return false;
    }
    tracing::error!("redis has lost what was acknowledged: a new epoch begins, and clients read afresh");
    shared.acknowledged.marks.lock().clear();
    shared.tell(&[Change::Restarted(epoch)]);
    true
}
