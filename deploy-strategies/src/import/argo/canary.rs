//! `spec.strategy.canary`.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::operator::ApprovalRequest;
use deploy_core::target::RouteMatch;

use super::super::Files;
use super::super::cursor::{Cursor, Findings};
use super::super::finding::FindingKind;
use super::analysis::{Analyses, Wait};
use super::{Around, apart, built, limits, min_ready, service};
use crate::all_at_once::AllAtOnce;
use crate::canary::{Canary, CanaryBuilder, CanaryCapacity, Carrier, StableCapacity, Step};
use crate::document::Value;
use crate::rolling::Rolling;
use crate::share::Percent;
use crate::spec::StrategySpec;

const READ: &[&str] = &[
    "abortScaleDownDelaySeconds",
    "analysis",
    "canaryService",
    "dynamicStableScale",
    "maxSurge",
    "maxUnavailable",
    "minPodsPerReplicaSet",
    "pingPong",
    "replicaProgressThreshold",
    "scaleDownDelaySeconds",
    "stableService",
    "steps",
    "trafficRouting",
];

const OF_TARGET: &[&str] = &["antiAffinity", "canaryMetadata", "scaleDownDelayRevisionLimit", "stableMetadata"];

const ROUTERS: &[&str] =
    &["alb", "ambassador", "apisix", "appMesh", "istio", "managedRoutes", "nginx", "plugins", "smi", "traefik"];

pub(super) fn read(
    files: &Files<'_>,
    spec: &Cursor<'_>,
    canary: &Cursor<'_>,
    around: Around,
    analyses: &mut Analyses<'_, '_>,
    found: &mut Findings,
) -> Option<StrategySpec> {
    found.only(canary, READ, OF_TARGET);
    let (surge, unavailable) = limits(canary, found);
    let new_service = service(files, spec, &canary.get("canaryService"), found);
    let old_service = service(files, spec, &canary.get("stableService"), found);
    apart(old_service.as_ref(), new_service.as_ref(), &canary.get("canaryService"), found);
    let ping_pong = canary.get("pingPong");
    found.only(&ping_pong, &["pingService", "pongService"], &[]);
    if ping_pong.is_there() {
        let ping = service(files, spec, &ping_pong.get("pingService"), found);
        let pong = service(files, spec, &ping_pong.get("pongService"), found);
        apart(ping.as_ref(), pong.as_ref(), &ping_pong.get("pongService"), found);
    }
    let threshold = canary.get("replicaProgressThreshold");
    if threshold.is_there() {
        found.none(&threshold, "a step waits for every instance that it needs", "no replicaProgressThreshold");
    }
    let routing = canary.get("trafficRouting");
    found.only(&routing, &["maxTrafficWeight"], ROUTERS);
    let routed = routing.is_there();
    let steps = found.list(&canary.get("steps"));
    if !routed && steps.is_empty() {
        return rolling(canary, around, (surge, unavailable), analyses, found);
    }
    min_ready(around, spec, found);
    let mut built_canary = Canary::builder();
    built_canary.instances = around.instances;
    built_canary.progress_deadline = around.deadline.unwrap_or(built_canary.progress_deadline);
    let whole_at = routing.get("maxTrafficWeight");
    built_canary.weights_of = found.count(&whole_at).unwrap_or(100);
    if built_canary.weights_of == 0 {
        found.invalid(&whole_at, "it is 0", "at least 1");
        built_canary.weights_of = 100;
    }
    let least = canary.get("minPodsPerReplicaSet");
    built_canary.min_instances = found.count(&least).unwrap_or(1).max(1);
    let delay = canary.get("scaleDownDelaySeconds");
    let abort = canary.get("abortScaleDownDelaySeconds");
    let dynamic = canary.get("dynamicStableScale");
    if routed {
        services(canary, &routing, found);
        if found.flag(&dynamic) == Some(true) {
            built_canary.stable = StableCapacity::MatchWeight;
            if delay.is_there() {
                found.invalid(&delay, "with dynamicStableScale there is nothing left to delay", "one of the two");
            }
        }
        for at in [canary.get("maxSurge"), canary.get("maxUnavailable")].iter().filter(|at| at.is_there()) {
            found.differs(at, "with a router the new instances stand beside the old ones: it has no bearing");
        }
    } else {
        built_canary.traffic = Carrier::Instances { surge, unavailable };
        for at in [&delay, &dynamic].into_iter().filter(|at| at.is_there()) {
            found.invalid(at, "it can only be used with trafficRouting", "a trafficRouting, or nothing");
        }
        if abort.is_there() {
            found.differs(&abort, "without trafficRouting it has no bearing");
        }
    }
    built_canary.scale_down_delay = found.seconds(&delay).unwrap_or(built_canary.scale_down_delay);
    built_canary.abort_delay = abort_delay(&abort, found).unwrap_or(built_canary.abort_delay);

    let background = canary.get("analysis");
    if steps.is_empty() && !background.is_there() {
        found.differs(canary, "without steps everything changes at once");
        let once = around.instances.into_iter().fold(AllAtOnce::new(), AllAtOnce::instances);
        let once = once.scale_down_delay(built_canary.scale_down_delay);
        return Some(StrategySpec::from(once.progress_deadline(built_canary.progress_deadline)));
    }
    let starting = background.get("startingStep");
    let first = found.count(&starting).map_or(0, |step| usize::try_from(step).unwrap_or(usize::MAX));
    if first > 0 && first >= steps.len() {
        found.none(&starting, format!("there is no step {first}"), format!("0 to {}", steps.len().saturating_sub(1)));
    }
    let mut ladder = Ladder { built: built_canary, ..Ladder::new(&routing) };
    let mut from_step = 0;
    for (i, step) in steps.iter().enumerate() {
        ladder.apart = i == first && background.is_there();
        ladder.step(step, analyses, found);
        if i == first {
            from_step = u32::try_from(ladder.origins.len().saturating_sub(1)).unwrap_or(u32::MAX);
        }
    }
    let Ladder { built: mut made, origins, .. } = ladder;
    if made.steps.is_empty() && !steps.is_empty() {
        // What is wrong with each of them is said already.
        return None;
    }
    for analysis in analyses.read(&background, Wait::Never, found) {
        made = made.background(from_step, analysis);
    }
    let background = owned(&background);
    let canary = owned(canary);
    let origins: Vec<Cursor<'static>> = origins.iter().map(owned).collect();
    built(
        made.build(),
        |at| {
            let step = at.strip_prefix("steps[").and_then(|rest| rest.split(']').next()).and_then(|i| i.parse().ok());
            let step = step.and_then(|i: usize| origins.get(i).cloned());
            step.unwrap_or_else(|| if at.starts_with("background") { background.clone() } else { canary.clone() })
        },
        found,
    )
}

