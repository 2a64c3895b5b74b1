//! Gates say whether a run may pass, at once; they never wait themselves.

mod closure;
mod combine;
mod decision;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::closure::{ClosureGate, gate_fn};
pub use self::combine::{AllOf, AnyOf, Not, Quorum};
pub use self::decision::{GateDecision, Veto};
use crate::digest::Digest;
use crate::evidence::{Claim, Evidence, Receipt, Waiver};
use crate::identity::Identity;
use crate::name::{BlockName, CheckName};
use crate::plan::StepPath;
use crate::release::Release;
use crate::time::Now;

/// Says whether a run may pass here.
///
/// # Contract for implementors
///
/// A gate answers at once and has no effect; it may be asked any number of times, by any host. What it cannot decide yet
/// is [`GateDecision::Hold`] with the time to ask again, and the engine does the waiting. Gates decide by vetoes, never by a
/// weighted sum.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a gate",
    note = "implement `deploy_core::gate::Gate` (`name`, `criterion` and `evaluate`), or wrap an async closure with `gate_fn(name, criterion, |cx| async move {{ … }})`"
)]
pub trait Gate: Debug + Send + Sync + 'static {
    /// How plans and records name it.
    fn name(&self) -> BlockName;

    /// What must be so for it to open, in a sentence. A gate without a criterion does not build.
    fn criterion(&self) -> String;

    /// May the run pass?
    ///
    /// # Errors
    ///
    /// [`GateError`] if it could not find out. The engine asks again, a bounded number of times, then fails the step.
    async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError>;

    /// What is wrong with how it was put together, if anything is: a lowercase fragment without a full stop. A gate with a
    /// flaw does not build. The default: nothing.
    fn flaw(&self) -> Option<String> {
        None
    }

    /// Which block this is: a pipeline refuses two blocks under one name. Leave the default, which goes by the address of the
    /// value; a clone of an `Arc` is the same block.
    fn identity(&self) -> Identity {
        Identity::of(self)
    }
}

/// What a gate is shown.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GateContext {
    /// The step that the gate guards.
    pub step: StepPath,
    /// What is being released.
    pub release: Arc<Release>,
    /// Both clocks.
    pub now: Now,
    /// What every step so far reported and what of it was verified, by step.
    pub reports: Arc<BTreeMap<StepPath, StepFacts>>,
    /// The steps that failed so far though the run went on, each with why.
    pub failed: Arc<BTreeMap<StepPath, String>>,
    /// The waivers in force, by check.
    pub waivers: Arc<BTreeMap<CheckName, Waiver>>,
    /// The fingerprint of the plan: what people said of another plan does not count. Absent where there is no plan.
    pub plan: Option<Digest>,
}

impl GateContext {
    /// A context for one question. The engine makes these; tests may too.
    #[must_use]
    pub fn new(
        step: StepPath,
        release: Arc<Release>,
        now: Now,
        reports: BTreeMap<StepPath, StepFacts>,
        waivers: BTreeMap<CheckName, Waiver>,
    ) -> Self {
        Self {
            step,
            release,
            now,
            reports: Arc::new(reports),
            failed: Arc::default(),
            waivers: Arc::new(waivers),
            plan: None,
        }
    }

    /// The same context after these steps failed.
    #[must_use]
    pub fn failed(mut self, failed: BTreeMap<StepPath, String>) -> Self {
        self.failed = Arc::new(failed);
        self
    }

    /// The same context under the plan of this fingerprint.
    #[must_use]
    pub fn plan(mut self, fingerprint: Digest) -> Self {
        self.plan = Some(fingerprint);
        self
    }
}

/// What one step reported, and what of it code has verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct StepFacts {
    /// What it claimed.
    pub claims: Vec<Claim>,
    /// The evidence that it named.
    pub evidence: Vec<Evidence>,
    /// What the engine's verifier found.
    pub receipts: Vec<Receipt>,
}

/// A gate that could not find out.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct GateError {
    /// What went wrong: a lowercase fragment without a full stop.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl GateError {
    /// An error with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Writes the whole trait by forwarding, so that no wrapper loses a method to a default.
macro_rules! forward_gate {
    ($($kind:ty),*) => {$(
        #[async_trait]
        impl<T: Gate + ?Sized> Gate for $kind {
            fn name(&self) -> BlockName {
                (**self).name()
            }
            fn criterion(&self) -> String {
                (**self).criterion()
            }
            async fn evaluate(&self, cx: &GateContext) -> Result<GateDecision, GateError> {
                (**self).evaluate(cx).await
            }
            fn flaw(&self) -> Option<String> {
                (**self).flaw()
            }
            fn identity(&self) -> Identity {
                (**self).identity()
            }
        }
    )*};
}

forward_gate!(Arc<T>, Box<T>);
