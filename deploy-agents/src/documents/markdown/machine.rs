//! The machine that reads a workflow from its beginning to its end.

use deploy_core::journal::QueuePolicy;
use deploy_core::plan::{InFlightPolicy, RollbackTo};

use super::super::document::FORMAT;
use super::super::lines::escaped;
use super::super::problem::nearest;
use super::super::read::sized;
use super::super::registry::slug;
use super::super::{
    ChecklistDocument, Declared, DocumentErrors, DocumentFault, DocumentProblem, ItemDocument, Lines, Loaded,
    PipelineDocument, Registry,
};
use super::blocks::{Block, Placed, Words, blocks};

impl Loaded {
    /// Reads a workflow in Markdown, in the style of a page for people; what [`PipelineDocument::to_markdown`] writes is one.
    /// Agents and checks are found in `registry`: by name, by their words as a name, by alias.
    ///
    /// The text is data: none of it is ever shown to a language model or a shell by reading it.
    ///
    /// ```
    /// use deploy_agents::documents::{Loaded, Registry};
    /// # use deploy_core::agent::{AgentCard, Report, agent_fn};
    /// # use deploy_core::evidence::{Check, Verdict};
    /// # let builder = agent_fn(AgentCard::new("cicd-builder".try_into()?, "builds"), |_task, _cx| async { Ok(Report::new()) });
    /// # let tests_pass = Check::new("tests-pass".try_into()?, |_| Verdict::Pass);
    /// let registry = Registry::new().agent(builder).check(tests_pass).alias("all tests have passed", "tests-pass");
    /// let page = "
    /// ## Release API
    ///
    /// Way back: previous
    ///
    /// ### Phase 1: Build
    ///
    /// /cicd-builder --timeout=10m
    ///
    /// - [ ] All tests have passed
    /// ";
    /// let loaded = Loaded::markdown(page, &registry)?;
    /// assert_eq!(loaded.document.phases[0].steps[0].name, "cicd-builder");
    /// assert!(loaded.bind(&registry).is_ok());
    ///
    /// let refused = Loaded::markdown(&page.replace("passed", "run"), &registry).unwrap_err();
    /// assert!(refused.to_string().contains("line 10"), "{refused}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DocumentErrors`] names everything that cannot be bound, each with its line.
    pub fn markdown(text: &str, registry: &Registry) -> Result<Self, DocumentErrors> {
        sized(text)?;
        let mut machine = Machine::new(registry);
        for Placed { line, block } in blocks(text) {
            machine.line = line;
            machine.block(block);
        }
        machine.finish()
    }
}

/// Where the machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Section {
    /// Before the first phase, after one, or in a section that means nothing.
    Prose,
    /// A section of examples, in which even commands mean nothing.
    Examples,
    /// In a phase, at no step.
    Phase,
    /// At a step of the phase.
    Step,
    /// After a command that could not be read: what belongs to its step is passed over, since that was said.
    Lost,
    /// In the list of what the phase promises.
    Deliverables,
    /// In the table of this gate.
    Matrix(String),
    /// In this checklist.
    Checklist(usize),
    /// After the heading of a block that is made from parameters: a gate or else a strategy, its name, its kind.
    Declared { gate: bool, name: String, kind: String },
}

pub(super) struct Machine<'r> {
    pub(super) registry: &'r Registry,
    pub(super) document: PipelineDocument,
    pub(super) lines: Lines,
    pub(super) section: Section,
    pub(super) line: u32,
    /// The level of the heading of the phase that is open; absent: none is.
    pub(super) phase: Option<usize>,
    /// The name that a heading gave to the step to come, and the line.
    pub(super) coming: Option<String>,
    /// The agent of the step that was named by words, until a command says more of it.
    pub(super) worded: bool,
    /// What stands before the first command of a coming step.
    pub(super) coming_about: String,
    rollback: Option<RollbackTo>,
    titled: bool,
    problems: Vec<DocumentProblem>,
}

