//! Rollouts of Argo Rollouts (`argoproj.io/v1alpha1`), as JSON.

use std::num::NonZeroU32;
use std::time::Duration;

use deploy_core::operator::ApprovalRequest;
use serde_json::{Map, Value};

use crate::blue_green::{BlueGreen, Promote};
use crate::canary::{Canary, CanaryCapacity, Carrier, StableCapacity, Step};
use crate::refusal::{Problems, Refused};
use crate::rolling::Amount;
use crate::share::Percent;

/// The strategy of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// `spec.strategy.canary`.
    Canary(Canary),
    /// `spec.strategy.blueGreen`.
    BlueGreen(BlueGreen),
}

/// Reads the strategy of a Rollout.
///
/// Weights, pauses, canary scales, surge and unavailable, delays and deadlines are carried over; a pause without a duration becomes an
/// approval. Where both surge and unavailable come to nothing, one instance may be missing, as the peer has it. What we have no
/// counterpart for (analysis templates, experiments, header routes, mirrors, plug-ins) is refused by its place: an import that
/// lost a check would be worse than none.
///
/// # Errors
///
/// [`Refused`] with every problem: its place in the manifest, what is wrong, what is allowed.
///
/// ```
/// use deploy_strategies::import::argo::{Imported, rollout};
///
/// let manifest = serde_json::json!({"spec": {"replicas": 10, "strategy": {"canary": {
///     "trafficRouting": {"nginx": {}},
///     "steps": [{"setWeight": 20}, {"pause": {"duration": "10m"}}, {"setWeight": 50}, {"pause": {}}]
/// }}}});
/// let Imported::Canary(canary) = rollout(&manifest)? else { unreachable!() };
/// assert_eq!(canary.spec().steps.len(), 2);
/// assert!(canary.spec().steps[1].approval.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn rollout(manifest: &Value) -> Result<Imported, Refused> {
    let mut reader = Reader { problems: Problems::default() };
    let spec = &manifest["spec"];
    let strategy = &spec["strategy"];
    let both = strategy["canary"].is_object() && strategy["blueGreen"].is_object();
    reader.problems.require(!both, "spec.strategy", "both canary and blueGreen are given", "one of them");
    let instances = reader.count(&spec["replicas"], "spec.replicas").and_then(NonZeroU32::new);
    let deadline = reader.count(&spec["progressDeadlineSeconds"], "spec.progressDeadlineSeconds");
    let deadline = deadline.map(|s| Duration::from_secs(u64::from(s)));
    if let Some(canary) = strategy["canary"].as_object() {
        let built = reader.canary(canary, instances, deadline);
        reader.problems.finish("an imported rollout")?;
        return Ok(Imported::Canary(built.build()?));
    }
    if let Some(blue_green) = strategy["blueGreen"].as_object() {
        let built = reader.blue_green(blue_green, instances, deadline);
        reader.problems.finish("an imported rollout")?;
        return Ok(Imported::BlueGreen(built.build()?));
    }
    reader.problems.add("spec.strategy", "neither canary nor blueGreen is given", "one of them");
    Err(reader.problems.refused("an imported rollout"))
}

struct Reader {
    problems: Problems,
}

/// What of a canary is carried over, or has no bearing on how a release spreads.
const CANARY: &[&str] = &[
    "steps",
    "maxSurge",
    "maxUnavailable",
    "trafficRouting",
    "dynamicStableScale",
    "scaleDownDelaySeconds",
    "abortScaleDownDelaySeconds",
    "minPodsPerReplicaSet",
    "canaryService",
    "stableService",
    "canaryMetadata",
    "stableMetadata",
    "antiAffinity",
    "scaleDownDelayRevisionLimit",
    "pingPong",
];

const BLUE_GREEN: &[&str] = &[
    "activeService",
    "previewService",
    "previewReplicaCount",
    "autoPromotionEnabled",
    "autoPromotionSeconds",
    "scaleDownDelaySeconds",
    "abortScaleDownDelaySeconds",
    "previewMetadata",
    "activeMetadata",
    "antiAffinity",
    "scaleDownDelayRevisionLimit",
];

