//! Refuses alerts that nobody can act on.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::{AlertRule, AlertSeverity};
use crate::monitors::prometheus::duration;

/// Rules of one group that somebody can act on.
///
/// Rows: M44, M51, M125.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRules {
    group: String,
    rules: Vec<AlertRule>,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LintFinding {
    /// The rule.
    pub rule: String,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What can be wrong with a rule. Its `Display` says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Flaw {
    /// Nobody knows how bad it is.
    NoSeverity,
    /// Nobody acts on it.
    NoOwner,
    /// Nobody knows what to do.
    NoRunbook,
    /// What stands as a runbook cannot be opened.
    RunbookIsNoUrl,
    /// Nobody knows what is wrong.
    NoSummary,
    /// A placeholder was left in.
    Placeholder,
    /// It wakes somebody at the first sample.
    NoDuration,
    /// It waits so long that nobody needs it any more.
    TooLong,
    /// It has no name that a label can hold.
    NoName,
    /// Another rule has the same name and severity.
    NameTwice,
    /// It compares nothing, or only by `bool`, so that it fires for ever or never.
    ComparesNothing,
}

/// The longest that something may be wrong before somebody is told: half a day, for slowly burning budgets.
const LONGEST: Duration = Duration::from_secs(12 * 3_600);

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSeverity => "it has no severity: say critical, warning or info",
            Self::NoOwner => "it has no owner: say who acts on it",
            Self::NoRunbook => "it has no runbook: say what to do",
            Self::RunbookIsNoUrl => "its runbook is no http or https URL: nobody can open it",
            Self::NoSummary => "it has no summary: say what is wrong, in a sentence",
            Self::Placeholder => "a placeholder was left in: TODO, FIXME, TBD or example text",
            Self::NoDuration => "it has no duration: a single sample would tell somebody; say how long it must be so",
            Self::TooLong => "it must be so for more than 12 h before anybody is told",
            Self::NoName => "its name is empty or has characters that a label's name must not have",
            Self::NameTwice => "another rule has its name and severity: nobody can tell them apart",
            Self::ComparesNothing => "its expression compares nothing: it fires for ever or never",
        })
    }
}

/// Rules that nobody can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} alert rules cannot be acted on: {}", findings.len(), shown(findings))]
#[non_exhaustive]
pub struct Unactionable {
    /// What is wrong with which.
    pub findings: Vec<LintFinding>,
}

fn shown(findings: &[LintFinding]) -> String {
    findings.iter().map(|finding| format!("{}: {}", finding.rule, finding.flaw)).collect::<Vec<_>>().join("; ")
}

/// What is wrong with rules, rule by rule. Of the PromQL only the shape is looked at; the server reads it when it loads it.
#[must_use]
pub fn lint(rules: &[AlertRule]) -> Vec<LintFinding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for rule in rules {
        let mut flaws = flaws(rule);
        if !seen.insert((&rule.name, rule.severity)) {
            flaws.push(Flaw::NameTwice);
        }
        findings.extend(flaws.into_iter().map(|flaw| LintFinding { rule: rule.name.clone(), flaw }));
    }
    findings
}

fn flaws(rule: &AlertRule) -> Vec<Flaw> {
    let blank = |text: &Option<String>| text.as_ref().is_none_or(|text| text.trim().is_empty());
    let texts = [&rule.owner, &rule.runbook, &rule.summary];
    let placeholder = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.into_iter().any(|word| ["TODO", "FIXME", "TBD", "XXX", "changeme"].contains(&word))
    };
    let is_url = |text: &String| {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) && text.parse::<http::Uri>().is_ok()
    };
    let name_is_good = !rule.name.is_empty()
        && rule.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !rule.name.starts_with(|c: char| c.is_ascii_digit());
    [
        (rule.severity.is_none(), Flaw::NoSeverity),
        (blank(&rule.owner), Flaw::NoOwner),
        (blank(&rule.runbook), Flaw::NoRunbook),
        (!blank(&rule.runbook) && !rule.runbook.as_ref().is_some_and(is_url), Flaw::RunbookIsNoUrl),
        (blank(&rule.summary), Flaw::NoSummary),
        (texts.iter().any(|text| text.as_ref().is_some_and(|text| placeholder(text))), Flaw::Placeholder),
        (
            rule.hold_for.is_none_or(|span| span.is_zero()) && rule.severity != Some(AlertSeverity::Info),
            Flaw::NoDuration,
        ),
        (rule.hold_for.is_some_and(|span| span > LONGEST), Flaw::TooLong),
        (!name_is_good, Flaw::NoName),
        (!compares(&rule.expression), Flaw::ComparesNothing),
    ]
    .into_iter()
    .filter_map(|(wrong, flaw)| wrong.then_some(flaw))
    .collect()
}

/// Whether PromQL, its strings, selectors and comments aside, compares or asks for absence. A comparison by `bool` says 0 or 1, and an alert
/// fires for both.
fn compares(expression: &str) -> bool {
    let (mut bare, mut quote, mut depth, mut escaped, mut comment) = (String::new(), None, 0_u32, false, false);
    for c in expression.chars() {
        match (quote, c) {
            _ if comment => comment = c != '\n',
            (Some(_), _) if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '#') => comment = true,
            (None, '{') => depth += 1,
            (None, '}') => depth = depth.saturating_sub(1),
            (None, _) if depth == 0 => bare.push(c),
            _ => {}
        }
        // What is left out parts the words beside it.
        if comment && !bare.ends_with(' ') {
            bare.push(' ');
        }
    }
    let words = |word: &str| bare.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|found| found == word);
    let by_bool = |after: &str| {
        let rest = after.trim_start();
        let word = rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("bool"));
        word && !rest[4..].starts_with(|c: char| c.is_ascii_alphanumeric() || "_:".contains(c))
    };
    let filters = |operator: &str| {
        bare.match_indices(operator).any(|(at, _)| {
            let after = &bare[at + operator.len()..];
            !by_bool(after.strip_prefix('=').unwrap_or(after))
        })
    };
    ["<", ">", "==", "!="].iter().any(|operator| filters(operator))
        || ["absent", "absent_over_time", "unless", "and"].iter().any(|word| words(word))
}

