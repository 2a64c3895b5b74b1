//! Which format an input is in.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::{
    BackupFacts, BomFacts, CoverageFacts, FindingFacts, ImageFacts, IncidentFacts, KubernetesFacts, LoadFacts,
    PlanFacts, PolicyFacts, PrometheusFacts, ProvenanceFacts, TestFacts, VexFacts, VulnerabilityFacts,
};
use super::{
    Doubt, Problem, ReadError, Source, cargo_audit, cdevents, cobertura, criterion, csaf, cyclonedx, grype, hyperfine,
    junit, k6, kubernetes, lcov, llvm_cov, oci, oha, openvex, osv, pgbackrest, policy, prometheus, provenance, restic,
    sarif, spdx, terraform, trivy, wrk,
};

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident = $kind:literal => $facts:ident($read:expr);)*) => {
        /// A format of reports. Its text is the `kind` of the evidence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Format {
            $($(#[$doc])* #[serde(rename = $kind)] $name,)*
        }

        impl Format {
            /// All formats.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What evidence of this format is called.
            #[must_use]
            pub fn kind(self) -> &'static str {
                match self {
                    $(Self::$name => $kind,)*
                }
            }

            /// Reads an input in this format. Attestations are read without a trusted key: see [`provenance::read`].
            ///
            /// # Errors
            ///
            /// [`ReadError`], with the place.
            pub fn read(self, source: &Source<'_>) -> Result<Facts, ReadError> {
                match self {
                    $(Self::$name => $read(source).map(Facts::$facts),)*
                }
            }
        }
    };
}

formats! {
    /// JUnit XML.
    Junit = "junit" => Tests(junit::read);
    /// LCOV.
    Lcov = "lcov" => Coverage(lcov::read);
    /// Cobertura XML.
    Cobertura = "cobertura" => Coverage(cobertura::read);
    /// The JSON export of llvm-cov.
    LlvmCov = "llvm-cov" => Coverage(llvm_cov::read);
    /// SARIF.
    Sarif = "sarif" => Findings(sarif::read);
    /// CycloneDX.
    CycloneDx = "cyclonedx" => Bom(cyclonedx::read);
    /// SPDX.
    Spdx = "spdx" => Bom(spdx::read);
    /// OSV and osv-scanner.
    Osv = "osv" => Vulnerabilities(osv::read);
    /// cargo-audit.
    CargoAudit = "cargo-audit" => Vulnerabilities(cargo_audit::read);
    /// Trivy.
    Trivy = "trivy" => Vulnerabilities(trivy::read);
    /// Grype.
    Grype = "grype" => Vulnerabilities(grype::read);
    /// OpenVEX.
    OpenVex = "openvex" => Vex(openvex::read);
    /// CSAF.
    Csaf = "csaf" => Vex(csaf::read);
    /// CycloneDX, for its statements about vulnerabilities.
    CycloneDxVex = "cyclonedx-vex" => Vex(cyclonedx::read_vex);
    /// Plans of Terraform and OpenTofu.
    Terraform = "terraform" => Plan(terraform::read);
    /// Objects of Kubernetes.
    Kubernetes = "kubernetes" => Kubernetes(kubernetes::read);
    /// In-toto statements.
    Provenance = "in-toto" => Provenance(|source| provenance::read(source, &[]));
    /// Manifests of images.
    Oci = "oci" => Image(oci::read);
    /// k6.
    K6 = "k6" => Load(k6::read);
    /// oha.
    Oha = "oha" => Load(oha::read);
    /// wrk.
    Wrk = "wrk" => Load(wrk::read);
    /// hyperfine.
    Hyperfine = "hyperfine" => Load(hyperfine::read);
    /// criterion.
    Criterion = "criterion" => Load(criterion::read);
    /// Answers of Prometheus.
    Prometheus = "prometheus" => Prometheus(prometheus::read);
    /// pgBackRest.
    PgBackRest = "pgbackrest" => Backups(pgbackrest::read);
    /// restic.
    Restic = "restic" => Backups(restic::read);
    /// conftest.
    Conftest = "conftest" => Policies(policy::read_conftest);
    /// OPA.
    Opa = "opa" => Policies(policy::read_opa);
    /// CDEvents about incidents.
    CdEvents = "cdevents" => Incident(cdevents::read);
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.kind())
    }
}

