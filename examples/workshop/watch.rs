//! A Prometheus that watches the place, and an Alertmanager that tells somebody.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use deploy_agents::http::{HttpClient as _, HttpLimits, PlainHttp};
use deploy_agents::monitors::alertmanager::{AlertDrill, AlertInbox, Alertmanager};
use deploy_agents::monitors::alerts::{AlertRule, AlertSeverity};
use deploy_agents::targets::AdminAccess;
use deploy_agents::wait::until;
use deploy_core::agent::{Agent as _, Cancellation, Performed, StepContext, Task};
use deploy_core::effect::{EffectKey, Fence};
use deploy_core::name::{BlockName, RunId};
use deploy_core::plan::StepPath;
use deploy_core::release::Release;
use deploy_core::time::Now;
use serde_json::{Value, json};

use crate::Failure;
use crate::workshop::place::{BOUND, Place};
use crate::workshop::shelf::Shelf;
use crate::workshop::tools::Tools;

const PATIENCE: Duration = Duration::from_millis(100);
/// How many ports are tried.
const TRIES: u32 = 5;

/// A Prometheus at work.
#[derive(Debug)]
pub(crate) struct Prometheus {
    url: String,
    _running: Running,
}

/// A process that ends when this is dropped.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn free() -> Result<u16, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn start(program: &Path, folder: &Path, words: &[String]) -> Result<Running, Failure> {
    let log = std::fs::File::create(folder.join("log"))?;
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Ok(Running(command.spawn()?))
}

/// Starts a program at a port, and waits until it is ready there; again at another port if it ends: somebody may take a port between
/// its choice and its use. Answers with the program's URL.
async fn listening<F: Future<Output = bool> + Send>(
    program: &Path,
    folder: &Path,
    words: impl Fn(u16) -> Vec<String>,
    is_ready: impl Fn(String) -> F + Sync,
) -> Result<(String, Running), Failure> {
    for _ in 0..TRIES {
        let port = free()?;
        let url = format!("http://127.0.0.1:{port}");
        let running = Mutex::new(start(program, folder, &words(port))?);
        let look = || async {
            if is_ready(url.clone()).await {
                return Some(true);
            }
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            running.0.try_wait().is_ok_and(|ended| ended.is_some()).then_some(false)
        };
        if until(BOUND, PATIENCE, look).await? {
            return Ok((url, running.into_inner().unwrap_or_else(PoisonError::into_inner)));
        }
    }
    Err(format!("{} ends at once; its last words are in {}", program.display(), folder.join("log").display()).into())
}

async fn get(url: &str) -> Option<Vec<u8>> {
    let request = http::Request::get(url).body(Bytes::new()).ok()?;
    let answer = PlainHttp::new().send(request, HttpLimits::default()).await.ok()?;
    answer.status().is_success().then(|| answer.body().to_vec())
}

/// The rule that the service is watched by.
fn rule() -> AlertRule {
    let ratio =
        "sum(rate(deploy_proxy_requests_total{code=\"5xx\"}[1m])) / sum(rate(deploy_proxy_requests_total[1m])) > 0.01";
    AlertRule::new("TooManyErrors", ratio)
        .hold_for(Duration::from_secs(60))
        .severity(AlertSeverity::Critical)
        .owner("team-orders")
        .runbook("https://example.org/orders/RUNBOOK.md#errors")
        .summary("more than one request in a hundred fails")
}

impl Prometheus {
    /// Starts one that scrapes the place each second, if there is one on this machine.
    pub(crate) async fn start(folder: &Path, place: &Place, tools: &Tools) -> Result<Option<Self>, Failure> {
        let Some(program) = tools.find("prometheus") else { return Ok(None) };
        let folder = folder.join("prometheus");
        std::fs::create_dir_all(&folder)?;
        let metrics = place.metrics();
        let host = metrics.trim_start_matches("http://").trim_end_matches("/metrics");
        let rule = rule();
        let rules = json!({ "groups": [{ "name": "orders", "rules": [{
            "alert": rule.name, "expr": rule.expression, "for": "1m",
            "labels": rule.all_labels(), "annotations": rule.annotations(),
        }] }] });
        std::fs::write(folder.join("rules.json"), serde_json::to_vec_pretty(&rules)?)?;
        let config = json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "900ms", "evaluation_interval": "1s" },
            "rule_files": ["rules.json"],
            "scrape_configs": [{
                "job_name": "orders", "authorization": { "credentials": place.token().expose() },
                "static_configs": [{ "targets": [host] }],
            }],
        });
        // JSON is YAML.
        std::fs::write(folder.join("prometheus.yml"), serde_json::to_vec_pretty(&config)?)?;
        let words = |port| {
            vec![
                "--config.file=prometheus.yml".to_owned(),
                "--storage.tsdb.path=data".to_owned(),
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--query.lookback-delta=15s".to_owned(),
                "--log.level=warn".to_owned(),
            ]
        };
        let scraped = |url| async move { is_scraped(url).await.unwrap_or(false) };
        let (url, running) = listening(&program, &folder, words, scraped).await?;
        Ok(Some(Self { url, _running: running }))
    }

    pub(crate) async fn targets(&self) -> Option<Vec<u8>> {
        targets(&self.url).await
    }

    pub(crate) async fn rules(&self) -> Option<Vec<u8>> {
        rules(&self.url).await
    }

    /// The series of a revision.
    pub(crate) async fn series(&self, revision: &str) -> Option<Vec<u8>> {
        let query = format!("deploy_proxy_requests_total{{revision=\"{revision}\"}}");
        let query: String = query
            .bytes()
            .map(
                |byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") },
            )
            .collect();
        get(&format!("{}/api/v1/query?query={query}", self.url)).await
    }
}

