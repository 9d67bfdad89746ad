//! Counts of a tenant.

use crate::domain::names::TenantId;
use crate::store::TenantFigures;

use super::super::engine::{Result, optional};
use super::super::readers::Reader;

impl Reader {
    /// How many users a tenant's directory knows, by an index of those alone.
    pub(in super::super) fn known_users(&mut self, tenant: &TenantId) -> Result<u64> {
        let mut statement = self.db.prepare_cached(
            "SELECT count(*) FROM users WHERE known_from IS NOT NULL AND tenant = (SELECT id FROM tenants WHERE name = ?1)",
        )?;
        Ok(statement.query_row([tenant.as_str()], |row| row.get::<_, i64>(0))? as u64)
    }

    /// What a tenant's rooms hold. The writer counts along, so nothing need be gone over.
    pub(in super::super) fn stored_bytes(&mut self, tenant: &TenantId) -> Result<u64> {
        let mut statement = self.db.prepare_cached("SELECT bytes FROM tenants WHERE name = ?1")?;
        let bytes = optional(statement.query_row([tenant.as_str()], |row| row.get::<_, i64>(0)))?;
        Ok(bytes.unwrap_or(0) as u64)
    }

    /// Counts of a tenant. Rooms whose end is not home yet count as far as they have got.
    pub(in super::super) fn tenant_figures(&mut self, tenant: &TenantId) -> Result<TenantFigures> {
        let unsettled = self.overlay.heads_of(tenant);
        let mut statement = self.db.prepare_cached("SELECT id FROM tenants WHERE name = ?1")?;
        let Some(id) = optional(statement.query_row([tenant.as_str()], |row| row.get::<_, i64>(0)))? else {
            return Ok(TenantFigures::default());
        };
        let count = |sql: &str| -> Result<u64> {
            Ok(self.db.prepare_cached(sql)?.query_row([id], |row| row.get::<_, i64>(0))? as u64)
        };
        let mut messages = count("SELECT coalesce(sum(number), 0) FROM rooms WHERE tenant = ?1")?;
        let mut settled =
            self.db.prepare_cached("SELECT number FROM rooms WHERE tenant = ?1 AND name = ?2")?;
        for (room, number) in unsettled {
            let home = optional(settled.query_row((id, room.as_str()), |row| row.get::<_, i64>(0)))?;
            messages += number.saturating_sub(home.unwrap_or(0) as u64);
        }
        let own = "SELECT count(*) FROM users u JOIN inbox i ON i.user = u.id WHERE u.tenant = ?1";
        Ok(TenantFigures {
            users: count("SELECT count(*) FROM users WHERE tenant = ?1 AND known_from IS NOT NULL")?,
            rooms: count("SELECT count(*) FROM rooms WHERE tenant = ?1")?,
            messages,
            notifications: count(own)? + count("SELECT count(*) FROM broadcast WHERE tenant = ?1")?,
        })
    }
}
