//! The dossier: all that a run claimed, showed, had verified and decided, as one value.
//!
//! ```text
//!  journal ──collect──► Dossier ──export──► lines of JSON, hash-chained ──import──► the same Dossier, or the place of the change
//!                          ├──► to_markdown, to_html: for a person
//!                          └──► steps, decisions: for a program
//! ```
//!
//! It holds the records of the run as they stand in the journal, and the bytes of all evidence that they name; everything
//! else is read off them. So nothing in a dossier can say more than the run did.

mod collect;
mod html;
mod lines;
mod markdown;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use deploy_core::digest::Digest;
use deploy_core::journal::Head;
use deploy_core::machine::Record;
use deploy_core::name::RunId;
use deploy_core::plan::Plan;

pub use self::collect::CollectError;
pub use self::lines::{DossierError, Problem};
pub use self::view::{CheckLine, DecisionLine, EvidenceLine, Standing, StepDossier};

/// All that a run claimed, showed, had verified and decided.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Dossier {
    /// The run.
    pub run: RunId,
    /// Where its records ended: compare it with a head that was kept elsewhere.
    pub head: Head,
    /// The plan that it followed.
    pub plan: Arc<Plan>,
    /// Its records, in order.
    pub records: Vec<Record>,
    /// The stored bytes of the records, as the chain hashes them.
    pub(crate) stored: Vec<Vec<u8>>,
    /// The bytes of the evidence that the records name, by digest. What the journal no longer had is not there.
    pub evidence: BTreeMap<Digest, Vec<u8>>,
}
