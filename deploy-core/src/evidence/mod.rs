//! Claims count only with evidence that was read and checked.

mod claim;
mod receipt;
mod verdict;
mod verify;

pub use self::claim::{Claim, Collected, Evidence, EvidenceSubject, Finding, Producer, Severity};
pub use self::receipt::{Receipt, Waiver};
pub use self::verdict::{Refusal, Verdict};
pub use self::verify::{Check, CheckInput, EvidencePolicy, Verification, verify};
