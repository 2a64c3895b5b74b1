//! PostgreSQL, through its own client `psql`.

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::agent::Cancellation;
use deploy_core::time::{Spell, millis};

use super::database::{AppliedMigration, Database, DatabaseError, MigrationScript, MigrationWork};
use crate::process::{CommandLine, Ended, run};

/// How much of each of the client's streams is kept, in bytes: more than the table of a thousand migrations.
const KEPT: usize = 1024 * 1024;
/// How long a statement may be waited for beyond its own limit before the client is ended.
const SLACK: Duration = Duration::from_secs(10);
/// Marks the message by which a script of ours says how many rows would be lost.
const WOULD_LOSE: &str = "deploy-would-lose";

/// A PostgreSQL database, through its own client `psql`: it brings every way of signing in that the server knows, and no crate.
///
/// The command line says how to connect, by the client's variables: `PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`, and `PGPASSWORD`
/// as a secret. Scripts are read from its standard input, so that they are in no list of processes, and are executed by the server
/// out of a literal: a line that begins with a backslash is no command to the client, which could run programs, and a script
/// that would commit is refused. What cannot run in a transaction, such as `create index concurrently`, is for another agent.
///
/// The table of migrations is `deploy_migrations` in the first schema of the search path.
///
/// ```
/// use deploy_agents::agents::Psql;
/// use deploy_agents::process::CommandLine;
///
/// let line = CommandLine::new("psql").env("PGHOST", "db").env("PGUSER", "migrator").env("PGDATABASE", "orders");
/// let orders = Psql::new("orders", line.secret_env("PGPASSWORD", "hunter2"));
/// ```
#[derive(Debug, Clone)]
pub struct Psql {
    name: String,
    line: CommandLine,
    table: String,
}

impl Psql {
    /// The database to which `line` connects, called `name` in reports.
    #[must_use]
    pub fn new(name: impl Into<String>, line: CommandLine) -> Self {
        Self { name: name.into(), line, table: "deploy_migrations".to_owned() }
    }

    /// The same with another table of migrations.
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// Lets the client read `sql`, and gives back what it wrote.
    async fn ask(&self, sql: &str, within: Duration) -> Result<String, DatabaseError> {
        let database = self.name.clone();
        // No file of the user's, no question for a password, the first error ends it, and errors come with their code.
        let flags = [
            "-X",
            "-w",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            "VERBOSITY=verbose",
            "-F",
            "\u{1f}",
            "-f",
            "-",
        ];
        let line = self
            .line
            .clone()
            .args(flags)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("LC_ALL", "C")
            .env("PGCLIENTENCODING", "UTF8");
        let ran = run(&line, sql.as_bytes(), KEPT, within, &Cancellation::never()).await;
        let ran = ran.map_err(|error| DatabaseError::Unreachable {
            database: database.clone(),
            reason: format!("{} could not be started: {error}", line.name()),
        })?;
        let said = String::from_utf8_lossy(&ran.stderr.to_bytes()).into_owned();
        let reason = first_error(&said);
        match ran.ended {
            Ended::With(status) if status.success() => Ok(String::from_utf8_lossy(&ran.stdout.to_bytes()).into_owned()),
            // 3: a statement of the script failed. The transaction ends with the connection.
            Ended::With(status) if status.code() == Some(3) => Err(self.understand(reason)),
            Ended::With(status) if status.code() == Some(2) && !said.contains("server closed the connection") => {
                Err(DatabaseError::Unreachable { database, reason })
            }
            Ended::With(status) => Err(DatabaseError::Broken { database, reason: format!("{status}: {reason}") }),
            Ended::TimedOut | Ended::Cancelled => {
                let reason = format!("the client did not end within {}", Spell(within));
                Err(DatabaseError::Broken { database, reason })
            }
        }
    }

    fn understand(&self, reason: String) -> DatabaseError {
        let database = self.name.clone();
        if let Some((_, rest)) = reason.split_once(WOULD_LOSE) {
            let mut words = rest.split('\u{1f}').skip(1);
            if let (Some(migration), Some(Ok(rows))) =
                (words.next(), words.next().map(|word| word.trim().parse::<u64>()))
            {
                return DatabaseError::WouldLose { database, migration: migration.to_owned(), rows };
            }
        }
        // 55P03: lock_not_available. 40P01: deadlock_detected.
        if reason.contains(" 55P03: ") || reason.contains(" 40P01: ") {
            return DatabaseError::Locked { database, reason };
        }
        DatabaseError::Refused { database, reason }
    }

