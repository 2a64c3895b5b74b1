//! Checks: pure functions from facts and thresholds to verdicts, and the catalogue of all of them.
//!
//! ```text
//!  evidence bytes ──readers──► facts ──check──► Assessment { verdict, figures (each with its place), notes }
//!                                                    │
//!               deploy_core::evidence::verify ───────┴──► Receipt ──► gates, checklists, the dossier
//! ```
//!
//! A [`Catalogue`] holds checks by name. The engine runs them as mandatory verifications ([`CatalogueCheck::verification`],
//! [`CatalogueCheck::check`]); a host may run one on evidence of its own ([`CatalogueCheck::assess`]).

mod assessment;
mod catalogue;
mod checklist;
mod document;
mod entries;
mod evidence_set;
mod level;
mod profile;
#[cfg(feature = "cel")]
mod policy;
mod reading;
mod thresholds;

pub mod code;
pub mod delivery;
pub mod impact;
pub mod incident;
pub mod infrastructure;
pub mod kind;
pub mod people;
pub mod performance;
pub mod reviews;
pub mod rules;
pub mod runs;
pub mod shipping;
pub mod steps;
pub mod vulnerabilities;

pub use self::assessment::{Assessment, Assessor, Figure};
pub use self::catalogue::{Catalogue, CatalogueCheck};
pub use self::checklist::{AttestError, Checklist, ChecklistItem, ChecklistReading, ItemState, ManualAttestation};
pub use self::document::{Document, Read, Upgrade, file_of, read, write};
pub use self::evidence_set::{EvidenceSet, Judged};
pub use self::level::{LevelExecution, ValidationLevel};
#[cfg(feature = "cel")]
pub use self::policy::policy_check;
pub use self::profile::Excused;
pub use self::reading::{Reading, Statements};
pub use self::thresholds::Thresholds;
