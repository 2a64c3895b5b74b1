//! What reports say, as plain data: one file for each kind of report.
//!
//! Facts hold what stands in a report and no judgement of it; the judgement belongs to the checks. What a producer
//! *declares* is kept apart from what its entries *add up to*, and every number that stands in a source is a
//! [`Sourced`](super::Sourced) one.

mod backup;
mod bom;
mod coverage;
mod finding;
mod git;
mod incident;
mod kubernetes;
mod load;
mod plan;
mod policy;
mod prometheus;
mod provenance;
mod test;
mod version;
mod vex;
mod vulnerability;

pub use self::backup::{Backup, BackupCheck, BackupFacts, BackupStore, RestoreTest};
pub use self::bom::{BomComponent, BomFacts, BomFormat, LicenceAnswer, LicenceStatement};
pub use self::coverage::{CountingRule, CoverageFacts, DeclaredCoverage, DiffCoverage, FileCoverage, Share};
pub use self::finding::{
    AnalysisRun, BaselineState, CodeFinding, CodeLocation, FindingFacts, FindingKind, FindingLevel, Suppression,
};
pub use self::git::{ChangedFile, Commit, CommitSignature, ConventionalCommit, GitFacts, Growth};
pub use self::incident::{IncidentFacts, IncidentPredicate};
pub use self::kubernetes::{Condition, Container, Endpoints, KubernetesFacts, Pod, Progress, Workload};
pub use self::load::{Benchmark, Latency, LatencyKind, LoadFacts, Quantity, Threshold, TimeUnit};
pub use self::plan::{OutputChange, PlanAction, PlanCheck, PlanFacts, ResourceChange};
pub use self::policy::{PolicyFacts, PolicyOutcome, PolicyResult};
pub use self::prometheus::{ActiveAlert, MonitoringRule, PrometheusFacts, QuerySample, QuerySeries, ScrapeTarget};
pub use self::provenance::{AttestedSubject, BuildProvenance, Material, ProvenanceFacts, VerifiedSignature};
pub use self::test::{TestCase, TestCounts, TestFacts, TestOutcome, TestSuite};
pub use self::version::{ImageFacts, OciReference, PlatformImage, SaidVersion, VersionFacts};
pub use self::vex::{VexFacts, VexStatement, VexStatus, effective};
pub use self::vulnerability::{
    LeftOut, ScanSubject, SeverityRating, Vulnerability, VulnerabilityFacts, VulnerabilityKind,
};
