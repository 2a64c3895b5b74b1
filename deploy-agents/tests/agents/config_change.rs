//! Changes of a configuration in a file.

use std::path::Path;
use std::sync::Arc;

use deploy_agents::agents::{ConfigChange, ConfigError, ConfigFile, ConfigStore as _, ConfigValidator, ConfigVersion};
use deploy_agents::process::CommandLine;
use deploy_core::agent::Certainty;
use deploy_core::digest::Digest;
use deploy_core::evidence::Verdict;
use deploy_core::name::CheckName;
use deploy_core::testing::conformance::agent::AgentSuite;
use deploy_core::time::Timestamp;
use serde_json::json;

use crate::task::{block, perform, verdict};

const OLD: &[u8] = br#"{ "port": 8080, "password": "old-secret" }"#;
const NEW: &[u8] = br#"{ "port": 9090, "password": "new-secret" }"#;

fn schema() -> ConfigValidator {
    let schema = json!({
        "type": "object", "required": ["port"], "additionalProperties": false,
        "properties": { "port": { "type": "integer", "maximum": 65535 }, "password": { "type": "string" } },
    });
    ConfigValidator::json_schema("orders.schema.json", &schema).expect("a schema")
}

fn change(file: &Path, wanted: &[u8]) -> ConfigChange {
    ConfigChange::new(block("settings"), Arc::new(ConfigFile::new(file)), wanted)
        .validator(schema())
        .dry_run(CommandLine::new("grep").args(["-q", "port", "{config}"]))
        .claims(CheckName::new("configuration").expect("a name"))
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).expect("a file")
}

/// Rows: M33, M203.
#[tokio::test]
async fn a_valid_configuration_is_put_in_place_and_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.json");
    std::fs::write(&file, OLD).expect("written");
    let agent = change(&file, NEW);
    let report = perform(&agent, "run", false).await.expect("done");
    assert_eq!(read(&file), NEW);
    assert_eq!(verdict(&report, &agent, "configuration"), Verdict::Pass);
    let told = format!("{:?}", report.findings);
    assert!(told.contains("/port changed") && told.contains("/password changed"), "{told}");
    let all: Vec<u8> = report.evidence.iter().flat_map(|piece| piece.bytes.clone()).collect();
    assert!(!String::from_utf8_lossy(&all).contains("secret"), "no value of a configuration is evidence");
    perform(&agent, "run", true).await.expect("undone");
    assert_eq!(read(&file), OLD);
    perform(&agent, "run", true).await.expect("undone already");
    assert_eq!(read(&file), OLD);
    let changes = ConfigFile::new(&file).changes().await.expect("readable");
    let (old, new) = (Some(Digest::of(OLD)), Some(Digest::of(NEW)));
    let told: Vec<_> = changes.iter().map(|c| (c.change.as_str(), c.before, c.after)).collect();
    assert_eq!(told, [("run/phase/step/do", old, new), ("run/phase/step/undo", new, old)]);
}

/// Rows: M33.
#[tokio::test]
async fn what_is_not_valid_is_never_put_in_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.json");
    std::fs::write(&file, OLD).expect("written");
    let invalid: [(&[u8], &str); 4] = [
        (br#"{ "port": "9090" }"#, "/port"),
        (br#"{ "port": 70000 }"#, "/port"),
        (br#"{ "prot": 9090 }"#, "the whole"),
        (b"port = 9090", "it is not JSON"),
    ];
    for (wanted, why) in invalid {
        let error = perform(&change(&file, wanted), "run", false).await.expect_err("invalid");
        assert!(error.message.contains(why) && error.message.contains("nothing was replaced"), "{}", error.message);
        assert_eq!(error.certainty, Certainty::Definitive);
    }
    let refused = change(&file, NEW).dry_run(CommandLine::new("grep").args(["-q", "prot", "{config}"]));
    assert!(perform(&refused, "run", false).await.is_err(), "the instance did not take it");
    let other = change(&file, NEW).approved(Digest::of(b"another"));
    let error = perform(&other, "run", false).await.expect_err("not the approved one");
    assert!(error.message.contains("approved"), "{}", error.message);
    assert_eq!(read(&file), OLD);
    assert_eq!(ConfigFile::new(&file).changes().await.expect("readable"), []);
}

/// Rows: M33.
#[tokio::test]
async fn without_a_dry_run_the_check_says_no() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.json");
    let agent = ConfigChange::new(block("settings"), Arc::new(ConfigFile::new(&file)), NEW)
        .claims(CheckName::new("configuration").expect("a name"));
    let report = perform(&agent, "run", false).await.expect("done");
    assert!(!verdict(&report, &agent, "configuration").is_met());
    assert_eq!(read(&file), NEW);
    perform(&agent, "run", true).await.expect("undone");
    assert!(!file.exists(), "there was none before");
}

/// Rows: M33.
#[tokio::test]
async fn what_somebody_else_changed_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.json");
    std::fs::write(&file, OLD).expect("written");
    let agent = change(&file, NEW);
    perform(&agent, "run", false).await.expect("done");
    std::fs::write(&file, b"{ \"port\": 1 }").expect("written");
    let error = perform(&agent, "run", true).await.expect_err("changed by somebody else");
    assert!(error.message.contains("somebody else"), "{}", error.message);
    assert_eq!(read(&file), b"{ \"port\": 1 }");
    let store = ConfigFile::new(&file);
    let stale = ConfigVersion {
        change: "other/phase/step/do".to_owned(),
        before: Some(Digest::of(OLD)),
        after: Some(Digest::of(NEW)),
        at: Timestamp(0),
    };
    assert!(matches!(store.replace(&stale, Some(NEW)).await, Err(ConfigError::Changed { .. })));
}

#[tokio::test]
async fn a_repeat_after_a_crash_remembers_what_was_there_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.json");
    std::fs::write(&file, OLD).expect("written");
    // The machine stopped between the record of the change and the change, in the middle of another line.
    let agent = change(&file, NEW);
    perform(&agent, "run", false).await.expect("done");
    std::fs::write(&file, OLD).expect("written");
    let lines = folder.path().join("settings.json.versions/changes.jsonl");
    let mut torn = std::fs::read(&lines).expect("a file");
    torn.extend_from_slice(b"{\"change\":\"ru");
    std::fs::write(&lines, torn).expect("written");
    for _ in 0..2 {
        perform(&agent, "run", false).await.expect("done");
        assert_eq!(read(&file), NEW);
    }
    perform(&agent, "run", true).await.expect("undone");
    assert_eq!(read(&file), OLD);
}

#[tokio::test]
async fn a_change_of_configuration_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.json");
    std::fs::write(&file, OLD).expect("written");
    let count = || {
        let lines = std::fs::read_to_string(folder.path().join("settings.json.versions/changes.jsonl"));
        lines.map_or(0, |text| text.lines().count() as u64)
    };
    AgentSuite::new().effects(&count).run(&change(&file, NEW)).await;
    assert_eq!(count(), 1);
}
