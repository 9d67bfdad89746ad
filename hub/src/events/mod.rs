//! Application events: durable ones become outcomes, ephemeral ones go straight to delivery.

use crate::access::rules::Permit;
use crate::domain::caller::Caller;
use crate::domain::entry::{EntryBody, Event, EventKey};
use crate::domain::error::Refusal;
use crate::domain::names::{RoomKey, RoomName};
use crate::domain::namespace::NamespaceRules;
use crate::domain::push::Push;
use crate::domain::reply::Reply;
use crate::domain::time::Timestamp;
use crate::store::{Committed, Home, Idempotency, Outcome, Write};

/// An event that is delivered to whoever is there, and then forgotten.
#[derive(Clone, Debug)]
pub struct EphemeralEvent {
    /// Where.
    pub room: RoomKey,
    /// What the receivers get: always a [`Push::Event`].
    pub push: Push,
    /// Events of one key merge where they wait, latest wins; `None` never merges.
    pub merge_key: Option<EventKey>,
    /// Whether the session that published it gets none.
    pub exclude_self: bool,
    /// The attempt that it is, where its sender gave it a key: a later one with the same is not delivered.
    pub attempt: Option<Idempotency>,
}

/// What becomes of an event.
#[derive(Clone, Debug)]
pub enum Publication {
    /// An entry of the log.
    Durable(Outcome),
    /// Delivered and forgotten. Answered with `done`.
    Ephemeral(EphemeralEvent),
}

/// Decides what becomes of an event: the namespace says whether it is kept. Leaving out one's own session is for
/// ephemeral events only.
pub fn publish(
    caller: &Caller,
    room: &RoomName,
    rules: &NamespaceRules,
    permit: &Permit,
    event: &Event,
    exclude_self: bool,
    now: Timestamp,
) -> Result<Publication, Refusal> {
    let event = Event { by_service: caller.service, ..event.clone() };
    if let Some(payload) = &event.payload {
        rules.data_types.check(payload, "payload.media_type")?;
    }
    if !rules.durable {
        return Ok(Publication::Ephemeral(EphemeralEvent {
            room: RoomKey { tenant: caller.tenant.clone(), room: room.clone() },
            merge_key: event.key.clone(),
            push: Push::Event { room: room.clone(), sender: caller.user.clone(), time: now, event },
            exclude_self,
            attempt: None,
        }));
    }
    if exclude_self {
        return Err(Refusal::invalid("exclude_self", "ephemeral events only"));
    }
    Ok(Publication::Durable(Outcome {
        tenant: caller.tenant.clone(),
        home: Home::Room(room.clone()),
        actor: caller.user.clone(),
        by_service: caller.service,
        idempotency: None,
        conditions: permit.condition().into_iter().collect(),
        writes: vec![Write::Append(EntryBody::Event(event))],
        effects: Vec::new(),
    }))
}

/// What a durable event is answered with.
pub fn reply(committed: &Committed) -> Reply {
    Reply::EntryAccepted {
        position: committed.position,
        time: committed.time,
        version: 0,
        duplicate: committed.duplicate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entry::EventName;
    use crate::domain::error::ErrorCode;
    use crate::domain::member::{Member, Role};
    use crate::domain::names::{TenantId, UserId};
    use crate::domain::position::Seq;
    use crate::store::Condition;

    fn decide(durable: bool, exclude_self: bool) -> Result<Publication, Refusal> {
        let user = UserId::parse("alice").unwrap();
        let caller = Caller {
            tenant: TenantId::parse("acme").unwrap(),
            user: user.clone(),
            service: false,
            cross_tenant: false,
            expires: Timestamp(1),
            token: crate::domain::revocation::TokenMark::default(),
            powers: crate::domain::powers::Powers::default(),
        };
        let member =
            Member { user, role: Role::Member, version: Seq(3), joined: Seq(3), history_from: Seq(1) };
        let role = Some(member.role);
        let permit = Permit { role, member: Some(member), moderates: false, history_from: Seq(1) };
        let event = Event {
            by_service: false,
            name: EventName::parse("moved").unwrap(),
            key: Some(EventKey::parse("cursor").unwrap()),
            payload: None,
        };
        let rules = NamespaceRules { durable, ..NamespaceRules::closed("case") };
        let room = RoomName::parse("case:1").unwrap();
        publish(&caller, &room, &rules, &permit, &event, exclude_self, Timestamp(5))
    }

    #[test]
    fn a_durable_event_is_an_entry_under_the_membership() {
        let Ok(Publication::Durable(outcome)) = decide(true, false) else { panic!("not durable") };
        assert!(matches!(outcome.conditions[..], [Condition::Member { version: Seq(3), .. }]));
        assert!(matches!(outcome.writes[..], [Write::Append(EntryBody::Event(_))]));
        assert_eq!(decide(true, true).unwrap_err().code, ErrorCode::InvalidArgument);
    }

    #[test]
    fn an_ephemeral_event_goes_to_delivery_with_its_key() {
        let Ok(Publication::Ephemeral(event)) = decide(false, true) else { panic!("not ephemeral") };
        assert_eq!(event.merge_key.as_ref().map(EventKey::as_str), Some("cursor"));
        assert!(event.exclude_self);
        assert!(matches!(event.push, Push::Event { time: Timestamp(5), .. }));
    }
}
