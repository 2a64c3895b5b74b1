//! What the host adds to a manifest, and what comes of both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use deploy_core::name::{BlockName, RevisionName};
use deploy_core::release::Release;
use deploy_core::time::{Clock, SystemClock};
use deploy_strategies::import::{Binding, Imported, PrometheusSource, Question, Source, WebSource};
use http::{HeaderName, Method};

use super::ImportedMonitor;
use super::ask::{Ask, Before, Called, To, Value};
use super::hook::{self, HookGate};
use super::moment::{Moment, milliseconds};
use super::unbound::{NotBound, Unbound};
use crate::http::{HttpClient, HttpLimits, PlainHttp};
use crate::secret::Secret;

/// How long a Prometheus is waited for where the manifest does not say; as Argo Rollouts has it.
const PROMETHEUS_WITHIN: Duration = Duration::from_secs(30);
/// The same for other servers.
const WEB_WITHIN: Duration = Duration::from_secs(10);

/// Everything that a manifest leaves to its host.
#[derive(Clone)]
pub struct Binder {
    prometheus: Option<String>,
    queries: BTreeMap<String, String>,
    secrets: BTreeMap<(String, String), Secret>,
    by_host: BTreeSet<String>,
    candidate: Arc<Called>,
    stable: Option<Arc<Before>>,
    http: Option<Arc<dyn HttpClient>>,
    clock: Arc<dyn Clock>,
}

/// Everything of an imported strategy that can be asked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Bound {
    /// One monitor for each name that the strategy asks. Add each to the rollout.
    pub monitors: Vec<ImportedMonitor>,
    /// One gate for each webhook that has to say yes before the rollout. Put them before the rollout's phase.
    pub gates: Vec<HookGate>,
}

impl Default for Binder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Binder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets: Vec<_> = self.secrets.keys().collect();
        f.debug_struct("Binder").field("queries", &self.queries).field("secrets", &secrets).finish_non_exhaustive()
    }
}

