//! A driver takes a run up again.

use std::time::Duration;

use crate::machine::Machine;
use crate::machine::apply::attach;
use crate::machine::event::{Attached, Event};
use crate::time::RunTime;

impl Machine {
    /// Nothing is recorded where it would change nothing.
    pub(super) fn attached(&self, epoch: Option<u64>, absent: Duration, now: RunTime) -> Vec<Event> {
        // Whoever made the newest record was there when it was made.
        let absent = absent.min(now.since(self.state.at.run));
        let new_epoch = epoch.is_some() && epoch != self.state.epoch;
        let mut open = self.state.open.iter().filter_map(|id| self.state.steps.get(id.index()));
        let changes = open.any(|step| attach(&step.state, &self.state, self.state.at.run, absent) != step.state);
        if changes || new_epoch { vec![Attached { epoch, absent }.into()] } else { Vec::new() }
    }
}
