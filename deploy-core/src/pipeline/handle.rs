//! Typed handles: what one step refers to another by.

use std::fmt;
use std::sync::Arc;

use crate::deliverable::{Deliverable, Slot};

/// A step of a pipeline under construction. Cheap to clone; means nothing in another pipeline, whose builder refuses it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepRef {
    pub(super) serial: u64,
    pub(super) index: usize,
    pub(super) path: Arc<str>,
}

impl StepRef {
    /// What this step hands over in `slot`, to be given to another step as its input. Whether the step's agent provides it
    /// is checked when the pipeline is built.
    #[must_use]
    pub fn output<D: Deliverable>(&self, slot: Slot<D>) -> Output<D> {
        Output { step: self.clone(), slot }
    }
}

/// Shows the path: the phase's name, a slash, the step's name.
impl fmt::Display for StepRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.path)
    }
}

/// A deliverable that a step will hand over, by type. See [`StepRef::output`].
pub struct Output<D> {
    pub(super) step: StepRef,
    pub(super) slot: Slot<D>,
}

impl<D> Output<D> {
    /// The step that hands it over.
    #[must_use]
    pub fn step(&self) -> &StepRef {
        &self.step
    }
}

impl<D> Clone for Output<D> {
    fn clone(&self) -> Self {
        Self { step: self.step.clone(), slot: self.slot }
    }
}

impl<D: Deliverable> fmt::Debug for Output<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} of {})", self.slot.key().name, self.step)
    }
}