impl Reader {
    fn canary(
        &mut self,
        canary: &Map<String, Value>,
        instances: Option<NonZeroU32>,
        deadline: Option<Duration>,
    ) -> crate::canary::CanaryBuilder {
        const AT: &str = "spec.strategy.canary";
        self.only(canary, CANARY, AT);
        let mut built = Canary::builder();
        built.instances = instances;
        built.progress_deadline = deadline.unwrap_or(built.progress_deadline);
        let field = |name: &str| canary.get(name).unwrap_or(&Value::Null);
        let routing = field("trafficRouting");
        if routing.is_null() {
            let surge = self.amount(field("maxSurge"), &format!("{AT}.maxSurge"));
            let missing = self.amount(field("maxUnavailable"), &format!("{AT}.maxUnavailable"));
            let nothing = surge.is_zero() && missing.is_zero();
            let unavailable = if nothing { Amount::Count(1) } else { missing };
            built.traffic = Carrier::Instances { surge, unavailable };
        } else {
            let whole = self.count(&routing["maxTrafficWeight"], &format!("{AT}.trafficRouting.maxTrafficWeight"));
            built.weights_of = whole.unwrap_or(100);
            if field("dynamicStableScale") == &Value::Bool(true) {
                built.stable = StableCapacity::MatchWeight;
            }
        }
        let mut seconds = |name: &str| {
            let at = format!("{AT}.{name}");
            self.count(field(name), &at).map(|s| Duration::from_secs(u64::from(s)))
        };
        built.scale_down_delay = seconds("scaleDownDelaySeconds").unwrap_or(built.scale_down_delay);
        built.abort_delay = seconds("abortScaleDownDelaySeconds").unwrap_or(built.abort_delay);
        built.min_instances =
            self.count(field("minPodsPerReplicaSet"), &format!("{AT}.minPodsPerReplicaSet")).unwrap_or(1).max(1);
        let mut own: Option<CanaryCapacity> = None;
        for (i, step) in field("steps").as_array().into_iter().flatten().enumerate() {
            let at = format!("{AT}.steps[{i}]");
            let Some((kind, value)) = step.as_object().filter(|o| o.len() == 1).and_then(|o| o.iter().next()) else {
                self.problems.add(at, "it is not exactly one kind of step", "setWeight, pause or setCanaryScale");
                continue;
            };
            match kind.as_str() {
                "setWeight" => {
                    let weight = self.count(value, &format!("{at}.setWeight")).unwrap_or(0);
                    built.steps.push(Step { capacity: own, ..Step::weight(weight) });
                }
                "setCanaryScale" => {
                    own = self.scale(value, &at);
                    if routing.is_null() {
                        self.problems.add(&at, "without a router the capacity is the weight", "a trafficRouting");
                    }
                    // The scale alone is a step too: the instances are there before the weight is.
                    let weight = built.steps.last().map_or(0, |step| step.weight);
                    built.steps.push(Step { capacity: own, ..Step::weight(weight) });
                }
                "pause" => {
                    if built.steps.is_empty() {
                        built.steps.push(Step::weight(0));
                    }
                    let duration = &value["duration"];
                    let span = if duration.is_null() {
                        None
                    } else {
                        self.duration(duration, &format!("{at}.pause.duration"))
                    };
                    if let Some(last) = built.steps.last_mut() {
                        match span {
                            Some(span) => last.soak += span,
                            None => last.approval = Some(ApprovalRequest::new("the manifest pauses here; go on?")),
                        }
                    }
                }
                other => self.problems.add(
                    format!("{at}.{other}"),
                    "there is no counterpart for it here",
                    "setWeight, pause or setCanaryScale; write the check as an analysis of the step",
                ),
            }
        }
        built
    }