impl<'r> Machine<'r> {
    fn new(registry: &'r Registry) -> Self {
        let document = PipelineDocument {
            format: FORMAT,
            name: String::new(),
            about: String::new(),
            rollback: RollbackTo::Previous,
            queue: QueuePolicy::default(),
            in_flight: InFlightPolicy::default(),
            width: None,
            gates: std::collections::BTreeMap::new(),
            strategies: std::collections::BTreeMap::new(),
            phases: Vec::new(),
            checklists: Vec::new(),
        };
        Self {
            registry,
            document,
            lines: Lines::default(),
            section: Section::Prose,
            line: 1,
            phase: None,
            coming: None,
            worded: false,
            coming_about: String::new(),
            rollback: None,
            titled: false,
            problems: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, fault: DocumentFault) {
        self.problems.push(DocumentProblem { line: Some(self.line), at: String::new(), fault });
    }

    pub(super) fn wrong(&mut self, what: impl Into<String>) {
        self.fault(DocumentFault::Unreadable(what.into()));
    }

    pub(super) fn mark(&mut self, pointer: String) {
        self.lines.set(pointer, self.line);
    }

    fn finish(mut self) -> Result<Loaded, DocumentErrors> {
        self.step_must_have_come();
        if !self.titled {
            self.line = 1;
            self.wrong("it has no heading, and so no name; begin with `# Name of the pipeline`");
        }
        match self.rollback.take() {
            Some(rollback) => self.document.rollback = rollback,
            None => {
                self.line = 1;
                self.wrong("it does not say where a failed release goes back to; write `Way back: previous`, `remove`, or `none` with the reason");
            }
        }
        if self.document.phases.is_empty() && self.titled {
            self.line = 1;
            self.wrong("it has no phases; begin one with a heading `Phase 1: …`");
        }
        if self.problems.is_empty() {
            return Ok(Loaded { document: self.document, lines: self.lines });
        }
        self.problems.sort_by_key(|problem| problem.line);
        let name = if self.document.name.is_empty() { "without a name".to_owned() } else { self.document.name };
        Err(DocumentErrors { document: name, problems: self.problems })
    }

    fn block(&mut self, block: Block) {
        match block {
            Block::Heading { level, words } => self.heading(level, &words),
            Block::Paragraph(words) => self.lines_of(&words),
            Block::Item { boxed: true, words } => self.boxed(&words),
            Block::Item { boxed: false, words } => self.item(&words),
            Block::Row { head, cells } => self.row(head, &cells),
            Block::Fence { kind, body } => self.fence(&kind, &body),
            Block::Quote(text) => self.quote(text),
        }
    }

    fn heading(&mut self, level: usize, words: &Words) {
        self.step_must_have_come();
        let text = words.plain();
        let lower = text.to_lowercase();
        let has = |what: &str| lower.contains(what);
        if !self.titled {
            self.titled = true;
            self.document.name = words.codes().next().map_or_else(|| slug(&text), str::to_owned);
            self.mark("/name".to_owned());
            return;
        }
        if let Some(name) = phase_name(words) {
            return self.open_phase(level, name);
        }
        if has("example") || has("usage") {
            self.close_phase();
            self.section = Section::Examples;
            return;
        }
        if let Some((gate, name, kind)) = declaration(words) {
            self.close_phase();
            self.mark(format!("/{}/{}", if gate { "gates" } else { "strategies" }, escaped(&name)));
            self.section = Section::Declared { gate, name, kind };
            return;
        }
        if has("checklist") {
            let title = text.split_once(':').map_or(text.as_str(), |(_, title)| title).trim().to_owned();
            self.document.checklists.push(ChecklistDocument { title, items: Vec::new() });
            let index = self.document.checklists.len() - 1;
            self.mark(format!("/checklists/{index}"));
            self.section = Section::Checklist(index);
            return;
        }
        let Some(phase_level) = self.phase else {
            self.section = Section::Prose;
            return;
        };
        if lower.starts_with("step") {
            let after = words.after_colon();
            let name = words.codes().next().map_or_else(|| slug(&after.plain()), str::to_owned);
            if name.is_empty() {
                return self.wrong("a step has a name: write `Step: name`");
            }
            self.coming = Some(name);
            self.section = Section::Phase;
        } else if has("verification") {
            if self.section == Section::Lost {
                return;
            }
            if self.section != Section::Step && self.document.phases.last().is_none_or(|phase| phase.steps.is_empty()) {
                self.wrong("it verifies no step: put it after the step");
            } else {
                self.section = Section::Step;
            }
        } else if has("deliverable") {
            self.section = Section::Deliverables;
        } else if has("go/no-go") || has("decision matrix") {
            let name = words.codes().next().map_or_else(|| slug(&text), str::to_owned);
            self.begin_matrix(name);
        } else if let Some(agent) = self.agent_of(&text) {
            self.open_step_for(agent);
        } else if level <= phase_level {
            self.close_phase();
            self.section = Section::Prose;
        } else {
            self.section = Section::Phase;
        }
    }

    pub(super) fn close_phase(&mut self) {
        self.phase = None;
    }

    fn quote(&mut self, text: String) {
        match &self.section {
            Section::Phase if self.coming.is_some() => self.coming_about = text,
            Section::Phase => {
                if let Some(phase) = self.document.phases.last_mut() {
                    phase.about = text;
                }
            }
            Section::Prose if self.document.phases.is_empty() && self.document.about.is_empty() => {
                self.document.about = text;
            }
            _ => {}
        }
    }

    /// A paragraph: each line may be a command, or say something of the phase or the pipeline.
    fn lines_of(&mut self, words: &Words) {
        if words.before_code().is_empty() || !words.before_code().contains('\n') {
            return self.item(words);
        }
        let first = self.line;
        for (number, line) in (0..).zip(split_lines(words)) {
            self.line = first + number;
            self.item(&line);
        }
    }

    /// A line or an item without a box.
    fn item(&mut self, words: &Words) {
        if self.section == Section::Examples {
            return;
        }
        let plain = words.plain();
        if let Some(line) = plain.starts_with('/').then_some(plain.as_str()) {
            // A path in a sentence is no command.
            if line.len() > 1 && line[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
                return self.command(line);
            }
        }
        if self.section == Section::Deliverables {
            return self.deliverable(words);
        }
        if let Some((label, _)) = words.before_code().split_once(':') {
            let label = slug(label);
            if self.phase.is_some() && self.said_of_phase(&label, words) {
                return;
            }
            if self.document.phases.is_empty() {
                self.said_of_pipeline(&label, words);
            }
        }
    }

    fn said_of_pipeline(&mut self, label: &str, words: &Words) {
        let value = words.after_colon();
        let first = value
            .codes()
            .next()
            .map_or_else(|| value.plain().split_whitespace().next().unwrap_or_default().to_lowercase(), str::to_owned);
        match label {
            "way-back" | "rollback" => {
                let way_back = match first.trim_end_matches([':', '.']) {
                    "previous" => RollbackTo::Previous,
                    "remove" => RollbackTo::Remove,
                    "none" => {
                        let whole = value.plain();
                        let reason = whole.get("none".len()..).unwrap_or_default();
                        let reason = reason.strip_prefix(':').unwrap_or(reason).trim().to_owned();
                        RollbackTo::None { reason }
                    }
                    other => {
                        let near = nearest(other, ["previous", "remove", "none"]);
                        let (what, name) = ("way back", other.to_owned());
                        // Something was said, if nothing that is known: that alone is reported.
                        self.rollback = Some(RollbackTo::Previous);
                        return self.fault(DocumentFault::Unbound { what, name, nearest: near });
                    }
                };
                if self.rollback.replace(way_back).is_some() {
                    self.wrong("the way back is said twice");
                }
                self.mark("/rollback".to_owned());
            }
            "queue" => match first.as_str() {
                "fifo" => self.document.queue = QueuePolicy::Fifo,
                "newest_wins" => self.document.queue = QueuePolicy::NewestWins,
                "reject" => self.document.queue = QueuePolicy::Reject,
                "priority" => self.document.queue = QueuePolicy::Priority,
                _ => self
                    .wrong(format!("{first:?} is no policy of the queue; say fifo, newest_wins, reject or priority")),
            },
            "in-flight" => match first.as_str() {
                "finish" => self.document.in_flight = InFlightPolicy::Finish,
                "supersede" => self.document.in_flight = InFlightPolicy::Supersede,
                _ => self.wrong(format!("{first:?} is no policy for a run in flight; say finish or supersede")),
            },
            "at-once" => match first.parse() {
                Ok(width) => {
                    self.document.width = Some(width);
                    self.mark("/width".to_owned());
                }
                Err(_) => self.wrong(format!("{first:?} is no number of steps")),
            },
            _ => {}
        }
    }

    fn fence(&mut self, kind: &str, body: &str) {
        match self.section.clone() {
            Section::Examples => {}
            Section::Declared { gate, name, kind } => {
                let with = match serde_json::from_str(body) {
                    Ok(with) => with,
                    Err(error) => return self.wrong(format!("the parameters of {name} are no JSON: {error}")),
                };
                let all = if gate { &mut self.document.gates } else { &mut self.document.strategies };
                if all.insert(name.clone(), Declared { kind, with }).is_some() {
                    self.wrong(format!("{name} is declared twice"));
                }
                self.section = Section::Prose;
            }
            _ => {
                // Programs and data mean nothing here; commands stand in blocks of no kind.
                if !matches!(kind, "" | "text" | "txt") {
                    return;
                }
                let fence = self.line;
                for (number, line) in (1..).zip(body.lines()) {
                    self.line = fence + number;
                    if line.trim_start().starts_with('/') {
                        self.command(line);
                    }
                }
            }
        }
    }

    /// An item with a box: a check of a step, or an item of a checklist.
    fn boxed(&mut self, words: &Words) {
        match self.section.clone() {
            Section::Examples | Section::Lost => {}
            Section::Step => self.verify(words),
            Section::Checklist(list) => {
                let text = words.before_code().trim().trim_end_matches(':').trim_end().to_owned();
                let Some((checks, manual)) = self.bound(words) else { return };
                let items = self.document.checklists[list].items.len();
                let at = format!("/checklists/{list}/items/{items}");
                self.mark(at);
                let text = if text.is_empty() { words.plain() } else { text };
                self.document.checklists[list].items.push(ItemDocument { text, checks, manual });
            }
            Section::Prose | Section::Phase | Section::Deliverables | Section::Matrix(_) | Section::Declared { .. } => {
                let text = words.plain();
                self.wrong(format!(
                    "the item {text:?} belongs to no step and no checklist; put it after a step, or under a heading with \"checklist\""
                ));
            }
        }
    }

    /// The checks that an item is bound to, and the approval at which people say it.
    pub(super) fn bound(&mut self, words: &Words) -> Option<(Vec<String>, Option<String>)> {
        let (mut checks, mut manual) = (Vec::new(), None);
        for code in words.codes() {
            match code.strip_prefix("manual:") {
                Some(path) => manual = Some(path.to_owned()),
                None => checks.extend(self.check(code)?),
            }
        }
        if checks.is_empty() && manual.is_none() {
            checks = self.check(&words.plain())?;
        }
        Some((checks, manual))
    }

    /// The checks of a name, or of words that the host has an alias for: one name, or several with commas.
    pub(super) fn check(&mut self, text: &str) -> Option<Vec<String>> {
        let text = text.trim().trim_end_matches(':');
        let known = |name: &str| self.registry.checks.keys().any(|check| check.as_str() == name);
        if known(text) {
            return Some(vec![text.to_owned()]);
        }
        let words = slug(text);
        if known(&words) {
            return Some(vec![words]);
        }
        if let Some(names) = self.registry.aliases.get(&words) {
            return Some(names.split(',').map(|name| name.trim().to_owned()).collect());
        }
        let checks = self.registry.checks.keys().map(deploy_core::name::CheckName::as_str);
        let near = nearest(&words, checks.chain(self.registry.aliases.keys().map(String::as_str)));
        self.fault(DocumentFault::Unbound { what: "check", name: text.to_owned(), nearest: near });
        None
    }

    /// The agent that a text names: by name, by its words as a name, by alias.
    pub(super) fn agent_of(&self, text: &str) -> Option<String> {
        let text = text.trim().trim_end_matches(['.', ':']);
        let numbered = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace());
        let words = slug(numbered);
        let bare = words.strip_prefix("the-").unwrap_or(&words);
        let bare = bare.strip_suffix("-agent").unwrap_or(bare);
        [text, words.as_str(), bare].into_iter().find_map(|name| {
            let there = self.registry.find_agent(name).map(|_| name.to_owned());
            there.or_else(|| {
                let meant = self.registry.aliases.get(name)?;
                self.registry.find_agent(meant).map(|_| meant.clone())
            })
        })
    }