impl Binder {
    /// Nothing but what stands in the manifest, over a client that speaks `http://` alone. Metrics know the new revision by its name.
    #[must_use]
    pub fn new() -> Self {
        Self {
            prometheus: None,
            queries: BTreeMap::new(),
            secrets: BTreeMap::new(),
            by_host: BTreeSet::new(),
            candidate: Arc::new(|revision| revision.to_string()),
            stable: None,
            http: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The Prometheus of every question that names none: the base URL, what comes before `/api/v1`.
    #[must_use]
    pub fn prometheus(mut self, base: impl Into<String>) -> Self {
        self.prometheus = Some(base.into());
        self
    }

    /// PromQL for a metric that Flagger has a query of its own for: `request-success-rate` in percent, or `request-duration` in
    /// milliseconds. `{{ target }}` and `{{ interval }}` in it are filled in.
    #[must_use]
    pub fn query(mut self, metric: impl Into<String>, promql: impl Into<String>) -> Self {
        self.queries.insert(metric.into(), promql.into());
        self
    }

    /// What stands in a secret under a key. For the `secretRef` of Flagger the keys are `token`, or `username` and `password`.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, key: impl Into<String>, value: Secret) -> Self {
        self.secrets.insert((name.into(), key.into()), value);
        self
    }

    /// What metrics call the new revision, where it is not its name: a pod template hash, for example.
    #[must_use]
    pub fn candidate(mut self, called: impl Fn(&RevisionName) -> String + Send + Sync + 'static) -> Self {
        self.candidate = Arc::new(called);
        self
    }

    /// What metrics call the revision that served before this release.
    #[must_use]
    pub fn stable(mut self, before: impl Fn(&Release) -> String + Send + Sync + 'static) -> Self {
        self.stable = Some(Arc::new(before));
        self
    }

    /// The host has bound the webhook of this name itself.
    #[must_use]
    pub fn by_host(mut self, webhook: impl Into<String>) -> Self {
        self.by_host.insert(webhook.into());
        self
    }

    /// Asks over another client, for example one that speaks TLS. Which certificates hold is the client's to say: what a manifest
    /// says of not looking at them is not carried over.
    #[must_use]
    pub fn over(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = Some(http);
        self
    }

    /// With another clock: questions are about the time that it shows.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Binds every question and every webhook.
    ///
    /// # Errors
    ///
    /// [`NotBound`] with each that cannot be bound, by file and line, and what the host can do about it.
    pub fn bind(&self, imported: &Imported) -> Result<Bound, NotBound> {
        let http: Arc<dyn HttpClient> = self.http.clone().unwrap_or_else(|| Arc::new(PlainHttp::new()));
        let mut list = Vec::new();
        let mut monitors: BTreeMap<BlockName, ImportedMonitor> = BTreeMap::new();
        for question in &imported.questions {
            match self.ask(question) {
                Ok(ask) => {
                    let name = question.monitor.clone();
                    let monitor = monitors.entry(name.clone()).or_insert_with(|| ImportedMonitor {
                        name,
                        asks: BTreeMap::new(),
                        http: Arc::clone(&http),
                        clock: Arc::clone(&self.clock),
                    });
                    monitor.asks.insert(question.metric.clone(), ask);
                }
                Err(Wrong { wrong, remedy }) => list.push(Unbound {
                    file: question.file.clone(),
                    line: question.line,
                    name: question.metric.to_string(),
                    wrong,
                    remedy,
                }),
            }
        }
        let mut gates = Vec::new();
        for one in imported.hooks.iter().filter(|hook| !self.by_host.contains(&hook.name)) {
            match hook::gate(one, imported, &http, self.http.is_some()) {
                Ok(gate) => gates.push(gate),
                Err(Wrong { wrong, remedy }) => {
                    let file = imported.file.clone();
                    list.push(Unbound { file, line: one.line, name: one.name.clone(), wrong, remedy });
                }
            }
        }
        if list.is_empty() {
            Ok(Bound { monitors: monitors.into_values().collect(), gates })
        } else {
            Err(NotBound { list })
        }
    }

    fn ask(&self, question: &Question) -> Result<Ask, Wrong> {
        let mut values = BTreeMap::new();
        for (argument, binding) in &question.bindings {
            let value = match binding {
                Binding::CandidateRevision => Value::Candidate(Arc::clone(&self.candidate)),
                Binding::StableRevision => {
                    let wrong =
                        || format!("nobody says what metrics call the revision that served before ({argument})");
                    let stable = self.stable.as_ref().ok_or_else(|| Wrong::new(wrong(), "say it by `stable`"))?;
                    Value::Stable(Arc::clone(stable))
                }
                Binding::Secret { name, key } => Value::Secret(self.needed(name, key)?.clone()),
                other => return Err(Wrong::new(format!("{other:?} is nothing that is known"), "a newer version")),
            };
            values.insert(argument.clone(), value);
        }
        let (to, headers, authorization, within) = match &question.source {
            Source::Prometheus(source) => {
                let range = source.range.as_ref().map(|range| -> Result<_, Wrong> {
                    let moment = |text: &str| {
                        let wrong = format!("the time {text:?} of its range is not evaluated");
                        Moment::parse(text).ok_or_else(|| {
                            Wrong::new(wrong, "write now() and durations, as in now() - duration(\"1h\")")
                        })
                    };
                    let step =
                        milliseconds(&range.step).and_then(|step| u64::try_from(step).ok()).filter(|step| *step > 0);
                    let wrong = || {
                        Wrong::new(
                            format!("the step {:?} of its range is none", range.step),
                            "write a duration, as in 30s",
                        )
                    };
                    Ok((moment(&range.start)?, moment(&range.end)?, Duration::from_millis(step.ok_or_else(wrong)?)))
                });
                self.of_prometheus(source, source.query.clone(), range.transpose()?)?
            }
            Source::Flagger(source) => {
                let remedy = "give its PromQL by `query`";
                let wrong = || format!("the peer has a query of its own for it at {:?}", source.provider);
                let query = self.queries.get(&source.metric).ok_or_else(|| Wrong::new(wrong(), remedy))?;
                let query = of_flagger(query, &source.target, &source.interval)?;
                self.of_prometheus(&PrometheusSource::default(), query, None)?
            }
            Source::Web(source) => self.of_web(source)?,
            other => return Err(Wrong::new(format!("{other:?} is nothing that is known"), "a newer version")),
        };
        let limits = HttpLimits { timeout: within, ..HttpLimits::default() };
        Ok(Ask { question: question.clone(), to, headers, authorization, values, limits })
    }

    fn needed(&self, name: &str, key: &str) -> Result<&Secret, Wrong> {
        let wrong =
            || Wrong::new(format!("the key {key:?} of the secret {name:?} is not there"), "give it by `secret`");
        self.secrets.get(&(name.to_owned(), key.to_owned())).ok_or_else(wrong)
    }

    fn of_prometheus(
        &self,
        source: &PrometheusSource,
        query: String,
        range: Option<(Moment, Moment, Duration)>,
    ) -> Result<Asked, Wrong> {
        let own = Some(&source.address).filter(|address| !address.is_empty()).or(self.prometheus.as_ref());
        let wrong = || Wrong::new("it names no Prometheus", "give the one of its controller by `prometheus`");
        let base = own.ok_or_else(wrong)?.trim_end_matches('/').to_owned();
        address(&base, self.http.is_some())?;
        let authorization = source.secret.as_ref().map(|name| self.credentials(name)).transpose()?;
        let within = source.timeout_seconds.map_or(PROMETHEUS_WITHIN, |seconds| Duration::from_secs(seconds.into()));
        Ok((To::Prometheus { base, query, range }, headers(&source.headers)?, authorization, within))
    }

    fn of_web(&self, source: &WebSource) -> Result<Asked, Wrong> {
        address(&source.url, self.http.is_some())?;
        let wrong = |_| Wrong::new(format!("{:?} is no method", source.method), "write GET, POST or PUT");
        let method = Method::from_bytes(source.method.as_bytes()).map_err(wrong)?;
        let to = To::Web { method, url: source.url.clone(), body: source.body.clone().unwrap_or_default() };
        let within = source.timeout_seconds.map_or(WEB_WITHIN, |seconds| Duration::from_secs(seconds.into()));
        Ok((to, headers(&source.headers)?, None, within))
    }

    /// What a secret signs in with: its token, or its user and password.
    fn credentials(&self, name: &str) -> Result<Secret, Wrong> {
        if let Ok(token) = self.needed(name, "token") {
            return Ok(Secret::new(format!("Bearer {}", token.expose())));
        }
        let (Ok(user), Ok(password)) = (self.needed(name, "username"), self.needed(name, "password")) else {
            let wrong = format!("the secret {name:?} has neither a token nor a username and a password");
            return Err(Wrong::new(wrong, "give them by `secret`"));
        };
        let both = format!("{}:{}", user.expose(), password.expose());
        Ok(Secret::new(format!("Basic {}", BASE64_STANDARD.encode(both))))
    }
}

type Asked = (To, Vec<(HeaderName, String)>, Option<Secret>, Duration);

/// What stands in the way of one question or webhook.
#[derive(Debug)]
pub(super) struct Wrong {
    wrong: String,
    remedy: String,
}

impl Wrong {
    pub(super) fn new(wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), remedy: remedy.into() }
    }
}

