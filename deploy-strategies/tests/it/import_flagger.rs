//! Canaries of Flagger.

use std::time::Duration;

use deploy_core::monitor::{Arm, MeasureRequest, Measurement, Reading, Window};
use deploy_core::name::MetricName;
use deploy_core::real::Real;
use deploy_core::target::RouteMatch;
use deploy_core::time::{RunTime, Timestamp};
use deploy_strategies::analysis::Judge;
use deploy_strategies::analysis::threshold::{Limit, NoData};
use deploy_strategies::blue_green::Promote;
use deploy_strategies::canary::{CanaryBuilder, CanaryCapacity, OnInconclusive};
use deploy_strategies::import::{FindingKind, HookWhen, Source};
use deploy_strategies::share::Percent;
use deploy_strategies::spec::StrategySpec;

use crate::bar::Bar;
use crate::closed_loop::{Answers, End, Loop};
use crate::import::{import, refused};
use crate::model::{Place, release, serving};

/// A Canary with this analysis, indented by four.
pub(crate) fn manifest(analysis: &str) -> String {
    format!(
        "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {{name: shop, namespace: prod}}\nspec:\n  provider: istio\n  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: shop}}\n  service: {{port: 80}}\n  progressDeadlineSeconds: 60\n  analysis:\n{analysis}\n"
    )
}

pub(crate) const METRICS: &str = "    metrics:\n    - {name: request-success-rate, interval: 1m, thresholdRange: {min: 99}}\n    - {name: request-duration, interval: 30s, thresholdRange: {max: 500}}\n";

fn canary(analysis: &str) -> CanaryBuilder {
    match import(&manifest(analysis)).strategy {
        StrategySpec::Canary(canary) => canary.spec().clone(),
        other => panic!("{other:?}"),
    }
}

fn weights(analysis: &str) -> Vec<u32> {
    canary(&format!("    interval: 1m\n{analysis}")).steps.iter().map(|step| step.weight).collect()
}

#[test]
fn weights_rise_as_the_peer_raises_them() {
    assert_eq!(weights("    maxWeight: 50\n    stepWeight: 10"), [10, 20, 30, 40, 50]);
    assert_eq!(
        weights("    maxWeight: 50\n    stepWeight: 30"),
        [30, 60],
        "the last raise goes past the largest weight"
    );
    assert_eq!(weights("    stepWeight: 40"), [40, 80, 100]);
    assert_eq!(weights("    stepWeights: [1, 10, 60]"), [1, 10, 60]);
    assert_eq!(weights("    stepWeights: [1, 10, 60]\n    stepWeight: 30"), [30, 60]);
    assert_eq!(weights("    stepWeight: 50\n    mirror: true\n    mirrorWeight: 20"), [0, 50, 100]);
}

#[test]
fn each_step_takes_one_good_check_and_one_counter_counts_the_failed_ones_of_all() {
    let spec =
        canary(&format!("    interval: 15s\n    threshold: 5\n    maxWeight: 20\n    stepWeight: 10\n{METRICS}"));
    assert_eq!(spec.steps.iter().map(|step| step.soak).collect::<Vec<_>>(), [Duration::from_secs(15); 2]);
    assert_eq!(spec.capacity, CanaryCapacity::Percent(Percent::new(100).unwrap()));
    assert_eq!(
        (spec.on_inconclusive.clone(), spec.progress_deadline),
        (OnInconclusive::RollBack, Duration::from_secs(60))
    );
    let text = |analysis: &deploy_strategies::analysis::Analysis| serde_json::to_value(analysis).unwrap();
    let (inline, counter) = (&spec.steps[0].analysis[0], &spec.background[0].analysis);
    for analysis in [inline, counter] {
        assert_eq!(
            text(analysis)["judge"]["threshold"]["failed_checks"],
            serde_json::json!({"compare": ">=", "count": 5})
        );
        let Judge::Threshold(judge) = &analysis.judge else { panic!("thresholds") };
        assert!(judge.metrics().iter().all(|metric| metric.no_data == NoData::Fail));
        let row = judge.metrics()[0].consecutive_success_limit;
        assert_eq!(row, (analysis == inline).then(|| Limit::at_least(1)));
    }
    assert_eq!(
        (inline.every, inline.request(&"v2".try_into().unwrap(), None)),
        (counter.every, counter.request(&"v2".try_into().unwrap(), None)),
        "one answer serves both"
    );
}