/// The same place, without what stands there.
pub(super) fn owned(cursor: &Cursor<'_>) -> Cursor<'static> {
    Cursor::placed(cursor)
}

/// A canary without steps and without a router is a rolling update.
fn rolling(
    canary: &Cursor<'_>,
    around: Around,
    (surge, unavailable): (crate::rolling::Amount, crate::rolling::Amount),
    analyses: &mut Analyses<'_, '_>,
    found: &mut Findings,
) -> Option<StrategySpec> {
    let mut rolling = Rolling::builder().surge(surge).unavailable(unavailable).min_healthy(around.min_ready);
    rolling.instances = around.instances;
    rolling.progress_deadline = around.deadline.unwrap_or(rolling.progress_deadline);
    for field in ["dynamicStableScale", "scaleDownDelaySeconds", "minPodsPerReplicaSet"] {
        let at = canary.get(field);
        if at.is_there() {
            found.invalid(&at, "it can only be used with trafficRouting", "a trafficRouting, or nothing");
        }
    }
    let background = canary.get("analysis");
    for analysis in analyses.read(&background, Wait::Never, found) {
        rolling = rolling.background(analysis);
    }
    let at = owned(canary);
    built(rolling.build(), |_| at.clone(), found)
}

/// Most routers need both services.
fn services(canary: &Cursor<'_>, routing: &Cursor<'_>, found: &mut Findings) {
    let by_subset = routing.at("istio.destinationRule").is_there();
    if by_subset || canary.get("pingPong").is_there() {
        return;
    }
    for field in ["canaryService", "stableService"] {
        let at = canary.get(field);
        if at.str().is_none_or(str::is_empty) {
            let wrong = "a router needs both services, and this one is not there";
            found.add(&at, FindingKind::RequiredFieldMissing, wrong, "the name of a service");
        }
    }
}

/// How long the new instances stay after a roll-back.
pub(super) fn abort_delay(at: &Cursor<'_>, found: &mut Findings) -> Option<Duration> {
    let delay = found.seconds(at)?;
    if delay.is_zero() {
        found.none(at, "0 keeps the new instances for ever; here they always go in the end", "at least 1");
    }
    Some(delay)
}

/// The steps as they are read.
struct Ladder<'a, 'r> {
    routing: &'r Cursor<'a>,
    built: CanaryBuilder,
    /// Where each of our steps comes from.
    origins: Vec<Cursor<'a>>,
    weight: u32,
    own: Option<CanaryCapacity>,
    routes: BTreeMap<String, Vec<Vec<RouteMatch>>>,
    mirrors: BTreeMap<String, Percent>,
    /// Whether the next step has to be one of its own.
    apart: bool,
}

impl<'a, 'r> Ladder<'a, 'r> {
    fn new(routing: &'r Cursor<'a>) -> Self {
        Self {
            routing,
            built: Canary::builder(),
            origins: Vec::new(),
            weight: 0,
            own: None,
            routes: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            apart: false,
        }
    }

    fn open(&mut self, at: &Cursor<'a>) {
        let mut step = Step { capacity: self.own, ..Step::weight(self.weight) };
        step.routes = self.routes.values().flatten().cloned().collect();
        step.mirror = self.mirrors.values().copied().max();
        self.built.steps.push(step);
        self.origins.push(at.clone());
        self.apart = false;
    }

    /// The step that a wait belongs to: the last one, unless that has something which would come after the wait.
    fn last(&mut self, at: &Cursor<'a>, taken: impl Fn(&Step) -> bool) -> Option<&mut Step> {
        if self.apart || self.built.steps.last().is_none_or(taken) {
            self.open(at);
        }
        self.built.steps.last_mut()
    }

    fn step(&mut self, at: &Cursor<'a>, analyses: &mut Analyses<'_, '_>, found: &mut Findings) {
        let kinds: Vec<_> = at.entries().iter().filter(|entry| entry.node.value != Value::Null).collect();
        let [kind] = kinds.as_slice() else {
            let allowed = "setWeight, pause, setCanaryScale, analysis, setHeaderRoute or setMirrorRoute";
            found.invalid(at, "it is not exactly one kind of step", allowed);
            return;
        };
        let value = at.get(&kind.key);
        match kind.key.as_str() {
            "setWeight" => {
                let weight = found.count(&value).unwrap_or(0);
                let whole = self.built.weights_of;
                if weight > whole {
                    found.invalid(&value, format!("{weight} is more than the whole, {whole}"), format!("0 to {whole}"));
                }
                self.weight = weight.min(whole);
                self.open(at);
            }
            "setCanaryScale" => {
                self.own = self.scale(&value, found);
                // The scale alone is a step too: the instances are there before the weight is.
                self.open(at);
            }
            "pause" => {
                found.only(&value, &["duration"], &[]);
                let duration = value.get("duration");
                if duration.is_there() {
                    let span = found.duration(&duration, true).unwrap_or_default();
                    if span.is_zero() {
                        found.invalid(&duration, "it is 0", "more than 0, or none for a person");
                    }
                    if let Some(step) = self.last(at, |step| !step.analysis.is_empty() || step.approval.is_some()) {
                        step.soak = step.soak.saturating_add(span);
                    }
                } else if let Some(step) = self.last(at, |step| step.approval.is_some()) {
                    step.approval = Some(ApprovalRequest::new("the manifest pauses here; go on?"));
                    found.differs(at, "the person is asked for 24 h; without an answer it goes back");
                }
            }
            "analysis" => {
                let read = analyses.read(&value, Wait::Step, found);
                let taken = |step: &Step| !step.soak.is_zero() || !step.analysis.is_empty() || step.approval.is_some();
                if let Some(step) = self.last(at, taken) {
                    step.analysis = read;
                }
            }
            "setHeaderRoute" => self.header(at, &value, found),
            "setMirrorRoute" => self.mirror(at, &value, found),
            "experiment" => {
                self.experiment(&value, found);
                let allowed =
                    "a step of ours with `experiment`, which compares the new revision with fresh old instances";
                found.none(&value, "it starts revisions of its own, with analyses of its own", allowed);
            }
            "plugin" => found.none(
                &value,
                "what a plug-in does cannot be read out of the manifest",
                "a step of a pipeline with an agent that does it",
            ),
            _ => found.add(
                &value,
                FindingKind::UnknownField,
                "there is no such step",
                "setWeight, pause, setCanaryScale, analysis, setHeaderRoute, setMirrorRoute, experiment or plugin",
            ),
        }
    }

    fn scale(&self, value: &Cursor<'_>, found: &mut Findings) -> Option<CanaryCapacity> {
        found.only(value, &["replicas", "weight", "matchTrafficWeight"], &[]);
        if !self.routing.is_there() {
            found.invalid(value, "without a router the capacity is the weight", "a trafficRouting");
        }
        if found.flag(&value.get("matchTrafficWeight")) == Some(true) {
            return None;
        }
        let replicas = value.get("replicas");
        if let Some(count) = found.count(&replicas) {
            found.differs(&replicas, "as many as the traffic needs if that is more");
            return Some(CanaryCapacity::Instances(count));
        }
        let weight = value.get("weight");
        let percent = found.count(&weight).and_then(|n| Percent::new(n).ok());
        if percent.is_none() {
            found.invalid(value, "it gives no scale", "replicas, weight from 0 to 100, or matchTrafficWeight");
        } else {
            found.differs(&weight, "as many as the traffic needs if that is more");
        }
        percent.map(CanaryCapacity::Percent)
    }

    /// The name of a managed route, and whether it is set rather than taken away.
    fn managed(&self, value: &Cursor<'_>, found: &mut Findings) -> Option<String> {
        let name_at = value.get("name");
        let name = found.needed(&name_at)?;
        let managed = self.routing.get("managedRoutes");
        if !managed.items().iter().any(|route| route.get("name").str() == Some(&name)) {
            found.invalid(&name_at, "it is not among trafficRouting.managedRoutes", "a name of that list");
        }
        Some(name)
    }

    fn header(&mut self, at: &Cursor<'a>, value: &Cursor<'_>, found: &mut Findings) {
        found.only(value, &["name", "match"], &[]);
        let Some(name) = self.managed(value, found) else { return };
        let matches = found.list(&value.get("match"));
        let mut read = Vec::new();
        for one in &matches {
            found.only(one, &["headerName", "headerValue"], &[]);
            let header = found.needed(&one.get("headerName"));
            let wanted = one.get("headerValue");
            found.only(&wanted, &["exact", "prefix", "regex"], &[]);
            for kind in ["prefix", "regex"].map(|kind| wanted.get(kind)).iter().filter(|kind| kind.is_there()) {
                found.none(kind, "a header is compared as a whole", "exact");
            }
            let value = found.text(&wanted.get("exact"));
            if value.is_none() && wanted.entries().is_empty() {
                found.invalid(&wanted, "it gives no value", "exact");
            }
            if let (Some(name), Some(value)) = (header, value) {
                read.push(RouteMatch::Header { name, value });
            }
        }
        let by = |router: &str| self.routing.get(router).is_there();
        let routes = match (read.len(), by("istio"), by("alb")) {
            (0 | 1, ..) | (_, true, false) => read.into_iter().map(|one| vec![one]).collect(),
            (_, false, true) => vec![read],
            _ => {
                let wrong =
                    "whether one of several headers is enough depends on the router, and of this one it is not known";
                found.none(
                    &value.get("match"),
                    wrong,
                    "one header, or the router istio (any of them) or alb (all of them)",
                );
                Vec::new()
            }
        };
        if matches.is_empty() {
            self.routes.remove(&name);
        } else {
            self.routes.insert(name, routes);
        }
        self.open(at);
    }

    fn mirror(&mut self, at: &Cursor<'a>, value: &Cursor<'_>, found: &mut Findings) {
        found.only(value, &["name", "match", "percentage"], &[]);
        let Some(name) = self.managed(value, found) else { return };
        let matches = found.list(&value.get("match"));
        let everything = |one: &Cursor<'_>| {
            let path = one.at("path.prefix").str() == Some("/");
            path && one.entries().len() == 1 && one.get("path").entries().len() == 1
        };
        for one in matches.iter().filter(|one| !everything(one)) {
            found.none(one, "a mirror copies a share of all requests, not of some", "path: {prefix: \"/\"}");
        }
        let share_at = value.get("percentage");
        let share = found.count(&share_at).unwrap_or(100);
        match Percent::new(share) {
            _ if matches.is_empty() => {
                self.mirrors.remove(&name);
            }
            Ok(share) if share.get() > 0 => {
                self.mirrors.insert(name, share);
            }
            _ => found.invalid(&share_at, format!("{share} is no share"), "1 to 100"),
        }
        if self.mirrors.len() > 1 {
            found.none(value, "there is one mirror at a time", "to take the other one away first");
        }
        self.open(at);
    }

    /// What the peer itself refuses of an experiment.
    fn experiment(&self, value: &Cursor<'_>, found: &mut Findings) {
        let capable = ["alb", "istio", "plugins", "smi"].iter().any(|router| self.routing.get(router).is_there());
        for template in value.get("templates").items() {
            let weight = template.get("weight");
            if weight.is_there() && !capable {
                let wrong = "this router cannot give a part of an experiment a weight of its own";
                let kind = FindingKind::ExperimentWeightWithoutCapableRouter;
                found.add(&weight, kind, wrong, "no weight, or one of alb, istio, smi and plugins");
            }
        }
    }
}