impl AlertRules {
    /// These rules as one group, if somebody can act on each of them.
    ///
    /// # Errors
    ///
    /// [`Unactionable`] with everything that is wrong, so that it can be mended together.
    pub fn new(group: impl Into<String>, rules: impl IntoIterator<Item = AlertRule>) -> Result<Self, Unactionable> {
        let rules: Vec<AlertRule> = rules.into_iter().collect();
        let findings = lint(&rules);
        if findings.is_empty() { Ok(Self { group: group.into(), rules }) } else { Err(Unactionable { findings }) }
    }

    /// The name of the group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[AlertRule] {
        &self.rules
    }

    /// A rule file for Prometheus. It is JSON, which is YAML too.
    #[must_use]
    pub fn rule_file(&self) -> String {
        let rule = |rule: &AlertRule| {
            json!({
                "alert": rule.name,
                "expr": rule.expression,
                "for": duration(rule.hold_for.unwrap_or_default()),
                "labels": rule.all_labels(),
                "annotations": rule.annotations(),
            })
        };
        let rules: Vec<_> = self.rules.iter().map(rule).collect();
        format!("{:#}\n", json!({ "groups": [{ "name": self.group, "rules": rules }] }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AlertRule, AlertRules, AlertSeverity, Flaw, compares, lint};

    fn good() -> AlertRule {
        AlertRule::new("TooManyErrors", "sum(rate(e[5m])) / sum(rate(a[5m])) > 0.05")
            .hold_for(Duration::from_secs(60))
            .severity(AlertSeverity::Critical)
            .owner("team-shop")
            .runbook("https://runbooks.example/errors")
            .summary("more than one in twenty requests fails")
    }

    /// Rows: M51, M125.
    #[test]
    fn each_thing_that_a_rule_lacks_is_refused_by_its_name() {
        assert!(AlertRules::new("shop", [good()]).is_ok());
        let found = |rule: AlertRule| lint(&[rule]).into_iter().map(|finding| finding.flaw).collect::<Vec<_>>();
        assert_eq!(found(AlertRule { severity: None, ..good() }), [Flaw::NoSeverity]);
        assert_eq!(found(AlertRule { owner: None, ..good() }), [Flaw::NoOwner]);
        assert_eq!(found(good().owner("  ")), [Flaw::NoOwner]);
        assert_eq!(found(AlertRule { runbook: None, ..good() }), [Flaw::NoRunbook]);
        assert_eq!(found(good().runbook("ask ada")), [Flaw::RunbookIsNoUrl]);
        assert_eq!(found(good().runbook("https:///x")), [Flaw::RunbookIsNoUrl]);
        assert_eq!(found(AlertRule { summary: None, ..good() }), [Flaw::NoSummary]);
        assert_eq!(found(good().summary("TODO: describe")), [Flaw::Placeholder]);
        assert_eq!(found(AlertRule { hold_for: None, ..good() }), [Flaw::NoDuration]);
        assert_eq!(found(good().hold_for(Duration::ZERO)), [Flaw::NoDuration]);
        assert_eq!(found(AlertRule { hold_for: None, ..good() }.severity(AlertSeverity::Info)), []);
        assert_eq!(found(good().hold_for(Duration::from_secs(86_400))), [Flaw::TooLong]);
        assert_eq!(found(AlertRule { name: "too many".to_owned(), ..good() }), [Flaw::NoName]);
        assert_eq!(found(AlertRule { expression: "sum(rate(e[5m]))".to_owned(), ..good() }), [Flaw::ComparesNothing]);
        let error = AlertRules::new("shop", [good(), good(), AlertRule::new("", "")]).expect_err("refused");
        assert_eq!(error.findings.len(), 1 + 7, "{error}");
        assert_eq!(error.findings[0].flaw, Flaw::NameTwice);
        assert!(error.to_string().contains("another rule has its name"), "{error}");
    }

    #[test]
    fn comparisons_in_selectors_and_strings_are_none() {
        assert!(!compares("up{job!=\"a\"}"));
        assert!(!compares("label_replace(up, \"a\", \"x > \\\" y\", \"\", \"\")"));
        assert!(compares("up{job=\"a\"} == 0") && compares("absent(up)") && compares("a unless b"));
        assert!(!compares("up # > 0") && !compares("up # and\n"));
        assert!(compares("up # why\n == 0") && compares("up{a=\"#\"} == 0") && compares("up{a=`\\`} == 0"));
        for operator in ["<", ">", "<=", ">=", "==", "!="] {
            assert!(!compares(&format!("x {operator} bool 0.05")) && !compares(&format!("x{operator}BOOL(y)")));
            assert!(compares(&format!("x {operator} 0.05")) && compares(&format!("x {operator} boolean")));
            assert!(compares(&format!("sum(x {operator} bool y) > 3")), "the one outside filters");
        }
        assert!(!compares("absentee") && !compares("sum by (band) (x)"));
    }
}
