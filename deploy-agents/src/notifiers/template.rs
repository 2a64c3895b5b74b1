//! Texts with blanks that the release fills in.

use std::fmt;

use deploy_core::effect::EffectKey;
use deploy_core::release::Release;
use deploy_core::time::Timestamp;

/// What may stand between braces.
const BLANKS: [&str; 8] = ["service", "revision", "environment", "kind", "run", "step", "party", "starts"];

/// A text in which `{service}`, `{revision}`, `{environment}`, `{kind}`, `{run}`, `{step}`, `{party}` and `{starts}` are filled in.
/// A brace that is meant as such is written twice.
///
/// ```
/// use deploy_agents::notifiers::Template;
///
/// assert!(Template::new("{service} {revision} goes to {environment} at {starts}").is_ok());
/// let wrong = Template::new("{servcie} goes out").unwrap_err();
/// assert!(wrong.to_string().contains("{servcie}"), "{wrong}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Blank(&'static str),
}

/// What blanks are filled with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) release: &'a Release,
    pub(super) key: &'a EffectKey,
    pub(super) party: &'a str,
    pub(super) starts: Option<Timestamp>,
}

/// A text that is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Use one of the known blanks, or write the braces twice.
    #[error("nothing fills in {{{name}}} at character {at}; known are {}", BLANKS.join(", "))]
    Unknown {
        /// What stood between the braces.
        name: String,
        /// Where the brace stands, from 0.
        at: usize,
    },
    /// Close it, or write it twice.
    #[error("the brace at character {at} has no partner; one that is meant as such is written twice")]
    Brace {
        /// Where it stands, from 0.
        at: usize,
    },
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] says which brace was wrong, and where.
    pub fn new(text: impl AsRef<str>) -> Result<Self, TemplateError> {
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut chars = text.as_ref().chars().enumerate().peekable();
        while let Some((at, found)) = chars.next() {
            match found {
                '{' | '}' if chars.next_if(|(_, next)| *next == found).is_some() => plain.push(found),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some((_, '}')) => break,
                            Some((_, '{')) | None => return Err(TemplateError::Brace { at }),
                            Some((_, other)) => name.push(other),
                        }
                    }
                    let known = BLANKS.iter().find(|known| **known == name);
                    let known = *known.ok_or(TemplateError::Unknown { name, at })?;
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Blank(known));
                }
                '}' => return Err(TemplateError::Brace { at }),
                other => plain.push(other),
            }
        }
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// Fills the blanks in. What is filled in is data: a brace in it means nothing.
    pub(super) fn fill(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Blank(name) => text.push_str(&values.of(name)),
            }
        }
        text
    }
}

impl Values<'_> {
    fn of(&self, name: &str) -> String {
        let shown: &dyn fmt::Display = match name {
            "service" => &self.release.service,
            "revision" => &self.release.revision,
            "environment" => &self.release.environment,
            "kind" => &self.release.kind,
            "run" => &self.key.run,
            "step" => &self.key.step,
            "party" => &self.party,
            _ => match &self.starts {
                Some(starts) => starts,
                None => &"the time when everybody has been told",
            },
        };
        shown.to_string()
    }
}
