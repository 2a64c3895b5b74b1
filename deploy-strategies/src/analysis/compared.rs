//! The sequential judge at work in a strategy: measurements of both arms in, batch by batch, and a standing out.

use std::time::Duration;

use deploy_core::monitor::{Batch, BatchKey, Measured, Measurement, Window};
use deploy_core::strategy::ReasonCode;
use deploy_core::time::{RunTime, Timestamp, millis};
use serde::{Deserialize, Serialize};

use super::sequential::{Look, Sequential, SequentialError, SequentialState};
use super::taken::Taken;
use super::verdict::Cause;
use super::{Standing, Verdict};

/// An overlap of two windows by less than this part of the later one is the jitter of clocks; beyond it events would be
/// counted twice.
const JITTER: i64 = 20;

/// The most characters that are kept of what was wrong with an answer.
const LONGEST_NOTE: usize = 120;

/// What is remembered of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ComparedState {
    sums: SequentialState,
    /// The stage of the strategy.
    stage: u32,
    /// How many batches there were.
    windows: u64,
    /// How many of this stage count: those of a warm-up do not.
    counted: u32,
    /// The end of the newest window that was taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// For how long the stage has been observed; milliseconds.
    observed: u64,
    /// Answers in a row that gave nothing to compare.
    #[serde(default)]
    failed: u32,
    /// What was wrong with the last of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

impl ComparedState {
    /// The state before the first batch.
    pub(super) fn begin(judge: &Sequential) -> Result<Self, SequentialError> {
        let sums = judge.begin()?;
        Ok(Self { sums, stage: 0, windows: 0, counted: 0, until: None, observed: 0, failed: 0, note: String::new() })
    }

    /// The strategy is in this stage, and has observed it for so long.
    pub(super) fn at(&mut self, stage: u32, observed_for: Duration) {
        if stage > self.stage {
            (self.stage, self.counted) = (stage, 0);
        }
        self.observed = millis(observed_for);
    }

    /// Takes in an answer, as one batch. `started` is when the stage went live.
    pub(super) fn take(&mut self, judge: &Sequential, started: RunTime, measured: &Measured) {
        match self.try_take(judge, started, measured) {
            Ok(()) => (self.failed, self.note) = (0, String::new()),
            Err(note) => {
                self.failed = self.failed.saturating_add(1);
                self.note = note.chars().take(LONGEST_NOTE).collect();
            }
        }
    }

    fn try_take(&mut self, judge: &Sequential, started: RunTime, measured: &Measured) -> Result<(), String> {
        let measurements = measured.result.as_ref().map_err(Clone::clone)?;
        let window = around(measurements).ok_or("there was nothing in the answer")?;
        let jitter = window.to.0.saturating_sub(window.from.0) / JITTER;
        if self.until.is_some_and(|until| window.from.0.saturating_add(jitter) < until.0) {
            return Err("its window overlaps the one before, so that events would be counted twice".to_owned());
        }
        let age = measured.at.since(started).saturating_sub(measured.request.lookback);
        let batch = Batch::new(BatchKey::new(self.stage, self.windows), window).youngest(age);
        let batch = batch.measured(measurements).map_err(|error| error.to_string())?;
        let taken = judge.take(&mut self.sums, &batch).map_err(|error| error.to_string())?;
        if taken == Taken::Counted {
            self.counted = self.counted.saturating_add(1);
        }
        self.windows += 1;
        self.until = Some(window.to);
        Ok(())
    }

    /// What the judge says now, of windows of this length.
    pub(super) fn verdict(&self, judge: &Sequential, now: RunTime, lookback: Duration) -> Verdict {
        let look = Look { stage: self.stage, observed_for: Duration::from_millis(self.observed) };
        let Ok(said) = judge.verdict(&self.sums, &look) else {
            // Only another configuration than that of the state gets here: what it knew is void.
            return Verdict { standing: Standing::Unclear(ReasonCode::AnalysisErrors), judgements: Vec::new() };
        };
        let mut judgements = said.judgements(now, lookback);
        let failing = self.failed >= judge.stale_after.max(1) && said.cause != Cause::Harm;
        let standing = if failing {
            Standing::Unclear(ReasonCode::AnalysisErrors)
        } else {
            match said.cause {
                Cause::Harm => Standing::Bad(ReasonCode::AnalysisFailed),
                Cause::Proven => Standing::Good,
                Cause::WithinMargin | Cause::SampleRatio => Standing::Unclear(ReasonCode::AnalysisInconclusive),
                Cause::NoData if self.counted >= judge.stale_after => Standing::Unclear(ReasonCode::NoData),
                Cause::Error => Standing::Unclear(ReasonCode::AnalysisErrors),
                // Patience is the strategy's: when it ends, these are doubts.
                Cause::NoData | Cause::NoBaseline | Cause::TooShort | Cause::LowTraffic | Cause::Undecided => {
                    Standing::NotYet
                }
            }
        };
        let why = if self.note.is_empty() { said.because } else { format!("{}; {}", self.note, said.because) };
        for judgement in &mut judgements {
            judgement.because = format!("{why}; {}: {}", judgement.metric, judgement.because);
            judgement.otherwise.clone_from(&said.otherwise);
        }
        Verdict { standing, judgements }
    }
}

/// The span that these cover together.
fn around(measurements: &[Measurement]) -> Option<Window> {
    let from = measurements.iter().map(|m| m.window.from).min()?;
    let to = measurements.iter().map(|m| m.window.to).max()?;
    Some(Window { from, to })
}
