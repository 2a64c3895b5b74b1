//! Follows a run through its journal, from any process, without driving it.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::journal::{Chain, Envelope, Journal, JournalError, Stored};
use deploy_core::machine::{Event, MACHINE_VERSION, Machine, Mode, Record};
use deploy_core::name::RunId;
use deploy_core::report::{RunStatus, chain};
use deploy_core::time::Now;

use crate::Failure;
use crate::code::Code;
use crate::journal::JournalFile;
use crate::server::pause;
use crate::trouble::Trouble;

/// How many records are read at once.
const PAGE: usize = 256;
/// How often a journal that has nothing new is asked again: quick for a person, nothing for a file.
pub(crate) const EVERY: Duration = Duration::from_millis(200);
/// For how many attempts a journal may be out of reach before whoever watches is told so.
const ATTEMPTS: u32 = 150;

/// A reader of one run. The records are numbered and chained by hashes: what was read is kept as a position, so that a journal
/// that goes away and comes back is read on exactly where it was left, and a record that is missing is noticed.
#[derive(Debug)]
pub(crate) struct Watcher {
    file: JournalFile,
    journal: Arc<dyn Journal>,
    run: RunId,
    machine: Machine,
    chain: Chain,
    page: std::vec::IntoIter<Stored>,
    /// The first record, until it is asked for.
    first: Option<Record>,
    failures: u32,
}

impl Watcher {
    /// A reader that has read the first record of a run, which holds its plan.
    pub(crate) async fn open(file: &JournalFile, journal: Arc<dyn Journal>, run: &RunId) -> Result<Self, Failure> {
        let page = journal.read(run, 0, PAGE).await?;
        let mut chain = Chain::new();
        let mut page = page.into_iter();
        let first = page.next().ok_or_else(|| no_plan(run))?;
        chain.check(&first).map_err(|error| broken(run, &error))?;
        let first = opened(run, &first)?;
        let Event::Started(started) = &first.event else { return Err(no_plan(run)) };
        if started.machine != MACHINE_VERSION {
            let found = started.machine;
            return Err(Trouble::ends(
                Code::Unavailable,
                format!(
                    "run {run} follows machine version {found}, and this build knows {MACHINE_VERSION}; use a newer one"
                ),
            ));
        }
        let mut machine = Machine::new(Arc::clone(&started.plan), run);
        machine.apply(&first);
        Ok(Self {
            file: file.clone(),
            journal,
            run: run.clone(),
            machine,
            chain,
            page,
            first: Some(first),
            failures: 0,
        })
    }

    /// Where the journal lies.
    pub(crate) fn file(&self) -> &JournalFile {
        &self.file
    }

    /// The run, as far as it was read.
    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The next record that is durable now; nothing if all were read.
    pub(crate) async fn next(&mut self) -> Result<Option<Record>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.page.as_slice().is_empty() {
            self.page = match self.journal.read(&self.run, self.machine.state().position, PAGE).await {
                Ok(page) => page.into_iter(),
                Err(error) => return self.away(error).await.map(|()| None),
            };
            self.failures = 0;
        }
        let Some(stored) = self.page.next() else { return Ok(None) };
        self.chain.check(&stored).map_err(|error| broken(&self.run, &error))?;
        let record = opened(&self.run, &stored)?;
        self.machine.apply(&record);
        Ok(Some(record))
    }

    /// Reads everything that is durable now.
    pub(crate) async fn catch_up(&mut self) -> Result<(), Failure> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// What time it is for the run, by the journal's clock.
    pub(crate) async fn now(&self) -> Result<Now, Failure> {
        let (at, wall) = (self.machine.state().at, self.journal.now().await?);
        Ok(Now { wall, run: at.run + wall.since(at.wall) })
    }

    /// Where the run stands, by what was read.
    pub(crate) async fn status(&self) -> Result<RunStatus, Failure> {
        Ok(RunStatus::of(&self.machine, self.now().await?))
    }

    /// Whether the last record was read.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.machine.state().mode, Mode::Ended { .. })
    }

    /// The journal cannot be read: opens it again, and says so only if that does not help for long.
    async fn away(&mut self, error: JournalError) -> Result<(), Failure> {
        self.failures += 1;
        if !error.is_retryable() || self.failures > ATTEMPTS {
            return Err(error.into());
        }
        pause(EVERY).await;
        if let Ok(again) = self.file.read() {
            self.journal = again;
        }
        Ok(())
    }
}

fn opened(run: &RunId, stored: &Stored) -> Result<Record, Failure> {
    let unreadable = |why: String| Trouble::ends(Code::Unavailable, format!("run {run}: {why}"));
    let envelope = Envelope::parse(&stored.bytes).map_err(|error| unreadable(chain(&error)))?;
    Record::open(&envelope).map_err(|error| unreadable(chain(&error)))
}

fn broken(run: &RunId, error: &deploy_core::journal::ChainError) -> Failure {
    Trouble::ends(Code::Failed, format!("the records of run {run} are not those that were written: {}", chain(error)))
}

fn no_plan(run: &RunId) -> Failure {
    Trouble::ends(Code::Failed, format!("run {run} does not begin with its plan"))
}
