//! Answers of Prometheus' HTTP interface.

use std::collections::BTreeMap;

use deploy_core::time::Timestamp;

use super::facts::{ActiveAlert, MonitoringRule, PrometheusFacts, QuerySample, QuerySeries, ScrapeTarget};
use super::json::{Document, Node, clip};
use super::{Doubt, DoubtKind, Problem, ReadError, Source, Sourced};

/// Reads an answer of `/api/v1/query`, `query_range`, `targets`, `rules` or `alerts`, by what stands in it.
///
/// An empty vector is a blocking doubt: nothing was measured, which is not the same as zero. So is a warning, since parts
/// may be missing.
///
/// # Errors
///
/// [`ReadError`], with the place: [`Problem::Producer`] for an answer that says `error`.
pub fn read(source: &Source<'_>) -> Result<PrometheusFacts, ReadError> {
    let document = Document::parse(source, &["stats"])?;
    let root = document.root();
    let status = root.need("status")?;
    if status.text()? != "success" {
        let (kind, text) = (root.text_or_empty("errorType")?, root.text_or_empty("error")?);
        return Err(status.error(Problem::Producer, clip(&format!("{kind}: {text}"), 500)));
    }
    let mut facts = PrometheusFacts::default();
    for warning in root.list("warnings")? {
        let warning = warning.sourced_text()?;
        let text = format!("the server warns: {}", clip(&warning.value, 300));
        facts.doubts.push(Doubt::new(DoubtKind::Incomplete, warning.at.clone(), text));
        facts.warnings.push(warning);
    }
    let data = root.need("data")?;
    let nothing = |text: &str| Doubt::new(DoubtKind::NothingMeasured, data.at(), text);
    if let Some(kind) = data.get("resultType") {
        series(kind.text()?, &data, &mut facts)?;
        if facts.series.iter().all(|series| series.samples.is_empty() && !series.histogram) {
            facts.doubts.push(nothing("the query found no series with a sample"));
        }
    } else if let Some(targets) = data.get("activeTargets") {
        for node in targets.items()? {
            facts.targets.push(target(&node)?);
        }
        if facts.targets.is_empty() {
            facts.doubts.push(nothing("nobody is scraped"));
        }
    } else if let Some(groups) = data.get("groups") {
        for group in groups.items()? {
            let name = group.short_of("name")?;
            for node in group.list("rules")? {
                facts.rules.push(rule(&name, &node)?);
            }
        }
        if facts.rules.is_empty() {
            facts.doubts.push(nothing("there is no rule"));
        }
    } else {
        for node in data.need("alerts")?.items()? {
            facts.alerts.push(ActiveAlert {
                labels: labels(&node, "labels")?,
                state: node.need("state")?.sourced_text()?,
                since: moment(&node, "activeAt")?,
            });
        }
    }
    Ok(facts)
}

fn series(kind: &str, data: &Node<'_>, facts: &mut PrometheusFacts) -> Result<(), ReadError> {
    let result = data.need("result")?;
    match kind {
        "scalar" => {
            facts.series.push(QuerySeries {
                samples: vec![sample(&result)?],
                at: result.at(),
                ..QuerySeries::default()
            });
        }
        "vector" | "matrix" => {
            for node in result.items()? {
                let mut series = QuerySeries {
                    labels: labels(&node, "metric")?,
                    histogram: node.get("histogram").is_some() || node.get("histograms").is_some(),
                    at: node.at(),
                    ..QuerySeries::default()
                };
                if let Some(value) = node.get("value") {
                    series.samples.push(sample(&value)?);
                }
                for value in node.list("values")? {
                    series.samples.push(sample(&value)?);
                }
                facts.series.push(series);
            }
        }
        _ => {
            let kind = data.need("resultType")?;
            return Err(kind.error(Problem::Version, "scalar, vector or matrix must stand here"));
        }
    }
    Ok(())
}

/// `[1732245000.123, "0.25"]`.
fn sample(node: &Node<'_>) -> Result<QuerySample, ReadError> {
    let parts = node.items()?;
    let [time, value] = parts.as_slice() else {
        return Err(node.error(Problem::Field, "a time and a value must stand here"));
    };
    let text = value.text()?;
    let number = match text {
        "NaN" | "+Inf" | "-Inf" | "Inf" => None,
        _ => {
            let shape = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
            let number = shape.then(|| text.parse::<f64>().ok()).flatten().filter(|n| n.is_finite());
            let number = number.ok_or_else(|| value.error(Problem::Field, "a number as text must stand here"))?;
            Some(Sourced::new(number, value.at()))
        }
    };
    Ok(QuerySample { seconds: time.number()?.value, text: text.to_owned(), value: number })
}

fn labels(node: &Node<'_>, name: &str) -> Result<BTreeMap<String, String>, ReadError> {
    let mut labels = BTreeMap::new();
    for (label, value) in node.map(name)? {
        labels.insert(label.to_owned(), value.text()?.to_owned());
    }
    Ok(labels)
}

/// A time; the year 1 stands for never.
fn moment(node: &Node<'_>, name: &str) -> Result<Option<Sourced<Timestamp>>, ReadError> {
    Ok(node.time_of(name)?.filter(|time| time.value.0 > 0))
}

fn target(node: &Node<'_>) -> Result<ScrapeTarget, ReadError> {
    let mut labels = labels(node, "labels")?;
    Ok(ScrapeTarget {
        job: labels.remove("job").unwrap_or_default(),
        instance: labels.remove("instance").unwrap_or_default(),
        health: node.need("health")?.sourced_text()?,
        last_scrape: moment(node, "lastScrape")?,
        last_error: node.text_or_empty("lastError")?,
    })
}

fn rule(group: &str, node: &Node<'_>) -> Result<MonitoringRule, ReadError> {
    Ok(MonitoringRule {
        group: group.to_owned(),
        name: node.need("name")?.text()?.to_owned(),
        alerting: node.need("type")?.text()? == "alerting",
        health: node.need("health")?.sourced_text()?,
        state: node.text_or_empty("state")?,
        last_evaluation: moment(node, "lastEvaluation")?,
    })
}
