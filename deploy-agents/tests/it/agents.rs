//! Every agent of this crate holds to what agents promise.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deploy_agents::agents::{
    CiArtifact, CiError, CiOrder, CiPort, CiRun, CiRunId, CiState, CiWorkflow, HttpProbe, Program,
};
use deploy_agents::http::{HttpClient, HttpError, HttpLimits, PlainHttp};
use deploy_agents::monitors::alertmanager::{AlertDrill, AlertInbox, Alertmanager};
use deploy_agents::monitors::alerts::AlertRule;
use deploy_agents::process::CommandLine;
use deploy_agents::targets::AdminAccess;
use deploy_core::agent::{Agent, AgentCard};
use deploy_core::name::BlockName;
use deploy_core::testing::conformance::agent::AgentSuite;
use serde_json::{Value, json};

use crate::background::background;
use crate::service;

fn block(text: &str) -> BlockName {
    BlockName::new(text).expect("a name")
}

/// An Alertmanager that hands every alert on at once.
#[derive(Debug)]
struct Relay {
    inbox: String,
}

#[async_trait]
impl HttpClient for Relay {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: HttpLimits,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let alerts: Vec<Value> = serde_json::from_slice(request.body()).expect("alerts");
        let sent = alerts.iter().map(|alert| {
            json!({
                "status": "firing",
                "labels": alert["labels"],
                "annotations": alert["annotations"],
                "startsAt": alert["startsAt"],
                "fingerprint": "f",
            })
        });
        let message = json!({
            "version": "4", "groupKey": "{}", "status": "firing", "receiver": "inbox", "alerts": sent.collect::<Vec<_>>(),
        });
        let call = http::Request::post(&self.inbox).body(Bytes::from(message.to_string())).expect("a call");
        PlainHttp::new().send(call, limits).await?;
        Ok(http::Response::new(Bytes::from_static(b"{}")))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_agent_conforms() {
    let line = CommandLine::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "program::behaves_as_a_child", "--nocapture"])
        .env("BEHAVIOUR", "tell");
    let program = Program::new(AgentCard::new(block("program"), "tells its environment").repeatable(), line);
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("go"), "").expect("written");
    let service = service::spawn("v2").await;
    let probe = HttpProbe::new(block("smoke"), format!("http://{service}/")).every(Duration::from_millis(1));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let inbox = Arc::new(AlertInbox::bind(any, AdminAccess::anyone_on_this_machine()).await.expect("an inbox"));
    let relay = Alertmanager::new("http://alertmanager").over(Arc::new(Relay { inbox: inbox.url() }));
    let drill = AlertDrill::new(block("drill"), relay, inbox, AlertRule::new("TooManyErrors", "e > 1"));

    let card = AgentCard::new(block("build"), "builds the release").repeatable();
    let build = CiWorkflow::new(card, Arc::new(Ci::default()), "build.yml").on("main");

    let agents: [(&str, Box<dyn Agent>); 5] = [
        ("Program", Box::new(program)),
        ("BackgroundProgram", Box::new(background(dir.path(), "once"))),
        ("HttpProbe", Box::new(probe)),
        ("AlertDrill", Box::new(drill)),
        ("CiWorkflow", Box::new(build)),
    ];
    for (name, agent) in &agents {
        let checks = AgentSuite::new().run(agent).await;
        println!("{name}: {} checks", checks.len());
        assert!(checks.len() >= 5, "{name}: {checks:?}");
    }
}

/// A CI system whose runs succeed at once.
#[derive(Debug, Default)]
struct Ci(Mutex<BTreeSet<String>>);

impl Ci {
    fn run(&self, mark: &str) -> Option<CiRun> {
        self.0.lock().expect("whole").contains(mark).then(|| CiRun {
            id: CiRunId(mark.to_owned()),
            title: mark.to_owned(),
            state: CiState::Succeeded,
            commit: None,
            attempt: 1,
            url: None,
        })
    }
}

#[async_trait]
impl CiPort for Ci {
    async fn dispatch(&self, order: &CiOrder) -> Result<(), CiError> {
        self.0.lock().expect("whole").insert(order.mark.clone());
        Ok(())
    }
    async fn find(&self, _workflow: &str, mark: &str) -> Result<Option<CiRun>, CiError> {
        Ok(self.run(mark))
    }
    async fn status(&self, run: &CiRunId) -> Result<CiRun, CiError> {
        Ok(self.run(&run.0).expect("it was ordered"))
    }
    async fn artifacts(&self, _run: &CiRunId) -> Result<Vec<CiArtifact>, CiError> {
        Ok(Vec::new())
    }
    async fn download(&self, _artifact: &CiArtifact) -> Result<Bytes, CiError> {
        Ok(Bytes::new())
    }
    async fn cancel(&self, _run: &CiRunId) -> Result<(), CiError> {
        Ok(())
    }
    fn name(&self) -> String {
        "ci.example".to_owned()
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

/// An agent that is added and forgotten here is found: some test runs the suite on it, by its name. Agents that hosts cannot name
/// are parts of others.
#[test]
fn no_agent_is_left_out() {
    let texts = |folder: &str| {
        let mut files = Vec::new();
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
        files.sort();
        files.into_iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect::<Vec<_>>()
    };
    let tests: Vec<String> = texts("tests").into_iter().filter(|text| text.contains("AgentSuite")).collect();
    let sources = texts("src");
    let mut agents = 0;
    for text in &sources {
        for line in text.lines().filter(|line| line.starts_with("impl") && line.contains(" Agent for ")) {
            let name = line.split(" Agent for ").nth(1).unwrap_or_default();
            let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
            if !sources.iter().any(|text| text.contains(&format!("pub struct {name}"))) {
                continue;
            }
            let whole = |text: &&String| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == name);
            assert!(tests.iter().any(|text| whole(&text)), "no test runs the suite on {name}");
            agents += 1;
        }
    }
    assert!(agents >= 5, "{agents}");
}
