//! Notifications to users, to a room's members, to everybody.

use std::sync::Arc;

use crate::domain::caller::Caller;
use crate::domain::derived::derived_id;
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::inbox::Notice;
use crate::domain::limits;
use crate::domain::names::{NotificationId, RoomKey, RoomName, UserId};
use crate::domain::time::Timestamp;
use crate::store::{CommitError, Condition, Effect, Home, Outcome, Store, Write, refuse, refuse_commit};

use super::commands::{Audience, NotificationSent, SendNotification};

/// Whom a notification is for, looked up.
enum Recipients {
    /// These, each in their own log.
    Each(Vec<UserId>),
    /// Everybody, through the tenant's broadcast log.
    All,
}

/// Sends it. A retry with the same key notifies nobody again; the count that it is answered with is of those whom it
/// would be for now.
pub(super) async fn send(
    store: &dyn Store,
    caller: &Caller,
    send: &SendNotification,
    now: Timestamp,
) -> Result<NotificationSent, Refusal> {
    let id = NotificationId::parse(&format!("{:032x}", id(store.secret(), caller, send)?))?;
    let recipients = match admit(store, caller, send, now).await {
        Ok(recipients) => recipients,
        // What was sent is not refused by now.
        Err(refusal) => return sent_before(store, caller, send, id).await?.ok_or(refusal),
    };
    let outcome = outcome(caller, send, id.clone(), &recipients);
    let committed = store.commit(outcome).await.map_err(refuse_commit)?;
    let recipients = count(store, caller, &recipients).await?;
    Ok(NotificationSent { id, recipients, duplicate: committed.duplicate })
}

/// Whom it is for, where it can be sent now.
async fn admit(
    store: &dyn Store,
    caller: &Caller,
    send: &SendNotification,
    now: Timestamp,
) -> Result<Recipients, Refusal> {
    if send.expires.is_some_and(|expires| expires <= now) {
        return Err(Refusal::invalid("expires_ms", "in the future"));
    }
    recipients(store, caller, &send.audience).await
}

/// What an earlier attempt with the same key gave, if there was one.
async fn sent_before(
    store: &dyn Store,
    caller: &Caller,
    send: &SendNotification,
    id: NotificationId,
) -> Result<Option<NotificationSent>, Refusal> {
    if send.idempotency.is_none() {
        return Ok(None);
    }
    let nobody = Recipients::Each(Vec::new());
    let outcome =
        Outcome { conditions: vec![Condition::NEVER], ..outcome(caller, send, id.clone(), &nobody) };
    match store.commit(outcome).await {
        Ok(_) => {}
        Err(CommitError::Condition(_) | CommitError::TooManyKeys) => return Ok(None),
        Err(error) => return Err(refuse_commit(error)),
    }
    // Of a room that is no more nobody is left.
    let recipients = recipients(store, caller, &send.audience).await.unwrap_or(nobody);
    let recipients = count(store, caller, &recipients).await?;
    Ok(Some(NotificationSent { id, recipients, duplicate: true }))
}

async fn count(store: &dyn Store, caller: &Caller, recipients: &Recipients) -> Result<u64, Refusal> {
    match recipients {
        Recipients::Each(users) => Ok(users.len() as u64),
        // An emergency is on its way before anything is counted.
        Recipients::All => store.known_users(&caller.tenant).await.map_err(refuse),
    }
}

/// Of the sender and their idempotency key, so that a retry has the same; random without one.
fn id(secret: [u8; 16], caller: &Caller, send: &SendNotification) -> Result<u128, Refusal> {
    if let Some(idempotency) = &send.idempotency {
        let (tenant, sender) = (caller.tenant.as_str().as_bytes(), caller.user.as_str().as_bytes());
        return Ok(derived_id(secret, "notification", [tenant, sender, idempotency.key.as_bytes()]));
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| ErrorCode::Internal)?;
    Ok(u128::from_ne_bytes(random))
}

