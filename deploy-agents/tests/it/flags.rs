//! Flags in a file and flags of an Unleash server.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use deploy_agents::targets::flags::{FlagFile, FlagFileFlag};
use deploy_core::agent::Certainty;
use deploy_core::name::{FlagName, TargetName};
use deploy_core::real::Real;
use deploy_core::target::{DesiredState, Target};

use crate::fleet::effect;

pub(crate) fn flag(text: &str) -> FlagName {
    FlagName::new(text).expect("a name")
}

pub(crate) fn at(percents: &[(&str, f64)]) -> BTreeMap<FlagName, Real> {
    percents.iter().map(|(name, percent)| (flag(name), Real::new(*percent).expect("finite"))).collect()
}

pub(crate) fn wanted(percents: &[(&str, f64)]) -> DesiredState {
    DesiredState { flags: at(percents), ..DesiredState::default() }
}

const TEXT: &str = r#"{"flags": {
  "search": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "metadata": {"kept":  1.0},
    "targeting": {"fractional": [["on", 0], ["off", 100]]}},
  "checkout": {"state": "ENABLED", "variants": {"new": "n", "old": "o"}, "defaultVariant": "old"},
  "other": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"}
}}
"#;

fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf, FlagFile) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("flags.json");
    std::fs::write(&path, text).expect("written");
    let target = FlagFile::new(TargetName::new("flags").expect("a name"), &path)
        .flag(FlagFileFlag::new(flag("search")))
        .flag(FlagFileFlag::new(flag("checkout")).variants("new", "old"));
    (dir, path, target)
}

/// Rows: M170.
#[tokio::test]
async fn a_file_is_raised_and_lowered_and_only_the_rollout_changes() {
    let (_dir, path, target) = file(TEXT);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("mine");
    let seen = target.observe().await.expect("seen");
    assert_eq!(seen.flags, at(&[("search", 0.0), ("checkout", 0.0)]));
    assert_eq!(seen.max_weight, 0, "nothing is routed here");
    for percents in [[("search", 10.0), ("checkout", 2.5)], [("search", 100.0), ("checkout", 0.0)]] {
        let want = wanted(&percents);
        assert!(target.apply(&want, &effect(1)).await.expect("taken").changed);
        assert!(!target.apply(&want, &effect(1)).await.expect("taken").changed, "the same again changes nothing");
        assert!(target.observe().await.expect("seen").satisfies(&want));
    }
    // What a statement does not mention should not be there.
    target.apply(&wanted(&[]), &effect(2)).await.expect("taken");
    let text = std::fs::read_to_string(&path).expect("there");
    let rule = ", \"targeting\": {\"fractional\":[[\"new\", 0],[\"old\", 100]]}";
    let with_rule =
        TEXT.replace("\"ENABLED\", \"variants\": {\"new\"", &format!("\"ENABLED\"{rule}, \"variants\": {{\"new\""));
    assert_eq!(text, with_rule, "everything else is the same to the byte");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(path.parent().expect("a folder")).expect("read").count(), 1, "nothing is left behind");
}

#[tokio::test]
async fn what_somebody_else_writes_outdates_what_was_observed_before() {
    let (_dir, path, target) = file(TEXT);
    let seen = target.observe().await.expect("seen");
    std::fs::write(&path, TEXT.replace("1.0", "2.0")).expect("written");
    let outdated = DesiredState { based_on: seen.version, ..wanted(&[("search", 5.0)]) };
    let error = target.apply(&outdated, &effect(1)).await.expect_err("outdated");
    assert_eq!(error.certainty, Certainty::Transient);
    let fresh = DesiredState { based_on: target.observe().await.expect("seen").version, ..outdated };
    target.apply(&fresh, &effect(2)).await.expect("taken");
    assert!(std::fs::read_to_string(&path).expect("there").contains("2.0"), "their change is kept");
}

/// Rows: M170.
#[tokio::test]
async fn a_flag_that_a_person_disabled_stays_so() {
    let (_dir, path, target) = file(TEXT);
    target.apply(&wanted(&[("search", 50.0)]), &effect(1)).await.expect("taken");
    let off = std::fs::read_to_string(&path).expect("there").replacen("ENABLED", "DISABLED", 1);
    std::fs::write(&path, &off).expect("written");
    assert_eq!(target.observe().await.expect("seen").flags, at(&[("search", 0.0), ("checkout", 0.0)]));
    let error = target.apply(&wanted(&[("search", 60.0)]), &effect(2)).await.expect_err("disabled");
    assert!(error.certainty == Certainty::Definitive && error.to_string().contains("DISABLED"), "{error}");
    assert!(!target.apply(&wanted(&[]), &effect(3)).await.expect("it is at 0 already").changed);
    assert_eq!(std::fs::read_to_string(&path).expect("there"), off);
}

