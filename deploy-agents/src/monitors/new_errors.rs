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
/// It may be asked again and again, at times that do not depend on what was seen: the chance that it ever names a kind of two revisions that
/// are alike is at most [`NewErrors::alpha`], for as long as both are remembered. Each answer about the two of them, by
/// [`NewErrors::new_kinds`] or as a measurement, is one look, and look number k is given alpha / (k (k + 1)) of it. Thus a kind has to be the more certain the
/// more often was looked; a kind that is really new becomes so with each error. A request should report an error of one kind once.
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

/// Requests of a revision, and their errors.
type Done = (u64, ErrorClasses);

#[derive(Debug, Default)]
struct Seen {
    revisions: BTreeMap<RevisionName, Done>,
    order: Vec<RevisionName>,
    /// How often a candidate was looked at beside a baseline.
    looks: BTreeMap<(RevisionName, RevisionName), u32>,
}

impl NewErrors {
    /// One that has seen nothing, and names a kind that is not new with a chance of at most 1 % over all looks.
    #[must_use]
    pub fn new(name: BlockName) -> Self {
        Self { name, alpha: 0.01, seen: Arc::default(), clock: Arc::new(SystemClock::new()) }
    }

    /// The same with another chance of ever naming any kind where both revisions are alike, from 0 to 1.
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

    /// The kinds that are new in the candidate, the surest first, each with how often both had it. This is one look at both.
    #[must_use]
    pub fn new_kinds(&self, candidate: &RevisionName, baseline: &RevisionName) -> Vec<NewClass> {
        // Whoever counts requests waits for no test: these run on copies.
        let copies = self.held().look(candidate, baseline);
        let Some((look, (mine, errors), (theirs, old))) = copies else { return Vec::new() };
        errors.new_in(&old, (mine, theirs), self.alpha / (f64::from(look) * (f64::from(look) + 1.0)))
    }

    fn known(&self, revision: &RevisionName) -> bool {
        self.held().revisions.get(revision).is_some_and(|(requests, _)| *requests > 0)
    }

    fn held(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn of(&mut self, revision: &RevisionName) -> &mut Done {
        if !self.revisions.contains_key(revision) {
            self.order.push(revision.clone());
            if self.order.len() > MOST_REVISIONS {
                let oldest = self.order.remove(0);
                self.revisions.remove(&oldest);
                self.looks.retain(|(candidate, baseline), _| *candidate != oldest && *baseline != oldest);
            }
        }
        self.revisions.entry(revision.clone()).or_default()
    }

    /// The number of this look at two revisions, from 1, and what both have done.
    fn look(&mut self, candidate: &RevisionName, baseline: &RevisionName) -> Option<(u32, Done, Done)> {
        let both = (self.revisions.get(candidate)?.clone(), self.revisions.get(baseline)?.clone());
        let looks = self.looks.entry((candidate.clone(), baseline.clone())).or_default();
        *looks = looks.saturating_add(1);
        Some((*looks, both.0, both.1))
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

#[cfg(test)]
mod tests {
    use deploy_core::name::{BlockName, RevisionName};

    use super::NewErrors;

    #[test]
    fn each_look_at_the_same_two_revisions_asks_for_more() {
        let name = |text: &str| RevisionName::new(text).expect("a name");
        let (old, new, other) = (name("v1"), name("v2"), name("v3"));
        let errors = NewErrors::new(BlockName::new("errors").expect("a name"));
        for (revision, requests) in [(&old, 90_000), (&new, 10_000), (&other, 10_000)] {
            errors.requests(revision, requests);
        }
        // Three of three in a tenth of the requests: a chance of one in a thousand.
        (0..3).for_each(|_| errors.error(&new, "disk full"));
        assert_eq!((errors.new_kinds(&new, &old).len(), errors.new_kinds(&new, &old).len()), (1, 1));
        assert_eq!(errors.new_kinds(&new, &old).len(), 0, "a third look may spend 1 in 1,200");
        // A fourth of four is a chance of one in ten thousand.
        errors.error(&new, "disk full");
        assert_eq!(errors.new_kinds(&new, &old).len(), 1);
        // Others have a first look of their own.
        (0..3).for_each(|_| errors.error(&other, "disk full"));
        assert_eq!(errors.new_kinds(&other, &old).len(), 1);
    }
}