    fn table_sql(&self) -> String {
        format!(
            "create table if not exists {} (\n  place bigint generated always as identity primary key,\n  \
             name text not null unique,\n  checksum text not null,\n  change text not null,\n  \
             applied_at timestamptz not null default now()\n);\n",
            identifier(&self.table)
        )
    }

    fn script_sql(&self, script: &MigrationScript, sql: &mut String) {
        let entry = &script.entry;
        if let Some(loses) = &script.loses {
            let message = literal(&format!("{WOULD_LOSE}\u{1f}{}\u{1f}%", entry.name));
            let query = literal(loses.trim().trim_end_matches(';'));
            block(
                sql,
                &format!(
                    "declare lost bigint; begin execute {query} into lost; if lost <> 0 then raise exception using message = \
                     replace({message}, '%', lost::text); end if; end"
                ),
            );
        }
        // Executed by the server out of a literal: what it holds is no command to the client, and cannot end the transaction.
        block(sql, &format!("begin execute {}; end", literal(&script.sql)));
        let table = identifier(&self.table);
        let _ = if script.reverts {
            writeln!(sql, "delete from {table} where name = {};", literal(&entry.name))
        } else {
            let (name, checksum, change) = (literal(&entry.name), literal(&entry.checksum), literal(&entry.change));
            writeln!(sql, "insert into {table} (name, checksum, change) values ({name}, {checksum}, {change});")
        };
    }
}

/// A block in the server's own language.
fn block(sql: &mut String, body: &str) {
    let _ = writeln!(sql, "do {};", literal(body));
}

/// The first error of what the client wrote, or else its last line.
fn first_error(said: &str) -> String {
    let line = said.lines().find(|line| line.contains("ERROR:") || line.contains("FATAL:") || line.contains("error:"));
    let line = line.or_else(|| said.lines().rfind(|line| !line.trim().is_empty())).unwrap_or("it said nothing");
    line.trim().chars().take(500).collect()
}

/// A text as SQL takes it, whatever it holds and whatever the server's settings are.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[async_trait]
impl Database for Psql {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn applied(&self) -> Result<Vec<AppliedMigration>, DatabaseError> {
        let table = identifier(&self.table);
        // Reading must not make the table: whoever may only read can still ask.
        let sql = format!(
            "select to_regclass({}) is not null as there \\gset\n\\if :there\nselect name, checksum, change from {table} order by place;\n\\endif\n",
            literal(&table)
        );
        let rows = self.ask(&sql, SLACK * 3).await?;
        rows.lines()
            .filter(|line| !line.is_empty())
            .map(|line| match line.split('\u{1f}').collect::<Vec<_>>().as_slice() {
                [name, checksum, change] => Ok(AppliedMigration {
                    name: (*name).to_owned(),
                    checksum: (*checksum).to_owned(),
                    change: (*change).to_owned(),
                }),
                _ => Err(DatabaseError::Refused {
                    database: self.name.clone(),
                    reason: format!("an entry of {} has another shape", self.table),
                }),
            })
            .collect()
    }

    async fn transact(&self, work: &MigrationWork) -> Result<(), DatabaseError> {
        let mut sql = String::from("begin;\n");
        let _ = writeln!(sql, "set local lock_timeout = {};", millis(work.lock_timeout).max(1));
        let _ = writeln!(sql, "set local statement_timeout = {};", millis(work.script_timeout).max(1));
        // One migration at a time. Locks of this kind wait no longer than any other.
        let _ = writeln!(sql, "select pg_advisory_xact_lock(hashtext({})) \\g /dev/null", literal(&self.table));
        sql.push_str("set local client_min_messages = warning;\n");
        sql.push_str(&self.table_sql());
        for script in &work.scripts {
            self.script_sql(script, &mut sql);
        }
        sql.push_str(if work.rehearse { "rollback;\n" } else { "commit;\n" });
        let statements = u32::try_from(work.scripts.len()).unwrap_or(u32::MAX).saturating_add(2);
        let within = work.script_timeout.saturating_mul(statements).saturating_add(SLACK);
        self.ask(&sql, within).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::{first_error, identifier, literal};

    #[test]
    fn texts_cannot_end_the_literal_that_holds_them() {
        assert_eq!(literal("it's \\ here"), "E'it''s \\\\ here'");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn the_first_error_is_what_went_wrong() {
        let said =
            "psql:<stdin>:7: ERROR:  55P03: canceling statement due to lock timeout\nLOCATION:  ProcessInterrupts\n";
        assert!(first_error(said).contains(" 55P03: "));
        assert_eq!(first_error(""), "it said nothing");
    }
}
