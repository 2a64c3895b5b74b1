//! Stories, tables of others' figures, and properties.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod all_at_once;
mod bar;
mod blue_green;
mod canary;
mod canary_analysis;
mod canary_judges;
mod canary_sequential;
mod cases;
mod closed_loop;
mod differences;
mod disturbed;
mod exploration;
mod flag_cases;
mod flag_rollout;
#[cfg(feature = "import")]
mod hostile;
#[cfg(feature = "import")]
mod import;
#[cfg(feature = "import")]
mod import_cases;
#[cfg(feature = "import")]
mod import_flagger;
mod known_wrong;
mod mid_flight;
mod model;
mod replica_cases;
mod requests;
mod rolling;
mod rolling_cases;
mod runs;
mod spec;
mod spec_schema;
mod threshold;
mod threshold_cases;
mod threshold_run;
mod told;
mod waves;
mod way_back;
