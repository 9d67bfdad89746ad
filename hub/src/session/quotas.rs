//! What a tenant may use of a node: where it is asked, for users and services alike.

use crate::administration::commands::SendNotification;
use crate::domain::caller::Caller;
use crate::domain::command::Stateless;
use crate::domain::error::Refusal;
use crate::domain::inbox::Priority;
use crate::domain::limits::STORED_OVERHEAD;
use crate::domain::names::TenantId;
use crate::domain::namespace::Namespaces;
use crate::domain::reply::Reply;
use crate::domain::time::Moment;
use crate::store::refuse;

use super::services::Services;

/// What was taken for something that is to be sent.
#[must_use = "what was not sent is given back"]
pub struct Taken {
    /// Whose message it is; `None` for what is none.
    sender: Option<TenantId>,
    /// What it adds to the tenant's storage.
    adds: u64,
}

impl Services {
    /// Takes what a command uses of its sender's limits and of its tenant's.
    pub(super) async fn admit_command(&self, caller: &Caller, command: &Stateless) -> Result<Taken, Refusal> {
        self.limit(caller, command).await?;
        let adds = self.check_storage(caller, command).await.inspect_err(|refusal| {
            self.count_limited(command.name(), refusal);
        })?;
        let is_sent = matches!(command, Stateless::MessageSend { .. } | Stateless::EventPublish { .. });
        let sender = self.take_message(caller, is_sent, command.name()).await?;
        Ok(Taken { sender, adds })
    }

    /// Takes what a notification uses of its tenant's messages; an emergency none. It is in no room, and goes by itself.
    pub async fn admit_notification(
        &self,
        caller: &Caller,
        send: &SendNotification,
    ) -> Result<Taken, Refusal> {
        let counts = send.priority != Priority::Critical;
        Ok(Taken { sender: self.take_message(caller, counts, "send_notification").await?, adds: 0 })
    }

    /// Gives back what was taken for something that was refused or was sent before: who may not send, or tries again,
    /// takes nothing from others.
    pub async fn settle(&self, caller: &Caller, taken: Taken, was_sent: bool) {
        match taken.sender {
            Some(tenant) if !was_sent => self.give_back(&tenant).await,
            _ => {}
        }
        if was_sent && taken.adds > 0 {
            self.limits.storage.add(&caller.tenant, taken.adds);
        }
    }

    async fn take_message(
        &self,
        caller: &Caller,
        counts: bool,
        name: &'static str,
    ) -> Result<Option<TenantId>, Refusal> {
        if !counts {
            return Ok(None);
        }
        let taken = self.take_of_tenant(&caller.tenant).await;
        taken.inspect_err(|refusal| self.count_limited(name, refusal))?;
        Ok(Some(caller.tenant.clone()))
    }

    /// What a command adds to its tenant's storage, where there is room for it. The store is asked once a second.
    async fn check_storage(&self, caller: &Caller, command: &Stateless) -> Result<u64, Refusal> {
        let limit = &self.limits.storage;
        let Some(adds) = adds(command, &self.namespaces).filter(|_| limit.most() > 0) else { return Ok(0) };
        let held = match limit.known(&caller.tenant, Moment::now()) {
            Some(held) => held,
            None => {
                let held = self.store.stored_bytes(&caller.tenant).await.map_err(refuse)?;
                limit.learn(&caller.tenant, held, Moment::now());
                held
            }
        };
        limit.check(held, adds).map(|()| adds)
    }
}

/// About how many bytes a command adds to what its tenant's rooms hold; `None` for what is done in a full one too: what
/// adds nothing, what takes away, and who leaves.
fn adds(command: &Stateless, namespaces: &Namespaces) -> Option<u64> {
    let bytes = match command {
        Stateless::MessageSend { content, attributes, .. } => content.as_bytes().len() + attributes.size(),
        // In the entry, and in the message, whose own was perhaps as short as can be.
        Stateless::MessageEdit { content, .. } => 2 * content.as_bytes().len(),
        Stateless::EventPublish { room, event, .. } if namespaces.rules(room).is_some_and(|r| r.durable) => {
            event.name.as_str().len() + event.payload.as_ref().map_or(0, |payload| payload.as_bytes().len())
        }
        Stateless::Reaction { key, add: true, .. } => key.as_str().len(),
        Stateless::ConversationCreate { members, metadata, .. } => {
            (members.len() + 1) * STORED_OVERHEAD as usize + metadata.size()
        }
        Stateless::ConversationUpdate { metadata, .. } => metadata.size(),
        Stateless::MemberAdd { .. } => 0,
        _ => return None,
    };
    Some(bytes as u64 + STORED_OVERHEAD)
}

/// Whether an answer says that something was sent, now and not before.
pub(super) fn was_sent(answer: Result<&Reply, &Refusal>) -> bool {
    match answer {
        Ok(
            Reply::MessageSent { duplicate, .. }
            | Reply::EntryAccepted { duplicate, .. }
            | Reply::ConversationCreated { duplicate, .. },
        ) => !duplicate,
        Ok(_) => true,
        Err(_) => false,
    }
}
