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

#[cfg(feature = "kubernetes")]
pub use self::kubernetes::KubernetesStandIn;
#[cfg(feature = "model")]
pub use self::model::{MisbehavingModel, Misbehaviour, ScriptedModel};
#[cfg(feature = "unleash")]
pub use self::unleash::UnleashStandIn;