/// Whether it can be sent there, as far as it can be told before arguments are filled in. The address itself is not told: a secret may
/// stand in it.
pub(super) fn address(url: &str, other_client: bool) -> Result<(), Wrong> {
    if url.starts_with("{{") {
        return Ok(());
    }
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some(("https", rest)) if other_client => rest,
        Some(("https", _)) => {
            return Err(Wrong::new(
                "its address is https://, which this client does not speak",
                "hand one that does to `over`",
            ));
        }
        _ => return Err(Wrong::new("its address does not begin with http:// or https://", "write the whole address")),
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Wrong::new(
            "its address has a user in it, which would be shown",
            "sign in by a header and a secret",
        ));
    }
    if !url.contains("{{") && url.parse::<http::Uri>().is_err() {
        return Err(Wrong::new("its address is none", "write it as RFC 3986 has it"));
    }
    Ok(())
}

fn headers(all: &[(String, String)]) -> Result<Vec<(HeaderName, String)>, Wrong> {
    let one = |(name, value): &(String, String)| {
        let wrong = |_| Wrong::new(format!("{name:?} is no name of a header"), "letters, digits and -");
        Ok((HeaderName::try_from(name.as_str()).map_err(wrong)?, value.clone()))
    };
    all.iter().map(one).collect()
}

/// The host's own PromQL with what the manifest says filled in.
fn of_flagger(query: &str, target: &str, interval: &str) -> Result<String, Wrong> {
    let mut filled = String::new();
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("{{") {
        let (tag, behind) = after.split_once("}}").unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(match tag.trim() {
            "target" => target,
            "interval" => interval,
            _ => {
                return Err(Wrong::new(
                    format!("{{{{{tag}}}}} in its query cannot be filled in"),
                    "write target or interval",
                ));
            }
        });
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}