async fn targets(url: &str) -> Option<Vec<u8>> {
    get(&format!("{url}/api/v1/targets")).await
}

async fn rules(url: &str) -> Option<Vec<u8>> {
    get(&format!("{url}/api/v1/rules")).await
}

/// Whether the Prometheus there has scraped the place, and evaluated its rule.
async fn is_scraped(url: String) -> Option<bool> {
    let answer: Value = serde_json::from_slice(&targets(&url).await?).ok()?;
    let up = answer["data"]["activeTargets"][0]["health"] == "up";
    let answer: Value = serde_json::from_slice(&rules(&url).await?).ok()?;
    Some(up && answer["data"]["groups"][0]["rules"][0]["health"] == "ok")
}

/// Sets an alert off on purpose, and waits until it arrives.
pub(crate) async fn alert_drill(
    folder: &Path,
    tools: &Tools,
    release: &Release,
    shelf: &mut Shelf,
) -> Result<(), Failure> {
    let found = ["prometheus-alertmanager", "alertmanager"].into_iter().find_map(|name| tools.find(name));
    let Some(program) = found else {
        shelf.without(&["alerts-delivered"], "Alertmanager is not on this machine");
        return Ok(());
    };
    let folder = folder.join("alertmanager");
    std::fs::create_dir_all(&folder)?;
    let inbox =
        Arc::new(AlertInbox::bind(SocketAddr::from(([127, 0, 0, 1], 0)), AdminAccess::anyone_on_this_machine()).await?);
    let config = json!({
        "route": { "receiver": "grace", "group_by": ["alertname", "drill"], "group_wait": "100ms", "group_interval": "1s" },
        "receivers": [{ "name": "grace", "webhook_configs": [{ "url": inbox.url() }] }],
    });
    std::fs::write(folder.join("alertmanager.yml"), serde_json::to_vec_pretty(&config)?)?;
    let words = |port| {
        vec![
            "--config.file=alertmanager.yml".to_owned(),
            "--storage.path=data".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
            "--log.level=warn".to_owned(),
        ]
    };
    let ready = |url: String| async move { get(&format!("{url}/-/ready")).await.is_some() };
    let (url, _running) = listening(&program, &folder, words, ready).await?;
    let rule = rule();
    let drill = AlertDrill::new(BlockName::new("alert-drill")?, Alertmanager::new(&url), inbox, rule.clone());
    let step = StepPath::new("workshop/alert-drill")?;
    let task = Task::new(step.clone(), false, Arc::new(release.clone()), BTreeMap::new());
    let key = EffectKey { run: RunId::new("workshop")?, step, undo: false, iteration: 0, attempt: 1 };
    let cx = StepContext::new(key, Fence::default(), Now::default(), BOUND, Cancellation::never());
    let Performed::Done(report) = drill.perform(&task, &cx).await? else {
        return Err("an alert drill is over when it answers".into());
    };
    let piece = report.evidence.first().ok_or("the drill left no evidence")?;
    let seen: Value = serde_json::from_slice(&piece.bytes)?;
    let document = json!({ "alerts": [{
        "name": rule.name, "owner": rule.owner, "runbook": rule.runbook, "receiver": "grace",
        "fired_at": deploy_core::time::Timestamp::parse(seen["onset"].as_str().unwrap_or_default())?,
        "received_at": deploy_core::time::Timestamp::parse(seen["arrived"].as_str().unwrap_or_default())?,
    }] });
    shelf.put_document("alert-drill", "alertmanager", document)
}
