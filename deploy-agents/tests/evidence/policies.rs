//! Policies: what is kept, broken, and neither.

use deploy_agents::evidence::facts::{PolicyFacts, PolicyOutcome};
use deploy_agents::evidence::{DoubtKind, Problem, Source, policy};

use crate::doubted;
use crate::samples::CONFTEST;

fn opa(text: &str) -> PolicyFacts {
    policy::read_opa(&Source::new("opa.json", text.as_bytes())).expect("readable")
}

/// Rows: M14.
#[test]
fn conftest_counts_what_is_broken_and_blocks_where_no_rule_ran() {
    let facts = policy::read_conftest(&Source::new("c", CONFTEST.as_bytes())).expect("readable");
    let outcomes: Vec<_> = facts.results.iter().map(|r| (r.outcome, r.message.as_str())).collect();
    assert_eq!(
        outcomes,
        [
            (PolicyOutcome::Broken, "runs as root"),
            (PolicyOutcome::Warning, "no owner"),
            (PolicyOutcome::Excepted, "known")
        ]
    );
    assert_eq!((facts.successes, facts.not_kept().count()), (3, 1));
    for none in ["[]", r#"[{"filename": "a", "namespace": "main", "successes": 0}]"#] {
        let facts = policy::read_conftest(&Source::new("c", none.as_bytes())).expect("readable");
        assert_eq!(doubted(&facts.doubts, DoubtKind::NothingMeasured), 1);
    }
}