fn outcome(caller: &Caller, send: &SendNotification, id: NotificationId, recipients: &Recipients) -> Outcome {
    let notice = Arc::new(Notice {
        id,
        kind: send.kind.clone(),
        title: Arc::clone(&send.title),
        body: send.body.clone(),
        priority: send.priority,
        data: send.data.clone(),
        sender: caller.user.clone(),
        expires: send.expires,
    });
    let (writes, effects) = match recipients {
        Recipients::All => (vec![Write::Broadcast(notice)], Vec::new()),
        Recipients::Each(users) => {
            let notify = |user: &UserId| Effect::Notify { user: user.clone(), notice: Arc::clone(&notice) };
            (Vec::new(), users.iter().map(notify).collect())
        }
    };
    Outcome {
        tenant: caller.tenant.clone(),
        home: Home::Tenant,
        actor: caller.user.clone(),
        by_service: caller.service,
        idempotency: send.idempotency.clone(),
        conditions: Vec::new(),
        writes,
        effects,
    }
}

async fn recipients(store: &dyn Store, caller: &Caller, audience: &Audience) -> Result<Recipients, Refusal> {
    match audience {
        Audience::Users(users) => Ok(Recipients::Each(users.clone())),
        Audience::RoomMembers(room) => members(store, caller, room).await.map(Recipients::Each),
        Audience::AllUsers => Ok(Recipients::All),
    }
}

/// All members of a room, read page by page.
async fn members(store: &dyn Store, caller: &Caller, room: &RoomName) -> Result<Vec<UserId>, Refusal> {
    let key = RoomKey { tenant: caller.tenant.clone(), room: room.clone() };
    store.room(&key).await.map_err(refuse)?.filter(|room| room.created).ok_or(ErrorCode::NotFound)?;
    let mut users: Vec<UserId> = Vec::new();
    loop {
        let page = store.members(&key, users.last(), limits::MEMBERS_READ).await.map_err(refuse)?;
        let last = page.len() < limits::MEMBERS_READ as usize;
        users.extend(page.into_iter().map(|member| member.user));
        if users.len() > limits::NOTIFICATION_ROOM_MEMBERS {
            return Err(Refusal::invalid("room_members", "a room of at most 10000 members"));
        }
        if last {
            return Ok(users);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::content::Pairs;
    use crate::domain::inbox::{NotificationKind, Priority};
    use crate::domain::names::{IdempotencyKey, TenantId};
    use crate::store::Idempotency;

    fn service(tenant: &str) -> Caller {
        Caller {
            tenant: TenantId::parse(tenant).unwrap(),
            user: UserId::parse("service").unwrap(),
            service: true,
            cross_tenant: false,
            expires: Timestamp(1),
            token: crate::domain::revocation::TokenMark::default(),
            powers: crate::domain::powers::Powers::default(),
        }
    }

    fn notification(key: Option<&'static str>) -> SendNotification {
        let key = key.map(|key| IdempotencyKey::parse(bytes::Bytes::from_static(key.as_bytes())).unwrap());
        SendNotification {
            audience: Audience::AllUsers,
            kind: NotificationKind::parse("reminder").unwrap(),
            title: Notice::parse_title("take two").unwrap(),
            body: None,
            priority: Priority::High,
            data: Pairs::default(),
            expires: None,
            idempotency: key.map(|key| Idempotency { key, fingerprint: 7 }),
        }
    }

    #[test]
    fn a_retry_has_the_same_id_and_nobody_else_has_it() {
        let id = |tenant, key| id([3; 16], &service(tenant), &notification(key)).unwrap();
        assert_eq!(id("acme", Some("the-same-key")), id("acme", Some("the-same-key")));
        assert_ne!(id("acme", Some("the-same-key")), id("other", Some("the-same-key")));
        assert_ne!(id("acme", Some("the-same-key")), id("acme", Some("another-key")));
        assert_ne!(id("acme", None), id("acme", None));
    }

    #[test]
    fn one_outcome_holds_all_its_recipients_and_the_key() {
        let users: Vec<_> = ["alice", "bob"].map(|name| UserId::parse(name).unwrap()).into();
        let id = NotificationId::parse("n1").unwrap();
        let send = notification(Some("the-same-key"));
        let each = outcome(&service("acme"), &send, id.clone(), &Recipients::Each(users));
        assert_eq!((each.writes.len(), each.effects.len()), (0, 2));
        assert_eq!(each.idempotency, send.idempotency);
        let all = outcome(&service("acme"), &send, id, &Recipients::All);
        assert!(matches!(&all.writes[..], [Write::Broadcast(notice)] if notice.priority == Priority::High));
        assert_eq!((all.home, all.effects.len()), (Home::Tenant, 0));
    }
}
