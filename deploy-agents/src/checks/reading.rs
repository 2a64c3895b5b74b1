//! Reads the evidence that a check was given, each piece by the reader of its kind.

use std::collections::BTreeMap;

use deploy_core::evidence::{CheckInput, Evidence, Refusal};
use deploy_core::release::Release;
use deploy_core::time::Timestamp;

use super::document::{self, Document, Read, file_of};
use super::kind;
use super::runs::{RunFacts, read_export};
use super::steps::StepReport;
use super::{code, delivery, impact, incident, infrastructure, people, performance, reviews, rules, shipping};
use crate::evidence::dsse::TrustedKey;
use crate::evidence::facts::{
    BackupFacts, BomFacts, CoverageFacts, FindingFacts, IncidentFacts, KubernetesFacts, LoadFacts, PlanFacts,
    PolicyFacts, PrometheusFacts, ProvenanceFacts, TestFacts, VexFacts, VulnerabilityFacts,
};
use crate::evidence::{
    Place, Pointer, ReadError, Source, Sourced, cargo_audit, cdevents, cobertura, criterion, csaf, cyclonedx, grype,
    hyperfine, junit, k6, kubernetes, lcov, llvm_cov, oha, openvex, osv, pgbackrest, policy, prometheus, provenance,
    restic, sarif, spdx, terraform, trivy, wrk,
};

/// A reader of one kind of report.
type Reader<T> = fn(&Source<'_>) -> Result<T, ReadError>;

/// Statements about vulnerabilities. Whose unsigned word counts is for a check to say.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Statements<'a> {
    /// Those that somebody signed whose key is trusted.
    pub signed: Vec<VexFacts>,
    /// The others, each with its particulars.
    pub unsigned: Vec<(&'a Evidence, VexFacts)>,
}

/// The evidence of one question, and the readers for it.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    input: &'a CheckInput<'a>,
}

impl<'a> Reading<'a> {
    /// Reads what a check was given.
    #[must_use]
    pub fn new(input: &'a CheckInput<'a>) -> Self {
        Self { input }
    }

