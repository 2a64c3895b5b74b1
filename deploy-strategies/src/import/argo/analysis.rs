//! What a rollout says of its analyses: which templates, with which arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deploy_core::name::{BlockName, MetricName};

use super::super::Files;
use super::super::cursor::{Cursor, Findings};
use super::super::finding::FindingKind;
use super::super::question::Question;
use super::arguments::Arguments;
use super::template::{Metric, metric};
use crate::analysis::threshold::{MetricLimits, PeerOrder, Threshold};
use crate::analysis::{Analysis, Judge};

/// Whether something waits for the analysis to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// A step does.
    Step,
    /// Nothing: it goes on in the background.
    Never,
}

/// How often a metric without an interval is asked for until it is there, as an analysis of ours has it.
const EVERY: Duration = Duration::from_secs(60);

/// How deep templates may name templates.
const DEEPEST: usize = 16;

/// More metrics in all, and patterns of one analysis, than a strategy could remember.
const MOST: usize = 1_000;
const MOST_PATTERNS: usize = 100;

/// Reads analyses and keeps the questions that they ask.
#[derive(Debug)]
pub(super) struct Analyses<'f, 'a> {
    files: &'f Files<'a>,
    rollout: &'f Cursor<'a>,
    pub(super) questions: Vec<Question>,
    /// Where each of them is, by monitor and metric.
    places: BTreeMap<(BlockName, MetricName), usize>,
    metrics: usize,
}

impl<'f, 'a> Analyses<'f, 'a> {
    pub(super) fn new(files: &'f Files<'a>, rollout: &'f Cursor<'a>) -> Self {
        Self { files, rollout, questions: Vec::new(), places: BTreeMap::new(), metrics: 0 }
    }

    pub(super) fn read(&mut self, at: &Cursor<'_>, wait: Wait, found: &mut Findings) -> Vec<Analysis> {
        if !at.is_there() {
            return Vec::new();
        }
        let read = ["args", "dryRun", "startingStep", "templates"];
        found.only(at, &read, &["analysisRunMetadata", "measurementRetention"]);
        let named = found.list(&at.get("templates"));
        if named.is_empty() {
            found.invalid(&at.get("templates"), "it names no template", "at least one");
        }
        let mut templates = Vec::new();
        let mut seen = BTreeSet::new();
        for one in &named {
            self.template(one, &mut seen, &mut templates, 0, found);
        }
        let declared: Vec<Cursor<'_>> = templates.iter().flat_map(|t| t.at("spec.args").items()).collect();
        let supplied = found.list(&at.get("args"));
        let arguments = Arguments::resolve(&declared, &supplied, self.rollout, found);
        let mut dry = found.list(&at.get("dryRun"));
        dry.extend(templates.iter().flat_map(|t| t.at("spec.dryRun").items()));
        if dry.len() > MOST_PATTERNS {
            found.none(
                &at.get("dryRun"),
                format!("there are {} patterns", dry.len()),
                format!("up to {MOST_PATTERNS}"),
            );
            dry.clear();
        }
        let dry: Vec<regex::Regex> = dry.into_iter().filter_map(|dry| pattern(&dry.get("metricName"), found)).collect();
        let mut metrics = Vec::new();
        let mut names = BTreeSet::new();
        for one in templates.iter().flat_map(|t| t.at("spec.metrics").items()) {
            self.metrics += 1;
            if self.metrics > MOST {
                found.none(at, format!("all analyses together have more than {MOST} metrics"), "fewer");
                break;
            }
            let mut bindings = BTreeMap::new();
            let filled = arguments.fill(&one, &mut bindings, found);
            let filled = one.with(&filled);
            let name = filled.get("name").str().unwrap_or_default().to_owned();
            let dry_run = dry.iter().any(|dry| dry.is_match(&name));
            if !names.insert(name.clone()) {
                found.invalid(&one.get("name"), format!("{name} stands there twice"), "each metric once");
                continue;
            }
            let Some(read) = metric(&filled, bindings, dry_run, found) else { continue };
            let ends = read.limits.count.is_some() || read.limits.consecutive_success_limit.is_some();
            if wait == Wait::Step && !ends {
                let wrong = "it never ends, so the step that waits for it never would";
                found.none(&one, wrong, "a count or a consecutiveSuccessLimit");
            }
            metrics.push((Cursor::placed(&one), self.asked(read)));
        }
        grouped(metrics, found)
    }

