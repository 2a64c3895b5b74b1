//! Reads the reports that tools write, and believes none of them further than their bytes go.
//!
//! Every reader takes a [`Source`] and gives facts: plain data in which each number says where it stood. What cannot be
//! read is a [`ReadError`] with its place, in bounded time and memory ([`Limits`]); it is never an empty success. What can
//! be read and must still not be taken at its word (counts that do not add up, a scan that failed and found nothing) is
//! said in `doubts`, and no check may pass over a blocking one: see [`blocking`].

pub mod cargo_audit;
pub mod cobertura;
pub mod criterion;
pub mod csaf;
pub mod cvss;
pub mod cyclonedx;
pub mod dsse;
pub mod facts;
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

mod doubt;
mod error;
mod json;
mod licence;
mod limits;
mod pointer;
mod source;
mod xml;

pub use self::doubt::{Doubt, DoubtKind, blocking};
pub use self::error::{Problem, ReadError};
pub use self::limits::Limits;
pub use self::pointer::{Place, Pointer, Sourced};
pub use self::source::Source;
