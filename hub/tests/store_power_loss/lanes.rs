//! Everything else that is acknowledged than messages. Each lane has a tenant of its own and asks for one thing after the
//! other, so that after a loss of power its state is what was acknowledged, with or without the one thing that was not.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use carillon_hub::domain::names::{RoomKey, RoomName, TenantId, UserId, UserKey};
use carillon_hub::domain::namespace::{NamespaceRules, Namespaces};
use carillon_hub::store::sqlite::{Options, SqliteStore};
use carillon_hub::store::{Home, Outcome, Store, Write};
use futures::StreamExt;
use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use crate::disk::{Disk, Random};
use crate::models::{Conversation, Erased, Inbox, Keyed, ToMany};
use crate::story::Ignored;
use crate::vfs;

const LIVES: u64 = 4;

/// What is asked of a store.
pub(crate) enum Ask {
    Commit(Outcome),
    Erase(UserKey),
}

impl Ask {
    /// Whether it was acknowledged.
    fn of(self, store: &SqliteStore) -> BoxFuture<'static, bool> {
        match self {
            Self::Commit(outcome) => {
                let committed = store.commit(outcome);
                Box::pin(async { committed.await.is_ok() })
            }
            Self::Erase(user) => {
                let erased = store.erase(&user);
                Box::pin(async { erased.await.is_ok() })
            }
        }
    }
}

/// What a lane's tenant holds, by what was asked or as a store reads.
pub(crate) trait Model: Clone + Debug + Default + PartialEq + 'static {
    type Step: Clone + Debug;

    fn next(&self, random: &mut Random) -> Self::Step;

    fn ask(&self, tenant: &Tenant, step: &Self::Step) -> Ask;

    fn apply(&mut self, step: &Self::Step);

    /// As the store has it. What cannot be after any step is an error.
    fn read(store: &SqliteStore, tenant: &Tenant) -> Result<Self, String>;

    /// Whether a step that was cut off may be done in part, and has to be asked for again.
    fn is_resumed(_step: &Self::Step) -> bool {
        false
    }
}

/// A lane's tenant.
#[derive(Clone)]
pub(crate) struct Tenant(TenantId);

impl Tenant {
    pub(crate) fn room(&self, name: &str) -> RoomKey {
        RoomKey { tenant: self.0.clone(), room: RoomName::parse(name).unwrap() }
    }

    pub(crate) fn user(&self, name: &str) -> UserKey {
        UserKey { tenant: self.0.clone(), user: user(name) }
    }

    pub(crate) fn outcome(&self, home: Home, actor: &str, writes: Vec<Write>) -> Outcome {
        Outcome {
            tenant: self.0.clone(),
            home,
            actor: user(actor),
            by_service: false,
            idempotency: None,
            conditions: Vec::new(),
            writes,
            effects: Vec::new(),
        }
    }

    pub(crate) fn in_room(&self, room: &str, actor: &str, writes: Vec<Write>) -> Ask {
        Ask::Commit(self.outcome(Home::Room(RoomName::parse(room).unwrap()), actor, writes))
    }
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// A lane, whatever it is of.
trait Lane {
    fn ask(&mut self, random: &mut Random) -> Ask;
    fn acknowledged(&mut self);
    fn verify(&mut self, store: &SqliteStore) -> Result<(), String>;
}

struct Of<M: Model> {
    tenant: Tenant,
    model: M,
    /// Asked for, and not acknowledged.
    pending: Option<M::Step>,
}

impl<M: Model> Of<M> {
    fn boxed(tenant: &str) -> Box<dyn Lane> {
        let tenant = Tenant(TenantId::parse(tenant).unwrap());
        Box::new(Self { tenant, model: M::default(), pending: None })
    }
}

impl<M: Model> Lane for Of<M> {
    fn ask(&mut self, random: &mut Random) -> Ask {
        let step = self.model.next(random);
        let ask = self.model.ask(&self.tenant, &step);
        self.pending = Some(step);
        ask
    }

    fn acknowledged(&mut self) {
        self.model.apply(&self.pending.take().unwrap());
    }

    fn verify(&mut self, store: &SqliteStore) -> Result<(), String> {
        let mut with_pending = self.model.clone();
        if let Some(step) = self.pending.take() {
            with_pending.apply(&step);
            if M::is_resumed(&step) {
                if !block_on(self.model.ask(&self.tenant, &step).of(store)) {
                    return Err(format!("{step:?} cannot be carried on"));
                }
                self.model = with_pending.clone();
            }
        }
        let found = M::read(store, &self.tenant)?;
        if found != self.model && found != with_pending {
            return Err(format!("acknowledged {:?}, perhaps {with_pending:?}, found {found:?}", self.model));
        }
        self.model = found;
        Ok(())
    }
}

/// Lives some lives on a disk of their own; gives how much was acknowledged and how often power was lost.
pub(crate) fn lives(ignores_syncs: bool, seed: u64) -> Result<(u64, u64), String> {
    let (disk, mut random) = (Arc::new(Disk::new(ignores_syncs)), Random(seed));
    let (vfs, folder) = (vfs::register(Arc::clone(&disk)), tempfile::tempdir().unwrap());
    let mut lanes = [
        Of::<Conversation>::boxed("conversation"),
        Of::<Inbox>::boxed("inbox"),
        Of::<ToMany>::boxed("to-many"),
        Of::<Keyed>::boxed("keyed"),
        Of::<Erased>::boxed("erased"),
    ];
    let (mut acknowledged, mut losses) = (0, 0);
    for life in 0..=LIVES {
        vfs::restart(vfs);
        let rules = ["room", "state"]
            .map(|name| NamespaceRules { latest_per_key: name == "state", ..NamespaceRules::closed(name) });
        let options = Options {
            unsettled: 24,
            idle: Duration::from_millis(3),
            readers: 1,
            vfs: Some(vfs),
            ..Options::new(folder.path(), Arc::new(Namespaces::new(rules.into())), Arc::new(Ignored))
        };
        let store = SqliteStore::open(&options).map_err(|error| format!("life {life}: {error}"))?;
        for lane in &mut lanes {
            lane.verify(&store).map_err(|violation| format!("life {life}: {violation}"))?;
        }
        if life == LIVES {
            break;
        }
        disk.lose_power_after(200 + random.below(6_000));
        acknowledged += live(&mut lanes, &store, &mut random);
        losses += u64::from(disk.is_off());
        drop(store);
        disk.restore_power(&mut random);
    }
    Ok((acknowledged, losses))
}

/// Lets each lane ask until the power goes.
fn live(lanes: &mut [Box<dyn Lane>], store: &SqliteStore, random: &mut Random) -> u64 {
    let asked = |lane: usize, ask: Ask| {
        let answer = ask.of(store);
        async move { (lane, answer.await) }
    };
    let mut acknowledged = 0;
    let first = lanes.iter_mut().enumerate().map(|(lane, of)| asked(lane, of.ask(random)));
    let mut pending: FuturesUnordered<_> = first.collect();
    while let Some((lane, is_acknowledged)) = block_on(pending.next()) {
        if is_acknowledged {
            acknowledged += 1;
            lanes[lane].acknowledged();
            pending.push(asked(lane, lanes[lane].ask(random)));
        }
    }
    acknowledged
}
