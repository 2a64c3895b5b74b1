//! A document as Markdown.

use std::fmt::{self, Display, Write};

use deploy_core::journal::QueuePolicy;
use deploy_core::plan::{InFlightPolicy, OnFailure, RollbackTo};
use deploy_core::release::ReleaseKind;

use super::super::{
    ApprovalDocument, ChecklistDocument, Declared, GateDocument, KeyDocument, NeedDocument, PhaseDocument,
    PipelineDocument, RetryDocument, RolloutDocument, StepDocument, StepWork, TaskDocument, VerifyDocument,
};

impl PipelineDocument {
    /// This document as Markdown, for people; the loader (feature `workflow-md`) reads the same document back.
    ///
    /// ```
    /// use deploy_agents::documents::Loaded;
    ///
    /// let text = r#"{ "format": 1, "name": "release-api", "rollback": "previous", "phases": [
    ///   { "name": "ship", "steps": [{ "name": "bake", "soak": "1h" }] }
    /// ] }"#;
    /// let page = Loaded::json(text)?.document.to_markdown();
    /// assert!(page.contains("### Step `bake`"), "{page}");
    /// # Ok::<(), deploy_agents::documents::DocumentErrors>(())
    /// ```
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut page = String::new();
        // Writing to a text cannot fail.
        let _ = write_document(&mut page, self);
        page
    }
}

fn write_document(page: &mut String, document: &PipelineDocument) -> fmt::Result {
    writeln!(page, "# Workflow `{}`\n", document.name)?;
    about(page, &document.about)?;
    writeln!(page, "## Settings\n")?;
    match &document.rollback {
        RollbackTo::Previous => writeln!(page, "- Way back: `previous`")?,
        RollbackTo::Remove => writeln!(page, "- Way back: `remove`")?,
        RollbackTo::None { reason } => writeln!(page, "- Way back: `none`: {}", escape(reason))?,
    }
    match document.queue {
        QueuePolicy::Fifo => {}
        QueuePolicy::NewestWins | QueuePolicy::Reject | QueuePolicy::Priority => {
            writeln!(page, "- Queue: `{}`", document.queue.name())?;
        }
    }
    match document.in_flight {
        InFlightPolicy::Finish => {}
        InFlightPolicy::Supersede => writeln!(page, "- In flight: `supersede`")?,
    }
    if let Some(width) = document.width {
        writeln!(page, "- At once: `{width}`")?;
    }
    for (name, gate) in &document.gates {
        declared(page, "Gate", name, gate)?;
    }
    for (name, strategy) in &document.strategies {
        declared(page, "Strategy", name, strategy)?;
    }
    for (number, phase) in (1..).zip(&document.phases) {
        write_phase(page, number, phase)?;
    }
    document.checklists.iter().try_for_each(|list| checklist(page, list))
}

fn about(page: &mut String, text: &str) -> fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    for line in text.split('\n') {
        let gap = if line.is_empty() { "" } else { " " };
        writeln!(page, ">{gap}{}", escape(line))?;
    }
    writeln!(page)
}

fn declared(page: &mut String, what: &str, name: &str, block: &Declared) -> fmt::Result {
    writeln!(page, "\n## {what} `{name}` of kind `{}`\n\n```json\n{:#}\n```", block.kind, block.with)
}

fn write_phase(page: &mut String, number: usize, phase: &PhaseDocument) -> fmt::Result {
    writeln!(page, "\n## Phase {number}: `{}`\n", phase.name)?;
    about(page, &phase.about)?;
    let names = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if let Some(lead) = &phase.lead {
        writeln!(page, "- Lead: `{lead}`")?;
    }
    for (label, named) in
        [("Supporting", &phase.supporting), ("Entry gates", &phase.entry), ("Exit gates", &phase.exit)]
    {
        if !named.is_empty() {
            writeln!(page, "- {label}: {}", names(named))?;
        }
    }
    if let Some(length) = phase.hold_at_most {
        writeln!(page, "- Hold at most: `{length}`")?;
    }
    if let Some(kinds) = &phase.only_for {
        writeln!(page, "- Only for: `{}`", kinds_text(kinds))?;
    }
    for step in &phase.steps {
        write_step(page, step)?;
    }
    if !phase.promises.is_empty() {
        writeln!(page, "\n### Deliverables\n")?;
        for promise in &phase.promises {
            writeln!(page, "- `{}`", key(promise))?;
        }
    }
    Ok(())
}

fn write_step(page: &mut String, step: &StepDocument) -> fmt::Result {
    writeln!(page, "\n### Step `{}`\n", step.name)?;
    about(page, &step.about)?;
    let mut line = Line::default();
    let mut checks: &[VerifyDocument] = &[];
    match &step.work {
        StepWork::Task(task) => {
            line.task(task);
            checks = &task.verify;
        }
        StepWork::Gate(gate) => line.gate(gate),
        StepWork::Approval(approval) => {
            line.command("approve", None);
            line.approval("", approval);
        }
        StepWork::Soak(length) => {
            line.command("soak", None);
            line.argument("for", length);
        }
        StepWork::Rollout(rollout) => line.rollout(rollout),
    }
    if !step.after.is_empty() {
        line.argument("after", step.after.join(","));
    }
    match &step.on_failure {
        OnFailure::RollBack => {}
        OnFailure::Continue { reason } => line.argument("continue-on-failure", reason),
    }
    if let Some(kinds) = &step.only_for {
        line.argument("only-for", kinds_text(kinds));
    }
    writeln!(page, "```text\n{}\n```", line.0)?;
    if !checks.is_empty() {
        writeln!(page)?;
    }
    checks.iter().try_for_each(|check| writeln!(page, "- [ ] `{}`", verify(check)))
}

