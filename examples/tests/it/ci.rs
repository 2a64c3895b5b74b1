//! A CI system over HTTP: a workflow is ordered once, followed, and what it left is evidence.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::agents::{ArchiveLimits, CiPort, CiRunId, CiState, CiWorkflow, GithubActions};
use deploy_agents::secret::Secret;
use deploy_agents::wait::until;
use deploy_core::agent::{Agent, AgentCard, Cancellation, Certainty, Lookup, Performed, Report, StepContext, Task};
use deploy_core::digest::Digest;
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::evidence::{Check, Verdict, verify};
use deploy_core::name::{BlockName, CheckName, EnvironmentName, RevisionName, RunId, ServiceName};
use deploy_core::plan::StepPath;
use deploy_core::release::{Change, Release};
use deploy_core::testing::conformance::agent::AgentSuite;
use deploy_core::time::Now;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const TOKEN: &str = "ghp_nobody-may-see-this";
const JUNIT: &[u8] = br#"<testsuite name="unit" tests="1"><testcase classname="a" name="b"/></testsuite>"#;
const COMMIT: &str = "1111111111111111111111111111111111111111";

/// What the stand-in for GitHub knows and does.
#[derive(Debug, Default)]
struct Github {
    runs: Vec<Value>,
    /// How often each run is shown as under way before it ends.
    unfinished: u32,
    conclusion: Option<&'static str>,
    /// Answers the next requests with this.
    refuse: Option<(u16, Vec<(&'static str, &'static str)>)>,
    /// Takes an order, and never says so.
    deaf: bool,
    /// What the second artifact holds, packed.
    packed: Option<Vec<u8>>,
    /// What an artifact's digest is said to be.
    stated: Option<String>,
    /// What came: method, path and query.
    asked: Vec<String>,
    /// Whether a request that had nothing to do with the token bore it.
    leaked: bool,
    cancelled: Vec<String>,
}

/// A stand-in for GitHub, with two addresses: its interface, and where it keeps artifacts.
#[derive(Debug, Clone)]
struct Stand {
    github: Arc<Mutex<Github>>,
    at: SocketAddr,
}

impl Stand {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let stand = Self { github: Arc::default(), at: listener.local_addr().expect("an address") };
        let serving = stand.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let serving = serving.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let serving = serving.clone();
                    async move { serving.answer(request).await }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        stand
    }

    fn know<T>(&self, read: impl FnOnce(&mut Github) -> T) -> T {
        read(&mut self.github.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let (status, headers, body) = self.know(|github| reply(github, self.at, &head, &body));
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(name, value);
        }
        if self.know(|github| github.deaf && head.method == http::Method::POST) {
            // Long after anybody waits for it.
            std::future::pending::<()>().await;
        }
        Ok(answer.body(Full::new(body)).expect("an answer"))
    }

    fn port(&self) -> Arc<GithubActions> {
        let base = format!("http://{}/api/v3/", self.at);
        Arc::new(GithubActions::new(base, "acme/orders").token(Secret::new(TOKEN)))
    }

    fn agent(&self) -> CiWorkflow {
        let card = AgentCard::new(BlockName::new("build").expect("a name"), "builds the release").repeatable();
        CiWorkflow::new(card, self.port(), "build.yml")
            .on("main")
            .input("channel", "stable")
            .artifact("junit.xml", "junit")
            .claims(CheckName::new("build-succeeded").expect("a name"))
            .poll_after(Duration::from_millis(1))
    }

    fn orders(&self) -> usize {
        self.know(|github| github.asked.iter().filter(|what| what.ends_with("/dispatches")).count())
    }
}

