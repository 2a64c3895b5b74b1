//! Why a document is no pipeline on this host.

use std::fmt;

use deploy_core::pipeline;

/// A document that cannot be read or bound, with every reason that was found, in the order of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentErrors {
    /// The pipeline, or what the document is called where it has no name yet.
    pub document: String,
    /// At least one.
    pub problems: Vec<DocumentProblem>,
}

impl std::error::Error for DocumentErrors {}

impl fmt::Display for DocumentErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, s) = (self.problems.len(), if self.problems.len() == 1 { "" } else { "s" });
        write!(f, "pipeline document {} is no pipeline here; {count} problem{s}:", self.document)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// One reason, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentProblem {
    /// The line, from 1, where the document came from a text.
    pub line: Option<u32>,
    /// The place in the document as data: a JSON pointer (RFC 6901).
    pub at: String,
    /// What is wrong there.
    pub fault: DocumentFault,
}

impl fmt::Display for DocumentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.at.as_str()) {
            (Some(line), "") => write!(f, "line {line}: {}", self.fault),
            (Some(line), at) => write!(f, "line {line} ({at}): {}", self.fault),
            (None, "") => write!(f, "the document: {}", self.fault),
            (None, at) => write!(f, "{at}: {}", self.fault),
        }
    }
}

/// What is wrong in a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentFault {
    /// The text is not of its format, or says something that is not in it: mend the text.
    #[error("{0}")]
    Unreadable(String),
    /// The document is of another format: write it anew, or use a build that reads it.
    #[error("its format is {0}, and {format} is read here; {advice}", advice = format_advice(*.0), format = super::FORMAT)]
    Format(u32),
    /// The host has no such thing: correct the name, or register it.
    #[error("{what} {name:?} is not known here{}", suggest(nearest))]
    Unbound {
        /// What was looked for.
        what: &'static str,
        /// Its name, as it stands in the document.
        name: String,
        /// The nearest name that is known.
        nearest: Option<String>,
    },
    /// Two things are declared under one name: rename one.
    #[error("{what} {name:?} is declared here and registered by the host; rename the one that is declared")]
    Taken {
        /// What they are.
        what: &'static str,
        /// Their name.
        name: String,
    },
    /// Nothing uses what is declared: use it, or drop it.
    #[error("{what} {name:?} is declared and never used; use it, or drop it")]
    Unused {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The maker of a block refused its parameters: mend them.
    #[error("{what} {name:?} of kind {kind} cannot be made: {reason}")]
    Refused {
        /// What was to be made.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its kind.
        kind: String,
        /// The maker's own words.
        reason: String,
    },
    /// The agent's card does not list the deliverable: correct the name or version, or the card.
    #[error("agent {agent} does not {verb} {name:?} version {version}{}", suggest(nearest))]
    NotOnCard {
        /// The agent.
        agent: String,
        /// `need` or `provide`.
        verb: &'static str,
        /// The deliverable.
        name: String,
        /// Its version, or `any`.
        version: String,
        /// The nearest that is on the card.
        nearest: Option<String>,
    },
    /// An item of a checklist has neither a check nor a person: bind it.
    #[error("item {0:?} has no check, and no step at which people say so; give it one of the two")]
    UnboundItem(String),
    /// What is meant to be a question to people is another kind of step: name an approval.
    #[error("step {0:?} is no approval, so that nobody is asked there")]
    NoApproval(String),
    /// The builder of pipelines refused it.
    #[error("{}; {}", .0, .0.mend())]
    Pipeline(pipeline::Fault),
}

fn format_advice(found: u32) -> &'static str {
    match found > super::FORMAT {
        true => "use the build that wrote it, or a newer one",
        false => "write it anew",
    }
}

fn suggest(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// The known name that is nearest to a text, if one is near enough to be meant.
pub(super) fn nearest<'n>(text: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let plain = |text: &str| text.to_lowercase().replace(['_', ' ', '.', '/'], "-");
    let wanted = plain(text);
    // A third of a name may be wrong: more than that, and it is another name.
    let most = (wanted.chars().count() / 3).max(1);
    let distance = |name: &str| strsim::damerau_levenshtein(&wanted, &plain(name));
    let near = known.into_iter().map(|name| (distance(name), name)).filter(|(far, _)| *far <= most);
    near.min().map(|(_, name)| name.to_owned())
}
