//! Targets are the places where revisions run and traffic goes.

mod capabilities;
mod state;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::capabilities::Capabilities;
pub use self::state::{DesiredState, Experiment, Mirror, RevisionState, Route, RouteMatch, TargetState};
use crate::agent::Certainty;
use crate::effect::{EffectKey, Fence};
use crate::identity::Identity;
use crate::name::TargetName;
use crate::release::Release;

/// One place: tells what runs there, and brings it towards what is wanted.
///
/// # Contract for implementors
///
/// - [`observe`](Self::observe) tells what *is*, read back from the place itself, never what was asked for.
/// - [`apply`](Self::apply) is idempotent and level-based: it takes the full statement of what is wanted and may be called
///   with the same statement any number of times. It may return before all of it is so; the engine observes.
/// - Where the place can compare fences it refuses one older than the newest it has seen ([`TargetError::is_stale_fence`]).
/// - It never removes the last healthy copy of what serves.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a target",
    note = "implement `deploy_core::target::Target` (`name`, `capabilities`, `observe` and `apply`)"
)]
pub trait Target: Debug + Send + Sync + 'static {
    /// How plans and records name it.
    fn name(&self) -> TargetName;

    /// What it can do. A strategy that asks for more is refused when the run is planned.
    fn capabilities(&self) -> Capabilities;

    /// What is there now?
    ///
    /// # Errors
    ///
    /// [`TargetError`] if it could not be seen.
    async fn observe(&self) -> Result<TargetState, TargetError>;

    /// Brings the place towards `desired`.
    ///
    /// # Errors
    ///
    /// [`TargetError`] with how certain it is that nothing was changed.
    async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError>;

    /// Which block this is: a pipeline refuses two blocks under one name. Leave the default, which goes by the address of the
    /// value; a clone of an `Arc` is the same block.
    fn identity(&self) -> Identity {
        Identity::of(self)
    }
}

/// What a target is told beside the wanted state.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EffectContext {
    /// Names the effect.
    pub key: EffectKey,
    /// Orders who may apply it.
    pub fence: Fence,
    /// What is being released.
    pub release: Arc<Release>,
    /// How long the call may take.
    pub timeout: Duration,
}

impl EffectContext {
    /// A context for one call. The engine makes these; tests may too.
    #[must_use]
    pub fn new(key: EffectKey, fence: Fence, release: Arc<Release>, timeout: Duration) -> Self {
        Self { key, fence, release, timeout }
    }
}

/// What [`Target::apply`] answers when the place took the statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Applied {
    /// Whether anything had to be changed.
    pub changed: bool,
}

impl Applied {
    /// Something was changed.
    #[must_use]
    pub fn changed() -> Self {
        Self { changed: true }
    }

    /// It was so already.
    #[must_use]
    pub fn unchanged() -> Self {
        Self { changed: false }
    }
}

/// A place that could not be seen or changed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct TargetError {
    /// How sure it is that nothing was changed.
    pub certainty: Certainty,
    /// Whether the place refused an older fence: another engine owns it now.
    pub stale_fence: bool,
    /// What went wrong: a lowercase fragment without a full stop, without secrets.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TargetError {
    /// The place refused it and will go on refusing.
    #[must_use]
    pub fn definitive(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Definitive, stale_fence: false, message: message.into(), source: None }
    }

    /// The place could not be reached; nothing was changed.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Transient, ..Self::definitive(message) }
    }

    /// The place may or may not have taken it: it is observed before anything else.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Unknown, ..Self::definitive(message) }
    }

    /// The place has seen a newer fence.
    #[must_use]
    pub fn older_fence(ours: Fence, seen: Fence) -> Self {
        Self {
            stale_fence: true,
            ..Self::definitive(format!("fence {ours} is older than {seen}, which was seen before"))
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether another engine owns the place now.
    #[must_use]
    pub fn is_stale_fence(&self) -> bool {
        self.stale_fence
    }
}

/// Writes the whole trait by forwarding, so that no wrapper loses a method to a default.
macro_rules! forward_target {
    ($($kind:ty),*) => {$(
        #[async_trait]
        impl<T: Target + ?Sized> Target for $kind {
            fn name(&self) -> TargetName {
                (**self).name()
            }
            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }
            async fn observe(&self) -> Result<TargetState, TargetError> {
                (**self).observe().await
            }
            async fn apply(&self, desired: &DesiredState, cx: &EffectContext) -> Result<Applied, TargetError> {
                (**self).apply(desired, cx).await
            }
            fn identity(&self) -> Identity {
                (**self).identity()
            }
        }
    )*};
}

forward_target!(Arc<T>, Box<T>);
