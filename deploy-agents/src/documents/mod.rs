//! Pipelines as plain data: documents that people and programs write, bound to the building blocks of a host by name.
//!
//! ```text
//!  text ──────────► PipelineDocument ── bind(Registry) ──► Pipeline::builder ──► Pipeline
//!   JSON, YAML,       plain data,          the host's        the only way          │
//!   Markdown          every block          blocks by         there is              │
//!      ▲              by its name          name                                    │
//!      └───────────────────┴───────────────────── PipelineDocument::of ────────────┘
//! ```
//!
//! What cannot be bound is named with its line and the nearest name that is known, all of it at once. There is no second path: a
//! bound document goes through the builder and all its checks, as a pipeline in code does.
//!
//! | feature | brings |
//! |---|---|
//! | (none) | JSON, binding, and pipelines back to data and Markdown |
//! | `yaml` | YAML |
//! | `workflow-md` | workflows in Markdown |
//! | `schema` | the JSON schema of documents |
//!
//! # Examples
//!
//! ```
//! use deploy_agents::documents::{Loaded, Registry};
//! use deploy_core::agent::{AgentCard, Report, agent_fn};
//! use deploy_core::name::BlockName;
//!
//! let text = r#"{
//!   "format": 1,
//!   "name": "release-api",
//!   "rollback": "previous",
//!   "phases": [
//!     { "name": "build", "steps": [
//!       { "name": "image", "task": { "agent": "biulder", "timeout": "10m" } },
//!       { "name": "bake", "soak": "1h 30m", "after": ["image"] }
//!     ] }
//!   ]
//! }"#;
//! let card = AgentCard::new(BlockName::new("builder")?, "builds the image").repeatable();
//! let registry = Registry::new().agent(agent_fn(card, |_task, _cx| async { Ok(Report::new()) }));
//!
//! let refused = Loaded::json(text)?.bind(&registry).unwrap_err();
//! assert_eq!(
//!     refused.problems[0].to_string(),
//!     "line 7 (/phases/0/steps/0/task/agent): agent \"biulder\" is not known here; did you mean builder?"
//! );
//! let pipeline = Loaded::json(&text.replace("biulder", "builder"))?.bind(&registry)?;
//! assert_eq!(pipeline.phases()[0].steps.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bind;
mod document;
mod length;
mod lines;
mod markdown;
mod named;
mod problem;
mod read;
mod registry;
#[cfg(feature = "schema")]
mod schema;
mod step;
mod strict;
mod write;
#[cfg(feature = "yaml")]
mod yaml;

pub use self::document::{
    ChecklistDocument, Declared, FORMAT, ItemDocument, KeyDocument, PhaseDocument, PipelineDocument, StepDocument,
};
pub use self::length::{Length, LengthError};
pub use self::lines::Lines;
pub use self::problem::{DocumentErrors, DocumentFault, DocumentProblem};
pub use self::read::Loaded;
pub use self::registry::Registry;
pub use self::step::{
    ApprovalDocument, GateDocument, NeedDocument, NoReturnDocument, RetryDocument, RolloutDocument, StepWork,
    TaskDocument, UndoDocument, VerifyDocument,
};
