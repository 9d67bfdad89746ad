//! Whether each table and index can be read at all: the way to its first row is gone, as far as it is there. What lies deeper
//! is read when it is asked for: to read all of it would take as long as the database is large.

use rusqlite::Connection;

use super::engine::{EngineError, Result};
use super::schema;

/// Fails where a table is missing, or where the first page of a table or index is damaged.
pub(super) fn probe(db: &Connection) -> Result<()> {
    let mut schema = db.prepare("SELECT name, tbl_name, sql, type FROM sqlite_schema WHERE rootpage > 0")?;
    let mut found = schema.query([])?;
    let mut tables = Vec::new();
    while let Some(row) = found.next()? {
        let (name, table): (String, String) = (row.get(0)?, row.get(1)?);
        let (sql, kind): (Option<String>, String) = (row.get(2)?, row.get(3)?);
        let first = if kind == "index" {
            // One of some rows is used for those alone.
            let only = sql.as_deref().and_then(|sql| sql.split_once(" WHERE ")).map_or("1", |(_, only)| only);
            format!("SELECT 1 FROM \"{table}\" INDEXED BY \"{name}\" WHERE {only} LIMIT 1")
        } else {
            // All columns: what some of them can tell is read from an index where there is one.
            format!("SELECT * FROM \"{table}\" NOT INDEXED LIMIT 1")
        };
        db.prepare(&first)?.query([])?.next()?;
        tables.push(name);
    }
    if schema::TABLES.iter().any(|table| !tables.iter().any(|found| found == table)) {
        return Err(EngineError::Damaged("a table is missing"));
    }
    Ok(())
}
