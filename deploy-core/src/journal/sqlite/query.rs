//! The questions that are answered on the reading connections.

use rusqlite::{Connection, OptionalExtension, Row};

use super::column::{count, digest, limit, name, optional_name, signed};
use crate::digest::Digest;
use crate::journal::{Chain, ChainError, Head, RunEntry, Snapshot, Stored, Waiting, Which};
use crate::name::{InputId, OwnerName, RunId};
use crate::time::Timestamp;

/// The key of a run, if there is such a run.
pub(super) fn find(sql: &Connection, run: &RunId) -> rusqlite::Result<Option<i64>> {
    sql.prepare_cached("SELECT id FROM runs WHERE run = ?1")?.query_row([run.as_str()], |row| row.get(0)).optional()
}

/// Where the records of a run end.
pub(super) fn head(sql: &Connection, id: i64) -> rusqlite::Result<Head> {
    sql.prepare_cached("SELECT position, hash FROM records WHERE run = ?1 ORDER BY position DESC LIMIT 1")?
        .query_row([id], |row| Ok(Head { next: count(row, 0)? + 1, hash: digest(row, 1)? }))
        .optional()
        .map(|head| head.unwrap_or(Head { next: 0, hash: Digest::ZERO }))
}

/// The chain's hash before the record at `position`; nothing beyond the head.
pub(super) fn hash_at(sql: &Connection, id: i64, position: u64) -> rusqlite::Result<Option<Digest>> {
    match position.checked_sub(1) {
        None => Ok(Some(Digest::ZERO)),
        Some(last) => sql
            .prepare_cached("SELECT hash FROM records WHERE run = ?1 AND position = ?2")?
            .query_row((id, signed(last)), |row| digest(row, 0))
            .optional(),
    }
}

/// Records from a position on, each checked against the chain.
pub(super) fn read(
    sql: &Connection,
    id: i64,
    from: u64,
    at_most: usize,
) -> rusqlite::Result<Result<Vec<Stored>, ChainError>> {
    let before = hash_at(sql, id, from)?;
    let mut statement = sql.prepare_cached(
        "SELECT position, envelope, hash FROM records WHERE run = ?1 AND position >= ?2 ORDER BY position LIMIT ?3",
    )?;
    let mut rows = statement.query((id, signed(from), limit(at_most)))?;
    let mut chain = before.map(|hash| Chain::after(Head { next: from, hash }));
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = match row.get_ref(1)?.as_bytes_or_null() {
            Ok(Some(bytes)) => bytes.to_vec(),
            _ => Vec::new(),
        };
        let record = Stored { position: count(row, 0)?, bytes, hash: digest(row, 2)? };
        let linked = match chain.as_mut() {
            Some(chain) => chain.link(&record),
            // Records stand here although there is none before them.
            None => Err(ChainError::Gap { expected: from.saturating_sub(1), found: record.position }),
        };
        if let Err(broken) = linked {
            return Ok(Err(broken));
        }
        records.push(record);
    }
    Ok(Ok(records))
}

const ENTRY: &str = "SELECT runs.run, runs.service, runs.environment, runs.created,
        (SELECT coalesce(max(position) + 1, 0) FROM records WHERE records.run = runs.id),
        runs.outcome, runs.owner, owners.until, locks.holder IS NOT NULL, runs.waits
    FROM runs
    LEFT JOIN owners ON owners.owner = runs.owner
    LEFT JOIN locks
        ON locks.service = runs.service AND locks.environment = runs.environment AND locks.holder = runs.id";

fn read_entry(row: &Row<'_>) -> rusqlite::Result<RunEntry> {
    Ok(RunEntry {
        run: name(row, 0)?,
        service: name(row, 1)?,
        environment: name(row, 2)?,
        created: Timestamp(row.get(3)?),
        records: count(row, 4)?,
        outcome: row.get(5)?,
        owner: optional_name(row, 6)?,
        owned_until: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        holds_lock: row.get(8)?,
        waits: row.get(9)?,
    })
}

pub(super) fn entry(sql: &Connection, run: &RunId) -> rusqlite::Result<Option<RunEntry>> {
    sql.prepare_cached(&format!("{ENTRY} WHERE runs.run = ?1"))?.query_row([run.as_str()], read_entry).optional()
}

pub(super) fn list(
    sql: &Connection,
    which: Which,
    after: i64,
    at_most: usize,
    now: Timestamp,
) -> rusqlite::Result<Vec<RunEntry>> {
    let wanted = match which {
        Which::All => "?3 = ?3",
        Which::Unfinished => "runs.outcome IS NULL AND ?3 = ?3",
        // Both halves are answered by the index on the owners of unfinished runs.
        Which::Unowned => {
            "runs.outcome IS NULL
             AND (runs.owner IS NULL OR runs.owner IN (SELECT owner FROM owners WHERE until <= ?3))"
        }
    };
    sql.prepare_cached(&format!("{ENTRY} WHERE runs.id > ?1 AND {wanted} ORDER BY runs.id LIMIT ?2"))?
        .query_map((after, limit(at_most), now.0), read_entry)?
        .collect()
}

pub(super) fn inbox(sql: &Connection, owner: &OwnerName, after: u64, at_most: usize) -> rusqlite::Result<Vec<Waiting>> {
    sql.prepare_cached(
        "SELECT inputs.arrival, runs.run, inputs.body FROM inputs JOIN runs ON runs.id = inputs.run
         WHERE inputs.state = 'waits' AND inputs.arrival > ?2 AND runs.owner = ?1
         ORDER BY inputs.arrival LIMIT ?3",
    )?
    .query_map((owner.as_str(), signed(after), limit(at_most)), |row| {
        let body: String = row.get(2)?;
        let input = serde_json::from_str(&body)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into()))?;
        Ok(Waiting { arrival: count(row, 0)?, run: name(row, 1)?, input })
    })?
    .collect()
}

pub(super) fn was_taken(sql: &Connection, run: &RunId, input: &InputId) -> rusqlite::Result<bool> {
    sql.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM inputs JOIN runs ON runs.id = inputs.run
                        WHERE runs.run = ?1 AND inputs.input = ?2 AND inputs.state = 'taken')",
    )?
    .query_row((run.as_str(), input.as_str()), |row| row.get(0))
}

pub(super) fn blob(sql: &Connection, digest: &Digest) -> rusqlite::Result<Option<Vec<u8>>> {
    sql.prepare_cached("SELECT bytes FROM blobs WHERE digest = ?1")?
        .query_row([digest.as_bytes()], |row| row.get(0))
        .optional()
}

pub(super) fn snapshot(sql: &Connection, id: i64) -> rusqlite::Result<Option<Snapshot>> {
    sql.prepare_cached("SELECT position, hash, version, state FROM snapshots WHERE run = ?1")?
        .query_row([id], |row| {
            Ok(Snapshot { position: count(row, 0)?, hash: digest(row, 1)?, version: row.get(2)?, state: row.get(3)? })
        })
        .optional()
}
