//! Gates that read what was reported and verified, what people have said, and the calendar.

mod approval;
mod change_window;
mod criteria;
mod evidence;
mod go_no_go;
mod preflight;
mod quality;
mod reminder;

pub use self::approval::{Answer, ApprovalGate, ApprovalPolicy, ApprovalRule, ApprovalSheet, RuleTally, Tally};
pub use self::change_window::{
    ChangeCalendar, ChangeWindow, ChangeWindowGate, Freeze, Opening, Standing, WhenShut, WindowError,
};
pub(crate) use self::change_window::{Edge, Zone};
pub use self::criteria::{Criterion, ReadinessMatrix};
pub use self::evidence::EvidenceGate;
pub use self::go_no_go::{GoNoGo, VetoMatrix, VetoRow};
pub use self::preflight::{Preflight, Prerequisite};
pub use self::quality::{QualityGate, QualityGateError};