/// Rows: M14.
#[test]
fn undefined_is_not_false_and_neither_is_kept() {
    let outcome = |text: &str| opa(text).results.iter().map(|r| r.outcome).collect::<Vec<_>>();
    let one = |value: &str, rule: &str| {
        outcome(&format!(r#"{{"result": [{{"expressions": [{{{value}"text": "data.release.{rule}"}}]}}]}}"#))
    };
    assert_eq!(one("\"value\": true, ", "allow"), [PolicyOutcome::Kept]);
    assert_eq!(one("\"value\": false, ", "allow"), [PolicyOutcome::Broken]);
    assert_eq!(one("", "allow"), [PolicyOutcome::Undefined]);
    assert_eq!(outcome("{}"), [PolicyOutcome::Undefined]);
    assert_eq!(outcome(r#"{"result": []}"#), [PolicyOutcome::Undefined]);
    assert_eq!(one("\"value\": [], ", "deny"), [PolicyOutcome::Kept]);
    assert_eq!(one("\"value\": [\"a\", {\"msg\": \"b\"}], ", "deny"), [PolicyOutcome::Broken, PolicyOutcome::Broken]);
    assert_eq!(one("\"value\": true, ", "deny"), [PolicyOutcome::Broken]);
    assert_eq!(one("\"value\": {\"a\": true}, ", "violation"), [PolicyOutcome::Broken]);
    assert_eq!(one("\"value\": [], ", "owners"), [PolicyOutcome::Unevaluated], "an empty list of what?");
    assert_eq!(outcome(r#"{"errors": [{"message": "no such rule"}]}"#), [PolicyOutcome::Unevaluated]);
    assert_eq!(
        outcome(
            r#"{"result": [{"path": "a.json", "result": true}, {"path": "b.json", "error": {"message": "x"}}, {"path": "c.json"}]}"#
        ),
        [PolicyOutcome::Kept, PolicyOutcome::Unevaluated, PolicyOutcome::Undefined]
    );
    assert_eq!(opa("{}").not_kept().count(), 1);
    let other = policy::read_opa(&Source::new("o", br#"{"results": []}"#)).expect_err("another format");
    assert_eq!(other.problem, Problem::Version);
}

/// Rows: M14.
#[cfg(feature = "cel")]
#[test]
fn a_policy_in_cel_is_kept_broken_undefined_or_not_evaluated() {
    use deploy_agents::evidence::cel::Policy;
    let outcome = |policy: &str, input: &str| {
        let policy = Policy::compile("p", policy).expect("a policy");
        let facts = policy.evaluate(&Source::new("input.json", input.as_bytes())).expect("JSON");
        assert_eq!(facts.policy, Some(policy.digest()));
        facts.results[0].outcome
    };
    let input = r#"{"replicas": 3, "name": "shop", "share": 0.5, "tags": ["a", "b"], "owner": null}"#;
    assert_eq!(outcome("input.replicas >= 2 && input.name.startsWith('sh')", input), PolicyOutcome::Kept);
    assert_eq!(outcome("input.replicas > 3", input), PolicyOutcome::Broken);
    assert_eq!(outcome("input.tags.all(t, t != '')", input), PolicyOutcome::Kept);
    assert_eq!(outcome("input.name.matches('^s.*p$') && input.share <= 0.5", input), PolicyOutcome::Kept);
    assert_eq!(outcome("input.missing == 1", input), PolicyOutcome::Undefined);
    assert_eq!(outcome("input.tags[7] == 'a'", input), PolicyOutcome::Undefined);
    assert_eq!(outcome("has(input.missing)", input), PolicyOutcome::Broken);
    assert_eq!(outcome("input.replicas + 1", input), PolicyOutcome::Unevaluated);
    assert_eq!(outcome("other.replicas == 1", input), PolicyOutcome::Unevaluated);
    assert_eq!(outcome("input.replicas / 0 == 1", input), PolicyOutcome::Unevaluated);
    assert!(Policy::compile("p", "input.").is_err());
    assert!(Policy::compile("p", &"(".repeat(20_000)).is_err());
    assert_ne!(
        Policy::compile("p", "true").expect("a policy").digest(),
        Policy::compile("p", "true ").expect("a policy").digest()
    );
    let policy = Policy::compile("p", "true").expect("a policy");
    assert!(policy.evaluate(&Source::new("i", b"{")).is_err(), "what cannot be read is never kept");
}

/// The policy is evaluated over the bytes themselves; one field flips it, and no evidence keeps nothing.
///
/// Rows: M14, M150.
#[cfg(feature = "cel")]
#[test]
fn a_policy_in_cel_is_a_check_over_what_was_read_back() {
    use deploy_agents::checks::policy_check;
    use deploy_agents::evidence::cel::Policy;
    use deploy_core::evidence::{CheckInput, Collected, EvidenceSubject, Refusal, Verdict};
    use deploy_core::release::Release;
    use deploy_core::time::Timestamp;

    let policy = Policy::compile("two-replicas", "input.spec.replicas >= 2").expect("a policy");
    let check = policy_check("two-replicas", policy, &["deployment"]).expect("a name");
    let name = |text: &str| text.to_owned();
    let release = Release::new(
        name("shop").try_into().expect("a name"),
        name("production").try_into().expect("a name"),
        name("v2").try_into().expect("a name"),
    );
    let verdict = |kind: &str, text: &str| {
        let subject = EvidenceSubject { environment: Some(release.environment.clone()), ..EvidenceSubject::default() };
        let piece = Collected::new(kind, "cluster", subject, Timestamp(1), text.as_bytes().to_vec());
        let pieces = [(&piece.evidence, piece.bytes.as_slice())];
        check.check().judge(&CheckInput::new(&release, &pieces, Timestamp(2)))
    };
    assert_eq!(verdict("deployment", r#"{"spec": {"replicas": 2}}"#), Verdict::Pass);
    assert_eq!(verdict("deployment", r#"{"spec": {"replicas": 2, "paused": true}}"#), Verdict::Pass, "another field");
    for bad in [r#"{"spec": {"replicas": 1}}"#, r#"{"spec": {}}"#, r#"{"spec": {"replicas": "2"}}"#] {
        assert!(matches!(verdict("deployment", bad), Verdict::Fail { .. }), "{bad}: {:?}", verdict("deployment", bad));
    }
    assert!(!verdict("deployment", r#"{"spec": "#).is_met(), "what ends in the middle");
    let missing = verdict("service", r#"{"spec": {"replicas": 2}}"#);
    assert!(matches!(missing, Verdict::Inconclusive { refusal: Refusal::Missing(_) }), "{missing:?}");
}
