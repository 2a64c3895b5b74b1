//! Kinds of errors that a revision has and the one before it has not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use deploy_core::monitor::{Arm, MeasureContext, MeasureRequest, Measurement, Monitor, MonitorError, Reading, Window};
use deploy_core::name::{BlockName, MetricName, RevisionName};
use deploy_core::real::Real;
use deploy_core::time::{Clock, SystemClock};
use deploy_strategies::analysis::error_classes::{ErrorClasses, NewClass};

/// How many revisions are remembered; those that were named first are forgotten first.
const MOST_REVISIONS: usize = 16;

/// Groups errors by what they say, and counts the groups that the candidate has more often than chance allows.
///
/// | metric | reading |
/// |---|---|
/// | `errors.new_kinds` | [`Reading::Value`]: kinds of errors that are new in the candidate; always 0 of the baseline |
///
/// Hosts feed it with requests and messages, from wherever they have them: their own handlers, or lines of a log. At most
/// [`ErrorClasses::MOST`] kinds of each revision are told apart. Without requests of both revisions there is [`Reading::NoData`]: what is
/// new cannot be said where nothing old is known.
///
/// ```
/// use deploy_agents::monitors::NewErrors;
/// use deploy_core::name::{BlockName, RevisionName};
///
/// let errors = NewErrors::new(BlockName::new("errors")?);
/// let (old, new) = (RevisionName::new("v1")?, RevisionName::new("v2")?);
/// errors.requests(&old, 9_000);
/// errors.requests(&new, 1_000);
/// for n in 0..20 {
///     errors.error(&old, &format!("user {n} not found"));
///     errors.error(&new, &format!("cannot decode cart {n}"));
/// }
/// let found = errors.new_kinds(&new, &old);
/// assert_eq!(found[0].fingerprint.as_str(), "cannot decode cart #");
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
///
/// Rows: M189.
#[derive(Clone)]
pub struct NewErrors {
    name: BlockName,
    alpha: f64,
    seen: Arc<Mutex<Seen>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Seen {
    revisions: BTreeMap<RevisionName, (u64, ErrorClasses)>,
    order: Vec<RevisionName>,
}

impl NewErrors {
    /// One that has seen nothing, and names a kind that is not new with a chance of at most 1 % in all.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        Self { name, alpha: 0.01, seen: Arc::default(), clock: Arc::new(SystemClock::new()) }
    }

    /// The same with another chance of naming any kind where both revisions are alike, from 0 to 1.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha.clamp(0.0, 1.0);
        self
    }

    /// The same with another clock, which dates measurements.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// A revision served so many more requests.
    pub fn requests(&self, revision: &RevisionName, more: u64) {
        let mut seen = self.held();
        let (requests, _) = seen.of(revision);
        *requests = requests.saturating_add(more);
    }

    /// A revision wrote this error.
    pub fn error(&self, revision: &RevisionName, message: &str) {
        self.held().of(revision).1.count(message);
    }

    /// The kinds that are new in the candidate, the surest first, each with how often both had it.
    #[must_use]
    pub fn new_kinds(&self, candidate: &RevisionName, baseline: &RevisionName) -> Vec<NewClass> {
        let seen = self.held();
        match (seen.revisions.get(candidate), seen.revisions.get(baseline)) {
            (Some((mine, errors)), Some((theirs, old))) => errors.new_in(old, (*mine, *theirs), self.alpha),
            _ => Vec::new(),
        }
    }

    fn known(&self, revision: &RevisionName) -> bool {
        self.held().revisions.get(revision).is_some_and(|(requests, _)| *requests > 0)
    }

    fn held(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn of(&mut self, revision: &RevisionName) -> &mut (u64, ErrorClasses) {
        if !self.revisions.contains_key(revision) {
            self.order.push(revision.clone());
            if self.order.len() > MOST_REVISIONS {
                let oldest = self.order.remove(0);
                self.revisions.remove(&oldest);
            }
        }
        self.revisions.entry(revision.clone()).or_default()
    }
}

impl fmt::Debug for NewErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewErrors").field("name", &self.name).field("alpha", &self.alpha).finish_non_exhaustive()
    }
}

#[async_trait]
impl Monitor for NewErrors {
    fn name(&self) -> BlockName {
        self.name.clone()
    }

    async fn measure(&self, request: &MeasureRequest, _cx: &MeasureContext) -> Result<Vec<Measurement>, MonitorError> {
        let metric = MetricName::new("errors.new_kinds")
            .map_err(|error| MonitorError::new("its metric has no name").because(error))?;
        if let Some(unknown) = request.metrics.iter().find(|asked| **asked != metric) {
            return Err(MonitorError::new(format!("{} has no metric {unknown}", self.name)));
        }
        let window = Window::ending(self.clock.wall(), request.lookback);
        let both = request.baseline.as_ref().filter(|old| self.known(old) && self.known(&request.candidate));
        let reading = |count: Option<usize>| {
            let number = count.and_then(|count| Real::new(f64::from(u32::try_from(count).unwrap_or(u32::MAX))).ok());
            number.map_or(Reading::NoData, Reading::Value)
        };
        let new = both.map(|old| self.new_kinds(&request.candidate, old).len());
        let mut all = vec![Measurement::new(metric.clone(), Arm::Candidate, window, reading(new))];
        if request.baseline.is_some() {
            all.push(Measurement::new(metric, Arm::Baseline, window, reading(new.map(|_| 0))));
        }
        Ok(all)
    }
}
