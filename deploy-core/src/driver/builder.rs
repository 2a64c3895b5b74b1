//! Putting an engine together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};

use super::driven::{Closing, Inner};
use super::duties::{keep_lease, read_inbox, wake_dormant};
use super::engine::Engine;
use super::lease::LeaseWatch;
use super::options::EngineOptions;
use crate::journal::Journal;
use crate::name::{OwnerName, PipelineName};
use crate::pipeline::Pipeline;
use crate::time::{Clock, SystemClock};

/// Puts an engine together.
#[derive(Debug)]
pub struct EngineBuilder {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    owner: Option<OwnerName>,
    options: EngineOptions,
    pipelines: BTreeMap<PipelineName, Pipeline>,
}

impl EngineBuilder {
    pub(super) fn new(journal: Arc<dyn Journal>) -> Self {
        Self {
            journal,
            clock: Arc::new(SystemClock::new()),
            owner: None,
            options: EngineOptions::default(),
            pipelines: BTreeMap::new(),
        }
    }

    /// Gives the engine a pipeline. Runs find theirs by name, also those that another process started.
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipelines.insert(pipeline.name().clone(), pipeline);
        self
    }

    /// Names this process among those that share the journal. Default: a new name, so that nobody is mistaken for another.
    #[must_use]
    pub fn owner(mut self, owner: OwnerName) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Sets the bounds.
    #[must_use]
    pub fn options(mut self, options: EngineOptions) -> Self {
        self.options = options;
        self
    }

    /// Reads time from another clock. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the engine's background tasks: the lease and the inbox.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn build(self) -> Engine {
        let owner = self.owner.unwrap_or_else(OwnerName::generate);
        let lease = LeaseWatch::new(Arc::clone(&self.clock), self.options.lease, self.options.lease_margin);
        let inner = Arc::new(Inner {
            journal: self.journal,
            clock: self.clock,
            owner,
            options: self.options,
            lease,
            closing: watch::Sender::new(Closing::default()),
            pipelines: self.pipelines,
            slots: Mutex::default(),
            unreleased: Mutex::default(),
            alarms: Mutex::default(),
            alarm_set: Notify::new(),
        });
        let tasks = vec![
            tokio::spawn(keep_lease(Arc::downgrade(&inner))),
            tokio::spawn(read_inbox(Arc::downgrade(&inner))),
            tokio::spawn(wake_dormant(Arc::downgrade(&inner))),
        ];
        Engine::new(inner, tasks)
    }
}
