//! What a call that failed, panicked or said nothing is recorded as.

use std::any::Any;
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use crate::agent::{AgentError, Certainty};
use crate::gate::GateError;
use crate::machine::Fault;
use crate::monitor::MonitorError;
use crate::report::chain;
use crate::target::TargetError;

/// The longest message of a fault that is recorded, in bytes.
const LONGEST_MESSAGE: usize = 4 * 1024;

/// Runs a call of a building block; a panic becomes a fault that names it.
pub(super) async fn guarded<T, E: IntoFault>(
    who: impl Display + Send,
    call: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, Fault> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.into_fault()),
        Err(panic) => Err(Fault::new(Certainty::Unknown, format!("{who} panicked: {}", spell(&*panic)))),
    }
}

/// What a panic says.
pub(in crate::driver) fn spell(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    shortened(text.unwrap_or_else(|| "without a message".to_owned()))
}

/// The text, cut where it is too long to be recorded.
pub(super) fn shortened(mut text: String) -> String {
    if text.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What a failed call is recorded as.
pub(super) trait IntoFault {
    fn into_fault(self) -> Fault;
}

impl IntoFault for AgentError {
    fn into_fault(self) -> Fault {
        Fault::new(self.certainty, shortened(self.chain()))
    }
}

impl IntoFault for TargetError {
    fn into_fault(self) -> Fault {
        let mut fault = Fault::new(self.certainty, shortened(chain(&self)));
        fault.stale_fence = self.stale_fence;
        fault
    }
}

impl IntoFault for GateError {
    fn into_fault(self) -> Fault {
        Fault::new(Certainty::Transient, shortened(chain(&self)))
    }
}

impl IntoFault for MonitorError {
    fn into_fault(self) -> Fault {
        Fault::new(Certainty::Transient, shortened(chain(&self)))
    }
}
