//! Counts of a tenant.

use crate::domain::names::TenantId;
use crate::store::TenantFigures;

use super::super::engine::{Result, optional};
use super::super::readers::Reader;

const COUNTS: &str = "SELECT
    (SELECT count(*) FROM users WHERE tenant = t.id AND known_from IS NOT NULL),
    (SELECT count(*) FROM rooms WHERE tenant = t.id),
    (SELECT coalesce(sum(number), 0) FROM rooms WHERE tenant = t.id),
    (SELECT count(*) FROM broadcast WHERE tenant = t.id)
      + (SELECT count(*) FROM users u JOIN inbox i ON i.user = u.id WHERE u.tenant = t.id)
  FROM tenants t WHERE t.name = ?1";

const NUMBER: &str =
    "SELECT r.number FROM tenants t JOIN rooms r ON r.tenant = t.id WHERE t.name = ?1 AND r.name = ?2";

impl Reader {
    /// Counts of a tenant.
    pub(in super::super) fn tenant_figures(&mut self, tenant: &TenantId) -> Result<TenantFigures> {
        let unsettled = self.overlay.numbers(tenant);
        let counts = self.db.prepare_cached(COUNTS)?.query_row([tenant.as_str()], |row| {
            Ok(TenantFigures {
                users: row.get::<_, i64>(0)? as u64,
                rooms: row.get::<_, i64>(1)? as u64,
                messages: row.get::<_, i64>(2)? as u64,
                notifications: row.get::<_, i64>(3)? as u64,
            })
        });
        let mut figures: TenantFigures = optional(counts)?.unwrap_or_default();
        let mut number = self.db.prepare_cached(NUMBER)?;
        for (room, ahead) in unsettled {
            let home = number.query_row((tenant.as_str(), room.as_str()), |row| row.get::<_, i64>(0));
            // What went home after the overlay was looked at is counted there.
            figures.messages += ahead.saturating_sub(optional(home)?.unwrap_or_default() as u64);
        }
        Ok(figures)
    }
}
