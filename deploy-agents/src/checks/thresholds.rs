//! What the checks hold their numbers against. Every one of them is the host's to set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::delivery::DeliveryTargets;
use crate::evidence::facts::SeverityRating;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the checks hold their numbers against. In a file, what is left out has its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Thresholds {
    /// The fewest tests that must have run. Default 1: a suite that ran nothing says nothing.
    pub tests_at_least: u64,
    /// The most tests that may have passed only after a failure. Default 0; more are a remark, not a failure.
    pub flaky_at_most: u64,
    /// More than this share of lines must have run, in per cent. Default 90.
    pub line_coverage_above: f64,
    /// At least this share of changed lines must have run, in per cent. Default 80: new code is where faults are.
    pub change_coverage_at_least: f64,
    /// The severity from which an open vulnerability fails. Default critical.
    pub vulnerability_fails_at: SeverityRating,
    /// The severity from which an open vulnerability is a remark. Default high.
    pub vulnerability_remarked_at: SeverityRating,
    /// The oldest database of vulnerabilities. Default 48 hours: the common ones are built daily.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub database_max_age: Duration,
    /// The scanners that ask a service which is always of today, and so need not say of when their database is. Default
    /// osv-scanner.
    pub live_databases: BTreeSet<String>,
    /// The highest 99th percentile of latency, in seconds. Default 0.5.
    pub latency_p99_at_most: f64,
    /// The largest share of failed requests, from 0 to 1. Default 0.001: three nines.
    pub failed_share_at_most: f64,
    /// The fewest requests on which a share is believed. Default 1,000: one failure in a thousand shows.
    pub requests_at_least: u64,
    /// How much slower a benchmark may be than before, in per cent. Default 5.
    pub slowdown_at_most: f64,
    /// How sure a slowdown must be: the chance of a false alarm of each benchmark. Default 0.01.
    pub slowdown_alpha: f64,
    /// The smallest share of the error budget that must be left, from 0 to 1. Default 0.1.
    pub error_budget_at_least: f64,
    /// How long ago the last rollback drill may have been. Default 30 days.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub drill_max_age: Duration,
    /// The longest a drill may have taken to get back. Default 15 minutes.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub drill_at_most: Duration,
    /// Where the chains of rollback drills end, as the engine's own journal said ([`Journal::head`](deploy_core::journal::Journal::head)) and as
    /// was kept apart from the export. With any, only a drill that ends at one of them counts: a chain that somebody computed by hand is
    /// whole, and ends elsewhere. Default none: then a drill counts by its chain alone, with a note.
    pub drill_heads: BTreeSet<String>,
    /// Whose word on builds counts: public keys in PEM, by the name under which they are trusted. Default nobody's.
    pub build_keys: BTreeMap<String, String>,
    /// Whose word on audits counts, likewise. Default nobody's.
    pub audit_keys: BTreeMap<String, String>,
    /// Whose signed statements about vulnerabilities count, likewise. Default nobody's.
    pub statement_keys: BTreeMap<String, String>,
    /// The producers of unsigned statements about vulnerabilities that count: those that read them where they stand under review, in the
    /// repository at the commit. Default none: what anybody may have written clears nothing.
    pub statement_producers: BTreeSet<String>,
    /// The builders whose provenance counts, by URI. Empty: any that a trusted key signed for.
    pub trusted_builders: BTreeSet<String>,
    /// What a security audit must cover. Default nothing in particular.
    pub audit_scope: BTreeSet<String>,
    /// The policies that must have been evaluated, by rule. Default none in particular.
    pub required_policies: BTreeSet<String>,
    /// The licences that may be used, by SPDX identifier. Empty: licences are not looked at.
    pub permitted_licences: BTreeSet<String>,
    /// The oldest secret. Default 90 days.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub secret_max_age: Duration,
    /// How long a certificate must still hold. Default 14 days: time to renew it twice by hand.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub certificate_holds_at_least: Duration,
    /// How much more capacity must be free than is needed, in per cent. Default 10.
    pub capacity_headroom: f64,
    /// How long ago a target may last have been scraped. Default 2 minutes: two lost scrapes of the common minute.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub scrape_max_age: Duration,
    /// How long a test alert may take to its receiver. Default 5 minutes.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub alert_delivery_at_most: Duration,
    /// What the figures of delivery are held against.
    pub delivery: DeliveryTargets,
    /// The longest from when a security incident is found until it can do no more harm. Default 1 hour.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub containment_at_most: Duration,
    /// The oldest newest backup. Default 24 hours.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub backup_max_age: Duration,
    /// How long ago the last verified restore may have been. Default 30 days.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub restore_max_age: Duration,
    /// The risk score, from 1 to 9, from which a risk needs a mitigation. Default 6.
    pub risk_mitigated_from: u32,
    /// How long before the start of the work notices must have been received. Default none.
    #[serde(with = "deploy_core::time::duration_ms")]
    pub notice_before: Duration,
    /// The most open defects, by severity in lower case. Default no critical and no high ones.
    pub open_defects_at_most: BTreeMap<String, u64>,
    /// The sections that documents must have. Default a changelog.
    pub required_sections: BTreeSet<String>,
    /// The share of public items that must be documented, in per cent. Default 100.
    pub documented_at_least: f64,
    /// The readability that training material must have, as a Flesch score. Default 30: what a technical reader takes.
    pub readability_at_least: f64,
    /// The fewest monitors of the sixteen kinds that must be there. Default 12.
    pub monitor_kinds_at_least: u64,
    /// Requirements of the first priority that must be covered, in per cent. 100, always: a host may not lower it below.
    pub trace_first_at_least: f64,
    /// Requirements of all priorities that must be covered, in per cent. Default 80.
    pub trace_all_at_least: f64,
    /// Requirements of the second priority that must be covered to pass, in per cent. Default 90.
    pub trace_second_passes_at: f64,
    /// Requirements of the second priority below which it fails, in per cent. Default 80.
    pub trace_second_fails_below: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            tests_at_least: 1,
            flaky_at_most: 0,
            line_coverage_above: 90.0,
            change_coverage_at_least: 80.0,
            vulnerability_fails_at: SeverityRating::Critical,
            vulnerability_remarked_at: SeverityRating::High,
            database_max_age: 48 * HOUR,
            live_databases: BTreeSet::from(["osv-scanner".to_owned()]),
            latency_p99_at_most: 0.5,
            failed_share_at_most: 0.001,
            requests_at_least: 1_000,
            slowdown_at_most: 5.0,
            slowdown_alpha: 0.01,
            error_budget_at_least: 0.1,
            drill_max_age: 30 * DAY,
            drill_at_most: HOUR / 4,
            build_keys: BTreeMap::new(),
            audit_keys: BTreeMap::new(),
            statement_keys: BTreeMap::new(),
            statement_producers: BTreeSet::new(),
            trusted_builders: BTreeSet::new(),
            audit_scope: BTreeSet::new(),
            required_policies: BTreeSet::new(),
            drill_heads: BTreeSet::new(),
            permitted_licences: BTreeSet::new(),
            secret_max_age: 90 * DAY,
            certificate_holds_at_least: 14 * DAY,
            capacity_headroom: 10.0,
            scrape_max_age: HOUR / 30,
            alert_delivery_at_most: HOUR / 12,
            delivery: DeliveryTargets::default(),
            containment_at_most: HOUR,
            backup_max_age: DAY,
            restore_max_age: 30 * DAY,
            risk_mitigated_from: 6,
            notice_before: Duration::ZERO,
            open_defects_at_most: BTreeMap::from([("critical".to_owned(), 0), ("high".to_owned(), 0)]),
            required_sections: BTreeSet::from(["changelog".to_owned()]),
            documented_at_least: 100.0,
            readability_at_least: 30.0,
            monitor_kinds_at_least: 12,
            trace_first_at_least: 100.0,
            trace_all_at_least: 80.0,
            trace_second_passes_at: 90.0,
            trace_second_fails_below: 80.0,
        }
    }
}
