//! The crew: every role of the two documented workflows as an agent.
//!
//! ```text
//!  EvidenceSource ──► Member ── reads ──► readers ──► checks of the catalogue ──► verdicts, each with its figures
//!                       │                                                          │
//!                       ├── claims that cite what was read ◄───────────────────────┤
//!                       ├── the report of the step: a sentence for each check ◄────┤
//!                       └── Issued<RiskRegister>, Issued<BuildRecord>, …  ◄────────┘
//! ```
//!
//! There is one engine, [`Member`], and 21 roles, each a small file that declares its seats. A seat is a role in a phase; what it
//! does there is its [`Duty`], as data: documents, checks, and deliverables. None of them needs a language model, none has an
//! effect in the world, and none can say more than its evidence does: the engine verifies every claim, and a host replaces any
//! of them by an agent of its own.
//!
//! ```
//! use deploy_agents::checks::Thresholds;
//! use deploy_agents::crew::{Crew, DependencyManager, EvidenceFolder};
//! use deploy_core::agent::Agent as _;
//!
//! let crew = Crew::new(EvidenceFolder::new("target/reports"), Thresholds::default());
//! let dependencies = DependencyManager::new(&crew);
//! let card = dependencies.card();
//! assert_eq!(card.responsibility, "knows what is in it, under which licence and with which known faults");
//! assert_eq!(dependencies.member().verifications().len(), 4);
//! ```

#[expect(clippy::module_inception, reason = "the crew is what its members share")]
mod crew;
mod duty;
mod events;
mod folder;
mod gate_file;
mod issued;
mod material;
mod member;
mod role;
mod roles;
mod seat;
mod source;

pub mod deliverables;

pub use self::crew::Crew;
pub use self::duty::Duty;
pub use self::events::{EventFolder, KeepError};
pub use self::folder::EvidenceFolder;
pub(crate) use self::folder::subject_of;
pub use self::gate_file::{gate_file, goes_on_from};
pub use self::issued::{Body, Content, Issued, Piece, Said, Subject};
pub use self::material::Material;
pub use self::member::Member;
pub use self::role::{Role, Seat, UnknownRole};
pub use self::roles::*;
pub use self::source::{EvidenceSource, SourceError, Sources, Wanted};
