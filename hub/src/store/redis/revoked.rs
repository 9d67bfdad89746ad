//! The revocations that this node knows, its own and others': where Redis has lost some it gives them again, as what is lost
//! of them lets in whom nobody may let in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Pipeline, Value};
use rustc_hash::FxHashMap;

use crate::domain::revocation::Revocation;
use crate::domain::time::Timestamp;
use crate::redis::{Names, Reader};

use super::answer;
use super::limits::{REVOCATIONS_ASKED, REVOCATIONS_KEPT};
use super::revocations::{revoke, subject};
use super::shared::Shared;
use super::survival;

/// After one could not be given again it is tried once more after so long.
const AGAIN: Duration = Duration::from_millis(250);
/// What ends so soon is not looked for: a node whose clock is ahead may have removed them.
const SOON: i64 = 60_000;

/// What is known. Past [`REVOCATIONS_KEPT`] the one goes that was known first.
#[derive(Default)]
pub(super) struct Revoked(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_subject: FxHashMap<Vec<u8>, Revocation>,
    order: VecDeque<Vec<u8>>,
}

impl Revoked {
    /// Takes one in; of two of the same the later instant counts.
    pub(super) fn learn(&self, revocation: &Revocation) {
        let (name, instant) = subject(revocation);
        let mut known = self.0.lock();
        if let Some(old) = known.by_subject.get_mut(&name) {
            if subject(old).1 < instant {
                *old = revocation.clone();
            }
            return;
        }
        if known.order.len() == REVOCATIONS_KEPT
            && let Some(first) = known.order.pop_front()
        {
            known.by_subject.remove(&first);
        }
        known.order.push_back(name.clone());
        known.by_subject.insert(name, revocation.clone());
    }

    /// Those that everybody must have, where those that reach tokens of before an instant are kept for so long after it.
    pub(super) fn all(&self, now: Timestamp, kept: Option<Duration>) -> Vec<Revocation> {
        let soon = Timestamp(now.0.saturating_add(SOON));
        let known = self.0.lock();
        let has_ended = |revoked: &Revocation| revoked.what.ends(kept).is_some_and(|ends| ends <= soon);
        let all = known.order.iter().filter_map(|name| known.by_subject.get(name));
        all.filter(|revocation| !has_ended(revocation)).cloned().collect()
    }
}

/// Asks what is kept of each.
pub(super) fn ask(names: &Names, revocations: &[Revocation], questions: &mut Pipeline) {
    for some in revocations.chunks(REVOCATIONS_ASKED) {
        let question = questions.cmd("HMGET").arg(format!("{}/v", names.hub()));
        for revocation in some {
            question.arg(subject(revocation).0);
        }
    }
}

/// Leaves those of which the answers have less.
pub(super) fn retain_missing(revocations: &mut Vec<Revocation>, answers: impl Iterator<Item = Value>) {
    let mut kept = answers.flat_map(|answer| match answer {
        Value::Array(kept) => kept,
        _ => Vec::new(),
    });
    revocations.retain(|revocation| !kept.next().is_some_and(|kept| has(kept, revocation)));
}

/// Whether what is kept, place u64 and instant i64, is as late as a revocation.
fn has(kept: Value, revocation: &Revocation) -> bool {
    let Ok(Some(kept)) = answer::bytes(kept) else { return false };
    let mut from = Reader::new(&kept);
    matches!((from.u64(), from.i64()), (Ok(_), Ok(instant)) if instant >= subject(revocation).1.0)
}

/// Gives those again that Redis does not have, once it can.
pub(super) async fn give_again(shared: Arc<Shared>) {
    loop {
        if shared.is_closing() || give_missing(&shared).await.is_some() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// `None` where it cannot be done now.
async fn give_missing(shared: &Shared) -> Option<()> {
    let server = shared.link.server(shared.names.hub().as_bytes())?;
    for revocation in survival::lost(shared, &shared.link, &server).await.ok()?.into_revocations() {
        revoke(shared, revocation).await.ok()?;
    }
    Some(())
}
