//! SARIF 2.1.0.

use std::collections::BTreeMap;

use super::facts::{
    AnalysisRun, BaselineState, CodeFinding, CodeLocation, FindingFacts, FindingKind, FindingLevel, Suppression,
};
use super::json::{Document, LONGEST_NAME, Node, Tree, clip};
use super::{Doubt, DoubtKind, Problem, ReadError, Source, Sourced};

/// The most characters of a message that are kept.
const LONGEST_MESSAGE: usize = 1_000;

/// Reads a SARIF log.
///
/// The level of a result is its own, else what an override of the run sets for its rule, else its rule's default, else
/// `warning` (SARIF 2.1.0, section 3.27.10). A run that says that it did not succeed is a blocking doubt, whatever it found.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn read(source: &Source<'_>) -> Result<FindingFacts, ReadError> {
    let document =
        Document::parse(source, &["artifacts", "codeFlows", "threadFlows", "graphs", "fixes", "webRequest"])?;
    let root = document.root();
    let version = root.need("version")?;
    let mut parts = version.text()?.split('.');
    if (parts.next(), parts.next()) != (Some("2"), Some("1")) {
        return Err(version.error(Problem::Version, "version 2.1.0 is known"));
    }
    let mut facts = FindingFacts::default();
    for (number, run) in root.need("runs")?.items()?.into_iter().enumerate() {
        read_run(number, &run, &mut facts)?;
    }
    if facts.runs.is_empty() {
        let text = "there is no run in the log";
        facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, root.at(), text));
    }
    Ok(facts)
}

fn read_run(number: usize, run: &Node<'_>, facts: &mut FindingFacts) -> Result<(), ReadError> {
    let tool = run.need("tool")?;
    let driver = tool.need("driver")?;
    let rules = Rules::of(&tool)?;
    let mut this = AnalysisRun {
        tool: clip(driver.need("name")?.text()?, LONGEST_NAME),
        version: match driver.text_of("semanticVersion")? {
            Some(version) => version.to_owned(),
            None => driver.text_or_empty("version")?,
        },
        rules: rules.count,
        has_results: run.get("results").is_some(),
        at: run.at(),
        ..AnalysisRun::default()
    };
    for details in run.list("versionControlProvenance")? {
        this.commit = this.commit.or(details.get("revisionId").map(|n| n.sourced_text()).transpose()?);
    }
    let mut overrides = BTreeMap::new();
    for invocation in run.list("invocations")? {
        let successful = invocation.need("executionSuccessful")?.flag()?;
        if !successful.value {
            let text = format!("{} says that it did not run to its end", this.tool);
            facts.doubts.push(Doubt::new(DoubtKind::Unfinished, successful.at.clone(), text));
        }
        if this.successful.as_ref().is_none_or(|before| before.value) {
            this.successful = Some(successful);
        }
        for list in ["toolExecutionNotifications", "toolConfigurationNotifications"] {
            for note in invocation.list(list)? {
                if note.text_of("level")? == Some("error") {
                    let message = message(&note)?;
                    let text = format!("{} notes an error: {}", this.tool, clip(&message, 200));
                    facts.doubts.push(Doubt::new(DoubtKind::Unfinished, note.at(), text));
                    this.tool_errors.push(Sourced::new(message, note.at()));
                }
            }
        }
        for entry in invocation.list("ruleConfigurationOverrides")? {
            let rule = entry.path(&["descriptor", "id"]).map(|n| n.text()).transpose()?;
            let level = entry.path(&["configuration", "level"]).map(|n| level(&n)).transpose()?;
            if let (Some(rule), Some(level)) = (rule, level) {
                overrides.insert(clip(rule, LONGEST_NAME), level);
            }
        }
    }
    if !this.has_results {
        let text = format!("the run of {} has no list of results: it was no scan", this.tool);
        facts.doubts.push(Doubt::new(DoubtKind::Unfinished, run.at(), text));
    }
    facts.runs.push(this);
    for result in run.list("results")? {
        facts.findings.push(finding(number, &result, &rules, &overrides)?);
    }
    Ok(())
}

/// What the rules of a run say, by identifier and by index.
#[derive(Default)]
struct Rules {
    count: u64,
    /// Of the driver.
    listed: Vec<Rule>,
    /// Of the driver and of its extensions.
    named: BTreeMap<String, Rule>,
}

#[derive(Clone, Default)]
struct Rule {
    id: String,
    level: Option<FindingLevel>,
    security: Option<Sourced<f64>>,
}

impl Rules {
    fn of(tool: &Node<'_>) -> Result<Self, ReadError> {
        let mut rules = Self::default();
        for rule in tool.need("driver")?.list("rules")? {
            let rule = Rule::of(&rule)?;
            rules.listed.push(rule.clone());
            rules.named.insert(rule.id.clone(), rule);
        }
        for extension in tool.list("extensions")? {
            for rule in extension.list("rules")? {
                let rule = Rule::of(&rule)?;
                rules.named.entry(rule.id.clone()).or_insert(rule);
            }
        }
        rules.count = rules.named.len() as u64;
        Ok(rules)
    }

    fn find(&self, id: &str, index: Option<u64>) -> Option<&Rule> {
        let by_index = || self.listed.get(usize::try_from(index?).ok()?);
        // `a/b` is a sub-rule of `a`.
        let family = || id.rsplit_once('/').and_then(|(above, _)| self.named.get(above));
        self.named.get(id).or_else(by_index).or_else(family)
    }
}