/// A text that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format that is read here")]
pub struct FormatError(String);

impl std::str::FromStr for Format {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let found = Self::ALL.iter().copied().find(|format| format.kind() == text);
        found.ok_or_else(|| FormatError(text.chars().take(40).collect()))
    }
}

/// What an input of some format says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Facts {
    /// Of tests.
    Tests(TestFacts),
    /// Of coverage.
    Coverage(CoverageFacts),
    /// Of static analysis.
    Findings(FindingFacts),
    /// Of what something is made of.
    Bom(BomFacts),
    /// Of vulnerabilities.
    Vulnerabilities(VulnerabilityFacts),
    /// Of how products stand to vulnerabilities.
    Vex(VexFacts),
    /// Of infrastructure.
    Plan(PlanFacts),
    /// Of a cluster.
    Kubernetes(KubernetesFacts),
    /// Of how something was made, and whose word that is.
    Provenance(ProvenanceFacts),
    /// Of an image.
    Image(ImageFacts),
    /// Of load and speed.
    Load(LoadFacts),
    /// Of monitoring.
    Prometheus(PrometheusFacts),
    /// Of backups.
    Backups(BackupFacts),
    /// Of policies.
    Policies(PolicyFacts),
    /// Of an incident.
    Incident(IncidentFacts),
}

impl Facts {
    /// What keeps the input from being taken at its word.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        match self {
            Self::Tests(facts) => &facts.doubts,
            Self::Coverage(facts) => &facts.doubts,
            Self::Findings(facts) => &facts.doubts,
            Self::Bom(facts) => &facts.doubts,
            Self::Vulnerabilities(facts) => &facts.doubts,
            Self::Vex(facts) => &facts.doubts,
            Self::Plan(facts) => &facts.doubts,
            Self::Kubernetes(facts) => &facts.doubts,
            Self::Provenance(facts) => &facts.doubts,
            Self::Image(facts) => &facts.doubts,
            Self::Load(facts) => &facts.doubts,
            Self::Prometheus(facts) => &facts.doubts,
            Self::Backups(facts) => &facts.doubts,
            Self::Policies(facts) => &facts.doubts,
            Self::Incident(facts) => &facts.doubts,
        }
    }
}

/// The formats that are tried for an input whose format nobody stated. CycloneDX is a bill of materials here, and a bare
/// list could be many things.
const GUESSED: [Format; 28] = [
    Format::Junit,
    Format::Cobertura,
    Format::CycloneDx,
    Format::Spdx,
    Format::Sarif,
    Format::LlvmCov,
    Format::CargoAudit,
    Format::Trivy,
    Format::Grype,
    Format::OpenVex,
    Format::Csaf,
    Format::Terraform,
    Format::Kubernetes,
    Format::Provenance,
    Format::Oci,
    Format::K6,
    Format::Oha,
    Format::Hyperfine,
    Format::Prometheus,
    Format::Lcov,
    Format::Wrk,
    Format::PgBackRest,
    Format::Restic,
    Format::Conftest,
    Format::Criterion,
    Format::Osv,
    Format::Opa,
    Format::CdEvents,
];

impl Format {
    /// The format of an input, if it reads as exactly one. Prefer to state it: a producer knows what it wrote.
    ///
    /// # Errors
    ///
    /// [`Problem::Version`] if it reads as none or as several; what keeps it from being read at all, if that is so for every
    /// format.
    pub fn guess(source: &Source<'_>) -> Result<Self, ReadError> {
        source.text()?;
        let reads: Vec<Self> = GUESSED.into_iter().filter(|format| format.read(source).is_ok()).collect();
        match reads.as_slice() {
            [one] => Ok(*one),
            several => {
                let names: Vec<&str> = several.iter().map(|format| format.kind()).collect();
                let reason = match names.as_slice() {
                    [] => "it reads as no format that is known here".to_owned(),
                    names => format!("it reads as {}: state which it is", names.join(" and as ")),
                };
                Err(ReadError::new(Problem::Version, source.at(super::Place::Whole), reason))
            }
        }
    }
}
