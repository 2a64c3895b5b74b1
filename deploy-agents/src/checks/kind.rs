//! The kinds of evidence that checks read, by name. A piece of evidence says which kind it is of.

/// JUnit XML of a test run.
pub const JUNIT: &str = "junit";
/// JUnit XML of the smoke tests.
pub const SMOKE: &str = "smoke-junit";
/// JUnit XML of the integration tests.
pub const INTEGRATION: &str = "integration-junit";
/// JUnit XML of the acceptance tests.
pub const ACCEPTANCE: &str = "acceptance-junit";
/// Coverage as LCOV.
pub const LCOV: &str = "lcov";
/// Coverage as Cobertura XML.
pub const COBERTURA: &str = "cobertura";
/// Coverage as llvm-cov JSON.
pub const LLVM_COV: &str = "llvm-cov";
/// Findings of static analysis as SARIF.
pub const SARIF: &str = "sarif";
/// A bill of materials as CycloneDX.
pub const CYCLONE_DX: &str = "cyclonedx";
/// A bill of materials as SPDX.
pub const SPDX: &str = "spdx";
/// Vulnerabilities as an OSV scanner writes them.
pub const OSV: &str = "osv";
/// Vulnerabilities as `cargo audit --json` writes them.
pub const CARGO_AUDIT: &str = "cargo-audit";
/// Vulnerabilities as Trivy writes them.
pub const TRIVY: &str = "trivy";
/// Vulnerabilities as Grype writes them.
pub const GRYPE: &str = "grype";
/// Of when Trivy's database is: what `trivy version --format json` writes.
pub const TRIVY_DATABASE: &str = "trivy-version";
/// Statements about vulnerabilities as OpenVEX.
pub const OPEN_VEX: &str = "openvex";
/// Statements about vulnerabilities as OpenVEX, signed: in a DSSE envelope.
pub const SIGNED_VEX: &str = "openvex-attestation";
/// Statements about vulnerabilities as CSAF.
pub const CSAF: &str = "csaf";
/// An infrastructure plan as `terraform show -json` writes it.
pub const TERRAFORM_PLAN: &str = "terraform-plan";
/// The same after the plan was applied.
pub const TERRAFORM_PLAN_AFTER: &str = "terraform-plan-after";
/// Objects of a cluster as `kubectl get -o json` writes them.
pub const KUBERNETES: &str = "kubernetes";
/// The same of the cluster where it was tried out first.
pub const KUBERNETES_STAGING: &str = "kubernetes-staging";
/// A signed attestation in a DSSE envelope.
pub const ATTESTATION: &str = "attestation";
/// A signed attestation of a security audit.
pub const AUDIT: &str = "audit-attestation";
/// Load as k6 writes it at its end.
pub const K6: &str = "k6";
/// Load as oha writes it.
pub const OHA: &str = "oha";
/// Load as wrk writes it.
pub const WRK: &str = "wrk";
/// Times of programs as hyperfine writes them.
pub const HYPERFINE: &str = "hyperfine";
/// Times of functions as criterion writes them.
pub const CRITERION: &str = "criterion";
/// The same of the version before.
pub const CRITERION_BEFORE: &str = "criterion-before";
/// The same of the version before.
pub const HYPERFINE_BEFORE: &str = "hyperfine-before";
/// Load that stood on the service during the whole rollout, as k6 writes it.
pub const ROLLOUT_LOAD: &str = "rollout-k6";
/// A server's answer to `/api/v1/targets`.
pub const PROMETHEUS_TARGETS: &str = "prometheus-targets";
/// A server's answer to `/api/v1/rules`.
pub const PROMETHEUS_RULES: &str = "prometheus-rules";
/// A server's answer to a query for the series of the new version.
pub const PROMETHEUS_SERIES: &str = "prometheus-series";
/// Backups as `pgbackrest info --output=json` writes them.
pub const PGBACKREST: &str = "pgbackrest";
/// Backups as `restic snapshots --json` writes them.
pub const RESTIC: &str = "restic";
/// Results of policies as `conftest test -o json` writes them.
pub const CONFTEST: &str = "conftest";
/// Results of policies as `opa eval` writes them.
pub const OPA: &str = "opa";
/// A run of the engine as lines of JSON, as it is exported.
pub const RUN_EXPORT: &str = "run-export";
/// The exported run of a rollback drill.
pub const DRILL_EXPORT: &str = "drill-export";
/// What a host declares not to apply, with its reasons.
pub const PROFILE: &str = "profile";
/// What was asked of releases when this one was judged.
pub const POLICY: &str = "policy";
/// What runs in the environment now.
pub const DEPLOYED: &str = "deployed";
/// Events about an incident as CDEvents writes them.
pub const CD_EVENTS: &str = "cdevents";
/// Bytes that were preserved as they stood.
pub const PRESERVED: &str = "preserved";
/// A signed statement that another workflow did its part for a commit.
pub const PREREQUISITE: &str = "prerequisite-attestation";
/// The exported run of another workflow.
pub const PREREQUISITE_RUN: &str = "prerequisite-run";

/// Whether evidence of this kind speaks of what was built, so that it must name the commit or the artifact: that it is about the right
/// environment says nothing of which version was tested, scanned or measured.
#[must_use]
pub fn is_of_a_build(kind: &str) -> bool {
    let of_code = [JUNIT, LCOV, COBERTURA, LLVM_COV, SARIF, CYCLONE_DX, SPDX, OSV, CARGO_AUDIT, TRIVY, GRYPE];
    let of_its_work = [SMOKE, INTEGRATION, ACCEPTANCE, K6, OHA, WRK, ROLLOUT_LOAD, HYPERFINE, CRITERION];
    of_code.contains(&kind) || of_its_work.contains(&kind)
}