impl Rule {
    fn of(node: &Node<'_>) -> Result<Self, ReadError> {
        let security = match node.path(&["properties", "security-severity"]) {
            None => None,
            // GitHub's convention is a text; some write a number.
            Some(node) => match node.tree {
                Tree::Text(text) => {
                    let number = text.trim().parse::<f64>().ok().filter(|n| (0.0..=10.0).contains(n));
                    let number =
                        number.ok_or_else(|| node.error(Problem::Field, "a number from 0 to 10 must stand here"));
                    Some(Sourced::new(number?, node.at()))
                }
                _ => Some(node.number()?),
            },
        };
        Ok(Self {
            id: clip(node.need("id")?.text()?, LONGEST_NAME),
            level: node.path(&["defaultConfiguration", "level"]).map(|n| level(&n)).transpose()?,
            security,
        })
    }
}

fn finding(
    run: usize,
    result: &Node<'_>,
    rules: &Rules,
    overrides: &BTreeMap<String, FindingLevel>,
) -> Result<CodeFinding, ReadError> {
    let index = match result.whole_of("ruleIndex") {
        Ok(index) => index,
        // -1 stands for none.
        Err(_) if result.get("ruleIndex").is_some_and(|n| matches!(n.tree, Tree::Negative(-1))) => None,
        Err(error) => return Err(error),
    };
    let index = match index {
        Some(index) => Some(index.value),
        None => result.path(&["rule", "index"]).and_then(|n| n.whole().ok()).map(|n| n.value),
    };
    let named = match result.text_of("ruleId")? {
        Some(id) => Some(id),
        None => result.path(&["rule", "id"]).map(|n| n.text()).transpose()?,
    };
    let named = named.map(|id| clip(id, LONGEST_NAME));
    let rule = rules.find(named.as_deref().unwrap_or_default(), index);
    let id = named.or_else(|| rule.map(|r| r.id.clone())).unwrap_or_default();
    let kind = result.get("kind").map(|n| kind(&n)).transpose()?.unwrap_or_default();
    let own = result.get("level").map(|n| level(&n)).transpose()?;
    let level = match (own, kind) {
        (Some(level), _) => level,
        // Results that are no failure have no level unless they state one (section 3.27.10).
        (None, other) if other != FindingKind::Fail => FindingLevel::None,
        (None, _) => overrides.get(&id).copied().or_else(|| rule.and_then(|r| r.level)).unwrap_or_default(),
    };
    let mut finding = CodeFinding {
        run,
        rule: id,
        level,
        security_severity: rule.and_then(|r| r.security.clone()),
        kind,
        baseline: result.get("baselineState").map(|n| baseline(&n)).transpose()?,
        message: message(result)?,
        at: result.at(),
        ..CodeFinding::default()
    };
    for suppression in result.list("suppressions")? {
        // Absent means accepted; one that is under review or rejected takes nothing out.
        if matches!(suppression.text_of("status")?, None | Some("accepted")) {
            finding.suppressions.push(Suppression {
                kind: suppression.text_or_empty("kind")?,
                justification: suppression.text_or_empty("justification")?,
            });
        }
    }
    for location in result.list("locations")? {
        let Some(physical) = location.get("physicalLocation") else { continue };
        let uri = physical.path(&["artifactLocation", "uri"]).map(|n| n.text()).transpose()?;
        let line = physical.path(&["region", "startLine"]).map(|n| n.whole()).transpose()?;
        finding.locations.push(CodeLocation { uri: uri.unwrap_or_default().to_owned(), line });
    }
    for name in ["fingerprints", "partialFingerprints"] {
        for (key, value) in result.map(name)? {
            finding.fingerprints.insert(key.to_owned(), value.text()?.to_owned());
        }
    }
    Ok(finding)
}

fn message(node: &Node<'_>) -> Result<String, ReadError> {
    let Some(message) = node.get("message") else { return Ok(String::new()) };
    let text = match message.text_of("text")? {
        Some(text) => text.to_owned(),
        None => message.text_or_empty("id")?,
    };
    Ok(clip(&text, LONGEST_MESSAGE))
}

fn level(node: &Node<'_>) -> Result<FindingLevel, ReadError> {
    match node.text()? {
        "none" => Ok(FindingLevel::None),
        "note" => Ok(FindingLevel::Note),
        "warning" => Ok(FindingLevel::Warning),
        "error" => Ok(FindingLevel::Error),
        other => Err(unknown(node, other, "none, note, warning or error")),
    }
}

fn kind(node: &Node<'_>) -> Result<FindingKind, ReadError> {
    match node.text()? {
        "fail" => Ok(FindingKind::Fail),
        "pass" => Ok(FindingKind::Pass),
        "review" => Ok(FindingKind::Review),
        "open" => Ok(FindingKind::Open),
        "notApplicable" => Ok(FindingKind::NotApplicable),
        "informational" => Ok(FindingKind::Informational),
        other => Err(unknown(node, other, "fail, pass, review, open, notApplicable or informational")),
    }
}

fn baseline(node: &Node<'_>) -> Result<BaselineState, ReadError> {
    match node.text()? {
        "new" => Ok(BaselineState::New),
        "unchanged" => Ok(BaselineState::Unchanged),
        "updated" => Ok(BaselineState::Updated),
        "absent" => Ok(BaselineState::Absent),
        other => Err(unknown(node, other, "new, unchanged, updated or absent")),
    }
}

fn unknown(node: &Node<'_>, other: &str, wanted: &str) -> ReadError {
    node.error(Problem::Field, format!("{:?} is not {wanted}", clip(other, 40)))
}
