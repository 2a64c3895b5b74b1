//! What a page is told, one event after another.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use deploy_core::journal::Journal;
use deploy_core::name::RunId;
use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::code::Code;
use crate::estimate::Estimate;
use crate::follow::view;
use crate::journal::JournalFile;
use crate::record::RecordView;
use crate::server::pause;
use crate::trouble::Trouble;
use crate::watcher::{EVERY, Watcher};

/// After so many looks at a run where it stands is told again, since ages go by.
const LOOKS: u32 = 5;

/// The events of one reader.
#[derive(Debug)]
pub(super) struct Feed {
    watcher: Watcher,
    journal: Arc<dyn Journal>,
    estimate: Option<Estimate>,
    from: u64,
    ready: VecDeque<Bytes>,
    told: Option<String>,
    looks: u32,
    over: bool,
}

impl Feed {
    /// The records from a number on, and where the run stands in between.
    pub(super) async fn open(file: &JournalFile, run: &RunId, from: u64) -> Result<Self, Failure> {
        let journal = file.read()?;
        let watcher = Watcher::open(file, Arc::clone(&journal), run).await?;
        let estimate = Estimate::of(file, &journal, watcher.machine()).await?;
        Ok(Self { watcher, journal, estimate, from, ready: VecDeque::new(), told: None, looks: 0, over: false })
    }

    /// The next event; nothing after the last.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if let Err(failure) = self.look().await {
                self.over = true;
                let text = Trouble::read(&failure).1;
                self.tell(None, "trouble", &json!({ "text": text }));
            } else if self.ready.is_empty() {
                pause(EVERY).await;
            }
        }
    }

    async fn look(&mut self) -> Result<(), Failure> {
        while let Some(record) = self.watcher.next().await? {
            if record.position >= self.from {
                let shown = RecordView::of(&record, self.watcher.machine().plan()).without_body();
                self.tell(Some(record.position), "record", &shown);
            }
        }
        let view = view(&self.watcher, &self.journal, self.estimate).await?;
        let change = view.change();
        self.looks += 1;
        if self.told.as_ref() != Some(&change) || self.looks >= LOOKS {
            (self.told, self.looks) = (Some(change), 0);
            let lines = view.block();
            self.tell(None, "view", &json!({ "lines": lines, "view": view }));
        }
        if let Some(code) = Code::of_end(self.watcher.machine()) {
            self.over = true;
            self.tell(None, "end", &json!({ "code": code.number(), "meaning": code }));
        }
        Ok(())
    }

    fn tell(&mut self, id: Option<u64>, event: &str, data: &impl Serialize) {
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        // JSON has no line breaks of its own, which would end the event.
        let data = serde_json::to_string(data).unwrap_or_default();
        self.ready.push_back(format!("{id}event: {event}\ndata: {data}\n\n").into());
    }
}
