//! How a Canary of Flagger spreads. Its strategy is nowhere named: it follows from which fields are set.

use std::time::Duration;

use deploy_core::target::RouteMatch;

use super::super::cursor::{Cursor, Findings};
use super::given;
use super::metric::Checks;
use crate::blue_green::{BlueGreen, Promote};
use crate::canary::{Canary, CanaryBuilder, CanaryCapacity, OnInconclusive, Step};
use crate::document::Value;
use crate::refusal::Refused;
use crate::share::Percent;
use crate::spec::StrategySpec;

/// The whole that its weights are parts of.
const WHOLE: u32 = 100;

pub(super) fn read(
    spec: &Cursor<'_>,
    analysis: &Cursor<'_>,
    deadline: Duration,
    checks: &Checks,
    found: &mut Findings,
) -> Option<StrategySpec> {
    for field in ["primaryReadyThreshold", "canaryReadyThreshold"].map(|field| analysis.get(field)) {
        if found.count(&field).is_some_and(|percent| percent < 100) {
            found.differs(&field, "here every instance that is needed has to be ready");
        }
    }
    let promotion = analysis.get("stepWeightPromotion");
    if given(&promotion) {
        found.differs(&promotion, "nothing is copied over the old revision at the end, so no traffic has to come back");
    }
    let affinity = analysis.get("sessionAffinity");
    if given(&affinity) {
        found.none(
            &affinity,
            "which users stay with which revision is not the strategy's",
            "a target that keeps users, and no sessionAffinity",
        );
    }
    let by_services = spec.get("provider").str() == Some("kubernetes");
    let matches = analysis.get("match");
    let iterations_at = analysis.get("iterations");
    let mut iterations = found.count(&iterations_at).unwrap_or(0);
    let routed = given(&matches) && !by_services;
    if by_services {
        if given(&matches) {
            found.differs(&matches, "without a router the peer passes over it");
        }
        if iterations == 0 {
            iterations = 10;
            found.differs(&iterations_at, "without a router the peer checks ten times and then switches");
        }
    }
    let mirror = mirror(analysis, found).filter(|_| !by_services);
    let mut canary = Canary::builder();
    canary.progress_deadline = deadline;
    // Its new revision runs at full size beside the old one.
    canary.capacity = Percent::new(WHOLE).map_or(CanaryCapacity::MatchWeight, CanaryCapacity::Percent);
    // It asks nobody: what cannot be told is a failed check.
    canary.on_inconclusive = OnInconclusive::RollBack;
    let ladder = Ladder { checks, at: analysis };
    match (iterations, routed) {
        (0, true) => {
            found.none(
                &matches,
                "matching requests and a rising weight at the same time",
                "iterations beside it, or no match",
            );
            None
        }
        (0, false) => {
            if let Some(share) = mirror {
                ladder.push(&mut canary, Step { mirror: Some(share), ..Step::weight(0) }, found);
            }
            for weight in weights(analysis, found) {
                ladder.push(&mut canary, Step::weight(weight), found);
            }
            ladder.end(canary, found)
        }
        (_, true) => {
            let routes = routes(&matches, found);
            if routes.iter().any(Vec::is_empty) {
                return None;
            }
            if mirror.is_some() {
                found.differs(&analysis.get("mirror"), "the peer passes over it where requests are matched");
            }
            for i in 1..=iterations.min(MOST) {
                let step =
                    Step { routes: routes.clone(), ..Step::weight(0) }.named(format!("check {i} of {iterations}"));
                ladder.push(&mut canary, step, found);
            }
            too_many(iterations, &iterations_at, found);
            ladder.end(canary, found)
        }
        (_, false) if mirror.is_some() => {
            for i in 1..=iterations.min(MOST) {
                let step = Step { mirror, ..Step::weight(0) }.named(format!("check {i} of {iterations}"));
                ladder.push(&mut canary, step, found);
            }
            too_many(iterations, &iterations_at, found);
            // All traffic, then one check more.
            ladder.push(&mut canary, Step::weight(WHOLE), found);
            ladder.end(canary, found)
        }
        (_, false) => switch(analysis, iterations, deadline, checks, found),
    }
}

/// More steps than anybody waits for.
const MOST: u32 = 1_000;

fn too_many(iterations: u32, at: &Cursor<'_>, found: &mut Findings) {
    if iterations > MOST {
        found.none(at, format!("{iterations} checks would be as many steps"), format!("1 to {MOST}"));
    }
}

fn switch(
    analysis: &Cursor<'_>,
    iterations: u32,
    deadline: Duration,
    checks: &Checks,
    found: &mut Findings,
) -> Option<StrategySpec> {
    let mut switch = BlueGreen::builder();
    switch.progress_deadline = deadline;
    switch.on_inconclusive = OnInconclusive::RollBack;
    switch.promote = Promote::after(checks.every.saturating_mul(iterations));
    switch.before = checks.analysis(Some(iterations), analysis, found).into_iter().collect();
    switch.after = checks.analysis(Some(1), analysis, found).into_iter().collect();
    if !switch.before.is_empty() {
        found.differs(
            &analysis.get("iterations"),
            "so many checks have to be good in a row, where the peer adds up good ones; and the failed ones of before and after the switch are counted apart",
        );
    }
    let built = switch.build();
    made(built, analysis, found)
}

