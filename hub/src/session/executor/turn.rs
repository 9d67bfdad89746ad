//! A session's turn, held until what it changes is queued at the store, and its place among the session's changes of the room.

use tokio::sync::OwnedMutexGuard;

use crate::domain::error::Refusal;
use crate::session::places::{Place, Standing};
use crate::store::{Condition, Outcome};

/// A session's commands are committed in the order in which it sent them: those of one room always, and all unless one waits in
/// its room for those before it. A unary call has no turn.
#[derive(Default)]
pub struct Turn {
    /// Its turns among all commands, and among those of one room.
    pub(in crate::session) held: Vec<OwnedMutexGuard<()>>,
    /// What the authoriser said of it, where it was asked before the turn began.
    pub(in crate::session) asked: Option<Result<bool, Refusal>>,
    /// Its place in its room.
    pub(in crate::session) place: Option<Place>,
}

impl Turn {
    /// Waits for the session's earlier changes of the room, while commands elsewhere go on; whether there were any.
    pub(super) async fn comes_first(&mut self) -> bool {
        let Some(place) = &self.place else { return false };
        self.held.clear();
        place.comes_first().await
    }

    /// Whether an outcome may be queued beside those of the session's earlier changes of the room.
    pub(super) fn goes_with(&self, standing: Standing) -> bool {
        self.place.as_ref().is_none_or(|place| place.goes_with(standing))
    }

    /// Waits until it may be, while commands elsewhere go on.
    pub(super) async fn waits_to_go_with(&mut self, standing: Standing) {
        let Some(place) = &self.place else { return };
        self.held.clear();
        place.waits_to_go_with(standing).await;
    }

    /// It is queued: what the same session sent next for the room comes after it, together with it where that has this standing, and
    /// where it has none when it has ended.
    pub(super) fn is_queued(&mut self, standing: Option<Standing>) {
        self.place.iter().for_each(|place| place.set(standing));
        self.held.clear();
    }

    /// The home has refused it: it is decided on again, after those before it. Whether there were any.
    pub(super) async fn decides_again(&mut self) -> bool {
        self.place.iter().for_each(|place| place.set(None));
        self.comes_first().await
    }
}

/// As what an outcome's actor changes the room.
pub(super) fn standing(outcome: &Outcome) -> Standing {
    outcome.conditions.iter().find_map(|condition| match condition {
        Condition::Member { user, version } if *user == outcome.actor => Some(*version),
        _ => None,
    })
}
