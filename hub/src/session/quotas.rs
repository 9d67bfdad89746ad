//! What a tenant may use of a node: where it is asked, for users and services alike.

use crate::administration::commands::SendNotification;
use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::error::Refusal;
use crate::domain::inbox::Priority;
use crate::domain::names::TenantId;
use crate::domain::reply::Reply;
use crate::domain::time::Moment;

use super::services::Services;

/// What was taken for something that is to be sent.
#[must_use = "what was not sent is given back"]
pub struct Taken(Option<TenantId>);

impl Services {
    /// Takes what a command uses of its tenant's messages.
    pub(super) fn take_of_tenant(&self, caller: &Caller, command: &Stateless) -> Result<Taken, Refusal> {
        let is_sent = matches!(command, Stateless::MessageSend { .. } | Stateless::EventPublish { .. });
        self.take(caller, is_sent, command.name())
    }

    /// Takes what a notification uses of its tenant's messages; an emergency none.
    pub fn take_for_notification(&self, caller: &Caller, send: &SendNotification) -> Result<Taken, Refusal> {
        self.take(caller, send.priority != Priority::Critical, "send_notification")
    }

    fn take(&self, caller: &Caller, counts: bool, name: &'static str) -> Result<Taken, Refusal> {
        if !counts {
            return Ok(Taken(None));
        }
        let taken = self.limits.limiter.check_tenant(&caller.tenant, Moment::now());
        taken.inspect_err(|refusal| self.count_limited(name, refusal))?;
        Ok(Taken(Some(caller.tenant.clone())))
    }

    /// Gives back what was taken for something that was refused or was sent before: who may not send, or tries again,
    /// takes nothing from others.
    pub fn settle(&self, taken: Taken, was_sent: bool) {
        if let Taken(Some(tenant)) = taken
            && !was_sent
        {
            self.limits.limiter.give_back(&tenant);
        }
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
