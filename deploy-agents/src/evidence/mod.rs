//! Reads the reports that tools write, and believes none of them further than their bytes go.
//!
//! Every reader takes a [`Source`] and gives facts: plain data in which each number says where it stood. What cannot be
//! read is a [`ReadError`] with its place, in bounded time and memory ([`Limits`]); it is never an empty success. What can
//! be read and must still not be taken at its word (counts that do not add up, a scan that failed and found nothing) is
//! said in `doubts`, and no check may pass over a blocking one: see [`blocking`].

pub mod cargo_audit;
pub mod cobertura;
pub mod csaf;
pub mod cvss;
pub mod cyclonedx;
pub mod facts;
pub mod grype;
pub mod junit;
pub mod lcov;
pub mod llvm_cov;
pub mod openvex;
pub mod osv;
pub mod sarif;
pub mod spdx;
pub mod trivy;

mod doubt;
mod error;
mod json;
mod licence;
mod limits;
mod oci;
mod pointer;
mod source;
mod xml;

pub use self::doubt::{Doubt, DoubtKind, blocking};
pub use self::error::{Problem, ReadError};
pub use self::limits::Limits;
pub use self::oci::ReferenceError;
pub use self::pointer::{Place, Pointer, Sourced};
pub use self::source::Source;
