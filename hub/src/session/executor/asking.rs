//! What the executor asks the organisation's authoriser.

use std::time::Duration;

use crate::access::rules::{Capability, Permit, follows_by_token, permit};
use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::error::Refusal;
use crate::domain::names::RoomName;
use crate::domain::namespace::{NamespaceRules, Who};

use super::known::Standing;
use super::{Asked, Executor};

impl Executor {
    /// Decides on `standing`, and asks the authoriser where that is not enough: what goes by role alone is done while it
    /// cannot be asked, too. `answer` is what it said when the same was decided before.
    pub(super) async fn judge(
        &self,
        asked: Asked<'_>,
        standing: &Standing,
        answer: &mut Option<Result<bool, Refusal>>,
    ) -> Result<Permit, Refusal> {
        let permit = |allowed| {
            let Asked { caller, room, capability, .. } = asked;
            let member = standing.member.as_ref().filter(|_| !caller.service);
            permit(&self.namespaces, caller, &room.room, member, standing.created, capability, allowed)
        };
        let refused = match permit(false) {
            Err(refusal) if asked.capability.asks_authorizer(asked.rules, asked.caller) => refusal,
            decided => return decided,
        };
        let allowed = match answer.take() {
            Some(answer) => answer?,
            None => self.gate.ask(asked.caller, &asked.room.room, asked.capability).await?,
        };
        *answer = Some(Ok(allowed));
        if allowed { permit(true) } else { Err(refused) }
    }

    /// Whether the authoriser decides who may do something in a room.
    pub(crate) fn goes_by_authorizer(&self, room: &RoomName) -> bool {
        let asks = |rules: &NamespaceRules| [rules.join, rules.send].contains(&Who::Authorizer);
        self.namespaces.rules(room).is_some_and(asks)
    }

    /// What it says of a command, where its answer decides, and no role of the token does.
    pub(crate) async fn asks_first(
        &self,
        caller: &Caller,
        command: &Stateless,
    ) -> Option<Result<bool, Refusal>> {
        let room = command.room()?;
        let (rules, capability) = (self.namespaces.rules(room)?, Capability::of(command, caller)?);
        let by_token = rules.roles.of_token(&caller.powers.roles, capability.action());
        if by_token || !capability.waits_for_authorizer(rules, caller) {
            return None;
        }
        Some(self.gate.ask(caller, room, capability).await)
    }

    /// Whether the authoriser decides that `caller` may follow `room`.
    pub(crate) fn asks_to_follow(&self, caller: &Caller, room: &RoomName) -> bool {
        self.namespaces.rules(room).is_some_and(|rules| {
            Capability::Join.asks_authorizer(rules, caller) && !follows_by_token(rules, caller)
        })
    }

    /// Whether it says that `caller` may follow `room`; `None` where it cannot be asked.
    pub(crate) async fn says_of_following(&self, caller: &Caller, room: &RoomName) -> Option<bool> {
        self.gate.ask(caller, room, Capability::Join).await.ok()
    }

    /// How long after it let somebody follow a room it is asked again.
    pub(crate) fn asks_again_after(&self) -> Duration {
        self.gate.interval()
    }
}