type Reply = (StatusCode, Vec<(&'static str, String)>, Bytes);

fn reply(github: &mut Github, at: SocketAddr, head: &http::request::Parts, body: &[u8]) -> Reply {
    let path = head.uri.path();
    let bears_token = head.headers.contains_key("authorization");
    if let Some(kept) = path.strip_prefix("/kept/") {
        github.leaked |= bears_token;
        return match kept {
            "junit" => (StatusCode::OK, Vec::new(), Bytes::from_static(JUNIT)),
            "reports" => (StatusCode::OK, Vec::new(), github.packed.clone().unwrap_or_default().into()),
            _ => (StatusCode::NOT_FOUND, Vec::new(), Bytes::new()),
        };
    }
    github.asked.push(format!("{} {path}", head.method));
    let json = |status: StatusCode, value: &Value| (status, Vec::new(), Bytes::from(value.to_string()));
    if let Some((status, headers)) = github.refuse.clone() {
        let headers = headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        return (StatusCode::from_u16(status).expect("a status"), headers, Bytes::from_static(b"{\"message\":\"no\"}"));
    }
    let authorised = head.headers.get("authorization").is_some_and(|a| *a == format!("Bearer {TOKEN}"));
    if !authorised || !head.headers.contains_key("user-agent") || !head.headers.contains_key("x-github-api-version") {
        return json(StatusCode::UNAUTHORIZED, &json!({ "message": "Bad credentials" }));
    }
    let Some(what) = path.strip_prefix("/api/v3/repos/acme/orders/actions/") else {
        return json(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" }));
    };
    let words: Vec<&str> = what.split('/').collect();
    match (head.method.as_str(), words.as_slice()) {
        ("POST", ["workflows", "build.yml", "dispatches"]) => {
            let order: Value = serde_json::from_slice(body).expect("JSON");
            assert_eq!((&order["ref"], &order["inputs"]["channel"]), (&"main".into(), &"stable".into()));
            let id = 100 + github.runs.len();
            github.runs.insert(
                0,
                json!({ "id": id, "display_title": order["inputs"]["deploy_effect_key"], "head_sha": COMMIT,
                "run_attempt": 1, "html_url": format!("http://{at}/acme/orders/actions/runs/{id}") }),
            );
            (StatusCode::NO_CONTENT, Vec::new(), Bytes::new())
        }
        ("GET", ["workflows", "build.yml", "runs"]) => {
            let runs: Vec<Value> = github.runs.clone().into_iter().map(|run| standing(github, run)).collect();
            json(StatusCode::OK, &json!({ "total_count": runs.len(), "workflow_runs": runs }))
        }
        ("GET", ["runs", id]) => match github
            .runs
            .iter()
            .find(|run| run["id"].as_u64().is_some_and(|there| id.parse() == Ok(there)))
            .cloned()
        {
            Some(run) => {
                let run = standing(github, run);
                github.unfinished = github.unfinished.saturating_sub(1);
                json(StatusCode::OK, &run)
            }
            None => json(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" })),
        },
        ("GET", ["runs", _, "artifacts"]) => {
            let digest = github.stated.clone().unwrap_or_else(|| Digest::of(JUNIT).to_string());
            let mut left = vec![json!({ "id": 7, "name": "junit.xml", "size_in_bytes": JUNIT.len(), "expired": false,
                "digest": digest })];
            if let Some(packed) = &github.packed {
                left.push(json!({ "id": 8, "name": "reports", "size_in_bytes": packed.len(), "expired": false,
                    "digest": Digest::of(packed).to_string() }));
            }
            json(StatusCode::OK, &json!({ "total_count": left.len(), "artifacts": left }))
        }
        ("GET", ["artifacts", "8", "zip"]) => {
            (StatusCode::FOUND, vec![("location", format!("http://{at}/kept/reports"))], Bytes::new())
        }
        ("GET", ["artifacts", "7", "zip"]) => {
            (StatusCode::FOUND, vec![("location", format!("http://{at}/kept/junit"))], Bytes::new())
        }
        ("POST", ["runs", id, "cancel"]) => {
            github.cancelled.push((*id).to_owned());
            json(StatusCode::ACCEPTED, &json!({}))
        }
        _ => json(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" })),
    }
}

fn standing(github: &Github, mut run: Value) -> Value {
    if github.unfinished > 0 {
        run["status"] = "in_progress".into();
        run["conclusion"] = Value::Null;
    } else {
        run["status"] = "completed".into();
        run["conclusion"] = github.conclusion.unwrap_or("success").into();
    }
    run
}

fn task() -> Task {
    let release = Release::new(
        ServiceName::new("orders").expect("a name"),
        EnvironmentName::new("test").expect("a name"),
        RevisionName::new("v2").expect("a name"),
    );
    let release = release.change(Change { commit: Some(COMMIT.to_owned()), ..Change::default() });
    Task::new(StepPath::new("build/build").expect("a path"), false, Arc::new(release), BTreeMap::new())
}

fn cx(attempt: u32) -> StepContext {
    let run = RunId::new("orders-v2-abc").expect("an id");
    let step = StepPath::new("build/build").expect("a path");
    let key = EffectKey { run, step, undo: false, iteration: 0, attempt };
    StepContext::new(key, Fence { epoch: 1, seq: 1 }, Now::default(), Duration::from_secs(60), Cancellation::never())
}

async fn to_the_end(agent: &CiWorkflow, cx: &StepContext) -> Result<Report, deploy_core::agent::AgentError> {
    let mut performed = agent.perform(&task(), cx).await?;
    loop {
        match performed {
            Performed::Done(report) => return Ok(report),
            Performed::Running { handle, .. } => performed = agent.poll(&handle, cx).await?,
        }
    }
}

/// Rows: M234.
#[tokio::test]
async fn a_workflow_is_run_once_and_what_it_left_is_evidence_about_the_commit_it_ran_on() {
    let stand = Stand::start().await;
    stand.know(|github| github.unfinished = 3);
    let agent = stand.agent();
    let report = to_the_end(&agent, &cx(1)).await.expect("it succeeds");
    let kinds: Vec<&str> = report.evidence.iter().map(|piece| piece.evidence.kind.as_str()).collect();
    assert_eq!(kinds, ["ci-run", "junit"]);
    assert_eq!(report.evidence[1].bytes, JUNIT);
    for piece in &report.evidence {
        assert_eq!(piece.evidence.subject.commit.as_deref(), Some(COMMIT));
        assert_eq!(piece.evidence.producer.run.as_deref(), Some("100"));
        assert!(piece.evidence.producer.name.ends_with("/acme/orders"), "{:?}", piece.evidence.producer);
    }
    assert_eq!(report.claims[0].evidence.len(), 2);

    // The same key once more, as after a crash: found, not ordered.
    to_the_end(&agent, &cx(1)).await.expect("it is there");
    let Ok(Lookup::Finished(found)) = agent.lookup(&cx(1).key, &cx(1)).await else { panic!("it has ended") };
    assert_eq!(found.claims, report.claims, "the same evidence, by its digests");
    assert_eq!(stand.orders(), 1);
    assert!(matches!(agent.lookup(&cx(2).key, &cx(2)).await, Ok(Lookup::Unknown)));
    assert!(!stand.know(|github| github.leaked), "the token went where artifacts are kept");
    assert!(!format!("{agent:?} {report:?}").contains(TOKEN));
}

#[tokio::test]
async fn it_holds_to_what_every_agent_must() {
    let stand = Stand::start().await;
    let count = stand.clone();
    let orders = move || count.orders() as u64;
    AgentSuite::new().task(task()).effects(&orders).run(&stand.agent()).await;
}

/// What the uploader of GitHub makes of files.
fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    let deflated = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in files {
        writer.start_file(*name, deflated).expect("a name");
        std::io::Write::write_all(&mut writer, bytes).expect("bytes");
    }
    writer.finish().expect("an archive").into_inner()
}

/// Rows: M234.
#[tokio::test]
async fn a_packed_artifact_is_unpacked_and_the_whole_and_each_file_are_in_the_receipt() {
    let stand = Stand::start().await;
    let lcov: &[u8] = b"SF:a.rs\nDA:1,1\nend_of_record\n";
    let unit: &[u8] = b"<testsuite name=\"packed\" tests=\"1\"><testcase classname=\"c\" name=\"d\"/></testsuite>";
    let archive = packed(&[("unit/junit.xml", unit), ("lcov.info", lcov), ("notes.txt", b"nobody asks for it")]);
    stand.know(|github| github.packed = Some(archive.clone()));
    let agent = stand.agent().file("reports", "unit/junit.xml", "junit").file("reports", "lcov.info", "lcov");
    let report = to_the_end(&agent, &cx(1)).await.expect("it succeeds");
    let kinds: Vec<&str> = report.evidence.iter().map(|piece| piece.evidence.kind.as_str()).collect();
    assert_eq!(kinds, ["ci-run", "junit", "ci-archive", "junit", "lcov"]);
    let digests: Vec<Digest> = report.evidence[2..].iter().map(|piece| piece.evidence.digest).collect();
    assert_eq!(digests, [Digest::of(&archive), Digest::of(unit), Digest::of(lcov)]);
    assert_eq!(report.evidence[4].bytes, lcov);
    assert_eq!(report.evidence[4].evidence.summary, "reports/lcov.info");
    assert_eq!(report.evidence[4].evidence.subject.commit.as_deref(), Some(COMMIT));

    // The engine's verifier reads every one of them again.
    let now = report.evidence[0].evidence.observed_at;
    let bytes: BTreeMap<_, _> = report.evidence.iter().map(|p| (p.evidence.digest, p.bytes.clone())).collect();
    let evidence: Vec<_> = report.evidence.iter().map(|piece| piece.evidence.clone()).collect();
    let check = Check::new(CheckName::new("build-succeeded").expect("a name"), |_| Verdict::Pass);
    let (of, by) = (check.verification(), agent.card().name);
    let receipt = verify(&of, &by, &task().release, &report.claims, &evidence, &bytes, Some(&check), None, now);
    assert_eq!(receipt.verdict, Verdict::Pass);
    for digest in digests {
        assert!(receipt.read.contains(&digest), "{digest} was read again");
    }

    for (agent, archive, why) in [
        (stand.agent().file("reports", "other.xml", "junit"), archive.clone(), "it holds no file other.xml"),
        (stand.agent().file("reports", "lcov.info", "lcov"), archive[..archive.len() / 2].to_vec(), "fetch it again"),
        (stand.agent().file("reports", "lcov.info", "lcov"), JUNIT.to_vec(), "take the artifact as it is"),
        (
            stand.agent().file("reports", "a", "junit").unpacks_at_most(ArchiveLimits::default().file(1)),
            archive,
            "unit/junit.xml has",
        ),
    ] {
        stand.know(|github| github.packed = Some(archive));
        let error = to_the_end(&agent, &cx(1)).await.expect_err(why);
        assert_eq!(error.certainty, Certainty::Definitive);
        assert!(error.message.contains("artifact reports") && error.message.contains(why), "{}", error.message);
    }
}

/// Rows: M234.
#[tokio::test]
async fn an_error_says_whether_the_run_can_have_been_ordered() {
    let stand = Stand::start().await;
    let agent = stand.agent();
    let mut certainties = Vec::new();
    for (status, headers) in [
        (401, vec![]),
        (404, vec![]),
        (403, vec![("x-ratelimit-remaining", "0")]),
        (403, vec![("x-ratelimit-remaining", "7")]),
        (429, vec![]),
        (503, vec![]),
    ] {
        stand.know(|github| github.refuse = Some((status, headers)));
        let error = agent.perform(&task(), &cx(1)).await.expect_err("refused");
        assert!(!error.chain().contains(TOKEN), "{}", error.chain());
        certainties.push(error.certainty);
    }
    use Certainty::{Definitive, Transient};
    assert_eq!(certainties, [Definitive, Definitive, Transient, Definitive, Transient, Transient]);

    // The order is taken, and no answer comes: it is looked up, and not given again.
    stand.know(|github| (github.refuse, github.deaf) = (None, true));
    let ordering = tokio::spawn({
        let agent = agent.clone();
        async move { agent.perform(&task(), &cx(1)).await }
    });
    let bound = Duration::from_secs(60);
    let taken = until(bound, Duration::from_millis(5), || std::future::ready((stand.orders() == 1).then_some(())));
    taken.await.expect("the order is taken");
    ordering.abort();
    stand.know(|github| github.deaf = false);
    assert!(matches!(agent.lookup(&cx(1).key, &cx(1)).await, Ok(Lookup::Finished(_))));
    assert_eq!(stand.orders(), 1);

    let nobody = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let base = format!("http://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    let port = Arc::new(GithubActions::new(base, "acme/orders"));
    let card = AgentCard::new(BlockName::new("build").expect("a name"), "builds");
    let error = CiWorkflow::new(card, port, "build.yml").perform(&task(), &cx(1)).await.expect_err("nobody");
    assert_eq!(error.certainty, Transient, "{}", error.chain());
}

#[tokio::test]
async fn a_run_that_failed_or_whose_artifact_is_another_never_counts() {
    for (conclusion, word) in
        [("failure", "ended with failure"), ("skipped", "skipped"), ("cancelled", "was cancelled")]
    {
        let stand = Stand::start().await;
        stand.know(|github| github.conclusion = Some(conclusion));
        let error = to_the_end(&stand.agent(), &cx(1)).await.expect_err(conclusion);
        assert_eq!(error.certainty, Certainty::Definitive);
        assert!(error.message.contains(word) && error.message.contains("/actions/runs/100"), "{}", error.message);
    }
    let stand = Stand::start().await;
    stand.know(|github| github.stated = Some(Digest::of(b"another").to_string()));
    let error = to_the_end(&stand.agent(), &cx(1)).await.expect_err("changed");
    assert!(error.message.contains("artifact junit.xml has digest sha256:"), "{}", error.message);
    let missing = stand.agent().artifact("coverage", "lcov");
    let error = to_the_end(&missing, &cx(1)).await.expect_err("another artifact is missing");
    assert_eq!(error.certainty, Certainty::Definitive, "{}", error.chain());
}

#[tokio::test]
async fn a_run_is_seen_and_stopped() {
    let stand = Stand::start().await;
    stand.know(|github| github.unfinished = u32::MAX);
    let agent = stand.agent();
    assert!(agent.cancel(&cx(1).key, None, &cx(1)).await.is_err(), "there is none yet");
    let performed = agent.perform(&task(), &cx(1)).await.expect("ordered");
    let Performed::Running { handle, .. } = performed else { panic!("it is under way") };
    let port = stand.port();
    let run = port.find("build.yml", &cx(1).key.to_string()).await.expect("asked").expect("there");
    assert_eq!((run.state.clone(), run.attempt), (CiState::Running, 1));
    assert_eq!(port.status(&run.id).await.expect("asked"), run);
    // Nobody answers for a while: the run goes on.
    stand.know(|github| github.refuse = Some((502, Vec::new())));
    assert!(matches!(agent.poll(&handle, &cx(1)).await, Ok(Performed::Running { .. })));
    stand.know(|github| github.refuse = None);
    agent.cancel(&cx(1).key, Some(&handle), &cx(1)).await.expect("stopped");
    assert_eq!(stand.know(|github| github.cancelled.clone()), ["100"]);
    assert!(port.status(&CiRunId("../../../user".to_owned())).await.is_err());
    let asked = stand.know(|github| github.asked.last().cloned());
    assert!(asked.is_some_and(|asked| asked.ends_with("/runs/..%2F..%2F..%2Fuser")), "an id stays an id");
}
