//! What a tenant may send on a node: where it is asked, for users and services alike. What its rooms may hold is asked where
//! something is committed.

use crate::administration::commands::SendNotification;
use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::error::Refusal;
use crate::domain::inbox::Priority;
use crate::domain::names::TenantId;
use crate::domain::reply::Reply;
use crate::domain::time::Timestamp;
use crate::store::Idempotency;

use super::executor::{Answer, Turn};
use super::order::Order;
use super::services::Services;

/// What was taken for something that is to be sent: whose message it is; `None` for what is none.
#[must_use = "what was not sent is given back"]
pub struct Taken(Option<TenantId>);

impl Services {
    /// Carries out a command that the limits of its sender let through; what was sent before is answered as it was.
    pub(super) async fn carry_out(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Stateless,
        order: Option<Order>,
    ) -> Result<Answer, Refusal> {
        let place = match order {
            Some(order) => Some((order.in_room(self, &command).await, order)),
            None => None,
        };
        match self.admit_command(caller, &command).await {
            Ok(taken) => {
                let turn = match place {
                    Some((in_room, order)) => order.turn(in_room, self, caller, &command).await,
                    None => Turn::default(),
                };
                let now = Timestamp::now();
                let answer = self.executor.execute(caller, idempotency, command, now, turn).await;
                self.settle(taken, was_sent(answer.as_ref().map(|answer| &answer.reply))).await;
                answer
            }
            // What was sent is not sent again, and takes nothing.
            Err(refusal) => match self.executor.done_before(caller, idempotency, &command).await {
                Ok(Some(answer)) => Ok(answer),
                Ok(None) | Err(_) => Err(refusal),
            },
        }
    }

    /// Takes what a command uses of its sender's limits and of its tenant's.
    pub(super) async fn admit_command(&self, caller: &Caller, command: &Stateless) -> Result<Taken, Refusal> {
        self.limit(caller, command).await?;
        let is_sent = matches!(command, Stateless::MessageSend { .. } | Stateless::EventPublish { .. });
        self.take_message(caller, is_sent).await
    }

    /// Takes what a notification uses of its tenant's messages; an emergency none. It is in no room, and goes by itself.
    pub async fn admit_notification(
        &self,
        caller: &Caller,
        send: &SendNotification,
    ) -> Result<Taken, Refusal> {
        let taken = self.take_message(caller, send.priority != Priority::Critical).await;
        taken.inspect_err(|refusal| self.count_limited("send_notification", refusal))
    }

    /// Gives back what was taken for something that was refused or was sent before: who may not send, or tries again,
    /// takes nothing from others.
    pub async fn settle(&self, taken: Taken, was_sent: bool) {
        if let (Some(tenant), false) = (taken.0, was_sent) {
            self.give_back(&tenant).await;
        }
    }

    async fn take_message(&self, caller: &Caller, counts: bool) -> Result<Taken, Refusal> {
        if !counts {
            return Ok(Taken(None));
        }
        self.take_of_tenant(&caller.tenant).await?;
        Ok(Taken(Some(caller.tenant.clone())))
    }
}

/// Whether an answer says that something was sent, now and not before.
pub(super) fn was_sent(answer: Result<&Reply, &Refusal>) -> bool {
    match answer {
        Ok(Reply::MessageSent { duplicate, .. } | Reply::EntryAccepted { duplicate, .. }) => !duplicate,
        Ok(_) => true,
        Err(_) => false,
    }
}
