//! A driver takes a run up again.

use std::time::Duration;

use crate::machine::Machine;
use crate::machine::event::{Attached, Event};

impl Machine {
    /// Nothing is recorded where it would change nothing.
    pub(super) fn attached(&self, epoch: Option<u64>, absent: Duration) -> Vec<Event> {
        let new_epoch = epoch.is_some() && epoch != self.state.epoch;
        if self.state.open.is_empty() && !new_epoch { Vec::new() } else { vec![Attached { epoch, absent }.into()] }
    }
}
