//! One answer of a strategy.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Exposure, Memory};
use crate::monitor::{Judgement, MeasureRequest};
use crate::operator::ApprovalRequest;
use crate::target::DesiredState;
use crate::time::RunTime;

/// What should be there next, what to measure meanwhile, and when to ask again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decision {
    /// The full statement of what should be there.
    pub want: DesiredState,
    /// What to measure at the next look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measure: Vec<MeasureRequest>,
    /// When to ask again, or that it is over.
    pub next: Next,
    /// What to hand back next time.
    pub memory: Memory,
    /// Where on the ladder this is.
    pub stage: Stage,
    /// Why.
    pub reason: Reason,
    /// What was judged, for people and reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judgements: Vec<Judgement>,
    /// What users have met of the new revision before it was proven, as far as the strategy counts it. What is proven is the
    /// strategy's to say.
    #[serde(default, skip_serializing_if = "Exposure::is_none")]
    pub exposure: Exposure,
}

/// When to ask again, or that it is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Ask again at this time at the latest.
    WakeAt(RunTime),
    /// Ask these people; meanwhile go on looking.
    Await(ApprovalRequest),
    /// The release is out and nothing is left to do.
    Complete,
    /// The release must not go on.
    RollBack,
}

/// A rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Stage {
    /// Which, from 0. Time observed in a stage starts again when this changes.
    pub index: u32,
    /// Of how many.
    pub of: u32,
    /// What it is called, for example `25 %`.
    pub name: String,
}

/// Why a decision was taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// One of a public list.
    pub code: ReasonCode,
    /// A sentence with the numbers in it.
    pub sentence: String,
    /// What would have to be so for another decision.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub otherwise: String,
}

impl Reason {
    /// A reason.
    #[must_use]
    pub fn new(code: ReasonCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), otherwise: String::new() }
    }

    /// The same reason with what would have changed it.
    #[must_use]
    pub fn otherwise(mut self, text: impl Into<String>) -> Self {
        self.otherwise = text.into();
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.sentence, self.code)
    }
}

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// The public list of reasons. Codes never change their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

reason_codes! {
    /// The wanted instances are not all ready.
    WaitingForInstances = "waiting-for-instances",
    /// The place has not yet taken the wanted state.
    WaitingForTarget = "waiting-for-target",
    /// A stage has not been observed for long enough.
    Soaking = "soaking",
    /// There are not enough measurements for a verdict.
    WaitingForMeasurements = "waiting-for-measurements",
    /// A person is asked.
    WaitingForApproval = "waiting-for-approval",
    /// The next stage is entered.
    Advanced = "advanced",
    /// An operator skipped a wait.
    PromotedByOperator = "promoted-by-operator",
    /// An operator skipped every further stage.
    PromotedFullyByOperator = "promoted-fully-by-operator",
    /// The last stage is done.
    RolledOut = "rolled-out",
    /// A measurement broke its limit too often.
    AnalysisFailed = "analysis-failed",
    /// Measurements could not be had too often.
    AnalysisErrors = "analysis-errors",
    /// There was nothing to measure, and the author said what that means.
    NoData = "no-data",
    /// It could not be told, and the author said what that means.
    AnalysisInconclusive = "analysis-inconclusive",
    /// Nothing moved for too long.
    ProgressDeadline = "progress-deadline",
    /// A person said no.
    RejectedByOperator = "rejected-by-operator",
    /// The wanted revision is there already.
    AlreadyThere = "already-there",
    /// There was nothing there before.
    FirstInstall = "first-install",
    /// What was there before is being restored.
    Restoring = "restoring",
    /// What was there before is there again.
    Restored = "restored",
    /// Somebody else changed the place.
    Drift = "drift",
    /// More users met the unproven revision than the plan allows.
    BlastRadius = "blast-radius",
    /// The kill switch was thrown.
    KillSwitch = "kill-switch",
    /// Something else has to be so first.
    WaitingForPrerequisite = "waiting-for-prerequisite",
    /// Its date has passed.
    Expired = "expired",
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