    /// The release that is being checked.
    #[must_use]
    pub fn release(&self) -> &'a Release {
        self.input.release
    }

    /// Wall time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.input.now
    }

    /// The pieces of one kind, each with its bytes.
    pub fn pieces(&self, kind: &str) -> impl Iterator<Item = (&'a Evidence, &'a [u8])> {
        self.input.evidence.iter().copied().filter(move |(evidence, _)| evidence.kind == kind)
    }

    /// Reads every piece of these kinds; the first that cannot be read refuses them all.
    ///
    /// # Errors
    ///
    /// The refusal; [`Refusal::Missing`] where there is no piece of any of them.
    pub fn each<T>(&self, readers: &[(&str, Reader<T>)]) -> Result<Vec<(&'a Evidence, T)>, Refusal> {
        let found = self.each_if_any(readers)?;
        if found.is_empty() {
            let kinds: Vec<&str> = readers.iter().map(|(kind, _)| *kind).collect();
            return Err(Refusal::Missing(format!("there is no evidence of kind {}", kinds.join(" or "))));
        }
        Ok(found)
    }

    /// The same where there may be none.
    ///
    /// # Errors
    ///
    /// The refusal of the first piece that cannot be read.
    pub fn each_if_any<T>(&self, readers: &[(&str, Reader<T>)]) -> Result<Vec<(&'a Evidence, T)>, Refusal> {
        let mut found = Vec::new();
        for (kind, reader) in readers {
            for (evidence, bytes) in self.pieces(kind) {
                let file = file_of(evidence);
                found.push((evidence, reader(&Source::new(&file, bytes))?));
            }
        }
        Ok(found)
    }

    /// Test reports of one kind.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn tests(&self, kind: &str) -> Result<Vec<TestFacts>, Refusal> {
        Ok(self.each(&[(kind, junit::read)])?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Coverage reports.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn coverage(&self) -> Result<Vec<CoverageFacts>, Refusal> {
        let readers: [(&str, Reader<CoverageFacts>); 3] =
            [(kind::LCOV, lcov::read), (kind::COBERTURA, cobertura::read), (kind::LLVM_COV, llvm_cov::read)];
        Ok(self.each(&readers)?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Findings of static analysis.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn findings(&self) -> Result<Vec<FindingFacts>, Refusal> {
        Ok(self.each(&[(kind::SARIF, sarif::read)])?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Scans for vulnerabilities, each with its particulars.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn vulnerabilities(&self) -> Result<Vec<(&'a Evidence, VulnerabilityFacts)>, Refusal> {
        let mut scans = self.each(&[
            (kind::TRIVY, trivy::read as Reader<VulnerabilityFacts>),
            (kind::GRYPE, grype::read),
            (kind::OSV, osv::read),
            (kind::CARGO_AUDIT, cargo_audit::read),
        ])?;
        // Trivy says of when its database is in an answer of its own.
        let databases =
            self.each_if_any(&[(kind::TRIVY_DATABASE, trivy::read_database as Reader<Sourced<Timestamp>>)])?;
        if let Some((_, database)) = databases.into_iter().next() {
            for (_, scan) in scans.iter_mut().filter(|(evidence, _)| evidence.kind == kind::TRIVY) {
                scan.database.get_or_insert_with(|| database.clone());
            }
        }
        Ok(scans)
    }

    /// Statements about vulnerabilities, of which there may be none, sorted by whether one of these keys signed them.
    ///
    /// # Errors
    ///
    /// The refusal; also where a key cannot be read, and where statements are signed by somebody else.
    pub fn statements(&self, keys: &BTreeMap<String, String>) -> Result<Statements<'a>, Refusal> {
        let readers: [(&str, Reader<VexFacts>); 2] = [(kind::OPEN_VEX, openvex::read), (kind::CSAF, csaf::read)];
        let mut unsigned = self.each_if_any(&readers)?;
        let keys = trusted(keys)?;
        let mut signed = Vec::new();
        for (evidence, bytes) in self.pieces(kind::SIGNED_VEX) {
            let (facts, by) = openvex::read_signed(&Source::new(&file_of(evidence), bytes), &keys)?;
            // With no key, nobody knows whose signature it is.
            if by.is_empty() {
                unsigned.push((evidence, facts));
            } else {
                signed.push(facts);
            }
        }
        Ok(Statements { signed, unsigned })
    }

    /// Bills of materials.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn bills(&self) -> Result<Vec<BomFacts>, Refusal> {
        let readers: [(&str, Reader<BomFacts>); 2] = [(kind::CYCLONE_DX, cyclonedx::read), (kind::SPDX, spdx::read)];
        Ok(self.each(&readers)?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Events about an incident, oldest first.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn incidents(&self) -> Result<Vec<IncidentFacts>, Refusal> {
        let mut events: Vec<IncidentFacts> =
            self.each(&[(kind::CD_EVENTS, cdevents::read as Reader<_>)])?.into_iter().map(|(_, facts)| facts).collect();
        events.sort_by_key(|event| event.at.value);
        Ok(events)
    }

    /// Load tests.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn loads(&self) -> Result<Vec<LoadFacts>, Refusal> {
        let readers: [(&str, Reader<LoadFacts>); 3] =
            [(kind::K6, k6::read), (kind::OHA, oha::read), (kind::WRK, wrk::read)];
        Ok(self.each(&readers)?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// The load that stood on the service during the rollout.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn rollout_loads(&self) -> Result<Vec<LoadFacts>, Refusal> {
        Ok(self.each(&[(kind::ROLLOUT_LOAD, k6::read as Reader<_>)])?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Times of programs, of one kind: those of now or those of before.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn times(&self, kind: &str) -> Result<Vec<LoadFacts>, Refusal> {
        Ok(self.each(&[(kind, hyperfine::read as Reader<_>)])?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Times of functions, of one kind of evidence, as criterion writes them.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn benchmarks(&self, kind: &str) -> Result<Vec<LoadFacts>, Refusal> {
        Ok(self.each(&[(kind, criterion::read as Reader<_>)])?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Infrastructure plans of one kind, each with its particulars.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn plan(&self, kind: &str) -> Result<(&'a Evidence, PlanFacts), Refusal> {
        self.one(kind, terraform::read)
    }

    /// Objects of a cluster, of one kind of evidence.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn objects(&self, kind: &str) -> Result<KubernetesFacts, Refusal> {
        Ok(self.one(kind, kubernetes::read)?.1)
    }

    /// A server's answer, of one kind of evidence.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn monitoring(&self, kind: &str) -> Result<PrometheusFacts, Refusal> {
        Ok(self.one(kind, prometheus::read)?.1)
    }

    /// Backups.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn backups(&self) -> Result<Vec<BackupFacts>, Refusal> {
        let readers: [(&str, Reader<BackupFacts>); 2] =
            [(kind::PGBACKREST, pgbackrest::read), (kind::RESTIC, restic::read)];
        Ok(self.each(&readers)?.into_iter().map(|(_, facts)| facts).collect())
    }

    /// Results of policies.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn policies(&self) -> Result<Vec<(Pointer, PolicyFacts)>, Refusal> {
        let readers: [(&str, Reader<PolicyFacts>); 2] =
            [(kind::CONFTEST, policy::read_conftest), (kind::OPA, policy::read_opa)];
        let whole = |evidence: &Evidence| Pointer::new(file_of(evidence), Place::Whole);
        Ok(self.each(&readers)?.into_iter().map(|(evidence, facts)| (whole(evidence), facts)).collect())
    }

    /// Signed statements of one kind, checked against these keys.
    ///
    /// # Errors
    ///
    /// The refusal; also where a key cannot be read.
    pub fn signed(&self, kind: &str, keys: &BTreeMap<String, String>) -> Result<Vec<ProvenanceFacts>, Refusal> {
        let keys = trusted(keys)?;
        let read = |(evidence, bytes): (&Evidence, &[u8])| {
            Ok(provenance::read(&Source::new(&file_of(evidence), bytes), &keys)?)
        };
        let found = self.pieces(kind).map(read).collect::<Result<Vec<_>, Refusal>>()?;
        if found.is_empty() { Err(Refusal::Missing(format!("there is no evidence of kind {kind}"))) } else { Ok(found) }
    }

    /// An exported run, of one kind of evidence.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub fn run(&self, kind: &str) -> Result<RunFacts, Refusal> {
        let (evidence, bytes) = self.only(kind)?;
        read_export(evidence, bytes)
    }

    /// The one piece of a kind.
    fn only(&self, kind: &str) -> Result<(&'a Evidence, &'a [u8]), Refusal> {
        let mut all = self.pieces(kind);
        match (all.next(), all.next()) {
            (None, _) => Err(Refusal::Missing(format!("there is no evidence of kind {kind}"))),
            (Some(piece), None) => Ok(piece),
            (Some(_), Some(_)) => Err(Refusal::Duplicate(format!("several pieces of kind {kind}, and one is meant"))),
        }
    }

    fn one<T>(&self, kind: &str, reader: Reader<T>) -> Result<(&'a Evidence, T), Refusal> {
        let (evidence, bytes) = self.only(kind)?;
        Ok((evidence, reader(&Source::new(&file_of(evidence), bytes))?))
    }

    /// Opens one piece by the reader of its kind, to its end.
    ///
    /// # Errors
    ///
    /// The refusal; also for a kind that has no reader.
    pub fn opens(evidence: &Evidence, bytes: &[u8]) -> Result<(), Refusal> {
        let file = file_of(evidence);
        let source = Source::new(&file, bytes);
        fn own<D: Document>(file: &str, bytes: &[u8]) -> Result<(), Refusal> {
            document::read::<D>(file, bytes).map(|_| ())
        }
        match evidence.kind.as_str() {
            kind::JUNIT | kind::SMOKE | kind::INTEGRATION | kind::ACCEPTANCE => junit::read(&source).map(|_| ())?,
            kind::LCOV => lcov::read(&source).map(|_| ())?,
            kind::COBERTURA => cobertura::read(&source).map(|_| ())?,
            kind::LLVM_COV => llvm_cov::read(&source).map(|_| ())?,
            kind::SARIF => sarif::read(&source).map(|_| ())?,
            kind::CYCLONE_DX => cyclonedx::read(&source).map(|_| ())?,
            kind::SPDX => spdx::read(&source).map(|_| ())?,
            kind::OSV => osv::read(&source).map(|_| ())?,
            kind::CARGO_AUDIT => cargo_audit::read(&source).map(|_| ())?,
            kind::TRIVY => trivy::read(&source).map(|_| ())?,
            kind::TRIVY_DATABASE => trivy::read_database(&source).map(|_| ())?,
            kind::GRYPE => grype::read(&source).map(|_| ())?,
            kind::OPEN_VEX => openvex::read(&source).map(|_| ())?,
            kind::SIGNED_VEX => openvex::read_signed(&source, &[]).map(|_| ())?,
            kind::CSAF => csaf::read(&source).map(|_| ())?,
            kind::TERRAFORM_PLAN | kind::TERRAFORM_PLAN_AFTER => terraform::read(&source).map(|_| ())?,
            kind::KUBERNETES | kind::KUBERNETES_STAGING => kubernetes::read(&source).map(|_| ())?,
            kind::ATTESTATION | kind::AUDIT | kind::PREREQUISITE => provenance::read(&source, &[]).map(|_| ())?,
            kind::K6 | kind::ROLLOUT_LOAD => k6::read(&source).map(|_| ())?,
            kind::OHA => oha::read(&source).map(|_| ())?,
            kind::WRK => wrk::read(&source).map(|_| ())?,
            kind::HYPERFINE | kind::HYPERFINE_BEFORE => hyperfine::read(&source).map(|_| ())?,
            kind::CRITERION | kind::CRITERION_BEFORE => criterion::read(&source).map(|_| ())?,
            kind::PROMETHEUS_TARGETS | kind::PROMETHEUS_RULES | kind::PROMETHEUS_SERIES => {
                prometheus::read(&source).map(|_| ())?;
            }
            kind::PGBACKREST => pgbackrest::read(&source).map(|_| ())?,
            kind::RESTIC => restic::read(&source).map(|_| ())?,
            kind::CONFTEST => policy::read_conftest(&source).map(|_| ())?,
            kind::OPA => policy::read_opa(&source).map(|_| ())?,
            kind::CD_EVENTS => cdevents::read(&source).map(|_| ())?,
            kind::RUN_EXPORT | kind::DRILL_EXPORT | kind::PREREQUISITE_RUN => {
                read_export(evidence, bytes).map(|_| ())?
            }
            code::CiRun::KIND => own::<code::CiRun>(&file, bytes)?,
            code::ChangeLog::KIND => own::<code::ChangeLog>(&file, bytes)?,
            delivery::DeliveryHistory::KIND => own::<delivery::DeliveryHistory>(&file, bytes)?,
            impact::Impact::KIND => own::<impact::Impact>(&file, bytes)?,
            incident::SecurityIncident::KIND => own::<incident::SecurityIncident>(&file, bytes)?,
            incident::PreservedList::KIND => own::<incident::PreservedList>(&file, bytes)?,
            kind::PRESERVED => {}
            infrastructure::EnvironmentProbe::KIND => own::<infrastructure::EnvironmentProbe>(&file, bytes)?,
            infrastructure::IacApply::KIND => own::<infrastructure::IacApply>(&file, bytes)?,
            infrastructure::CapacityReport::KIND => own::<infrastructure::CapacityReport>(&file, bytes)?,
            infrastructure::AlertDrill::KIND => own::<infrastructure::AlertDrill>(&file, bytes)?,
            infrastructure::RestoreRecord::KIND => own::<infrastructure::RestoreRecord>(&file, bytes)?,
            infrastructure::HealthReport::KIND => own::<infrastructure::HealthReport>(&file, bytes)?,
            infrastructure::MonitoringCoverage::KIND => own::<infrastructure::MonitoringCoverage>(&file, bytes)?,
            infrastructure::ConfigRecord::KIND => own::<infrastructure::ConfigRecord>(&file, bytes)?,
            people::ApprovalRecord::KIND => own::<people::ApprovalRecord>(&file, bytes)?,
            people::NoticeRecord::KIND => own::<people::NoticeRecord>(&file, bytes)?,
            people::Roster::KIND => own::<people::Roster>(&file, bytes)?,
            people::AccessExport::KIND => own::<people::AccessExport>(&file, bytes)?,
            people::Schedule::KIND => own::<people::Schedule>(&file, bytes)?,
            people::TrainingPack::KIND => own::<people::TrainingPack>(&file, bytes)?,
            performance::ErrorBudget::KIND => own::<performance::ErrorBudget>(&file, bytes)?,
            performance::SuccessMetrics::KIND => own::<performance::SuccessMetrics>(&file, bytes)?,
            performance::SmokePlan::KIND => own::<performance::SmokePlan>(&file, bytes)?,
            rules::QaGate::KIND => own::<rules::QaGate>(&file, bytes)?,
            rules::NfrResults::KIND => own::<rules::NfrResults>(&file, bytes)?,
            rules::RiskRegister::KIND => own::<rules::RiskRegister>(&file, bytes)?,
            rules::TraceMatrix::KIND => own::<rules::TraceMatrix>(&file, bytes)?,
            shipping::DocsInventory::KIND => own::<shipping::DocsInventory>(&file, bytes)?,
            shipping::ReleaseNotes::KIND => own::<shipping::ReleaseNotes>(&file, bytes)?,
            shipping::DefectList::KIND => own::<shipping::DefectList>(&file, bytes)?,
            StepReport::KIND => own::<StepReport>(&file, bytes)?,
            kind::PROFILE => own::<super::Excused>(&file, bytes)?,
            reviews::ReviewSchedule::KIND => own::<reviews::ReviewSchedule>(&file, bytes)?,
            reviews::ReviewRecord::KIND => own::<reviews::ReviewRecord>(&file, bytes)?,
            other => return Err(Refusal::Unparseable(format!("{file}: there is no reader for kind {other}"))),
        }
        Ok(())
    }

    /// Every document of one of our own formats.
    ///
    /// # Errors
    ///
    /// The refusal of the first that cannot be read.
    pub fn documents<D: Document>(&self) -> Result<Vec<Read<D>>, Refusal> {
        let read = |(evidence, bytes): (&'a Evidence, &'a [u8])| {
            let file = file_of(evidence);
            Ok(Read { document: document::read(&file, bytes)?, file, evidence: evidence.clone() })
        };
        self.pieces(D::KIND).map(read).collect()
    }

    /// The one document of one of our own formats.
    ///
    /// # Errors
    ///
    /// The refusal: also where there is none, or more than one, since nobody could tell which of them holds.
    pub fn document<D: Document>(&self) -> Result<Read<D>, Refusal> {
        let mut all = self.documents::<D>()?;
        match all.len() {
            0 => Err(Refusal::Missing(format!("there is no evidence of kind {}", D::KIND))),
            1 => Ok(all.remove(0)),
            n => Err(Refusal::Duplicate(format!("{n} pieces of kind {}, and one is meant", D::KIND))),
        }
    }
}

/// Keys in PEM, by the name under which they are trusted.
fn trusted(keys: &BTreeMap<String, String>) -> Result<Vec<TrustedKey>, Refusal> {
    let key = |(name, pem): (&String, &String)| {
        TrustedKey::from_pem(name, pem).map_err(|e| Refusal::Unparseable(format!("the trusted key {name}: {e}")))
    };
    keys.iter().map(key).collect()
}