    fn blue_green(
        &mut self,
        manifest: &Map<String, Value>,
        instances: Option<NonZeroU32>,
        deadline: Option<Duration>,
    ) -> crate::blue_green::BlueGreenBuilder {
        const AT: &str = "spec.strategy.blueGreen";
        self.only(manifest, BLUE_GREEN, AT);
        let mut built = BlueGreen::builder();
        built.instances = instances;
        built.progress_deadline = deadline.unwrap_or(built.progress_deadline);
        let field = |name: &str| manifest.get(name).unwrap_or(&Value::Null);
        built.preview =
            self.count(field("previewReplicaCount"), &format!("{AT}.previewReplicaCount")).map(Amount::Count);
        let mut seconds = |name: &str| {
            let at = format!("{AT}.{name}");
            self.count(field(name), &at).map(|s| Duration::from_secs(u64::from(s)))
        };
        built.scale_down_delay = seconds("scaleDownDelaySeconds").unwrap_or(built.scale_down_delay);
        built.abort_delay = seconds("abortScaleDownDelaySeconds").unwrap_or(built.abort_delay);
        let after = seconds("autoPromotionSeconds");
        built.promote = match (field("autoPromotionEnabled"), after) {
            (Value::Bool(false), None) => Promote::by_person("the manifest asks for a promotion by hand; switch?"),
            (_, after) => Promote::after(after.unwrap_or_default()),
        };
        built
    }

    fn only(&mut self, given: &Map<String, Value>, known: &[&str], at: &str) {
        for name in given.keys().filter(|name| !known.contains(&name.as_str())) {
            self.problems.add(format!("{at}.{name}"), "there is no counterpart for it here", known.join(", "));
        }
    }

    fn count(&mut self, value: &Value, at: &str) -> Option<u32> {
        if value.is_null() {
            return None;
        }
        let count = value.as_u64().and_then(|n| u32::try_from(n).ok());
        self.problems.require(count.is_some(), at, format!("{value} is not a count"), "a whole number from 0 on");
        count
    }

    /// A count, or a text that ends in `%`; a quarter where nothing is given, as the peer has it.
    fn amount(&mut self, value: &Value, at: &str) -> Amount {
        let percent = |n: u32| Percent::new(n).ok().map(Amount::Percent);
        let amount = match value {
            Value::Null => percent(25),
            Value::String(text) => text.strip_suffix('%').and_then(|n| n.parse().ok()).and_then(percent),
            other => other.as_u64().and_then(|n| u32::try_from(n).ok()).map(Amount::Count),
        };
        self.problems.require(
            amount.is_some(),
            at,
            format!("{value} is neither a count nor a percentage"),
            "5 or \"25%\"",
        );
        amount.unwrap_or(Amount::Count(0))
    }

    fn scale(&mut self, value: &Value, at: &str) -> Option<CanaryCapacity> {
        if value["matchTrafficWeight"] == Value::Bool(true) {
            return None;
        }
        if let Some(count) = self.count(&value["replicas"], &format!("{at}.setCanaryScale.replicas")) {
            return Some(CanaryCapacity::Instances(count));
        }
        let percent =
            self.count(&value["weight"], &format!("{at}.setCanaryScale.weight")).and_then(|n| Percent::new(n).ok());
        self.problems.require(
            percent.is_some(),
            at,
            "it gives no scale",
            "replicas, weight from 0 to 100, or matchTrafficWeight",
        );
        percent.map(CanaryCapacity::Percent)
    }

    /// Seconds as a number or a text, or a text with a unit.
    fn duration(&mut self, value: &Value, at: &str) -> Option<Duration> {
        let span = match value {
            Value::String(text) => match text.parse::<u64>() {
                Ok(seconds) => Some(Duration::from_secs(seconds)),
                Err(_) => crate::span::read(text).ok(),
            },
            other => other.as_u64().map(Duration::from_secs),
        };
        self.problems.require(
            span.is_some(),
            at,
            format!("{value} is not a duration"),
            "seconds, or a text such as 10m",
        );
        // A pause that cannot be read must not become one for a person.
        Some(span.unwrap_or_default())
    }
}
