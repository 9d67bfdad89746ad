//! Whether Redis still has what was acknowledged. A server that comes back, or a replica that takes over, may have lost the
//! end of what was written, and what it is given then takes the lost entries' places. So whenever a connection is opened
//! again, the last thing that was acknowledged in each partition is looked for: logs of writes end at one point, so where
//! the last is there all before it is. Where it is not, the hub gets another epoch, and everybody is told that logs are
//! other ones.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::domain::inbox::InboxPlace;
use crate::domain::position::Epoch;
use crate::redis::{Link, LinkError, Names, Partition, Server};
use crate::store::Change;

use super::script;
use super::shared::Shared;

/// The last thing that was acknowledged in each partition.
#[derive(Default)]
pub(super) struct Acknowledged(Mutex<FxHashMap<Partition, Mark>>);

/// What tells that it is there.
#[derive(Clone, Debug)]
struct Mark {
    kind: &'static str,
    /// The home's key.
    base: String,
    seq: u64,
    tag: String,
}

impl Acknowledged {
    /// Takes note of what was written.
    pub(super) fn note(&self, names: &Names, changes: &[Change]) {
        let Some((partition, mark)) = changes.iter().rev().find_map(|change| mark(names, change)) else {
            return;
        };
        self.0.lock().insert(partition, mark);
    }

    fn of(&self, link: &Link, server: &Server, names: &Names) -> Vec<(Partition, Mark)> {
        let marks = self.0.lock();
        let here = |partition: &Partition| link.is_owner(server, names.partition(*partition).as_bytes());
        marks.iter().filter(|(partition, _)| here(partition)).map(|(p, mark)| (*p, mark.clone())).collect()
    }

    fn forget(&self) {
        self.0.lock().clear();
    }
}

fn mark(names: &Names, change: &Change) -> Option<(Partition, Mark)> {
    match change {
        Change::Entry { room, entry } => {
            let mark =
                Mark { kind: "r", base: names.room(room), seq: entry.seq.0, tag: entry.tag.0.to_string() };
            Some((Partition::of_room(&room.tenant, &room.room), mark))
        }
        Change::Notified { user, notification } => {
            let InboxPlace::Own(seq) = notification.place else { return None };
            let mark = Mark {
                kind: "n",
                base: names.user(user),
                seq: seq.0,
                tag: notification.notice.id.to_string(),
            };
            Some((Partition::of_user(&user.tenant, &user.user), mark))
        }
        Change::Broadcast { tenant, notification } => {
            let InboxPlace::Broadcast(seq) = notification.place else { return None };
            let mark = Mark {
                kind: "n",
                base: names.tenant(tenant),
                seq: seq.0,
                tag: notification.notice.id.to_string(),
            };
            Some((Partition::of_tenant(tenant), mark))
        }
        _ => None,
    }
}

/// Whether a server that was connected again has all that this node acknowledged.
pub(super) async fn has_all(shared: &Shared, link: &Link, server: &mut Server) -> Result<bool, LinkError> {
    for (partition, mark) in shared.acknowledged.of(link, server, &shared.names) {
        let mut call = script::SURVIVES.key(shared.names.partition(partition));
        call.arg(mark.kind).arg(mark.base).arg(mark.seq).arg(mark.tag);
        let found = call.invoke_async::<u8>(&mut server.connection).await;
        if found.map_err(|error| LinkError::unreachable(&error))? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives the hub another epoch, unless another node has.
pub(super) async fn renew(shared: &Shared, server: &mut Server) -> Result<(), LinkError> {
    let known = shared.epoch();
    let next = super::random::epoch();
    let mut call = script::RENEW.key(shared.names.partition(Partition::of_hub()));
    call.arg(known.0).arg(next.0);
    let found = call.invoke_async::<u64>(&mut server.connection).await;
    adopt(shared, Epoch(found.map_err(|error| LinkError::unreachable(&error))?));
    Ok(())
}

/// Goes on in an epoch. Where it is another one than before everybody is told.
pub(super) fn adopt(shared: &Shared, epoch: Epoch) {
    if epoch.0 == 0 || shared.set_epoch(epoch) == epoch {
        return;
    }
    tracing::error!("redis has lost what was acknowledged: a new epoch begins, and clients read afresh");
    shared.acknowledged.forget();
    shared.tell(&[Change::Restarted(epoch)]);
}
