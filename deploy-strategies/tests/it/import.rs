//! Rollouts of Argo Rollouts.

use std::time::Duration;

use deploy_core::monitor::Comparison;
use deploy_core::target::RouteMatch;
use deploy_strategies::all_at_once::AllAtOnce;
use deploy_strategies::analysis::threshold::{Bound, Condition, Limit, PeerOrder};
use deploy_strategies::analysis::{Analysis, Judge};
use deploy_strategies::blue_green::{BlueGreenBuilder, Promote};
use deploy_strategies::canary::{CanaryBuilder, CanaryCapacity, Carrier, StableCapacity};
use deploy_strategies::import::{Binding, FindingKind, Imported, Manifests, Source};
use deploy_strategies::rolling::Amount;
use deploy_strategies::spec::StrategySpec;

/// A rollout whose `spec.strategy` is this, indented by four.
pub(crate) fn rollout(strategy: &str) -> String {
    let head =
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: shop, labels: {region: west}}\nspec:\n";
    let pods = "  selector: {matchLabels: {app: shop}}\n  template: {metadata: {labels: {app: shop}}}\n";
    format!("{head}{pods}  strategy:\n{strategy}\n")
}

pub(crate) fn import(text: &str) -> Imported {
    let mut manifests = Manifests::new();
    manifests.add("m.yaml", text);
    let mut all = manifests.strategies().unwrap_or_else(|refused| panic!("{refused}"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Line, path and kind of everything that stands in the way.
pub(crate) fn refused(text: &str) -> Vec<(u32, String, FindingKind)> {
    let mut manifests = Manifests::new();
    manifests.add("m.yaml", text);
    let refused = manifests.strategies().expect_err(text);
    let place = |finding: &deploy_strategies::import::Finding| finding.place.map_or(0, |place| place.line);
    refused.findings().iter().map(|finding| (place(finding), finding.at.clone(), finding.kind)).collect()
}

fn canary(strategy: &str) -> CanaryBuilder {
    match import(&rollout(strategy)).strategy {
        StrategySpec::Canary(canary) => canary.spec().clone(),
        other => panic!("{other:?}"),
    }
}

fn switch(strategy: &str) -> BlueGreenBuilder {
    match import(&rollout(strategy)).strategy {
        StrategySpec::BlueGreen(switch) => switch.spec().clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) const ROUTED: &str = "    canary:\n      canaryService: new\n      stableService: old\n      trafficRouting: {istio: {}, maxTrafficWeight: 1000, managedRoutes: [{name: testers}, {name: copies}]}\n";

#[test]
fn a_canary_keeps_its_weights_pauses_scales_and_limits() {
    let text = format!(
        "{ROUTED}      scaleDownDelaySeconds: 60\n      steps:\n      - setCanaryScale: {{replicas: 3}}\n      - setWeight: 100\n      - pause: {{duration: 90}}\n      - setCanaryScale: {{matchTrafficWeight: true}}\n      - setWeight: 500\n      - pause: {{}}\n  replicas: 10\n  progressDeadlineSeconds: 300"
    );
    let spec = canary(&text);
    let weights: Vec<u32> = spec.steps.iter().map(|step| step.weight).collect();
    assert_eq!((weights, spec.weights_of), (vec![0, 100, 100, 500], 1_000));
    assert_eq!(spec.steps[1].capacity, Some(CanaryCapacity::Instances(3)));
    assert_eq!((spec.steps[1].soak, spec.steps[3].capacity), (Duration::from_secs(90), None));
    assert!(spec.steps[3].approval.is_some());
    assert_eq!((spec.scale_down_delay, spec.progress_deadline), (Duration::from_secs(60), Duration::from_secs(300)));
    assert_eq!(spec.instances.map(std::num::NonZeroU32::get), Some(10));
}

#[test]
fn what_comes_after_a_person_stays_after_the_person() {
    let spec = canary(
        "    canary:\n      steps:\n      - setWeight: 20\n      - pause: {}\n      - pause: {duration: 1h30m}\n      - pause: {duration: \"30\"}\n      - pause: {}\n      - pause: {}",
    );
    let steps: Vec<_> =
        spec.steps.iter().map(|step| (step.weight, step.soak.as_secs(), step.approval.is_some())).collect();
    assert_eq!(steps, [(20, 0, true), (20, 5_430, true), (20, 0, true)]);
    let Carrier::Instances { surge, .. } = spec.traffic else { panic!("no router") };
    assert_eq!(surge, Amount::Percent(deploy_strategies::share::Percent::new(25).unwrap()));
}

#[test]
fn headers_and_mirrors_stay_until_they_are_taken_away() {
    let text = format!(
        "{ROUTED}      dynamicStableScale: true\n      steps:\n      - setHeaderRoute: {{name: testers, match: [{{headerName: x-tester, headerValue: {{exact: \"yes\"}}}}, {{headerName: x-staff, headerValue: {{exact: \"1\"}}}}]}}\n      - setMirrorRoute: {{name: copies, percentage: 35, match: [{{path: {{prefix: /}}}}]}}\n      - setWeight: 10\n      - setMirrorRoute: {{name: copies}}\n      - setHeaderRoute: {{name: testers}}\n      - setWeight: 50"
    );
    let spec = canary(&text);
    let header = |name: &str, value: &str| RouteMatch::Header { name: name.to_owned(), value: value.to_owned() };
    let both = vec![vec![header("x-tester", "yes")], vec![header("x-staff", "1")]];
    let steps: Vec<_> =
        spec.steps.iter().map(|step| (step.weight, step.routes.len(), step.mirror.map(|m| m.get()))).collect();
    assert_eq!(steps, [(0, 2, None), (0, 2, Some(35)), (10, 2, Some(35)), (10, 2, None), (10, 0, None), (50, 0, None)]);
    assert_eq!(spec.steps[1].routes, both, "with Istio any of them is enough");
    assert_eq!(spec.stable, StableCapacity::MatchWeight);
}

#[test]
fn without_a_router_instances_carry_the_weight_and_without_steps_it_is_a_rolling_update() {
    let spec = canary("    canary: {maxSurge: 1, maxUnavailable: 0, steps: [{setWeight: 20}]}");
    assert_eq!(spec.traffic, Carrier::Instances { surge: Amount::Count(1), unavailable: Amount::Count(0) });
    let once = import(&rollout(&format!("{ROUTED}      scaleDownDelaySeconds: 60")));
    let StrategySpec::AllAtOnce(once) = &once.strategy else { panic!("{:?}", once.strategy) };
    assert_eq!(*once, AllAtOnce::new().scale_down_delay(Duration::from_secs(60)));
    let rolled = import(&rollout("    canary: {maxSurge: 2, maxUnavailable: \"10%\"}\n  minReadySeconds: 7"));
    let StrategySpec::Rolling(rolling) = &rolled.strategy else { panic!("{:?}", rolled.strategy) };
    assert_eq!((rolling.spec().surge, rolling.spec().min_healthy), (Amount::Count(2), Duration::from_secs(7)));
}

#[test]
fn a_blue_green_switch_keeps_who_promotes_it() {
    let manifest = |more: &str| {
        switch(&format!(
            "    blueGreen:\n      activeService: a\n      previewService: p\n      previewReplicaCount: 1\n{more}"
        ))
    };
    assert_eq!(manifest("").promote, Promote::after(Duration::ZERO));
    assert_eq!(manifest("      autoPromotionSeconds: 30").promote, Promote::after(Duration::from_secs(30)));
    let by_hand = "      autoPromotionEnabled: false\n";
    assert!(matches!(manifest(by_hand).promote, Promote::Approved(_)));
    assert!(matches!(manifest(&format!("{by_hand}      autoPromotionSeconds: 0")).promote, Promote::Approved(_)));
    let after = manifest(&format!("{by_hand}      autoPromotionSeconds: 30"));
    assert_eq!((after.promote, after.preview), (Promote::after(Duration::from_secs(30)), Some(Amount::Count(1))));
}

pub(crate) const TEMPLATES: &str = r#"---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  args:
  - name: service
  - name: limit
    value: "0.05"
  - name: hash
    valueFrom: {podTemplateHashValue: Latest}
  - name: region
    valueFrom: {fieldRef: {fieldPath: "metadata.labels['region']"}}
  - name: token
    valueFrom: {secretKeyRef: {name: prometheus, key: token}}
  metrics:
  - name: error-rate
    interval: 30s
    count: "4"
    failureLimit: 1
    initialDelay: 10s
    successCondition: result[0] < {{args.limit}}
    failureCondition: 0.2 <= result[0]
    provider:
      prometheus:
        address: http://prometheus.{{args.region}}:9090
        query: sum(rate(errors{service="{{ args.service }}",hash="{{args.hash}}"}[1m]))
        headers: [{key: Authorization, value: "Bearer {{args.token}}"}]
  - name: shadow
    interval: 30s
    count: 4
    failureCondition: "len(result) > 0 && any(result, # > 2)"
    provider:
      prometheus: {address: http://prometheus, query: up}
---
apiVersion: argoproj.io/v1alpha1
kind: ClusterAnalysisTemplate
metadata: {name: health}
spec:
  dryRun: [{metricName: smo.e}]
  metrics:
  - name: smoke
    successCondition: result == "ok" or asInt(result) >= 1
    provider:
      web: {url: "http://shop/health", jsonPath: "{$.data['checks'][1].state}", timeoutSeconds: 5}
"#;

pub(crate) fn analysed_text() -> String {
    let step = "      - analysis: {templates: [{templateName: errors}], args: [{name: service, value: shop}]}\n";
    let text = format!(
        "{ROUTED}      analysis:\n        startingStep: 2\n        templates: [{{templateName: health, clusterScope: true}}]\n      steps:\n      - setWeight: 100\n      - pause: {{duration: 1m}}\n{step}      - setWeight: 300\n      - pause: {{duration: 1m}}"
    );
    format!("{}{TEMPLATES}", rollout(&text))
}

fn analysed() -> Imported {
    import(&analysed_text())
}

fn limits(analysis: &Analysis) -> &deploy_strategies::analysis::threshold::Threshold {
    let Judge::Threshold(judge) = &analysis.judge else { panic!("{analysis:?}") };
    judge
}

#[test]
fn templates_become_thresholds_and_questions() {
    let imported = analysed();
    let StrategySpec::Canary(canary) = &imported.strategy else { panic!("a canary") };
    let spec = canary.spec();
    let steps: Vec<_> = spec.steps.iter().map(|step| (step.weight, step.soak.as_secs(), step.analysis.len())).collect();
    assert_eq!(steps, [(100, 60, 0), (100, 0, 1), (300, 60, 0)], "the analysis begins when the pause is over");
    assert_eq!(spec.background.iter().map(|b| b.from_step).collect::<Vec<_>>(), [1]);
    let analysis = &spec.steps[1].analysis[0];
    let judge = limits(analysis);
    assert_eq!((analysis.monitor.as_str(), analysis.every.as_secs()), ("prometheus", 30));
    let [rate, shadow] = judge.metrics() else { panic!("two metrics") };
    let bound = |compare, limit: f64| Bound::new(compare, deploy_core::real::Real::new(limit).unwrap());
    let both = Condition::both(bound(Comparison::Less, 0.05), bound(Comparison::AtLeast, 0.2));
    assert_eq!((rate.condition, rate.count, rate.failure_limit), (both, Some(4), Some(Limit::more_than(1))));
    assert_eq!((rate.errors.consecutive_limit, rate.initial_delay.as_secs()), (Some(Limit::more_than(4)), 10));
    assert_eq!(rate.inconclusive_limit, Some(Limit::more_than(0)));
    assert!(!shadow.dry_run && limits(&spec.background[0].analysis).metrics()[0].dry_run);
    assert_eq!(judge.clone().order(PeerOrder::Argo), judge.clone(), "inside a metric, Argo's order");

    let question = imported.questions.iter().find(|question| question.metric.as_str() == "error-rate").unwrap();
    let Source::Prometheus(prometheus) = &question.source else { panic!("{question:?}") };
    assert_eq!(prometheus.address, "http://prometheus.west:9090");
    assert_eq!(prometheus.query, "sum(rate(errors{service=\"shop\",hash=\"{{args.hash}}\"}[1m]))");
    assert_eq!(prometheus.headers, [("Authorization".to_owned(), "Bearer {{args.token}}".to_owned())]);
    assert_eq!(question.bindings["hash"], Binding::CandidateRevision);
    assert_eq!(question.bindings["token"], Binding::Secret { name: "prometheus".to_owned(), key: "token".to_owned() });
    let text = serde_json::to_string(&imported.questions).unwrap();
    assert_eq!(serde_json::from_str::<Vec<deploy_strategies::import::Question>>(&text).unwrap(), imported.questions);
}

#[test]
fn answers_become_numbers_or_errors() {
    let imported = analysed();
    let question = |name: &str| imported.questions.iter().find(|q| q.metric.as_str() == name).unwrap();
    let vector = |values: &[&str]| {
        let series: Vec<_> =
            values.iter().map(|value| serde_json::json!({"metric": {}, "value": [0, value]})).collect();
        serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": series}}).to_string()
    };
    let read = |name: &str, body: &str| question(name).number(body.as_bytes()).map(|number| number.get()).ok();
    assert_eq!(read("error-rate", &vector(&["0.01", "0.9"])), Some(0.01));
    assert_eq!(read("error-rate", &vector(&[])), None, "nothing measured is an error of the question");
    assert_eq!(read("error-rate", &vector(&["NaN"])), None);
    assert_eq!(read("error-rate", "no json"), None);
    assert_eq!(read("shadow", &vector(&[])), Some(1.0));
    assert_eq!(read("shadow", &vector(&["1", "3"])), Some(0.0));
    let checks = |state: serde_json::Value| serde_json::json!({"data": {"checks": [0, {"state": state}]}}).to_string();
    assert_eq!(read("smoke", &checks("7".into())), Some(1.0));
    assert_eq!(read("smoke", &checks("0".into())), Some(0.0));
    assert_eq!(read("smoke", &checks("ok".into())), Some(1.0));
    assert_eq!(read("smoke", &checks("bad".into())), None, "asInt of it is an error");
    assert_eq!(read("smoke", "{}"), None);
}

#[test]
fn what_has_no_counterpart_is_refused_by_its_line() {
    use FindingKind as K;
    let steps = |steps: &str| refused(&rollout(&format!("{ROUTED}      steps:\n{steps}")));
    let at = |line, path: &str, kind| vec![(line, format!("spec.strategy.canary.{path}"), kind)];
    assert_eq!(steps("      - setWeight: 10\n      - plugin: {name: x}"), at(14, "steps[1].plugin", K::NoCounterpart));
    assert_eq!(steps("      - setWeight: 1001"), at(13, "steps[0].setWeight", K::InvalidValue));
    assert_eq!(steps("      - setWeight: ten"), at(13, "steps[0].setWeight", K::InvalidValue));
    assert_eq!(
        steps("      - pause: {duration: -5}"),
        vec![
            (13, "spec.strategy.canary.steps[0].pause.duration".to_owned(), K::InvalidValue),
            (13, "spec.strategy.canary.steps[0].pause.duration".to_owned(), K::InvalidValue)
        ]
    );
    assert_eq!(steps("      - {setWeight: 1, pause: {}}"), at(13, "steps[0]", K::InvalidValue));
    assert_eq!(steps("      - setWieght: 1"), at(13, "steps[0].setWieght", K::UnknownField));
    let header = "      - setHeaderRoute: {name: testers, match: [{headerName: a, headerValue: {regex: b}}]}";
    assert_eq!(steps(header), at(13, "steps[0].setHeaderRoute.match[0].headerValue.regex", K::NoCounterpart));
    let missing = "      - setWeight: 1\n      - analysis: {templates: [{templateName: nowhere}]}";
    assert_eq!(steps(missing), at(14, "steps[1].analysis.templates[0].templateName", K::NotInFiles));
    let unserved = steps(&format!(
        "      - analysis: {{templates: [{{templateName: errors}}], args: [{{name: service, value: s}}]}}\n{TEMPLATES}"
    ));
    assert_eq!(unserved, at(13, "steps[0]", K::NoCounterpart), "nothing is sent there yet");
    let unsaid = steps(&format!(
        "      - setWeight: 5\n      - analysis: {{templates: [{{templateName: errors}}]}}\n{TEMPLATES}"
    ));
    assert!(unsaid.contains(&(21, "spec.args[0]".to_owned(), K::InvalidValue)), "{unsaid:?}");
    let other = TEMPLATES
        .replace("result[0] < {{args.limit}}", "now() > 1")
        .replace("prometheus: {address: http://prometheus, query: up}", "datadog: {query: x}");
    let other = steps(&format!(
        "      - setWeight: 5\n      - analysis: {{templates: [{{templateName: errors}}], args: [{{name: service, value: s}}]}}\n{other}"
    ));
    assert!(other.contains(&(36, "spec.metrics[0].successCondition".to_owned(), K::NoCounterpart)), "{other:?}");
    assert!(other.contains(&(48, "spec.metrics[1].provider.datadog".to_owned(), K::NoCounterpart)), "{other:?}");
    assert!(refused("kind: Service\n").iter().all(|(_, _, kind)| *kind == K::NotInFiles));
    assert_eq!(refused("a: [\n")[0].2, K::Unreadable);
}

#[test]
fn what_the_target_has_and_what_differs_is_told_with_its_line() {
    let imported = import(&rollout(
        "    canary:\n      antiAffinity: {}\n      steps:\n      - setWeight: 5\n      - pause: {}\n  revisionHistoryLimit: 2\n  rollbackWindow: {revisions: 3}",
    ));
    let notes: Vec<_> =
        imported.notes.iter().map(|note| (note.place.unwrap().line, note.at.as_str(), note.kind)).collect();
    assert!(notes.contains(&(9, "spec.strategy.canary.antiAffinity", FindingKind::ForTheTarget)), "{notes:?}");
    assert!(notes.contains(&(12, "spec.strategy.canary.steps[1]", FindingKind::Differs)), "{notes:?}");
    assert!(notes.contains(&(13, "spec.revisionHistoryLimit", FindingKind::ForTheTarget)), "{notes:?}");
    assert_eq!(imported.rollback_window, Some(deploy_strategies::way_back::RollbackWindow::new(3)));
}
