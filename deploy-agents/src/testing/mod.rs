//! Stand-ins for servers, in this process and without sockets, for testing targets and pipelines against them.
//!
//! They answer in the shapes of the real servers, and hold what they were told. What they cannot show is that a real server of some
//! version answers so; each says where its shapes come from.

#[cfg(feature = "kubernetes")]
mod kubernetes;
#[cfg(feature = "model")]
mod model;
#[cfg(feature = "unleash")]
mod unleash;
mod notifier;
mod notifier_suite;
mod webhook;

#[cfg(feature = "kubernetes")]
pub use self::kubernetes::KubernetesStandIn;
#[cfg(feature = "model")]
pub use self::model::{MisbehavingModel, Misbehaviour, ScriptedModel};
pub use self::notifier::NotifierStandIn;
pub use self::notifier_suite::NotifierSuite;
#[cfg(feature = "unleash")]
pub use self::unleash::UnleashStandIn;
pub use self::webhook::WebhookStandIn;
