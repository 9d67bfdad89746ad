//! Tickets that are good on every node, on Redis.
//!
//! | key | is |
//! |---|---|
//! | `k/NAME` in its holder's partition | what a ticket speaks for, sealed so that only its bearer can open it, for as long as it is good |
//! | `u/TENANT/USER/tickets`, `s/TENANT/NAME/tickets` there | the names of a holder's tickets by their ends, see `ticket.lua`; TENANT is empty for a service of several |

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Script, cmd};

use super::{Inner, RedisRegistry, millis};
use crate::bus::port::BusError;
use crate::bus::registry::Asking;
use crate::bus::registry::tickets::{Holder, Keeping, SharedTickets, TicketKey};
use crate::redis::{Names, Partition};

static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../ticket.lua")));

impl Inner {
    async fn put_ticket(&self, holder: &Holder, ticket: &Keeping) -> Result<Option<Duration>, BusError> {
        let held = held_key(&self.names, holder);
        let Some(key) = ticket_key(&self.names, &ticket.key) else { return Err(BusError::Unavailable) };
        let mut call = PUT.key(&held);
        call.key(key).arg(&ticket.key.name).arg(&ticket.sealed);
        call.arg(millis(ticket.life).max(1)).arg(ticket.most);
        let full_for: u64 = self.ask(&held, &call).await?;
        Ok((full_for > 0).then(|| Duration::from_millis(full_for)))
    }

    /// `GETDEL` takes a ticket, `GET` looks at it.
    async fn ticket(&self, how: &'static str, key: &TicketKey) -> Result<Option<Vec<u8>>, BusError> {
        // A place that there is not has no tickets.
        let Some(key) = ticket_key(&self.names, key) else { return Ok(None) };
        let mut take = cmd(how);
        take.arg(&key);
        self.ask(&key, &take).await
    }

    async fn used_ticket(&self, holder: &Holder, key: &TicketKey) -> Result<(), BusError> {
        let held = held_key(&self.names, holder);
        let mut used = cmd("ZREM");
        used.arg(&held).arg(&key.name);
        self.ask(&held, &used).await
    }
}

impl SharedTickets for RedisRegistry {
    fn place(&self, holder: &Holder) -> u16 {
        partition(holder).number()
    }

    fn put(&self, holder: Holder, ticket: Keeping) -> Asking<Option<Duration>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.put_ticket(&holder, &ticket).await })
    }

    fn look(&self, key: TicketKey) -> Asking<Option<Vec<u8>>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.ticket("GET", &key).await })
    }

    fn take(&self, key: TicketKey) -> Asking<Option<Vec<u8>>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.ticket("GETDEL", &key).await })
    }

    fn used(&self, holder: Holder, key: TicketKey) -> Asking<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.used_ticket(&holder, &key).await })
    }
}

fn partition(holder: &Holder) -> Partition {
    match holder {
        Holder::User(user) => Partition::of_user(&user.tenant, &user.user),
        Holder::Service(tenant, name) => Partition::of_service(tenant.as_ref(), name),
    }
}

fn held_key(names: &Names, holder: &Holder) -> String {
    match holder {
        Holder::User(user) => format!("{}/tickets", names.user(user)),
        Holder::Service(tenant, name) => {
            let tenant = tenant.as_ref().map_or("", |tenant| tenant.as_str());
            format!("{}s/{tenant}/{name}/tickets", names.partition(partition(holder)))
        }
    }
}

/// `None` where there is no such place.
fn ticket_key(names: &Names, key: &TicketKey) -> Option<String> {
    let partition = Partition::from_number(key.place.into())?;
    Some(format!("{}k/{}", names.partition(partition), key.name))
}
