//! `AnalysisTemplate` and `ClusterAnalysisTemplate`: one metric of them.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::name::{BlockName, MetricName};

use super::super::cursor::{Cursor, Findings};
use super::super::expression::Expression;
use super::super::question::{Binding, Part, PrometheusSource, Question, RangeSource, Source, WebSource, conditions};
use crate::analysis::threshold::{ErrorPolicy, Limit, MetricLimits, NoData, OnError};
use crate::document::Value;

/// A metric as it is read.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) limits: MetricLimits,
    pub(super) every: Option<Duration>,
    pub(super) question: Question,
}

const READ: &[&str] = &[
    "consecutiveErrorLimit",
    "consecutiveSuccessLimit",
    "count",
    "failureCondition",
    "failureLimit",
    "inconclusiveLimit",
    "initialDelay",
    "interval",
    "name",
    "provider",
    "successCondition",
];

/// Reads a metric in which every argument is filled in.
pub(super) fn metric(
    at: &Cursor<'_>,
    bindings: BTreeMap<String, Binding>,
    dry_run: bool,
    found: &mut Findings,
) -> Option<Metric> {
    found.only(at, READ, &[]);
    let name = found.name(&at.get("name"), |text| MetricName::new(text));
    let interval = at.get("interval");
    let every = found.duration(&interval, false).filter(|every| !every.is_zero());
    let delay = found.duration(&at.get("initialDelay"), false).unwrap_or_default();
    let mut limit = |field: &str, default: i64| {
        let limit = at.get(field);
        let read = found.whole_or_text(&limit).unwrap_or(default);
        if read < 0 && field != "failureLimit" {
            found.invalid(&limit, format!("{read} is no count"), "a whole number from 0 on");
        }
        u32::try_from(read).ok()
    };
    let count = limit("count", 0).filter(|count| *count > 0);
    let failure = limit("failureLimit", 0);
    let inconclusive = limit("inconclusiveLimit", 0);
    let errors = limit("consecutiveErrorLimit", 4);
    let successes = limit("consecutiveSuccessLimit", 0).filter(|count| *count > 0);
    if count.is_some_and(|count| count > 1) && every.is_none() {
        found.invalid(&at.get("count"), "more than one measurement needs an interval", "an interval");
    }
    let condition = |field: &str, found: &mut Findings| {
        let condition = at.get(field);
        let text = found.text(&condition).filter(|text| !text.is_empty())?;
        match Expression::parse(&text) {
            Ok(expression) => Some(expression),
            Err(error) => {
                found.none(
                    &condition,
                    format!("the condition cannot be evaluated: {error}"),
                    "see the list in docs/import.md",
                );
                None
            }
        }
    };
    let success = condition("successCondition", found);
    let failed = condition("failureCondition", found);
    let (condition, reads) = conditions(success, failed);
    let provider = at.get("provider");
    let (monitor, source) = source(&provider, found)?;
    let mut limits = MetricLimits::new(
        name?,
        condition,
        Limit::more_than(failure.unwrap_or_default()),
        ErrorPolicy::consecutive(Limit::more_than(errors.unwrap_or(4)), OnError::RollBack),
        NoData::Inconclusive,
    );
    if failure.is_none() {
        limits.failure_limit = None;
    }
    limits.inconclusive_limit = inconclusive.map(Limit::more_than);
    limits.consecutive_success_limit = successes.map(Limit::at_least);
    limits.count = if every.is_none() { count.or(Some(1)) } else { count };
    limits.initial_delay = delay;
    limits.dry_run = dry_run;
    let metric = limits.metric.clone();
    let (file, line) = (at.file.to_string(), at.place.map(|place| place.line));
    Some(Metric { limits, every, question: Question { monitor, metric, source, bindings, file, line, reads } })
}

fn source(provider: &Cursor<'_>, found: &mut Findings) -> Option<(BlockName, Source)> {
    let given: Vec<_> = provider.entries().iter().filter(|entry| entry.node.value != Value::Null).collect();
    let [one] = given.as_slice() else {
        found.invalid(provider, "it is not exactly one provider", "prometheus or web");
        return None;
    };
    let at = provider.get(&one.key);
    let source = match one.key.as_str() {
        "prometheus" => prometheus(&at, found),
        "web" => web(&at, found),
        _ => {
            let wrong = "only the providers prometheus and web are carried over";
            found.none(&at, wrong, "prometheus or web, or a monitor of your own and an analysis in the strategy");
            None
        }
    };
    Some((BlockName::new(&one.key).ok()?, source?))
}

