//! Gates made from closures.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;

use super::{Gate, GateContext, GateDecision, GateError};
use crate::name::BlockName;

/// A gate made from an async closure; see [`gate_fn`].
pub struct ClosureGate<F> {
    name: BlockName,
    criterion: String,
    evaluate: F,
}

/// Makes a gate of an async closure. Its argument is owned and cheap to clone.
///
/// ```
/// use deploy_core::gate::{Gate, GateDecision, gate_fn};
/// use deploy_core::name::BlockName;
///
/// let weekday = gate_fn(BlockName::new("not-friday")?, "it is not Friday", |_cx| async { Ok(GateDecision::Go) });
/// assert_eq!(weekday.criterion(), "it is not Friday");
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
pub fn gate_fn<F, R>(name: BlockName, criterion: impl Into<String>, evaluate: F) -> ClosureGate<F>
where
    F: Fn(GateContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<GateDecision, GateError>> + Send + 'static,
{
    ClosureGate { name, criterion: criterion.into(), evaluate }
}

impl<F> fmt::Debug for ClosureGate<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosureGate")
            .field("name", &self.name)
            .field("criterion", &self.criterion)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<F, R> Gate for ClosureGate<F>
where
    F: Fn(GateContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<GateDecision, GateError>> + Send + 'static,
{
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    fn criterion(&self) -> String {
        self.criterion.clone()
    }

    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
        (self.evaluate)(cx.clone()).await
    }
}