/// What every metric is.
pub(crate) fn all(request: &MeasureRequest, value: u32) -> Result<Vec<Measurement>, String> {
    let window = Window { from: Timestamp(0), to: Timestamp(60_000) };
    let one = |metric: &MetricName| {
        Measurement::new(metric.clone(), Arm::Candidate, window, Reading::Value(Real::from(value)))
    };
    Ok(request.metrics.iter().map(one).collect())
}

#[test]
fn an_imported_canary_goes_through_on_good_checks_and_back_on_as_many_failed_ones_as_the_manifest_says() {
    let text = format!("    interval: 1m\n    threshold: 2\n    maxWeight: 20\n    stepWeight: 10\n{METRICS}");
    let canary = import(&manifest(&text)).strategy;
    let run = |answers: Answers| {
        let bar = Bar { least: 10, most: 20, with_ending: false };
        let mut run = Loop::new(&canary, release("v2"), Place::new(&serving("v1", 10), 1, 0), bar);
        run.monitor = answers;
        (run.run(400), run.log.join("\n"))
    };
    // 100 is a good rate and a good duration, 50 a bad rate.
    let (end, story) = run(|request, _| all(request, 100));
    assert_eq!(end, End::Complete, "{story}");
    let (end, story) = run(|request, _| all(request, 50));
    assert_eq!(end, End::RolledBack, "{story}");
    assert!(
        story.contains("1 failed checks of all metrics"),
        "one answer counts once, although two analyses take it: {story}"
    );
    let (end, story) = run(|request, now| all(request, if now < RunTime(100_000) { 50 } else { 100 }));
    assert_eq!(end, End::Complete, "one failed check is one less than too many: {story}");
}

#[test]
fn a_test_of_matching_requests_sends_those_alone() {
    let imported = import(&manifest(
        "    interval: 15s\n    iterations: 3\n    match:\n    - headers: {x-tester: {exact: insider}, x-more: {exact: a}}\n    - headers: {cookie: {regex: \"^(.*?;)?(type=insider)(;.*)?$\"}}",
    ));
    let StrategySpec::Canary(canary) = &imported.strategy else { panic!("a canary") };
    let steps = &canary.spec().steps;
    assert_eq!(steps.iter().map(|step| step.weight).collect::<Vec<_>>(), [0, 0, 0]);
    let header = |name: &str, value: &str| RouteMatch::Header { name: name.to_owned(), value: value.to_owned() };
    let cookie = RouteMatch::Cookie { name: "type".to_owned(), value: "insider".to_owned() };
    assert_eq!(steps[2].routes, [vec![header("x-tester", "insider"), header("x-more", "a")], vec![cookie]]);
    let wrong = refused(&manifest("    iterations: 3\n    match:\n    - headers: {user-agent: {regex: .*Firefox.*}}"));
    assert_eq!(wrong, [(12, "spec.analysis.match[0].headers.user-agent".to_owned(), FindingKind::NoCounterpart)]);
}

#[test]
fn iterations_without_a_match_are_a_switch() {
    let imported = import(&manifest(&format!("    interval: 1m\n    iterations: 10\n    threshold: 2\n{METRICS}")));
    let StrategySpec::BlueGreen(switch) = &imported.strategy else { panic!("a switch") };
    let Judge::Threshold(before) = &switch.spec().before[0].judge else { panic!("thresholds") };
    assert_eq!(before.metrics()[0].consecutive_success_limit, Some(Limit::at_least(10)));
    assert_eq!(switch.spec().promote, Promote::after(Duration::from_secs(600)));
    let by_services =
        manifest("    interval: 1m\n    stepWeight: 10").replace("provider: istio", "provider: kubernetes");
    assert!(matches!(import(&by_services).strategy, StrategySpec::BlueGreen(_)));
    let copied = canary("    interval: 1m\n    iterations: 2\n    mirror: true");
    let steps: Vec<_> = copied.steps.iter().map(|step| (step.weight, step.mirror.map(Percent::get))).collect();
    assert_eq!(steps, [(0, Some(100)), (0, Some(100)), (100, None)]);
    let skipped = manifest("    interval: 1m").replace("  analysis:", "  skipAnalysis: true\n  analysis:");
    assert!(matches!(import(&skipped).strategy, StrategySpec::AllAtOnce(_)));
}

