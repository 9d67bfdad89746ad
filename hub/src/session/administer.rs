//! What administrators see of sessions, and how they end them.

use crate::administration::commands::{
    Disconnect, DisconnectTarget, ListSessions, SessionInfo, SessionsListed,
};
use crate::domain::caller::Caller;
use crate::domain::cursor::{self, List};
use crate::domain::error::Refusal;
use crate::domain::names::{SessionId, UserKey};
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

    fn targets(&self, caller: &Caller, target: &DisconnectTarget) -> Vec<std::sync::Arc<Live>> {
        match target {
            DisconnectTarget::Session(id) => self
                .sessions
                .get(*id)
                .filter(|live| live.user().tenant == caller.tenant)
                .into_iter()
                .collect(),
            DisconnectTarget::User { user, instance } => {
                let user = UserKey { tenant: caller.tenant.clone(), user: user.clone() };
                let mailboxes = self.delivery.registry().sessions_of(&user);
                let sessions = mailboxes.iter().filter_map(|mailbox| self.sessions.get(mailbox.session()));
                sessions.filter(|live| instance.is_none() || live.instance == *instance).collect()
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
        connected: live.opened,
        last_active: Timestamp::now().minus(Moment::now().since(live.last_inbound())),
        rooms: live.rooms.lock().len() as u32,
        token_expires: live.life.lock().expires(),
    }
}
