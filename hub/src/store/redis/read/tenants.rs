//! Reads of what a tenant has. Rooms are listed partition by partition: administrators wait for that, nobody else.

use redis::Value;

use crate::domain::names::{RoomKey, RoomName, TenantId};
use crate::domain::room::Room;
use crate::redis::Partition;
use crate::store::filling::Filling;
use crate::store::{PageBound, RoomPage, StoreError, TenantFigures};

use super::super::answer::{Answer, damaged, number};
use super::super::call::Call;
use super::super::script;
use super::super::shared::Shared;
use super::rooms::room;

/// The tenant's rooms whose names begin with `prefix`.
pub(in super::super) async fn rooms(
    shared: &Shared,
    tenant: &TenantId,
    prefix: &str,
    after: Option<&RoomName>,
    bound: PageBound,
) -> Result<RoomPage<Room>, StoreError> {
    let begin = match after {
        Some(after) if after.as_str() >= prefix => format!("({after}"),
        _ => format!("[{prefix}"),
    };
    let most = bound.items.saturating_add(1);
    let listed = shared.ask_partitions(|names, pipeline| {
        let command = pipeline.cmd("ZRANGEBYLEX").arg(format!("{names}names/{tenant}")).arg(&begin);
        command.arg(format!("({prefix}\u{7f}")).arg("LIMIT").arg(0).arg(most);
    });
    let mut names = Vec::new();
    for (_, value) in listed.await? {
        for name in Answer::new(value).all_bytes()? {
            let name = RoomName::parse(&String::from_utf8_lossy(&name)).map_err(|_| damaged("room"))?;
            names.push(name);
        }
    }
    names.sort_unstable();
    names.truncate(most as usize);
    let mut page = Filling::new(bound);
    for name in names {
        let Some(room) = room(shared, &RoomKey { tenant: tenant.clone(), room: name }).await? else {
            continue;
        };
        let size = room.size();
        if !page.take(room, size) {
            break;
        }
    }
    let next = page.items.last().filter(|_| page.full).map(|room| room.room.clone());
    Ok(RoomPage { rooms: page.items, next })
}

/// How many users the directory knows.
pub(in super::super) async fn known_users(shared: &Shared, tenant: &TenantId) -> Result<u64, StoreError> {
    let mut command = redis::cmd("HLEN");
    command.arg(format!("{}/d", shared.names.tenant(tenant)));
    number(&shared.send(&command).await?).map(i64::cast_unsigned)
}

/// Counts of a tenant.
pub(in super::super) async fn tenant_figures(
    shared: &Shared,
    tenant: &TenantId,
) -> Result<TenantFigures, StoreError> {
    let mut figures = TenantFigures { users: known_users(shared, tenant).await?, ..TenantFigures::default() };
    let rooms = shared.ask_partitions(|names, pipeline| {
        pipeline.cmd("ZCARD").arg(format!("{names}names/{tenant}"));
    });
    for (_, value) in rooms.await? {
        figures.rooms += number(&value)?.cast_unsigned();
    }
    let counts = shared.ask_partitions(|names, pipeline| {
        pipeline.cmd("HMGET").arg(format!("{names}count/{tenant}")).arg("notices");
    });
    for (_, value) in counts.await? {
        figures.notifications += Answer::new(value).count()?;
    }
    for partition in Partition::all() {
        let call = Call::new(&script::MESSAGES, shared, partition).arg(tenant.as_str());
        figures.messages += call.ask(shared).await?.count()?;
    }
    let mut command = redis::cmd("ZCARD");
    command.arg(format!("{}/z", shared.names.tenant(tenant)));
    let broadcasts: Value = shared.send(&command).await?;
    figures.notifications += number(&broadcasts)?.cast_unsigned();
    Ok(figures)
}
