//! What the roles hand over, phase by phase.
//!
//! Each of these is a [`Content`]: a pure function of accepted evidence. It travels as
//! [`Issued<C>`](super::Issued), with its subject, its issuer, what was read, and what the checks said.
//!
//! | phase | deliverables |
//! |---|---|
//! | 1 readiness | [`ReadinessReport`], [`RiskRegister`], [`DependencyReport`], [`CapacityReport`], [`BackupPlan`] |
//! | 2 planning | [`ReleasePlan`], [`Schedule`], [`NoticeRecord`], [`WindowPlan`], [`ApprovalRecord`] |
//! | 3 build | [`BuildRecord`], [`VersionTag`], [`ArtifactSet`], [`DependencyReport`], [`ScanReport`] |
//! | 4 infrastructure | [`InfraRecord`], [`ConfigRecord`], [`HardeningReport`], [`ComplianceReport`] |
//! | 5 deployment | [`RolloutRecord`], [`HealthReport`], [`AlertDrill`] |
//! | 6 validation | [`SmokeReport`], [`IntegrationReport`], [`AcceptanceReport`], [`BenchmarkReport`], [`SecurityVerification`] |
//! | 7 monitoring | [`MonitoringStatus`], [`PerfReport`], [`SloStatus`] |
//! | 8 documentation | [`ReleaseNotes`], [`DeploymentDocs`], [`TrainingPack`], [`LessonsLearned`] |
//!
//! The three-phase workflow hands over [`ReadinessReport`], [`CodeReview`], [`SecurityClearance`], [`InfraReadiness`],
//! [`QaGate`], [`Coordination`], [`MonitoringSetup`], [`SecurityWatch`] and [`BusinessImpact`]; the review of an incident
//! [`ServiceImpact`] and [`UserImpact`].

mod build;
mod deployment;
mod documentation;
mod incident;
mod infrastructure;
mod monitoring;
mod planning;
mod readiness;
mod review;
mod validation;

use deploy_core::evidence::Refusal;

pub use self::build::{ArtifactSet, BuildRecord, Scan, ScanReport, VersionTag};
pub use self::deployment::{Coordination, RolloutRecord};
pub use self::documentation::{DeploymentDocs, LessonsLearned};
pub use self::incident::{ServiceImpact, UserImpact};
pub use self::infrastructure::{ComplianceReport, HardeningReport, InfraReadiness, InfraRecord};
pub use self::monitoring::{BusinessImpact, MonitoringSetup, MonitoringStatus, PerfReport, SecurityWatch, SloStatus};
pub use self::planning::{ReleasePlan, WindowPlan};
pub(crate) use self::readiness::weigh;
pub use self::readiness::{BackupPlan, DependencyReport, ReadinessReport};
pub use self::review::{CodeReview, SecurityClearance};
pub use self::validation::{
    AcceptanceReport, BenchmarkReport, IntegrationReport, SecurityVerification, SmokeReport, TestTally,
};
use super::issued::Content;
use super::material::Material;
use crate::checks::Document as _;
pub use crate::checks::infrastructure::{AlertDrill, CapacityReport, ConfigRecord, HealthReport};
pub use crate::checks::people::{ApprovalRecord, NoticeRecord, Schedule, TrainingPack};
pub use crate::checks::rules::{QaGate, RiskRegister};
pub use crate::checks::shipping::ReleaseNotes;

/// Documents that are handed over as they were read: exactly one of the kind, of accepted evidence.
macro_rules! handed_over {
    ($($document:ty),* $(,)?) => {$(
        impl Content for $document {
            const NAME: &'static str = <$document>::KIND;
            const VERSION: u32 = 1;
            fn of(material: &Material<'_>) -> Result<Self, Refusal> {
                Ok(material.reading().document::<Self>()?.document)
            }
        }
    )*};
}

handed_over!(
    AlertDrill,
    ApprovalRecord,
    CapacityReport,
    ConfigRecord,
    HealthReport,
    NoticeRecord,
    ReleaseNotes,
    RiskRegister,
    Schedule,
    TrainingPack,
);
