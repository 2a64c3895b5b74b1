//! What every target must hold to.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use super::Patience;
use crate::agent::Certainty;
use crate::effect::{EffectKey, Fence};
use crate::name::{EnvironmentName, RevisionName, RunId, ServiceName};
use crate::plan::StepPath;
use crate::release::Release;
use crate::target::{DesiredState, EffectContext, Route, RouteMatch, Target, TargetState};

/// Two revisions that the place can run, and how patiently it is watched.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TargetSuite {
    /// The revision that serves first.
    pub first: RevisionName,
    /// The revision that follows it.
    pub second: RevisionName,
    /// How many instances of each. Default 2, so that one may go while one stays.
    pub instances: u32,
    /// How long anything may take.
    pub patience: Patience,
}

impl TargetSuite {
    /// A suite over two revisions.
    #[must_use]
    pub fn new(first: RevisionName, second: RevisionName) -> Self {
        Self { first, second, instances: 2, patience: Patience::default() }
    }

    /// The same with another number of instances.
    #[must_use]
    pub fn instances(mut self, instances: u32) -> Self {
        self.instances = instances;
        self
    }

    /// The same with another patience.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Runs every check that the target's stated capabilities call for, each on a fresh, empty place from `make`. Returns the
    /// names of the checks that were run.
    ///
    /// # Panics
    ///
    /// When a check is not met, with its name.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the place of the check under way.
    pub async fn run<T: Target, F: Future<Output = T>>(&self, make: impl Fn() -> F) -> Vec<&'static str> {
        let mut run = Vec::new();
        let offered = make().await.capabilities();
        self.reads_back_what_it_reached(&make().await).await;
        run.push("reads back what it reached");
        self.takes_the_same_statement_again(&make().await).await;
        run.push("takes the same statement again");
        self.never_leaves_users_without_a_healthy_copy(&make().await).await;
        run.push("never leaves users without a healthy copy");
        if offered.weights {
            self.splits_traffic_and_goes_back(&make().await).await;
            run.push("splits traffic and goes back");
            self.refuses_weights_that_are_not_whole(&make().await).await;
            run.push("refuses weights that are not whole");
        }
        if offered.fence {
            self.refuses_an_older_fence(&make().await).await;
            run.push("refuses an older fence");
        }
        if offered.compare_and_apply {
            self.refuses_an_outdated_observation(&make().await).await;
            run.push("refuses an outdated observation");
        }
        if offered.routes {
            self.reads_back_routes(&make().await).await;
            run.push("reads back routes");
        }
        run
    }

    async fn reads_back_what_it_reached(&self, target: &dyn Target) {
        let (name, again) = (target.name(), target.name());
        assert_eq!(name, again, "the name of a target does not change");
        assert_eq!(target.capabilities(), target.capabilities(), "the capabilities of {name} do not change");
        let wanted = self.alone(&self.first);
        apply(target, &wanted, 1).await;
        let seen = self.reached(target, &wanted).await;
        assert!(seen.max_weight > 0 || !target.capabilities().weights, "{name} routes and states no whole: {seen:?}");
    }

    async fn takes_the_same_statement_again(&self, target: &dyn Target) {
        let wanted = self.alone(&self.first);
        apply(target, &wanted, 1).await;
        let before = self.reached(target, &wanted).await;
        let again = target.apply(&wanted, &context(1, 1)).await;
        let applied = again.unwrap_or_else(|e| panic!("the same statement with the same key was refused: {e}"));
        assert!(!applied.changed, "the same statement changed something");
        let after = self.reached(target, &wanted).await;
        assert_eq!(without_version(before), without_version(after), "the same statement changed what is there");
    }

    async fn never_leaves_users_without_a_healthy_copy(&self, target: &dyn Target) {
        apply(target, &self.alone(&self.first), 1).await;
        self.reached(target, &self.alone(&self.first)).await;
        let wanted = self.alone(&self.second);
        apply(target, &wanted, 2).await;
        let weights = target.capabilities().weights;
        let met = self.patience.until(|| async {
            let seen = look(target).await;
            let healthy = seen.revisions.values().map(|revision| revision.ready).sum::<u32>();
            assert!(healthy > 0, "nobody is healthy on the way to {wanted:?}: {seen:?}");
            for (revision, weight) in seen.weights.iter().filter(|(_, weight)| **weight > 0 && weights) {
                assert!(
                    seen.revision(revision).ready > 0,
                    "{revision} has weight {weight} and nobody healthy: {seen:?}"
                );
            }
            seen.satisfies(&wanted).then_some(())
        });
        assert!(met.await.is_some(), "never reached {wanted:?}; there is {:?}", look(target).await);
    }

    async fn splits_traffic_and_goes_back(&self, target: &dyn Target) {
        let stable = self.alone(&self.first);
        apply(target, &stable, 1).await;
        self.reached(target, &stable).await;
        for (seq, weight) in [(2, 10), (3, 50)] {
            let split = self.split(weight);
            apply(target, &split, seq).await;
            let seen = self.reached(target, &split).await;
            let sum: u32 = seen.weights.values().sum();
            assert_eq!(sum, seen.max_weight, "the weights read back do not sum to the whole: {seen:?}");
        }
        apply(target, &stable, 4).await;
        let seen = self.reached(target, &stable).await;
        assert_eq!(seen.weight(&self.second), 0);
    }

    async fn refuses_weights_that_are_not_whole(&self, target: &dyn Target) {
        let stable = self.alone(&self.first);
        apply(target, &stable, 1).await;
        let before = self.reached(target, &stable).await;
        let mut unsound = self.split(10);
        unsound.weights.insert(self.second.clone(), 11);
        let error = target.apply(&unsound, &context(1, 2)).await.expect_err("weights of 101 in 100 were taken");
        assert_eq!(error.certainty, Certainty::Definitive, "an unsound statement stays unsound: {error}");
        assert_eq!(look(target).await.weights, before.weights, "a refused statement changed the weights");
    }

    async fn refuses_an_older_fence(&self, target: &dyn Target) {
        let stable = self.alone(&self.first);
        let newest = target.apply(&stable, &context(2, 5)).await;
        newest.unwrap_or_else(|e| panic!("the first statement was refused: {e}"));
        self.reached(target, &stable).await;
        // The epoch is compared first: a higher position in an older epoch is older.
        for (epoch, seq) in [(2, 4), (1, 9)] {
            let error = target.apply(&self.alone(&self.second), &context(epoch, seq)).await;
            let error = error.expect_err("a statement with an older fence was taken");
            assert!(error.is_stale_fence(), "the refusal does not say that the fence is older: {error}");
        }
        let seen = look(target).await;
        assert!(seen.satisfies(&stable), "a statement with an older fence changed something: {seen:?}");
        let newer = target.apply(&stable, &context(3, 1)).await;
        newer.unwrap_or_else(|e| panic!("a newer epoch with a lower position was refused: {e}"));
    }

    async fn refuses_an_outdated_observation(&self, target: &dyn Target) {
        let stable = self.alone(&self.first);
        apply(target, &stable, 1).await;
        let before = self.reached(target, &stable).await;
        let version = before.version.expect("a target that compares and applies states a version");
        let split = self.split(10);
        apply(target, &split, 2).await;
        self.reached(target, &split).await;
        let outdated = DesiredState { based_on: Some(version), ..stable.clone() };
        assert!(
            target.apply(&outdated, &context(1, 3)).await.is_err(),
            "a statement over an outdated observation was taken"
        );
        assert!(look(target).await.routes_as(&split), "a statement over an outdated observation changed the traffic");
        let current = look(target).await.version;
        let fresh = target.apply(&DesiredState { based_on: current, ..stable.clone() }, &context(1, 4)).await;
        fresh.unwrap_or_else(|e| panic!("a statement over the newest observation was refused: {e}"));
        self.reached(target, &stable).await;
    }

    async fn reads_back_routes(&self, target: &dyn Target) {
        apply(target, &self.alone(&self.first), 1).await;
        self.reached(target, &self.alone(&self.first)).await;
        let mut wanted = self.split(0);
        let matches = vec![RouteMatch::Header { name: "x-canary".to_owned(), value: "yes".to_owned() }];
        wanted.routes = vec![Route { matches, to: self.second.clone() }];
        apply(target, &wanted, 2).await;
        self.reached(target, &wanted).await;
    }

    fn alone(&self, revision: &RevisionName) -> DesiredState {
        DesiredState::alone(revision.clone(), self.instances, 100)
    }

    /// Both revisions with all their instances, the second with this weight of 100.
    fn split(&self, weight: u32) -> DesiredState {
        let both = [(self.first.clone(), 100 - weight), (self.second.clone(), weight)];
        DesiredState {
            capacity: both.iter().map(|(revision, _)| (revision.clone(), self.instances)).collect(),
            weights: both.into_iter().filter(|(_, weight)| *weight > 0).collect::<BTreeMap<_, _>>(),
            max_weight: 100,
            ..DesiredState::default()
        }
    }

    async fn reached(&self, target: &dyn Target, wanted: &DesiredState) -> TargetState {
        let met = self.patience.until(|| async {
            let seen = look(target).await;
            let traffic = seen.routes_as(wanted) || !target.capabilities().weights;
            let sum: u32 = seen.weights.values().sum();
            assert!(sum == 0 || sum == seen.max_weight, "the weights read back do not sum to the whole: {seen:?}");
            (seen.satisfies(wanted) && traffic).then_some(seen)
        });
        match met.await {
            Some(seen) => seen,
            None => panic!("never reached {wanted:?}; there is {:?}", look(target).await),
        }
    }
}

async fn look(target: &dyn Target) -> TargetState {
    target.observe().await.unwrap_or_else(|e| panic!("{} could not be seen: {e}", target.name()))
}

async fn apply(target: &dyn Target, wanted: &DesiredState, seq: u64) {
    let applied = target.apply(wanted, &context(1, seq)).await;
    let applied = applied.unwrap_or_else(|e| panic!("{} refused {wanted:?}: {e}", target.name()));
    assert!(applied.changed, "{} says that {wanted:?} was so already", target.name());
}

fn without_version(state: TargetState) -> TargetState {
    TargetState { version: None, ..state }
}

fn context(epoch: u64, seq: u64) -> EffectContext {
    let name = "the names of the suite are names";
    let key = EffectKey {
        run: RunId::new("conformance").expect(name),
        step: StepPath::new("conformance/target").expect(name),
        undo: false,
        iteration: 0,
        attempt: u32::try_from(seq).unwrap_or(u32::MAX),
    };
    let release = Release::new(
        ServiceName::new("conformance").expect(name),
        EnvironmentName::new("test").expect(name),
        RevisionName::new("conformance").expect(name),
    );
    EffectContext::new(key, Fence { epoch, seq }, Arc::new(release), Patience::default().bound)
}
