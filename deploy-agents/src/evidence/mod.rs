//! Reads the reports that tools write, and believes none of them further than their bytes go.
//!
//! Every reader takes a [`Source`] and gives [`facts`]: plain data in which each number says where it stood. What cannot be
//! read is a [`ReadError`] with its place, in bounded time and memory ([`Limits`]); it is never an empty success. What can
//! be read and must still not be taken at its word (counts that do not add up, a scan that failed and found nothing) is
//! said in `doubts`, and no check may pass over a blocking one: see [`blocking`].
//!
//! | of | formats | what they are not believed about |
//! |---|---|---|
//! | tests | [`junit`] | what suites declare; a report without an executed test |
//! | coverage | [`lcov`], [`cobertura`], [`llvm_cov`] | rates and totals that the lines do not add up to; a report of no line |
//! | static analysis | [`sarif`] | a run that did not succeed and found nothing; suppressions that nobody accepted |
//! | what something is made of | [`cyclonedx`], [`spdx`] | an empty bill; licences that are not said |
//! | vulnerabilities | [`osv`], [`cargo_audit`], [`trivy`], [`grype`], [`cvss`] | a scan of nothing; an unknown severity as harmless; what was left out |
//! | how products stand to them | [`openvex`], [`csaf`], [`cyclonedx::read_vex`] | *not affected* without a reason; older statements |
//! | infrastructure | [`terraform`], [`kubernetes`], [`oci`], [`version`] | partial plans; a status about an older statement; tags |
//! | whose word it is | [`dsse`], [`provenance`] | a statement without a right signature by a trusted key |
//! | load and speed | [`k6`], [`oha`], [`wrk`], [`hyperfine`], [`criterion`] | fast failures; thresholds that mean the opposite |
//! | monitoring | [`prometheus`] | an empty answer as zero; an answer with warnings |
//! | history | [`git`] | a history that is cut off, replaced or grafted; what its own configuration would run |
//! | backups | [`pgbackrest`], [`restic`] | an unknown exit code; a backup with errors |
//! | policies | [`policy`], `cel` (feature) | a rule without a value |
//! | incidents | [`cdevents`] | an event of a version that is not known; that one is over |
//!
//! ```
//! use deploy_agents::evidence::{DoubtKind, Source, blocking, junit};
//!
//! let report = br#"<testsuite name="cart" tests="500" failures="0"><testcase name="adds"/></testsuite>"#;
//! let facts = junit::read(&Source::new("junit.xml", report))?;
//! assert_eq!(facts.counted.passed, 1);
//! let doubt = blocking(&facts.doubts).expect("500 tests are declared");
//! assert_eq!(doubt.kind, DoubtKind::CountsDiffer);
//! assert_eq!(doubt.at.to_string(), "junit.xml#/testsuite/@tests");
//! # Ok::<(), deploy_agents::evidence::ReadError>(())
//! ```

pub mod cargo_audit;
pub mod cdevents;
#[cfg(feature = "cel")]
pub mod cel;
pub mod cobertura;
pub mod criterion;
pub mod csaf;
pub mod cvss;
pub mod cyclonedx;
pub mod dsse;
pub mod facts;
pub mod git;
pub mod grype;
pub mod hyperfine;
pub mod junit;
pub mod k6;
pub mod kubernetes;
pub mod lcov;
pub mod llvm_cov;
pub mod oci;
pub mod oha;
pub mod openvex;
pub mod osv;
pub mod pgbackrest;
pub mod policy;
pub mod prometheus;
pub mod provenance;
pub mod restic;
pub mod sarif;
pub mod spdx;
pub mod terraform;
pub mod trivy;
pub mod version;
pub mod wrk;

mod decimal;
mod doubt;
mod error;
mod format;
mod json;
mod junit_report;
mod licence;
mod limits;
mod original;
mod pointer;
mod source;
mod xml;

pub use self::doubt::{Doubt, DoubtKind, blocking};
pub use self::error::{Problem, ReadError};
pub use self::format::{Facts, Format, FormatError};
pub use self::junit_report::JunitReport;
pub use self::limits::Limits;
pub use self::original::Original;
pub use self::pointer::{Place, Pointer, Sourced};
pub use self::source::Source;
