//! What an agent hands over: typed, bound to its release, with what it was read from.

use deploy_core::deliverable::{Deliverable, DeliverableKey, Delivered, Slot};
use deploy_core::digest::Digest;
use deploy_core::evidence::{Refusal, Verdict};
use deploy_core::name::{BlockName, CheckName, EnvironmentName, RevisionName, ServiceName};
use deploy_core::release::{Artifact, Release};
use deploy_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::material::Material;
use crate::checks::Figure;

/// What a deliverable says, as a pure function of evidence.
///
/// Write one for a deliverable of your own, and add it to a [`Duty`](super::Duty):
///
/// ```
/// use deploy_agents::crew::{Content, Issued, Material};
/// use deploy_core::evidence::Refusal;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct TestCount { tests: u64 }
/// impl Content for TestCount {
///     const NAME: &'static str = "test-count";
///     const VERSION: u32 = 1;
///     fn of(material: &Material<'_>) -> Result<Self, Refusal> {
///         let reports = material.reading().tests(deploy_agents::checks::kind::JUNIT)?;
///         Ok(Self { tests: reports.iter().map(|report| report.cases.len() as u64).sum() })
///     }
/// }
/// type Handed = Issued<TestCount>;
/// ```
pub trait Content: Serialize + DeserializeOwned + 'static {
    /// What the deliverable is called in plans and records.
    const NAME: &'static str;
    /// Which shape it has.
    const VERSION: u32;

    /// Makes it of accepted evidence.
    ///
    /// # Errors
    ///
    /// The refusal, where what it is to be made of is not there or cannot be read.
    fn of(material: &Material<'_>) -> Result<Self, Refusal>;
}

/// A deliverable: what it says, what it is about, who issued it when, which bytes it was read from, and what the checks said.
///
/// It is always handed over. Where its evidence was refused it says so in place of its content, so that no later step has to
/// guess.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Issued<C> {
    /// What it is about.
    pub subject: Subject,
    /// Who issued it.
    pub by: BlockName,
    /// When.
    pub at: Timestamp,
    /// What was read for it.
    pub read: Vec<Piece>,
    /// What the checks of the step said.
    pub said: Vec<Said>,
    /// What it says.
    pub body: Body<C>,
}

/// The release that a deliverable is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The service.
    pub service: ServiceName,
    /// Where it goes.
    pub environment: EnvironmentName,
    /// The revision.
    pub revision: RevisionName,
    /// The commit.
    pub commit: Option<String>,
    /// The artifacts, each with its digest.
    pub artifacts: Vec<Artifact>,
}

/// A piece of evidence that was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Piece {
    /// Of which kind.
    pub kind: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// What it is called.
    pub file: String,
    /// When what it says was observed.
    pub observed_at: Timestamp,
}

/// What a check said, and the numbers behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The check.
    pub check: CheckName,
    /// Its verdict.
    pub verdict: Verdict,
    /// The numbers, each with its place.
    pub figures: Vec<Figure>,
}

/// What a deliverable says, or why it says nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body<C> {
    /// It says this.
    Made(C),
    /// What it was to be made of was refused.
    Refused(Refusal),
}

impl Subject {
    /// What a deliverable of this release is about.
    #[must_use]
    pub fn of(release: &Release) -> Self {
        Self {
            service: release.service.clone(),
            environment: release.environment.clone(),
            revision: release.revision.clone(),
            commit: release.change.commit.clone(),
            artifacts: release.artifacts.clone(),
        }
    }

    /// Whether it is this release.
    #[must_use]
    pub fn is(&self, release: &Release) -> bool {
        *self == Self::of(release)
    }
}

impl<C> Issued<C> {
    /// What it says.
    ///
    /// # Errors
    ///
    /// Why it says nothing.
    pub fn content(&self) -> Result<&C, &Refusal> {
        match &self.body {
            Body::Made(content) => Ok(content),
            Body::Refused(refusal) => Err(refusal),
        }
    }

    /// Whether it is about this release, says something, and every check behind it is met.
    #[must_use]
    pub fn holds(&self, release: &Release) -> bool {
        self.subject.is(release)
            && matches!(self.body, Body::Made(_))
            && self.said.iter().all(|said| said.verdict.is_met())
    }

    /// What one check said.
    #[must_use]
    pub fn said(&self, check: &str) -> Option<&Verdict> {
        self.said.iter().find(|said| said.check.as_str() == check).map(|said| &said.verdict)
    }
}

impl<C: Content> Deliverable for Issued<C> {
    const NAME: &'static str = C::NAME;
    const VERSION: u32 = C::VERSION;
}

/// Makes one deliverable of a duty.
#[derive(Debug, Clone)]
pub(super) struct Maker {
    pub(super) key: DeliverableKey,
    pub(super) make: fn(&Material<'_>) -> Result<Delivered, serde_json::Error>,
}

impl Maker {
    pub(super) fn of<C: Content>() -> Self {
        Self { key: Slot::<Issued<C>>::new().key(), make: make::<C> }
    }
}

fn make<C: Content>(material: &Material<'_>) -> Result<Delivered, serde_json::Error> {
    Delivered::of(&material.issue(|material| C::of(material)))
}
