//! The receiver of effects: one SQLite database of its own, which counts effects by key and refuses older fences.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use deploy_core::effect::{EffectKey, Fence};
use deploy_core::target::TargetState;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS effects (
        id INTEGER PRIMARY KEY, resource TEXT, key TEXT, epoch INTEGER, seq INTEGER, content TEXT, accepted INTEGER);
    CREATE INDEX IF NOT EXISTS effects_by_key ON effects (key);
    CREATE TABLE IF NOT EXISTS calls (key TEXT, epoch INTEGER, seq INTEGER);
    CREATE TABLE IF NOT EXISTS cancelled (key TEXT);
    CREATE TABLE IF NOT EXISTS remarks (text TEXT);
    CREATE TABLE IF NOT EXISTS place (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), state TEXT);
";

/// What the world outside has received. It knows nothing of the journal.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(Arc<Mutex<Connection>>);

/// One effect as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) key: String,
    pub(crate) fence: Fence,
    pub(crate) content: String,
    pub(crate) accepted: bool,
}

fn small(number: u64) -> i64 {
    i64::try_from(number).expect("a small number")
}

fn back(number: i64) -> u64 {
    u64::try_from(number).expect("not negative")
}

impl Ledger {
    pub(crate) fn in_memory() -> Self {
        Self::of(Connection::open_in_memory().expect("memory"))
    }

    /// A ledger that several processes share. It survives the killing of any of them, which is all that is asked of it.
    pub(crate) fn open(path: &Path) -> Self {
        let sql = Connection::open(path).expect("a file");
        sql.busy_timeout(Duration::from_secs(30)).expect("a wait");
        sql.pragma_update(None, "journal_mode", "WAL").expect("a log");
        sql.pragma_update(None, "synchronous", "OFF").expect("speed");
        Self::of(sql)
    }

    fn of(sql: Connection) -> Self {
        sql.execute_batch(LAYOUT).expect("a layout");
        Self(Arc::new(Mutex::new(sql)))
    }

    fn sql(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().expect("not poisoned")
    }

    /// An agent was asked to perform this.
    pub(crate) fn called(&self, key: &EffectKey, fence: Fence) {
        let values = params![key.to_string(), small(fence.epoch), small(fence.seq)];
        self.sql().execute("INSERT INTO calls VALUES (?1, ?2, ?3)", values).expect("a note");
    }

    /// Long work is to end early.
    pub(crate) fn cancel(&self, key: &EffectKey) {
        self.sql().execute("INSERT INTO cancelled VALUES (?1)", [key.to_string()]).expect("a note");
    }

    pub(crate) fn is_cancelled(&self, key: &EffectKey) -> bool {
        let count = "SELECT count(*) FROM cancelled WHERE key = ?1";
        self.sql().query_row(count, [key.to_string()], |row| row.get::<_, i64>(0)).expect("readable") > 0
    }

    /// Something that must not be was seen.
    pub(crate) fn remark(&self, text: &str) {
        self.sql().execute("INSERT INTO remarks VALUES (?1)", [text]).expect("a note");
    }

    /// An effect arrives. It is refused if the receiver has seen a newer epoch, or the resource a newer fence.
    pub(crate) fn effect(&self, key: &EffectKey, fence: Fence, content: &str) -> Result<(), Fence> {
        let mut sql = self.sql();
        let part = sql.transaction_with_behavior(TransactionBehavior::Immediate).expect("a transaction");
        let newest = "SELECT epoch, seq FROM effects WHERE accepted = 1 AND (epoch > ?2 OR (resource = ?1 AND \
                      epoch = ?2 AND seq > ?3)) ORDER BY epoch DESC, seq DESC LIMIT 1";
        let resource = key.step.as_str();
        let seen = part
            .query_row(newest, params![resource, small(fence.epoch), small(fence.seq)], |row| {
                Ok(Fence { epoch: back(row.get(0)?), seq: back(row.get(1)?) })
            })
            .optional()
            .expect("readable");
        let values = params![
            resource,
            key.to_string(),
            small(fence.epoch),
            small(fence.seq),
            content,
            i64::from(seen.is_none())
        ];
        part.execute(
            "INSERT INTO effects (resource, key, epoch, seq, content, accepted) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values,
        )
        .expect("a note");
        part.commit().expect("kept");
        seen.map_or(Ok(()), Err)
    }

    /// How often the effect of this key was accepted.
    pub(crate) fn times(&self, key: &EffectKey) -> u64 {
        let count = "SELECT count(*) FROM effects WHERE key = ?1 AND accepted = 1";
        back(self.sql().query_row(count, [key.to_string()], |row| row.get(0)).expect("readable"))
    }

    /// Every effect in the order of arrival.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        let sql = self.sql();
        let mut all =
            sql.prepare("SELECT key, epoch, seq, content, accepted FROM effects ORDER BY id").expect("a question");
        let rows = all.query_map([], |row| {
            Ok(Effect {
                key: row.get(0)?,
                fence: Fence { epoch: back(row.get(1)?), seq: back(row.get(2)?) },
                content: row.get(3)?,
                accepted: row.get::<_, i64>(4)? == 1,
            })
        });
        rows.expect("readable").map(|row| row.expect("an effect")).collect()
    }

    /// The keys that agents were asked to perform, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.texts("SELECT key FROM calls ORDER BY rowid")
    }

    pub(crate) fn remarks(&self) -> Vec<String> {
        self.texts("SELECT text FROM remarks ORDER BY rowid")
    }

    fn texts(&self, question: &str) -> Vec<String> {
        let sql = self.sql();
        let mut all = sql.prepare(question).expect("a question");
        let rows = all.query_map([], |row| row.get(0)).expect("readable");
        rows.map(|row| row.expect("a text")).collect()
    }

    pub(crate) fn place(&self) -> Option<TargetState> {
        let text: Option<String> =
            self.sql().query_row("SELECT state FROM place", [], |row| row.get(0)).optional().expect("readable");
        text.map(|text| serde_json::from_str(&text).expect("a state"))
    }

    pub(crate) fn set_place(&self, state: &TargetState) {
        let text = serde_json::to_string(state).expect("JSON");
        self.sql().execute("INSERT OR REPLACE INTO place VALUES (1, ?1)", [text]).expect("kept");
    }
}