    /// The template, and those that it names.
    fn template(
        &self,
        at: &Cursor<'_>,
        seen: &mut BTreeSet<(&'static str, String)>,
        templates: &mut Vec<Cursor<'a>>,
        depth: usize,
        found: &mut Findings,
    ) {
        found.only(at, &["templateName", "clusterScope"], &[]);
        let wide = found.flag(&at.get("clusterScope")) == Some(true);
        let Some(name) = found.needed(&at.get("templateName")) else { return };
        let kind = if wide { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" };
        if depth > DEEPEST || !seen.insert((kind, name.clone())) {
            return;
        }
        let Some(template) = self.files.find(kind, &name) else {
            let wrong = format!("there is no {kind} {name} in these files");
            found.add(&at.get("templateName"), FindingKind::NotInFiles, wrong, "to add the file that has it");
            return;
        };
        found.only(&template.get("spec"), &["args", "dryRun", "metrics", "templates"], &["measurementRetention"]);
        for one in found.list(&template.at("spec.templates")) {
            self.template(&one, seen, templates, depth + 1, found);
        }
        templates.push(template.clone());
    }

    /// Keeps the question. Where another one has the same name and asks something else, this one gets a name of its own.
    fn asked(&mut self, mut read: Metric) -> Metric {
        let own = read.question.metric.clone();
        for number in 2..=MOST + 2 {
            let name = (read.question.monitor.clone(), read.question.metric.clone());
            match self.places.get(&name).and_then(|place| self.questions.get(*place)) {
                None => {
                    self.places.insert(name, self.questions.len());
                    self.questions.push(read.question.clone());
                    break;
                }
                Some(other) if other.asks_as(&read.question) => break,
                Some(_) => {
                    let Ok(name) = MetricName::new(format!("{own}-{number}")) else { break };
                    read.question.metric = name.clone();
                    read.limits.metric = name;
                }
            }
        }
        read
    }
}

/// One analysis for all metrics of a monitor that are measured as often. Those that never count are asked on their own: a question
/// that fails, fails for all that are asked with it.
fn grouped(metrics: Vec<(Cursor<'static>, Metric)>, found: &mut Findings) -> Vec<Analysis> {
    let mut groups: BTreeMap<(BlockName, Duration, bool), Vec<(Cursor<'static>, MetricLimits)>> = BTreeMap::new();
    for (at, read) in metrics {
        let every = read.every.unwrap_or(EVERY);
        groups.entry((read.question.monitor, every, read.limits.dry_run)).or_default().push((at, read.limits));
    }
    let mut analyses = Vec::new();
    for ((monitor, every, _), group) in groups {
        let limits = group.iter().map(|(_, limits)| limits.clone()).collect();
        match Threshold::new(limits) {
            Ok(judge) => {
                let judge = Judge::Threshold(judge.order(PeerOrder::Argo));
                analyses.push(Analysis::new(monitor, judge).every(every));
            }
            Err(refused) => {
                for problem in refused.problems() {
                    let index = problem.at.strip_prefix("metrics[").and_then(|rest| rest.split(']').next());
                    let at = index.and_then(|i| i.parse().ok()).and_then(|i: usize| group.get(i));
                    if let Some((at, _)) = at.or_else(|| group.first()) {
                        let allowed = problem.allowed.clone();
                        found.none(at, format!("{}: {}", problem.at, problem.wrong), allowed);
                    }
                }
            }
        }
    }
    analyses
}

fn pattern(at: &Cursor<'_>, found: &mut Findings) -> Option<regex::Regex> {
    let text = found.needed(at)?;
    let pattern = regex::Regex::new(&text).ok();
    if pattern.is_none() {
        found.invalid(at, format!("{text:?} is no pattern"), "a regular expression over names of metrics");
    }
    pattern
}