fn checklist(page: &mut String, list: &ChecklistDocument) -> fmt::Result {
    writeln!(page, "\n## Checklist: {}\n", escape(&list.title))?;
    for item in &list.items {
        write!(page, "- [ ] {}:", escape(&item.text))?;
        for check in &item.checks {
            write!(page, " `{check}`")?;
        }
        if let Some(manual) = &item.manual {
            write!(page, " `manual:{manual}`")?;
        }
        writeln!(page)?;
    }
    Ok(())
}

fn key(key: &KeyDocument) -> String {
    key.version.map_or_else(|| key.name.clone(), |version| format!("{}@{version}", key.name))
}

fn need(need: &NeedDocument) -> String {
    let key = key(&KeyDocument { name: need.name.clone(), version: need.version });
    need.from.as_ref().map_or_else(|| key.clone(), |from| format!("{key}<{from}"))
}

fn kinds_text(kinds: &[ReleaseKind]) -> String {
    kinds.iter().map(|kind| kind.to_string().replace(' ', "_")).collect::<Vec<_>>().join(",")
}

fn verify(check: &VerifyDocument) -> String {
    let mut line = Line(check.check.clone());
    line.maybe("kind", check.kind.as_ref());
    line.maybe("max-age", check.max_age);
    line.maybe("self-attested", check.self_attested);
    line.0
}

/// One line of a command with its arguments.
#[derive(Default)]
struct Line(String);

impl Line {
    fn command(&mut self, command: &str, name: Option<&str>) {
        self.0 = format!("/{command}");
        if let Some(name) = name {
            self.0.push(' ');
            self.0.push_str(&word(name));
        }
    }

    fn argument(&mut self, name: &str, value: impl Display) {
        self.0.push_str(&format!(" --{name}={}", word(&value.to_string())));
    }

    fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.argument(name, value);
        }
    }

    fn retry(&mut self, prefix: &str, retry: Option<&RetryDocument>) {
        let Some(retry) = retry else { return };
        self.argument(&format!("{prefix}attempts"), retry.attempts);
        self.maybe(&format!("{prefix}backoff"), retry.backoff);
        self.maybe(&format!("{prefix}growth-percent"), retry.growth_percent);
        self.maybe(&format!("{prefix}backoff-at-most"), retry.backoff_at_most);
        self.maybe(&format!("{prefix}jitter-percent"), retry.jitter_percent);
    }

    fn task(&mut self, task: &TaskDocument) {
        self.command("task", Some(&task.agent));
        for needed in &task.needs {
            self.argument("needs", need(needed));
        }
        for provided in &task.provides {
            self.argument("provides", key(provided));
        }
        self.maybe("timeout", task.timeout);
        self.retry("", task.retry.as_ref());
        if let Some(undo) = &task.undo {
            self.argument("undo", &undo.agent);
            self.retry("undo-", undo.retry.as_ref());
            self.maybe("undo-timeout", undo.timeout);
        }
        if let Some(no_return) = &task.point_of_no_return {
            self.argument("no-return", &no_return.reason);
            self.approval("ask-", &no_return.ask);
        }
    }

    fn gate(&mut self, gate: &GateDocument) {
        self.command("gate", Some(&gate.name));
        self.maybe("hold-at-most", gate.hold_at_most);
        self.maybe("timeout", gate.timeout);
        self.retry("", gate.retry.as_ref());
    }

    fn approval(&mut self, prefix: &str, approval: &ApprovalDocument) {
        self.argument(&format!("{prefix}question"), &approval.question);
        for role in &approval.roles {
            self.argument(&format!("{prefix}role"), role);
        }
        for person in &approval.people {
            self.argument(&format!("{prefix}person"), person);
        }
        self.maybe(&format!("{prefix}quorum"), approval.quorum);
        if approval.self_approval {
            self.argument(&format!("{prefix}self-approval"), true);
        }
        self.maybe(&format!("{prefix}expires-after"), approval.expires_after);
    }

    fn rollout(&mut self, rollout: &RolloutDocument) {
        self.command("rollout", Some(&rollout.strategy));
        self.argument("target", &rollout.target);
        for monitor in &rollout.monitors {
            self.argument("monitor", monitor);
        }
        self.maybe("observe-every", rollout.observe_every);
        self.maybe("errors-at-most", rollout.errors_at_most);
        self.maybe("reassert-at-most", rollout.reassert_at_most);
        self.maybe("timeout", rollout.timeout);
        self.maybe("undo-timeout", rollout.undo_timeout);
    }
}

/// A value as it stands in a command: bare where it is one plain word, otherwise quoted as in JSON.
fn word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+:@/,<".contains(c);
    if !value.is_empty() && !value.starts_with('-') && value.chars().all(plain) {
        value.to_owned()
    } else {
        serde_json::Value::from(value).to_string()
    }
}

/// A text in which no character means anything to Markdown.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '.' | ',' | '?' | '/' | '\'' | ';') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    // A number with a full stop at the beginning of a line would begin a list.
    match escaped.split_once('.') {
        Some((number, rest)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{number}\\.{rest}")
        }
        _ => escaped,
    }
}
