//! Alerts that somebody can act on: rules with an owner and a runbook, a lint that refuses others, where they go, and when they
//! are silent.

mod lint;
mod loaded;
mod routing;
mod rule;

pub use self::lint::{AlertRules, Flaw, LintFinding, Unactionable, lint};
pub use self::loaded::{NotLoaded, RulesApi, RulesError};
pub use self::routing::{AlertRouting, Grouping};
pub use self::rule::{AlertRule, AlertSeverity};