fn headers(at: &Cursor<'_>, found: &mut Findings) -> Vec<(String, String)> {
    let read = |header: &Cursor<'_>, found: &mut Findings| {
        found.only(header, &["key", "value"], &[]);
        Some((found.needed(&header.get("key"))?, found.text(&header.get("value")).unwrap_or_default()))
    };
    let all = found.list(&at.get("headers"));
    all.iter().filter_map(|header| read(header, found)).collect()
}

fn authentication(at: &Cursor<'_>, found: &mut Findings) {
    let authentication = at.get("authentication");
    if !authentication.entries().is_empty() {
        let wrong = "credentials are the monitor's: bind one that signs in so";
        found.differs(&authentication, wrong);
    }
}

fn prometheus(at: &Cursor<'_>, found: &mut Findings) -> Option<Source> {
    found.only(at, &["address", "authentication", "headers", "insecure", "query", "rangeQuery", "timeout"], &[]);
    authentication(at, found);
    let range_at = at.get("rangeQuery");
    found.only(&range_at, &["start", "end", "step"], &[]);
    let range = range_at.is_there().then(|| RangeSource {
        start: found.text(&range_at.get("start")).unwrap_or_default(),
        end: found.text(&range_at.get("end")).unwrap_or_default(),
        step: found.text(&range_at.get("step")).unwrap_or_default(),
    });
    Some(Source::Prometheus(PrometheusSource {
        address: found.text(&at.get("address")).unwrap_or_default(),
        query: found.needed(&at.get("query"))?,
        range,
        headers: headers(at, found),
        timeout_seconds: found.count(&at.get("timeout")),
        insecure: found.flag(&at.get("insecure")).unwrap_or_default(),
        secret: None,
    }))
}

fn web(at: &Cursor<'_>, found: &mut Findings) -> Option<Source> {
    let read =
        ["authentication", "body", "headers", "insecure", "jsonBody", "jsonPath", "method", "timeoutSeconds", "url"];
    found.only(at, &read, &[]);
    authentication(at, found);
    let method_at = at.get("method");
    let method = found.text(&method_at).unwrap_or_else(|| "GET".to_owned());
    if !["GET", "POST", "PUT"].contains(&method.as_str()) {
        found.invalid(&method_at, format!("{method} is none of the methods"), "GET, POST or PUT");
    }
    let (body, json) = (at.get("body"), at.get("jsonBody"));
    let text = found.text(&body).filter(|text| !text.is_empty());
    let sent = text.or_else(|| json.is_there().then(|| json.node.plain().to_string()));
    if body.is_there() && json.is_there() {
        found.invalid(&body, "both body and jsonBody are given", "one of them");
    }
    if sent.is_some() && method == "GET" {
        found.invalid(&method_at, "a GET sends no body", "POST or PUT");
    }
    let mut all = headers(at, found);
    if json.is_there() {
        all.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    let path_at = at.get("jsonPath");
    let path = found.text(&path_at).map(|text| json_path(&text));
    if let Some(Err(wrong)) = &path {
        found.none(&path_at, wrong.clone(), "names and places in lists, for example {$.data.items[0].rate}");
    }
    Some(Source::Web(WebSource {
        method,
        url: found.needed(&at.get("url"))?,
        headers: all,
        body: sent,
        timeout_seconds: found.count(&at.get("timeoutSeconds")),
        insecure: found.flag(&at.get("insecure")).unwrap_or_default(),
        path: path.and_then(Result::ok).unwrap_or_default(),
    }))
}

/// `{$.a['b'][0]}` as names and places. What could find several values is refused.
fn json_path(text: &str) -> Result<Vec<Part>, String> {
    let inside = text.trim();
    let inside = inside.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(inside);
    let mut rest = inside.trim().trim_start_matches(['$', '@']);
    let mut path = Vec::new();
    let unread = |rest: &str| format!("the part {rest:?} of the path is not evaluated");
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, behind) = after.split_at(end);
            let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
            if !plain {
                return Err(unread(rest));
            }
            path.push(Part::Key(name.to_owned()));
            rest = behind;
        } else {
            let after = rest.strip_prefix('[').ok_or_else(|| unread(rest))?;
            let (index, behind) = after.split_once(']').ok_or_else(|| unread(rest))?;
            let quoted = index.strip_prefix(['\'', '"']).and_then(|name| name.strip_suffix(['\'', '"']));
            path.push(match (quoted, index.parse()) {
                (Some(name), _) => Part::Key(name.to_owned()),
                (None, Ok(index)) => Part::Index(index),
                (None, Err(_)) => return Err(unread(rest)),
            });
            rest = behind;
        }
    }
    Ok(path)
}
