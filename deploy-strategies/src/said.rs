//! What several analyses say together.

use deploy_core::monitor::{Judgement, MeasureRequest};
use deploy_core::strategy::Next;
use deploy_core::time::RunTime;

use crate::analysis::{Analysis, AnalysisState, Standing};
use crate::field::Field;
use crate::hold::OnInconclusive;

/// The worst standing of some analyses, with everything that was judged and what is to be asked next.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) standing: Standing,
    /// Whether of each that does not say yes everything was measured and comparable.
    pub(crate) compared: bool,
    pub(crate) judgements: Vec<Judgement>,
    pub(crate) measure: Vec<MeasureRequest>,
    /// When the next question is due.
    pub(crate) wake: Option<RunTime>,
    /// Of the worst metric.
    pub(crate) because: String,
    pub(crate) otherwise: String,
}

impl Said {
    pub(crate) fn nothing() -> Self {
        Self {
            standing: Standing::Good,
            compared: true,
            judgements: Vec::new(),
            measure: Vec::new(),
            wake: None,
            because: String::new(),
            otherwise: String::new(),
        }
    }

    /// What all of these say.
    pub(crate) fn all(field: &Field<'_>, analyses: &[Analysis], states: &mut Vec<AnalysisState>, live: bool) -> Self {
        states.resize(analyses.len(), AnalysisState::default());
        let mut said = Self::nothing();
        for (analysis, state) in analyses.iter().zip(states) {
            said.take(field, analysis, state, live);
        }
        said
    }

    /// Takes over what one analysis says.
    pub(crate) fn take(&mut self, field: &Field<'_>, analysis: &Analysis, state: &mut AnalysisState, live: bool) {
        let mut verdict = analysis.look(state, field.s, field.baseline(), live);
        if verdict.standing > self.standing || (self.because.is_empty() && verdict.standing == self.standing) {
            self.standing = verdict.standing;
            let worst = verdict.worst_mut();
            (self.because, self.otherwise) =
                worst.map(|j| (j.because.clone(), j.otherwise.clone())).unwrap_or_default();
            if self.otherwise.is_empty() {
                "another measurement".clone_into(&mut self.otherwise);
            }
        }
        self.compared &= verdict.compared || verdict.standing == Standing::Good;
        self.judgements.extend(verdict.judgements);
        if let Some(due) = analysis.due(state) {
            if due <= field.s.now + field.s.observe_every {
                self.ask([analysis.request(field.new, field.baseline())]);
            }
            self.wake = Some(self.wake.map_or(due, |wake| wake.min(due)));
        }
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        if other.standing > self.standing || self.because.is_empty() {
            self.standing = self.standing.max(other.standing);
            (self.because, self.otherwise) = (other.because, other.otherwise);
        }
        self.compared &= other.compared;
        self.judgements.extend(other.judgements);
        self.ask(other.measure);
        self.wake = self.wake.into_iter().chain(other.wake).min();
        self
    }

    /// Why it goes on although it cannot be told, if that is what the author wants; `over`: nothing more is waited for.
    pub(crate) fn despite<'a>(&self, then: &'a OnInconclusive, over: bool) -> Option<&'a str> {
        let doubt = matches!(self.standing, Standing::Unclear(_)) || (self.standing == Standing::NotYet && over);
        match then {
            OnInconclusive::Promote { reason } if doubt && self.compared => Some(reason),
            _ => None,
        }
    }

    /// Asks each question once: an answer is counted by every analysis that asks it.
    fn ask(&mut self, requests: impl IntoIterator<Item = MeasureRequest>) {
        for request in requests {
            if !self.measure.contains(&request) {
                self.measure.push(request);
            }
        }
    }

    /// The earlier of a wake and the next question, but never now or before: the engine is not asked in a circle.
    pub(crate) fn sooner(&self, next: Next, now: RunTime) -> Next {
        match next {
            Next::WakeAt(at) => {
                let at = self.wake.map_or(at, |due| at.min(due));
                Next::WakeAt(at.max(RunTime(now.0.saturating_add(1))))
            }
            next => next,
        }
    }

    /// The worst metric's words, after a semicolon.
    pub(crate) fn also(&self) -> String {
        if self.because.is_empty() { String::new() } else { format!("; {}", self.because) }
    }
}
