//! What a Canary of Flagger measures.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::monitor::Comparison;
use deploy_core::name::{BlockName, MetricName};
use deploy_core::real::Real;

use super::super::Files;
use super::super::cursor::{Cursor, Findings, is_too_long, spell};
use super::super::finding::FindingKind;
use super::super::question::{FlaggerSource, PrometheusSource, Question, Reads, Source};
use super::{interval, threshold};
use crate::analysis::threshold::{Bound, Condition, ErrorPolicy, Limit, MetricLimits, NoData, OnError, Threshold};
use crate::analysis::{Analysis, Judge};

/// The monitor that answers for all metrics of a Canary: one, so that one counter counts what fails of all of them.
const MONITOR: &str = "flagger";

/// More metrics than a strategy could remember.
const MOST: usize = 100;

/// What is checked, and how often it may fail.
#[derive(Debug)]
pub(super) struct Checks {
    limits: Vec<MetricLimits>,
    pub(super) every: Duration,
    threshold: u32,
    pub(super) questions: Vec<Question>,
}

impl Checks {
    /// All metrics, good so often in a row, with the one counter; nothing where nothing is measured. `endless` goes on for ever.
    pub(super) fn analysis(&self, successes: Option<u32>, at: &Cursor<'_>, found: &mut Findings) -> Option<Analysis> {
        if self.limits.is_empty() {
            return None;
        }
        let mut limits = self.limits.clone();
        for limits in &mut limits {
            limits.consecutive_success_limit = successes.map(Limit::at_least);
        }
        match Threshold::with_failed_checks(limits, Limit::at_least(self.threshold)) {
            Ok(judge) => {
                let monitor = BlockName::new(MONITOR).ok()?;
                Some(Analysis::new(monitor, Judge::Threshold(judge)).every(self.every))
            }
            Err(refused) => {
                found.none(at, refused.to_string(), "");
                None
            }
        }
    }
}

pub(super) fn read(files: &Files<'_>, root: &Cursor<'_>, analysis: &Cursor<'_>, found: &mut Findings) -> Checks {
    let mut checks = Checks {
        limits: Vec::new(),
        every: interval(analysis, found),
        threshold: threshold(analysis, found),
        questions: Vec::new(),
    };
    let metrics = found.list(&analysis.get("metrics"));
    if metrics.len() > MOST {
        let at = analysis.get("metrics");
        found.none(&at, format!("there are {} of them", metrics.len()), format!("up to {MOST}"));
        return checks;
    }
    for at in metrics {
        let read = ["interval", "name", "query", "templateRef", "templateVariables", "threshold", "thresholdRange"];
        found.only(&at, &read, &[]);
        let Some(name) = found.name(&at.get("name"), |text| MetricName::new(text)) else { continue };
        if checks.questions.iter().any(|other| other.metric == name) {
            found.invalid(&at.get("name"), format!("{name} stands there twice"), "each metric once");
            continue;
        }
        let bounds = bounds(&at, name.as_str(), found);
        let Some(source) = source(files, root, &at, name.as_str(), found) else { continue };
        let Ok(monitor) = BlockName::new(MONITOR) else { continue };
        let (bindings, reads) = (BTreeMap::new(), Reads::First);
        let (file, line) = (at.file.to_string(), at.place.map(|place| place.line));
        checks.questions.push(Question { monitor, metric: name.clone(), source, bindings, file, line, reads });
        for bound in bounds {
            // No value and an error are failed checks, as in the peer.
            let mut limits = MetricLimits::new(
                name.clone(),
                Condition::success(bound),
                Limit::more_than(0),
                ErrorPolicy { limit: None, consecutive_limit: None, on_error: OnError::RollBack },
                NoData::Fail,
            );
            limits.failure_limit = None;
            checks.limits.push(limits);
        }
    }
    checks
}

fn bounds(at: &Cursor<'_>, name: &str, found: &mut Findings) -> Vec<Bound> {
    let range = at.get("thresholdRange");
    found.only(&range, &["min", "max"], &[]);
    let old = at.get("threshold");
    let mut bound = |at: &Cursor<'_>, compare| {
        let limit = found.number(at)?;
        let limit = Real::new(limit).ok();
        if limit.is_none() {
            found.invalid(at, "it is not finite", "a number");
        }
        limit.map(|limit| Bound::new(compare, limit))
    };
    let all: Vec<Bound> = if range.is_there() {
        let least = bound(&range.get("min"), Comparison::AtLeast);
        least.into_iter().chain(bound(&range.get("max"), Comparison::AtMost)).collect()
    } else {
        let compare = if name == "request-success-rate" { Comparison::AtLeast } else { Comparison::AtMost };
        bound(&old, compare).into_iter().collect()
    };
    if all.is_empty() {
        found.none(at, "it has no limit, so every number would be good", "a thresholdRange with min, max or both");
    }
    all
}

