//! The four families of monitoring, four kinds each: which of them a release is watched by, and by what.

mod coverage;
mod kind;

pub use self::coverage::{Binding, Coverage, CoverageReport, Covered, Monitoring, Seen};
pub use self::kind::{MonitorFamily, MonitorKind};
