//! Revocations: few rows, written one transaction each or in the group of others, all read at the start.

use std::time::Duration;

use rusqlite::{Connection, Row, ToSql};

use crate::domain::names::{TenantId, UserId};
use crate::domain::revocation::{Revocation, Revoked, Scope, TokenId};
use crate::domain::time::Timestamp;
use crate::store::{Change, RevocationPage};

use super::engine::{EngineError, Result, optional};
use super::readers::Reader;
use super::state::State;

const TOKEN: i64 = 1;
const USER: i64 = 2;
const SERVICE: i64 = 3;
const EVERYBODY: i64 = 4;

impl State {
    /// Writes a revocation, behind all others. Of two of the same the later instant stays.
    pub(super) fn revoke(&mut self, db: &Connection, revocation: Revocation) -> Result<()> {
        let tenant = match &revocation.scope {
            Scope::Everywhere => "",
            Scope::Tenant(tenant) => tenant.as_str(),
        };
        let (kind, subject, until): (i64, &dyn ToSql, Timestamp) = match &revocation.what {
            Revoked::Token { id, ends } => (TOKEN, &id.0, *ends),
            Revoked::User { user, before } => (USER, &user.as_str(), *before),
            Revoked::Service { name, before } => (SERVICE, &name.as_str(), *before),
            Revoked::Everybody { before } => (EVERYBODY, &"", *before),
        };
        let mut old = db.prepare_cached(
            "DELETE FROM revocations WHERE tenant = ?1 AND kind = ?2 AND subject = ?3 RETURNING until",
        )?;
        let old = optional(old.query_row((tenant, kind, subject), |row| row.get::<_, i64>(0)))?;
        let until = old.map_or(until.millis(), |old| old.max(until.millis()));
        db.prepare_cached("INSERT INTO revocations(tenant, kind, subject, until) VALUES(?1, ?2, ?3, ?4)")?
            .execute((tenant, kind, subject, until))?;
        self.wrote = true;
        self.changes.push(Change::Revoked(revocation));
        Ok(())
    }
}

/// Removes up to `most` revocations of tokens that have ended, and as many of those that reach none any more, `kept` after their
/// instant. Whether there may be more.
pub(super) fn remove_ended(
    db: &Connection,
    now: Timestamp,
    kept: Option<Duration>,
    most: usize,
) -> Result<bool> {
    let mut tokens = db.prepare_cached(
        "DELETE FROM revocations WHERE seq IN
         (SELECT seq FROM revocations WHERE kind = 1 AND until <= ?1 ORDER BY until LIMIT ?2)",
    )?;
    let more = tokens.execute((now.millis(), most as i64))? == most;
    let Some(kept) = kept else { return Ok(more) };
    let mut instants = db.prepare_cached(
        "DELETE FROM revocations WHERE seq IN
         (SELECT seq FROM revocations WHERE kind > 1 AND until <= ?1 ORDER BY until LIMIT ?2)",
    )?;
    Ok(instants.execute((now.minus(kept).millis(), most as i64))? == most || more)
}

impl Reader {
    /// A page of all revocations, in the order in which they were made.
    pub(super) fn revocations(&mut self, after: u64, most: u32) -> Result<RevocationPage> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq, tenant, kind, subject, until FROM revocations WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut rows = statement.query((after as i64, most))?;
        let mut page = RevocationPage { revocations: Vec::new(), last: after, more: false };
        while let Some(row) = rows.next()? {
            page.last = row.get::<_, i64>(0)? as u64;
            page.revocations.push(read(row)?);
        }
        page.more = page.revocations.len() == most as usize;
        Ok(page)
    }
}

fn read(row: &Row<'_>) -> Result<Revocation> {
    let damaged = |_| EngineError::Damaged("a revocation");
    let tenant: String = row.get(1)?;
    let scope = if tenant.is_empty() {
        Scope::Everywhere
    } else {
        Scope::Tenant(TenantId::parse(&tenant).map_err(damaged)?)
    };
    let until = Timestamp(row.get(4)?);
    let name = || -> Result<UserId> { UserId::parse(&row.get::<_, String>(3)?).map_err(damaged) };
    let what = match row.get::<_, i64>(2)? {
        TOKEN => Revoked::Token { id: TokenId(row.get(3)?), ends: until },
        USER => Revoked::User { user: name()?, before: until },
        SERVICE => Revoked::Service { name: name()?, before: until },
        EVERYBODY => Revoked::Everybody { before: until },
        _ => return Err(EngineError::Damaged("a revocation of an unknown kind")),
    };
    Ok(Revocation { scope, what })
}
