//! Manifests and conditions of Argo Rollouts, with what Argo Rollouts itself says of them.

use deploy_core::monitor::MeasurementOutcome;
use deploy_strategies::analysis::threshold::outcome;
use deploy_strategies::import::{Expression, FindingKind, Manifests};

use crate::cases;

fn class(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::RequiredFieldMissing => "required_field_missing",
        FindingKind::UnknownField => "unknown_field",
        FindingKind::LimitsBothZero => "limits_both_zero",
        FindingKind::ServiceSelectorDoesNotMatchPodLabels => "service_selector_does_not_match_pod_labels",
        FindingKind::ExperimentWeightWithoutCapableRouter => "experiment_weight_without_capable_router",
        _ => "another",
    }
}

/// Every row of the table of manifests: what the peer refuses is refused for the same reason at the same field and with a line, and what
/// it takes has no fault here, whether or not it can be carried over.
#[test]
fn manifests_are_refused_where_the_peer_refuses_them() {
    cases::each("argo_lint/index.json", None, |name, input, expected| {
        let file = input["file"].as_str().unwrap();
        let text = std::fs::read(cases::folder(file).unwrap()).unwrap();
        let mut manifests = Manifests::new();
        manifests.add(name, text);
        let lint = manifests.lint();
        if expected["valid"] == true {
            assert!(lint.is_empty(), "{name}: {lint:?}");
            return;
        }
        let (problem, at) = (expected["problem"].as_str().unwrap(), expected["at"].as_str().unwrap());
        let same = lint.iter().find(|finding| {
            // The peer leaves out which strategy the limits are of, and names an unknown field alone.
            let path =
                if problem == "limits_both_zero" { finding.at.replace(".canary", "") } else { finding.at.clone() };
            let path = if problem == "unknown_field" { path.rsplit('.').next().unwrap_or_default() } else { &path };
            class(finding.kind) == problem && path == at
        });
        assert!(same.is_some_and(|finding| finding.place.is_some()), "{name}: {lint:?}");
    });
}

/// Every row of the table of expressions.
#[test]
fn conditions_are_evaluated_as_the_peer_evaluates_them() {
    cases::each("argo_measurement_phase.json", Some("expressions"), |name, input, expected| {
        let holds = Expression::parse(input["peer_expression"].as_str().unwrap())
            .and_then(|expression| expression.evaluate(&input["value"]));
        let outcome = holds.map_or_else(|_| "error".to_owned(), |holds| holds.to_string());
        assert_eq!(outcome, expected["outcome"].as_str().unwrap(), "{name}");
    });
    // The same rows as for the outcome of a measurement, this time from the conditions themselves.
    cases::each("argo_measurement_phase.json", Some("conditions"), |name, input, expected| {
        let ask = |field: &str| {
            let text = input[field].as_str().filter(|text| !text.is_empty())?;
            Some(Expression::parse(text).and_then(|expression| expression.evaluate(&input["value"])))
        };
        let outcome: MeasurementOutcome = outcome(ask("peer_success_condition"), ask("peer_failure_condition"));
        assert_eq!(format!("{outcome:?}"), expected["phase"].as_str().unwrap(), "{name}");
    });
}

#[test]
fn types_are_checked_before_anything_is_evaluated() {
    use serde_json::json;
    let holds = |text: &str, value: serde_json::Value| Expression::parse(text).and_then(|e| e.evaluate(&value)).ok();
    assert_eq!(
        holds("true || result == \"a\"", json!(1)),
        None,
        "the branch is never reached, and refused all the same"
    );
    assert_eq!(holds("result.a == \"a\"", json!({"a": 1})), Some(false), "inside a map nothing is known");
    assert_eq!(holds("1 + 2 * 3 == 7 and not (2 > 3)", json!(null)), Some(true));
    assert_eq!(holds("7 / 2 == 3.5 && 7 % 2 == 1", json!(null)), Some(true));
    assert_eq!(holds("result[-1] > 2 ? true : false", json!([1, 3])), Some(true));
    assert_eq!(holds("\"b\" in result and \"c\" not in result", json!({"b": 1})), Some(true));
    assert_eq!(holds("result.x ?? \"none\" == \"none\"", json!({})), Some(true), "`??` binds more strongly than `==`");
    assert_eq!(holds("default(result, 5) == 5 && isNil(result)", json!(null)), Some(true));
    assert_eq!(holds("result matches \"^v[0-9]+$\"", json!("v12")), Some(true));
    assert_eq!(
        holds("count(result, # > 1) == 2 && one(result, # == 3) && none(result, # > 3)", json!([1, 2, 3])),
        Some(true)
    );
    assert_eq!(holds("len(filter(map(result, # * 2), # > 2)) == 2", json!([1, 2, 3])), Some(true));
    for bad in [
        "1 < 2 < 3",
        "result.",
        "result[",
        "result == 1 1",
        "foo(1)",
        "asInt(1, 2)",
        "\"a",
        "#",
        "1..3",
        "result |> len",
        "0x1F == 31",
        "let x = 1; x == 1",
        "",
    ] {
        assert!(Expression::parse(bad).is_err(), "{bad}");
    }
    assert!(Expression::parse(&"(".repeat(5_000)).is_err());
    assert!(Expression::parse(&"!".repeat(3_000)).is_err());
    assert!(Expression::parse(&format!("1{}", "+1".repeat(2_000))).is_err());
}
