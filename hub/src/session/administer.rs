//! What administrators see of sessions, and how they end them: on all nodes.

use std::sync::Arc;

use bytes::Bytes;

use crate::administration::commands::{
    Disconnect, DisconnectTarget, ListSessions, SessionInfo, SessionsListed, UserLevels,
};
use crate::bus::wire::Malformed;
use crate::domain::caller::Caller;
use crate::domain::cursor::{self, List};
use crate::domain::error::{ErrorCode, Refusal};
use crate::domain::names::{SessionId, TenantId, UserId, UserKey};
use crate::domain::time::{Moment, Timestamp};

use super::live::Live;
use super::questions::{self, CommandLevels, Page, Question};
use super::services::Services;

impl Services {
    /// A page of the tenant's sessions on all nodes, in order of their ids.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        list: &ListSessions,
    ) -> Result<SessionsListed, Refusal> {
        let scope = list.user.as_ref().map_or("", |user| user.as_str());
        let after = cursor::read(List::AdminSessions, &caller.key(), scope, &list.cursor)?;
        let after = after.map(SessionId::parse).transpose()?;
        let mut page = self.page(&caller.tenant, list.user.as_ref(), after, list.limit);
        let question = Question::List(list.user.clone(), after, list.limit);
        let (others, silent_nodes) = self.ask_others(&caller.tenant, &question, Page::decode).await?;
        for other in others {
            page.more |= other.more;
            page.sessions.extend(other.sessions);
        }
        page.sessions.sort_unstable_by_key(|info| info.session);
        page.more |= page.sessions.len() > list.limit as usize;
        page.sessions.truncate(list.limit as usize);
        let last = page.sessions.last().filter(|_| page.more);
        let next = last
            .map(|info| cursor::write(List::AdminSessions, &caller.key(), scope, &info.session.to_string()));
        Ok(SessionsListed { next: next.unwrap_or_default(), sessions: page.sessions, silent_nodes })
    }

    /// Ends sessions of the caller's tenant, on all nodes. How many. `UNAVAILABLE` where a node does not answer: what there is
    /// elsewhere was ended.
    pub async fn disconnect_sessions(&self, caller: &Caller, disconnect: Disconnect) -> Result<u32, Refusal> {
        let ended = self.disconnect(&caller.tenant, &disconnect);
        let question = Question::Disconnect(disconnect);
        let others = self.ask_all_others(&caller.tenant, &question, questions::decode_count).await?;
        Ok(ended + others.into_iter().sum::<u32>())
    }

    /// How full the buckets are of a user of the caller's tenant: those of commands on this node, those that nodes share, and
    /// those of the user's sessions on all of them; `None` for the bucket of all that the tenant sends. `UNAVAILABLE` where a node
    /// does not answer.
    pub async fn levels(&self, caller: &Caller, user: Option<UserId>) -> Result<UserLevels, Refusal> {
        let tenant = &caller.tenant;
        let Some(user) = &user else {
            let kinds = self.tenant_level(tenant).await?.into_iter().collect();
            return Ok(UserLevels { kinds, sessions: Vec::new() });
        };
        let mut kinds = self.limits.limiter.levels(Some(tenant), user, Moment::now());
        // What one does in other tenants is not for those of this one to see.
        if caller.cross_tenant {
            kinds.extend(self.limits.limiter.levels(None, user, Moment::now()));
        }
        kinds.extend(self.shared_levels(tenant, user).await?);
        let mut sessions = self.command_levels(tenant, user);
        let question = Question::Levels(user.clone());
        let others = self.ask_all_others(tenant, &question, questions::decode_levels).await?;
        sessions.extend(others.into_iter().flatten());
        Ok(UserLevels { kinds, sessions })
    }

    /// Fills them, on all nodes. How many were not full. `UNAVAILABLE` where a node does not answer: the others' were filled.
    pub async fn reset_limits(&self, caller: &Caller, user: Option<UserId>) -> Result<u32, Refusal> {
        let tenant = &caller.tenant;
        let everywhere = caller.cross_tenant;
        let mut reset = self.reset(tenant, user.as_ref(), everywhere);
        reset += self.reset_shared(tenant, user.as_ref()).await?;
        let question = Question::Reset(user, everywhere);
        reset +=
            self.ask_all_others(tenant, &question, questions::decode_count).await?.into_iter().sum::<u32>();
        Ok(reset)
    }

    /// What this node answers to another's question; `None` where it is not understood.
    pub fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let (tenant, question) = Question::decode(question).ok()?;
        Some(match question {
            Question::List(user, after, limit) => self.page(&tenant, user.as_ref(), after, limit).encode(),
            Question::Disconnect(disconnect) => {
                questions::encode_count(self.disconnect(&tenant, &disconnect))
            }
            Question::Levels(user) => questions::encode_levels(&self.command_levels(&tenant, &user)),
            Question::Reset(user, everywhere) => {
                questions::encode_count(self.reset(&tenant, user.as_ref(), everywhere))
            }
        })
    }

    /// Asks the other nodes. What they answer, and how many did not.
    async fn ask_others<T>(
        &self,
        tenant: &TenantId,
        question: &Question,
        read: impl Fn(&Bytes) -> Result<T, Malformed>,
    ) -> Result<(Vec<T>, u32), Refusal> {
        let (Some(feed), Some(shared)) = (self.delivery.feed(), &self.shared) else {
            return Ok((Vec::new(), 0));
        };
        // This one is among them, unless its own lease has ended.
        let mut nodes = shared.nodes().await.map_err(|_| ErrorCode::Unavailable)?;
        nodes.retain(|node| *node != feed.node());
        let answers = feed.ask(&question.encode(tenant), &nodes).await.map_err(|_| ErrorCode::Unavailable)?;
        let answers: Vec<_> = answers.iter().filter_map(|(_, answer)| read(answer).ok()).collect();
        let silent = nodes.len().saturating_sub(answers.len()) as u32;
        Ok((answers, silent))
    }

    /// The same, where all must answer.
    async fn ask_all_others<T>(
        &self,
        tenant: &TenantId,
        question: &Question,
        read: impl Fn(&Bytes) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Refusal> {
        match self.ask_others(tenant, question, read).await? {
            (answers, 0) => Ok(answers),
            _ => Err(ErrorCode::Unavailable.into()),
        }
    }

    /// A page of this node's sessions.
    fn page(&self, tenant: &TenantId, user: Option<&UserId>, after: Option<SessionId>, limit: u32) -> Page {
        let mut sessions: Vec<_> = self.sessions.all();
        sessions.retain(|live| {
            live.user().tenant == *tenant
                && user.is_none_or(|user| live.user().user == *user)
                && after.is_none_or(|after| live.id() > after)
        });
        sessions.sort_unstable_by_key(|live| live.id());
        let more = sessions.len() > limit as usize;
        sessions.truncate(limit as usize);
        Page { sessions: sessions.iter().map(|live| info(live)).collect(), more }
    }

    fn disconnect(&self, tenant: &TenantId, disconnect: &Disconnect) -> u32 {
        let targets = self.targets(tenant, &disconnect.target);
        for live in &targets {
            live.close(disconnect.code);
        }
        targets.len() as u32
    }

    fn command_levels(&self, tenant: &TenantId, user: &UserId) -> CommandLevels {
        let (Some(rate), now) = (self.limits.commands, Moment::now()) else { return Vec::new() };
        let level = |live: &Arc<Live>| (live.id(), live.commands.lock().level(rate, now), rate.burst);
        self.sessions_of(tenant, user).iter().map(level).collect()
    }

    /// `everywhere` says whether that of a service for several tenants is filled too, which is none of this tenant's alone.
    fn reset(&self, tenant: &TenantId, user: Option<&UserId>, everywhere: bool) -> u32 {
        let now = Moment::now();
        let Some(user) = user else { return self.limits.limiter.reset_tenant(tenant, now) };
        let limiter = &self.limits.limiter;
        let mut reset = limiter.reset(Some(tenant), user, now);
        if everywhere {
            reset += limiter.reset(None, user, now);
        }
        reset += self.upkeep.spent.fill(&UserKey { tenant: tenant.clone(), user: user.clone() }, now);
        for live in self.sessions_of(tenant, user) {
            let bucket = std::mem::take(&mut *live.commands.lock());
            reset += u32::from(!bucket.is_full(now));
        }
        reset
    }

    fn sessions_of(&self, tenant: &TenantId, user: &UserId) -> Vec<Arc<Live>> {
        let user = UserKey { tenant: tenant.clone(), user: user.clone() };
        let mailboxes = self.delivery.registry().sessions_of(&user);
        mailboxes.iter().filter_map(|mailbox| self.sessions.get(mailbox.session())).collect()
    }

    fn targets(&self, tenant: &TenantId, target: &DisconnectTarget) -> Vec<Arc<Live>> {
        match target {
            DisconnectTarget::Session(id) => {
                self.sessions.get(*id).filter(|live| live.user().tenant == *tenant).into_iter().collect()
            }
            DisconnectTarget::User { user, instance } => {
                let sessions = self.sessions_of(tenant, user);
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
