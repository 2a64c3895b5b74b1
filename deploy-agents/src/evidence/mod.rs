//! Reads the reports that tools write, and believes none of them further than their bytes go.
//!
//! Every reader takes a [`Source`] and gives facts: plain data in which each number says where it stood. What cannot be
//! read is a [`ReadError`] with its place, in bounded time and memory ([`Limits`]); it is never an empty success. What can
//! be read and must still not be taken at its word (counts that do not add up, a scan that failed and found nothing) is
//! said in `doubts`, and no check may pass over a blocking one: see [`blocking`].

pub mod facts;

mod doubt;
mod error;
mod limits;
mod oci;
mod pointer;
mod source;

pub use self::doubt::{Doubt, DoubtKind, blocking};
pub use self::error::{Problem, ReadError};
pub use self::limits::Limits;
pub use self::oci::ReferenceError;
pub use self::pointer::{Place, Pointer, Sourced};
pub use self::source::Source;
