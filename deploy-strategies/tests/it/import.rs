//! Manifests of other systems.

use std::time::Duration;

use deploy_strategies::blue_green::Promote;
use deploy_strategies::canary::{CanaryCapacity, Carrier};
use deploy_strategies::import::argo::{Imported, rollout};
use deploy_strategies::rolling::Amount;
use serde_json::json;

#[test]
fn a_canary_keeps_its_weights_pauses_scales_and_limits() {
    let manifest = json!({"spec": {"replicas": 10, "progressDeadlineSeconds": 300, "strategy": {"canary": {
        "trafficRouting": {"istio": {}, "maxTrafficWeight": 1000}, "scaleDownDelaySeconds": 60,
        "steps": [{"setCanaryScale": {"replicas": 3}}, {"setWeight": 100}, {"pause": {"duration": 90}},
                  {"setCanaryScale": {"matchTrafficWeight": true}}, {"setWeight": 500}, {"pause": {}}]
    }}}});
    let Imported::Canary(canary) = rollout(&manifest).unwrap() else { panic!("a canary") };
    let spec = canary.spec();
    let weights: Vec<u32> = spec.steps.iter().map(|step| step.weight).collect();
    assert_eq!((weights, spec.weights_of), (vec![0, 100, 100, 500], 1_000));
    assert_eq!(spec.steps[1].capacity, Some(CanaryCapacity::Instances(3)));
    assert_eq!((spec.steps[1].soak, spec.steps[3].capacity), (Duration::from_secs(90), None));
    assert!(spec.steps[3].approval.is_some());
    assert_eq!((spec.scale_down_delay, spec.progress_deadline), (Duration::from_secs(60), Duration::from_secs(300)));
}

#[test]
fn without_a_router_instances_carry_the_weight_and_something_can_always_move() {
    let manifest = |surge, missing| json!({"spec": {"strategy": {"canary": {"maxSurge": surge, "maxUnavailable": missing, "steps": [{"setWeight": 20}]}}}});
    let limits = |manifest| match rollout(&manifest).unwrap() {
        Imported::Canary(canary) => canary.spec().traffic,
        Imported::BlueGreen(_) => panic!("a canary"),
    };
    let both = |surge, unavailable| Carrier::Instances {
        surge: Amount::Count(surge),
        unavailable: Amount::Count(unavailable),
    };
    assert_eq!(limits(manifest(json!(1), json!(0))), both(1, 0));
    assert_eq!(limits(manifest(json!(0), json!(0))), both(0, 1));
}

#[test]
fn a_blue_green_switch_keeps_who_promotes_it() {
    let manifest = |more: serde_json::Value| {
        let mut blue_green = json!({"activeService": "a", "previewService": "p", "previewReplicaCount": 1});
        blue_green.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"spec": {"strategy": {"blueGreen": blue_green}}})
    };
    let promote = |more| match rollout(&manifest(more)).unwrap() {
        Imported::BlueGreen(switch) => switch.spec().promote.clone(),
        Imported::Canary(_) => panic!("a switch"),
    };
    assert_eq!(promote(json!({})), Promote::after(Duration::ZERO));
    assert_eq!(promote(json!({"autoPromotionSeconds": 30})), Promote::after(Duration::from_secs(30)));
    assert!(matches!(promote(json!({"autoPromotionEnabled": false})), Promote::Approved(_)));
}

#[test]
fn what_has_no_counterpart_is_refused_by_its_place() {
    let manifest = json!({"spec": {"replicas": -1, "strategy": {"canary": {"trafficRouting": {}, "analysis": {}, "steps": [
        {"setWeight": 20}, {"analysis": {"templates": []}}, {"pause": {"duration": "soon"}}, {"setWeight": 1, "pause": {}}
    ]}}}});
    let refused = rollout(&manifest).unwrap_err();
    let places: Vec<&str> = refused.problems().iter().map(|p| p.at.as_str()).collect();
    let at = "spec.strategy.canary";
    assert_eq!(
        places,
        [
            "spec.replicas".to_owned(),
            format!("{at}.analysis"),
            format!("{at}.steps[1].analysis"),
            format!("{at}.steps[2].pause.duration"),
            format!("{at}.steps[3]")
        ]
    );
    assert!(rollout(&json!({})).is_err());
}