#[tokio::test]
async fn what_a_file_cannot_hold_is_refused_and_changes_nothing() {
    let (_dir, path, target) = file(TEXT);
    for (want, says) in [
        (wanted(&[("search", 100.5)]), "0 to 100"),
        (wanted(&[("search", -1.0)]), "0 to 100"),
        (wanted(&[("search", 0.001)]), "hundredths"),
        (wanted(&[("other", 5.0)]), "not told of a flag other"),
        (DesiredState { capacity: [(crate::fleet::name("v1"), 1)].into(), ..wanted(&[]) }, "no instances"),
    ] {
        let error = target.apply(&want, &effect(1)).await.expect_err(says);
        assert!(error.certainty == Certainty::Definitive && error.to_string().contains(says), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("there"), TEXT);
    std::fs::write(&path, "{").expect("written");
    assert!(target.observe().await.is_err());
    std::fs::remove_file(&path).expect("there");
    assert_eq!(target.observe().await.expect_err("gone").certainty, Certainty::Transient);
}

#[cfg(feature = "unleash")]
mod unleash {
    use std::sync::Arc;

    use deploy_agents::secret::Secret;
    use deploy_agents::targets::flags::{UnleashFlag, UnleashTarget};
    use deploy_agents::testing::UnleashStandIn;
    use deploy_core::agent::Certainty;
    use deploy_core::name::TargetName;
    use deploy_core::target::Target as _;
    use http::StatusCode;
    use serde_json::json;

    use super::{at, effect, flag, wanted};

    fn target(server: &Arc<UnleashStandIn>, token: &str) -> UnleashTarget {
        let name = TargetName::new("flags").expect("a name");
        let http = Arc::clone(server) as Arc<dyn deploy_agents::http::HttpClient>;
        UnleashTarget::new(name, "http://unleash.example/", "default", "production", Secret::new(token), http)
            .flag(UnleashFlag::new(flag("search")))
    }

    #[tokio::test]
    async fn a_rollout_is_raised_and_the_rest_of_its_strategy_is_kept() {
        let server = Arc::new(UnleashStandIn::new("admin").flag("search", 5).strategy(
            "search",
            json!({"id": "testers", "name": "default", "constraints": [{"contextName": "userId", "operator": "IN", "values": ["1"]}]}),
        ));
        let target = target(&server, "admin");
        assert_eq!(target.observe().await.expect("seen").flags, at(&[("search", 5.0)]));
        let before = server.strategy_of("search").expect("there");
        assert!(target.apply(&wanted(&[("search", 25.0)]), &effect(1)).await.expect("taken").changed);
        assert!(!target.apply(&wanted(&[("search", 25.0)]), &effect(1)).await.expect("taken").changed);
        let mut after = server.strategy_of("search").expect("there");
        assert_eq!(after["parameters"]["rollout"], "25", "a text, as Unleash has it");
        after["parameters"]["rollout"] = "5".into();
        assert_eq!(after, before, "nothing else has changed");
        let writes = server.calls().into_iter().filter(|call| call.starts_with("PUT")).collect::<Vec<_>>();
        let path = "/api/admin/projects/default/features/search/environments/production/strategies/strategy-of-search";
        assert_eq!(writes, [format!("PUT {path}")]);
    }

    #[tokio::test]
    async fn a_flag_that_a_person_switched_off_stays_off() {
        let server = Arc::new(UnleashStandIn::new("admin").flag("search", 50));
        let target = target(&server, "admin");
        server.switch("search", false);
        assert_eq!(target.observe().await.expect("seen").flags, at(&[("search", 0.0)]));
        let error = target.apply(&wanted(&[("search", 60.0)]), &effect(1)).await.expect_err("off");
        assert!(error.certainty == Certainty::Definitive && error.to_string().contains("switched off"), "{error}");
        assert!(!target.apply(&wanted(&[]), &effect(2)).await.expect("it is at 0 already").changed);
    }

    #[tokio::test]
    async fn what_would_not_be_the_truth_is_refused() {
        let open = json!({"id": "all", "name": "default", "constraints": [], "segments": []});
        let second =
            json!({"id": "second", "name": "flexibleRollout", "parameters": {"rollout": "10"}, "segments": [7]});
        for (server, says) in [
            (UnleashStandIn::new("admin").flag("search", 5).strategy("search", open), "without constraints"),
            (UnleashStandIn::new("admin").flag("search", 5).strategy("search", second.clone()), "name one by its id"),
            (UnleashStandIn::new("admin"), "could not find feature"),
            (UnleashStandIn::new("another").flag("search", 5), "401"),
        ] {
            let error = target(&Arc::new(server), "admin").observe().await.expect_err(says);
            assert!(error.certainty == Certainty::Definitive && error.to_string().contains(says), "{error}");
        }
        let server = Arc::new(UnleashStandIn::new("admin").flag("search", 5).strategy("search", second));
        let name = TargetName::new("flags").expect("a name");
        let http = Arc::clone(&server) as Arc<dyn deploy_agents::http::HttpClient>;
        let named =
            UnleashTarget::new(name, "http://unleash.example", "default", "production", Secret::new("admin"), http);
        let named = named.flag(UnleashFlag::new(flag("search")).strategy("second"));
        let error = named.observe().await.expect_err("the other one lets everybody in");
        assert!(error.to_string().contains("without constraints"), "{error}");
        let error = target(&Arc::new(UnleashStandIn::new("admin").flag("search", 5)), "admin");
        let error = error.apply(&wanted(&[("search", 2.5)]), &effect(1)).await.expect_err("half a percent");
        assert!(error.to_string().contains("whole percents"), "{error}");
    }

    #[tokio::test]
    async fn how_sure_it_is_that_nothing_was_changed() {
        for (status, certainty) in [
            (StatusCode::SERVICE_UNAVAILABLE, Certainty::Transient),
            (StatusCode::TOO_MANY_REQUESTS, Certainty::Transient),
            (StatusCode::FORBIDDEN, Certainty::Definitive),
            (StatusCode::INTERNAL_SERVER_ERROR, Certainty::Transient),
        ] {
            let server = Arc::new(UnleashStandIn::new("admin").flag("search", 5));
            server.fail_with(Some(status));
            let error = target(&server, "admin").observe().await.expect_err("made to fail");
            assert_eq!(error.certainty, certainty, "{status}: {error}");
            assert!(!format!("{error:?}").contains("admin\""), "the token is told: {error:?}");
        }
    }
}
