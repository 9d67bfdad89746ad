//! Where chains of audit lines stood: few rows, noted before the group's outcomes.

use rusqlite::Connection;

use crate::domain::audit::{ChainHead, ChainId, Seal};
use crate::domain::time::Timestamp;

use super::engine::Result;
use super::readers::Reader;
use super::state::State;

const HOUR_MS: i64 = 3_600_000;

/// Heads that are kept, of all chains.
const KEPT: i64 = 10_000;

impl State {
    /// Notes a head instead of the others of its hour; when an hour begins the oldest go.
    pub(super) fn anchor_audit(&mut self, db: &Connection, head: ChainHead) -> Result<()> {
        let (chain, seq, time) = (head.chain.0.cast_signed(), head.seq as i64, head.time.millis());
        let replaced = db
            .prepare_cached("DELETE FROM audit_heads WHERE chain = ?1 AND time / ?2 = ?3 / ?2 AND seq <= ?4")?
            .execute((chain, HOUR_MS, time, seq))?;
        db.prepare_cached(
            "INSERT OR REPLACE INTO audit_heads(chain, seq, seal, time) VALUES(?1, ?2, ?3, ?4)",
        )?
        .execute((chain, seq, head.seal.0, time))?;
        if replaced == 0 {
            db.prepare_cached(
                "DELETE FROM audit_heads WHERE time <
                 (SELECT time FROM audit_heads ORDER BY time DESC LIMIT 1 OFFSET ?1)",
            )?
            .execute([KEPT - 1])?;
        }
        self.wrote = true;
        Ok(())
    }
}

impl Reader {
    /// What was noted, the oldest first.
    pub(super) fn audit_heads(&mut self) -> Result<Vec<ChainHead>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT chain, seq, seal, time FROM audit_heads ORDER BY time, chain, seq")?;
        let heads = statement.query_map((), |row| {
            Ok(ChainHead {
                chain: ChainId(row.get::<_, i64>(0)?.cast_unsigned()),
                seq: row.get::<_, i64>(1)? as u64,
                seal: Seal(row.get(2)?),
                time: Timestamp(row.get(3)?),
            })
        })?;
        Ok(heads.collect::<std::result::Result<_, _>>()?)
    }
}