#[test]
fn queries_are_filled_in_and_webhooks_are_named() {
    let template = "---\napiVersion: flagger.app/v1beta1\nkind: MetricTemplate\nmetadata: {name: missing}\nspec:\n  provider: {type: prometheus, address: \"http://prometheus:9090\", secretRef: {name: login}}\n  query: sum(rate(e{ns=\"{{ namespace }}\",app=\"{{target}}-canary\",x=\"{{ variables.x }}\"}[{{ interval }}]))\n";
    let analysis = "    interval: 1m\n    stepWeight: 50\n    metrics:\n    - name: not-found\n      templateRef: {name: missing, namespace: flagger}\n      templateVariables: {x: one}\n      thresholdRange: {min: 0.5, max: 5}\n      interval: 2m\n    webhooks:\n    - {name: gate, type: confirm-promotion, url: \"http://gate/\", timeout: 5s, metadata: {a: b}}\n    - {name: load, url: \"http://load/\"}\n";
    let imported = import(&format!("{}{template}", manifest(analysis)));
    let Source::Prometheus(source) = &imported.questions[0].source else { panic!("{:?}", imported.questions) };
    assert_eq!(source.query, "sum(rate(e{ns=\"prod\",app=\"shop-canary\",x=\"one\"}[2m]))");
    assert_eq!((source.address.as_str(), source.secret.as_deref()), ("http://prometheus:9090", Some("login")));
    let StrategySpec::Canary(canary) = &imported.strategy else { panic!("a canary") };
    let Judge::Threshold(judge) = &canary.spec().steps[0].analysis[0].judge else { panic!("thresholds") };
    let conditions: Vec<String> = judge.metrics().iter().map(|metric| metric.condition.to_string()).collect();
    assert_eq!(conditions, ["good if ≥ 0.5", "good if ≤ 5"], "both sides of the range are broken limits");
    let hooks: Vec<_> = imported.hooks.iter().map(|hook| (hook.name.as_str(), hook.when, hook.line)).collect();
    assert_eq!(hooks, [("gate", HookWhen::ConfirmPromotion, Some(19)), ("load", HookWhen::Rollout, Some(20))]);
    assert_eq!(imported.hooks[0].metadata, [("a".to_owned(), "b".to_owned())]);
}

#[test]
fn what_has_no_counterpart_is_refused_by_its_line() {
    use FindingKind as K;
    let at = |line, path: &str, kind| vec![(line, format!("spec.analysis{path}"), kind)];
    assert_eq!(refused(&manifest("    interval: soon\n    stepWeight: 5")), at(10, ".interval", K::InvalidValue));
    assert_eq!(refused(&manifest("    interval: 1m")), at(9, ".stepWeight", K::InvalidValue));
    assert_eq!(refused(&manifest("    stepWeights: [10, 5]")), at(10, ".stepWeights[1]", K::InvalidValue));
    assert_eq!(
        refused(&manifest("    stepWeight: 5\n    sessionAffinity: {cookieName: a}")),
        at(11, ".sessionAffinity", K::NoCounterpart)
    );
    assert_eq!(
        refused(&manifest("    stepWeight: 5\n    match: [{headers: {a: {exact: b}}}]")),
        at(11, ".match", K::NoCounterpart)
    );
    assert_eq!(refused(&manifest("    stepWeight: 5\n    stepWieght: 6")), at(11, ".stepWieght", K::UnknownField));
    let unmeasured =
        "    stepWeight: 5\n    metrics:\n    - {name: mine, templateRef: {name: nowhere}, thresholdRange: {max: 1}}";
    assert_eq!(refused(&manifest(unmeasured)), at(12, ".metrics[0].templateRef", K::NotInFiles));
    let unlimited = "    stepWeight: 5\n    metrics:\n    - {name: request-duration}";
    assert_eq!(refused(&manifest(unlimited)), at(12, ".metrics[0]", K::NoCounterpart));
    assert_eq!(
        refused(&manifest("    stepWeight: 5\n    webhooks:\n    - {name: a, type: sometimes, url: u}")),
        at(12, ".webhooks[0].type", K::InvalidValue)
    );
}
