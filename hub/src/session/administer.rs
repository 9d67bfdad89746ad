//! What administrators see of sessions, and how they end them.

use std::sync::Arc;

use crate::administration::commands::{
    Disconnect, DisconnectTarget, ListSessions, SessionInfo, SessionsListed, UserLevels,
};
use crate::domain::caller::Caller;
use crate::domain::cursor::{self, List};
use crate::domain::error::Refusal;
use crate::domain::names::{SessionId, UserId, UserKey};
use crate::domain::time::{Moment, Timestamp};

use super::live::Live;
use super::services::Services;

impl Services {
    /// A page of the tenant's sessions, in order of their ids.
    pub fn list_sessions(&self, caller: &Caller, list: &ListSessions) -> Result<SessionsListed, Refusal> {
        let scope = list.user.as_ref().map_or("", |user| user.as_str());
        let after = cursor::read(List::AdminSessions, &caller.key(), scope, &list.cursor)?;
        let after = after.map(SessionId::parse).transpose()?;
        let mut sessions: Vec<_> = self.sessions.all();
        sessions.retain(|live| {
            live.user().tenant == caller.tenant
                && list.user.as_ref().is_none_or(|user| live.user().user == *user)
                && after.is_none_or(|after| live.id() > after)
        });
        sessions.sort_unstable_by_key(|live| live.id());
        let more = sessions.len() > list.limit as usize;
        sessions.truncate(list.limit as usize);
        let last = sessions.last().filter(|_| more);
        let next =
            last.map(|live| cursor::write(List::AdminSessions, &caller.key(), scope, &live.id().to_string()));
        Ok(SessionsListed {
            sessions: sessions.iter().map(|live| info(live)).collect(),
            next: next.unwrap_or_default(),
        })
    }

    /// Ends sessions of the caller's tenant. How many.
    pub fn disconnect_sessions(&self, caller: &Caller, disconnect: &Disconnect) -> u32 {
        let mut ended = 0;
        for live in self.targets(caller, &disconnect.target) {
            live.close(disconnect.code);
            ended += 1;
        }
        ended
    }

    /// How full the buckets are of a user of the caller's tenant.
    pub fn levels(&self, caller: &Caller, user: &UserId) -> UserLevels {
        let now = Moment::now();
        let level = |live: &Live, rate| (live.id(), live.commands.lock().level(rate, now), rate.burst);
        let sessions = self.sessions_of(caller, user);
        UserLevels {
            kinds: self.limits.limiter.levels(&caller.tenant, user, now),
            sessions: match self.limits.commands {
                Some(rate) => sessions.iter().map(|live| level(live, rate)).collect(),
                None => Vec::new(),
            },
        }
    }

    /// Fills them. How many were not full.
    pub fn reset_limits(&self, caller: &Caller, user: &UserId) -> u32 {
        let now = Moment::now();
        let mut reset = self.limits.limiter.reset(&caller.tenant, user, now);
        for live in self.sessions_of(caller, user) {
            let bucket = std::mem::take(&mut *live.commands.lock());
            reset += u32::from(!bucket.is_full(now));
        }
        reset
    }

    fn sessions_of(&self, caller: &Caller, user: &UserId) -> Vec<Arc<Live>> {
        let user = UserKey { tenant: caller.tenant.clone(), user: user.clone() };
        let mailboxes = self.delivery.registry().sessions_of(&user);
        mailboxes.iter().filter_map(|mailbox| self.sessions.get(mailbox.session())).collect()
    }

    fn targets(&self, caller: &Caller, target: &DisconnectTarget) -> Vec<Arc<Live>> {
        match target {
            DisconnectTarget::Session(id) => self
                .sessions
                .get(*id)
                .filter(|live| live.user().tenant == caller.tenant)
                .into_iter()
                .collect(),
            DisconnectTarget::User { user, instance } => {
                let sessions = self.sessions_of(caller, user);
                sessions.into_iter().filter(|live| instance.is_none() || live.instance == *instance).collect()
            }
        }
    }
}

fn info(live: &Live) -> SessionInfo {
    SessionInfo {
        session: live.id(),
        user: live.user().user.clone(),
        instance: live.instance.clone(),
        client: live.client.clone(),
        peer: live.peer().clone(),
        connected: live.opened,
        last_active: Timestamp::now().minus(Moment::now().since(live.last_inbound())),
        rooms: live.rooms.lock().len() as u32,
        token_expires: live.life.lock().expires(),
    }
}
