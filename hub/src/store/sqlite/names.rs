//! Tenants and users as integers: the writer's cache of the tables that hold them.

use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::domain::names::{TenantId, UserId};

use super::engine::{EngineError, Result, optional};

/// Users that the cache holds; past that it starts afresh. About 150 bytes each.
const CACHED: usize = 500_000;

/// A user as the writer knows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct UserRow {
    /// The interned id.
    pub(super) id: i64,
    /// Whether the tenant's directory has them.
    pub(super) known: bool,
}

/// The cache. What is interned is never renamed or removed.
#[derive(Default)]
pub(super) struct Names {
    tenants: FxHashMap<TenantId, i64>,
    users: FxHashMap<(i64, UserId), UserRow>,
    by_id: FxHashMap<i64, UserId>,
}

impl Names {
    /// Keeps the cache bounded. Called between groups.
    pub(super) fn shrink(&mut self) {
        if self.users.len() > CACHED || self.by_id.len() > CACHED {
            self.users = FxHashMap::default();
            self.by_id = FxHashMap::default();
        }
    }

    /// A tenant's id; `None` where nothing was ever written for it.
    pub(super) fn find_tenant(&mut self, db: &Connection, tenant: &TenantId) -> Result<Option<i64>> {
        if let Some(id) = self.tenants.get(tenant) {
            return Ok(Some(*id));
        }
        let mut statement = db.prepare_cached("SELECT id FROM tenants WHERE name = ?1")?;
        let found = optional(statement.query_row([tenant.as_str()], |row| row.get(0)))?;
        if let Some(id) = found {
            self.tenants.insert(tenant.clone(), id);
        }
        Ok(found)
    }

    /// A tenant's id, interned where it is new.
    pub(super) fn tenant(&mut self, db: &Connection, tenant: &TenantId) -> Result<i64> {
        if let Some(id) = self.find_tenant(db, tenant)? {
            return Ok(id);
        }
        db.prepare_cached("INSERT INTO tenants(name) VALUES(?1)")?.execute([tenant.as_str()])?;
        let id = db.last_insert_rowid();
        self.tenants.insert(tenant.clone(), id);
        Ok(id)
    }

    /// A user; `None` where they were never interned.
    pub(super) fn find_user(
        &mut self,
        db: &Connection,
        tenant: i64,
        user: &UserId,
    ) -> Result<Option<UserRow>> {
        let key = (tenant, user.clone());
        if let Some(row) = self.users.get(&key) {
            return Ok(Some(*row));
        }
        let mut statement = db
            .prepare_cached("SELECT id, known_from IS NOT NULL FROM users WHERE tenant = ?1 AND name = ?2")?;
        let found =
            optional(statement.query_row((tenant, user.as_str()), |row| {
                Ok(UserRow { id: row.get(0)?, known: row.get(1)? })
            }))?;
        if let Some(row) = found {
            self.users.insert(key, row);
        }
        Ok(found)
    }

    /// A user, interned where they are new.
    pub(super) fn user(&mut self, db: &Connection, tenant: i64, user: &UserId) -> Result<UserRow> {
        if let Some(row) = self.find_user(db, tenant, user)? {
            return Ok(row);
        }
        db.prepare_cached("INSERT INTO users(tenant, name) VALUES(?1, ?2)")?
            .execute((tenant, user.as_str()))?;
        let row = UserRow { id: db.last_insert_rowid(), known: false };
        self.users.insert((tenant, user.clone()), row);
        Ok(row)
    }

    /// Forgets what is cached of a user, after their row changed.
    pub(super) fn forget(&mut self, tenant: i64, user: &UserId) {
        self.users.remove(&(tenant, user.clone()));
    }

    /// The name of an interned user.
    pub(super) fn name(&mut self, db: &Connection, id: i64) -> Result<UserId> {
        name_of(&mut self.by_id, db, id)
    }
}

/// The name of an interned user, through a cache.
pub(super) fn name_of(cache: &mut FxHashMap<i64, UserId>, db: &Connection, id: i64) -> Result<UserId> {
    if let Some(name) = cache.get(&id) {
        return Ok(name.clone());
    }
    let text: String =
        db.prepare_cached("SELECT name FROM users WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
    let name = UserId::parse(&text).map_err(|_| EngineError::Damaged("user"))?;
    cache.insert(id, name.clone());
    Ok(name)
}