    pub(super) fn agent(&mut self, text: &str) -> Option<String> {
        let found = self.agent_of(text);
        if found.is_none() {
            let agents = self.registry.agents.keys().map(deploy_core::name::BlockName::as_str);
            let near = nearest(&slug(text), agents.chain(self.registry.aliases.keys().map(String::as_str)));
            self.fault(DocumentFault::Unbound { what: "agent", name: text.to_owned(), nearest: near });
        }
        found
    }
}

/// The lines of words that have line breaks.
fn split_lines(words: &Words) -> Vec<Words> {
    use super::blocks::Span;
    let mut lines = vec![Words::default()];
    for span in &words.0 {
        match span {
            Span::Code(_) => {
                if let Some(line) = lines.last_mut() {
                    line.0.push(span.clone());
                }
            }
            Span::Text(text) => {
                for (index, part) in text.split('\n').enumerate() {
                    if index > 0 {
                        lines.push(Words::default());
                    }
                    if let Some(line) = lines.last_mut().filter(|_| !part.is_empty()) {
                        line.0.push(Span::Text(part.to_owned()));
                    }
                }
            }
        }
    }
    lines
}

/// The name of a phase, where a heading begins one.
fn phase_name(words: &Words) -> Option<String> {
    let text = words.plain();
    let rest = text.to_lowercase().strip_prefix("phase")?.to_owned();
    let rest = rest.trim_start();
    // "Phase 3", "Phase: build", "Phase 2 - ship": a number, a colon, or both; "Phases" is another word.
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if after.len() == rest.len() && !rest.starts_with(':') {
        return None;
    }
    let title = after.trim_start_matches(|c: char| !c.is_alphanumeric());
    let name = words.codes().next().map_or_else(|| slug(title), str::to_owned);
    // "Phase 3" alone is its own name.
    Some(if name.is_empty() { slug(&text) } else { name })
}

/// Whether a heading declares a gate or a strategy: "Gate `x` of kind `y`".
fn declaration(words: &Words) -> Option<(bool, String, String)> {
    let gate = match words.before_code().trim().to_lowercase().as_str() {
        "gate" => true,
        "strategy" => false,
        _ => return None,
    };
    let mut codes = words.codes();
    Some((gate, codes.next()?.to_owned(), codes.next()?.to_owned()))
}