fn made<T: Into<StrategySpec>>(
    built: Result<T, Refused>,
    at: &Cursor<'_>,
    found: &mut Findings,
) -> Option<StrategySpec> {
    match built {
        Ok(strategy) => Some(strategy.into()),
        Err(refused) => {
            for problem in refused.problems() {
                found.none(at, format!("{}: {}", problem.at, problem.wrong), problem.allowed.clone());
            }
            None
        }
    }
}

struct Ladder<'a> {
    checks: &'a Checks,
    at: &'a Cursor<'a>,
}

impl Ladder<'_> {
    /// One more step, of one interval and one good check.
    fn push(&self, canary: &mut CanaryBuilder, step: Step, found: &mut Findings) {
        let mut step = step.soak(self.checks.every);
        // Each step's judge is the same: what is wrong with one is said once.
        let mut said = Findings::default();
        step.analysis.extend(self.checks.analysis(Some(1), self.at, &mut said));
        if canary.steps.is_empty() {
            found.list.append(&mut said.list);
        }
        canary.steps.push(step);
    }

    /// The canary, with the one counter over all steps.
    fn end(&self, mut canary: CanaryBuilder, found: &mut Findings) -> Option<StrategySpec> {
        if canary.steps.is_empty() {
            return None;
        }
        if let Some(counter) = self.checks.analysis(None, self.at, &mut Findings::default()) {
            canary = canary.background(0, counter);
        }
        made(canary.build(), self.at, found)
    }
}

/// The share of requests that is copied first.
fn mirror(analysis: &Cursor<'_>, found: &mut Findings) -> Option<Percent> {
    let on = found.flag(&analysis.get("mirror")) == Some(true);
    let share_at = analysis.get("mirrorWeight");
    let share = found.count(&share_at).filter(|share| *share > 0).unwrap_or(WHOLE);
    let read = Percent::new(share).ok();
    if read.is_none() {
        found.invalid(&share_at, format!("{share} is no share"), "1 to 100");
    }
    read.filter(|_| on)
}

/// The weights that it goes through, the last one included.
fn weights(analysis: &Cursor<'_>, found: &mut Findings) -> Vec<u32> {
    let (step_at, list_at, most_at) =
        (analysis.get("stepWeight"), analysis.get("stepWeights"), analysis.get("maxWeight"));
    let step = found.count(&step_at).unwrap_or(0);
    let items = found.list(&list_at);
    let list: Vec<u32> = items.iter().filter_map(|at| found.count(at)).collect();
    for (i, at) in items.iter().enumerate() {
        let (before, now) = (i.checked_sub(1).and_then(|i| list.get(i)), list.get(i));
        if now.is_some_and(|now| *now == 0 || *now > WHOLE || before.is_some_and(|before| now <= before)) {
            found.invalid(at, "it does not rise from the one before", format!("more than the one before, to {WHOLE}"));
            return Vec::new();
        }
    }
    let most = found.count(&most_at).filter(|most| *most > 0);
    let most = list.last().copied().or(most).unwrap_or(WHOLE).min(WHOLE);
    if step == 0 {
        if list.is_empty() {
            found.invalid(
                &step_at,
                "neither stepWeight nor stepWeights is given, so it would never begin",
                "one of them, or iterations",
            );
        }
        return list;
    }
    if !list.is_empty() {
        found.differs(&list_at, "beside a stepWeight only its last weight counts, as the largest");
    }
    let mut weights = Vec::new();
    let mut weight = 0;
    while weight < most {
        weight = step.saturating_add(weight).min(WHOLE);
        weights.push(weight);
    }
    weights
}

/// Requests that go to the new revision: of each match every header, and any of the matches.
fn routes(matches: &Cursor<'_>, found: &mut Findings) -> Vec<Vec<RouteMatch>> {
    let mut routes = Vec::new();
    for at in matches.items() {
        for entry in at.entries().iter().filter(|entry| !["headers", "sourceLabels"].contains(&entry.key.as_str())) {
            let what = at.get(&entry.key);
            found.none(&what, "requests are told apart by headers and cookies", "headers");
        }
        let labels = at.get("sourceLabels");
        if labels.is_there() {
            found.none(&labels, "who asks is not seen here", "headers");
        }
        let headers = at.get("headers");
        let mut route = Vec::new();
        for entry in headers.entries() {
            let wanted = headers.get(&entry.key);
            let (exact, regex) = (wanted.get("exact"), wanted.get("regex"));
            if let Some(value) = exact.str() {
                route.push(RouteMatch::Header { name: entry.key.clone(), value: value.to_owned() });
            } else if let Some((name, value)) =
                regex.str().filter(|_| entry.key.eq_ignore_ascii_case("cookie")).and_then(cookie)
            {
                found.differs(&regex, "the cookie counts wherever it stands among others");
                route.push(RouteMatch::Cookie { name, value });
            } else {
                found.none(
                    &wanted,
                    "a header is compared as a whole",
                    "exact, or for a cookie ^(.*?;)?(name=value)(;.*)?$",
                );
            }
        }
        if route.is_empty() && matches!(at.node.value, Value::Map(_)) && headers.entries().is_empty() {
            found.none(&at, "it names no header", "headers with exact");
        }
        routes.push(route);
    }
    routes
}

/// The name and value of the one cookie that a pattern of the usual form asks for.
fn cookie(pattern: &str) -> Option<(String, String)> {
    let inside = pattern.strip_prefix("^(.*?;)?(").and_then(|rest| rest.strip_suffix(")(;.*)?$"))?;
    let (name, value) = inside.split_once('=')?;
    let plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    (plain(name) && plain(value)).then(|| (name.to_owned(), value.to_owned()))
}