fn source(files: &Files<'_>, root: &Cursor<'_>, at: &Cursor<'_>, name: &str, found: &mut Findings) -> Option<Source> {
    let span = found.duration(&at.get("interval"), false).unwrap_or(Duration::from_secs(60));
    let interval = at.get("interval").str().map_or_else(|| spell(span), str::to_owned);
    let target = root.at("spec.targetRef.name").str().unwrap_or_default().to_owned();
    let (template, query) = (at.get("templateRef"), at.get("query"));
    if template.is_there() {
        found.only(&template, &["name", "namespace"], &[]);
        let wanted = found.needed(&template.get("name"))?;
        let Some(document) = files.find("MetricTemplate", &wanted) else {
            let wrong = format!("there is no MetricTemplate {wanted} in these files");
            found.add(&template, FindingKind::NotInFiles, wrong, "to add the file that has it");
            return None;
        };
        let spec = document.get("spec");
        found.only(&spec, &["provider", "query"], &[]);
        let provider = spec.get("provider");
        let read = ["address", "headers", "insecureSkipVerify", "region", "secretRef", "type"];
        found.only(&provider, &read, &[]);
        let kind = provider.get("type");
        if found.needed(&kind).is_some_and(|kind| kind != "prometheus") {
            found.none(&kind, "only the provider prometheus is carried over", "prometheus, or a monitor of your own");
        }
        let headers = provider.get("headers");
        let mut all = Vec::new();
        for entry in headers.entries() {
            for value in headers.get(&entry.key).items() {
                all.push((entry.key.clone(), found.text(&value).unwrap_or_default()));
            }
        }
        let query_at = spec.get("query");
        let query = found.needed(&query_at)?;
        return Some(Source::Prometheus(PrometheusSource {
            address: found.text(&provider.get("address")).unwrap_or_default(),
            query: fill(&query, &query_at, root, at, &interval, found)?,
            headers: all,
            insecure: found.flag(&provider.get("insecureSkipVerify")).unwrap_or_default(),
            secret: provider.at("secretRef.name").str().map(str::to_owned),
            ..PrometheusSource::default()
        }));
    }
    if query.is_there() {
        let text = found.needed(&query)?;
        let query = fill(&text, &query, root, at, &interval, found)?;
        let address = root.at("spec.metricsServer").str().unwrap_or_default().to_owned();
        return Some(Source::Prometheus(PrometheusSource { address, query, ..PrometheusSource::default() }));
    }
    if !["request-success-rate", "request-duration"].contains(&name) {
        let allowed = "a templateRef, or one of request-success-rate and request-duration";
        found.invalid(at, "nothing says how it is measured", allowed);
        return None;
    }
    let provider = root.at("spec.provider").str().unwrap_or_default().to_owned();
    Some(Source::Flagger(FlaggerSource { metric: name.to_owned(), provider, target, interval }))
}

/// A query with what the manifest says filled in.
fn fill(
    query: &str,
    query_at: &Cursor<'_>,
    root: &Cursor<'_>,
    metric: &Cursor<'_>,
    interval: &str,
    found: &mut Findings,
) -> Option<String> {
    let of = |path: &str| root.at(path).str().filter(|text| !text.is_empty());
    let target = of("spec.targetRef.name");
    let variables = metric.get("templateVariables");
    let mut filled = String::new();
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        if is_too_long(&filled, query_at, found) {
            return None;
        }
        let (tag, behind) = after.split_once("}}").unwrap_or((after, ""));
        let value = match tag.trim_matches(|c: char| c.is_whitespace() || c == '-') {
            "interval" => Some(interval),
            "name" => of("metadata.name"),
            "namespace" => of("metadata.namespace").or(Some("default")),
            "target" => target,
            "service" => of("spec.service.name").or(target),
            "ingress" => of("spec.ingressRef.name").or(target),
            "route" => of("spec.routeRef.name").or(target),
            other => other.strip_prefix("variables.").and_then(|name| variables.get(name).str()),
        };
        let Some(value) = value else {
            let wrong = format!("{{{{{tag}}}}} in it cannot be filled in");
            found.none(
                query_at,
                wrong,
                "interval, name, namespace, target, service, ingress, route, or variables.x that the metric gives",
            );
            return None;
        };
        filled.push_str(value);
        rest = behind;
    }
    filled.push_str(rest);
    Some(filled)
}
