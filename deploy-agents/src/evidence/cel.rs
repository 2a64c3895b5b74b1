//! Policies in CEL, the Common Expression Language. Feature `cel`.

use cel::{Context, ExecutionError, Program, Value};
use deploy_core::digest::Digest;
use serde::{Serialize, Serializer};

use super::facts::{PolicyFacts, PolicyOutcome, PolicyResult};
use super::json::{Document, Tree, clip};
use super::{ReadError, Source};

/// The longest policy, in bytes. One sentence of CEL is rarely longer than 500.
const LONGEST_POLICY: usize = 16 * 1024;

/// A policy: an expression over `input` that is `true` where it is kept.
///
/// The text belongs to the host: it is reviewed and kept in a repository, never taken from an input. CEL has no loops but over
/// what is there and no effects; nested comprehensions over a long list may still take long.
///
/// ```
/// use deploy_agents::evidence::Source;
/// use deploy_agents::evidence::cel::Policy;
/// use deploy_agents::evidence::facts::PolicyOutcome;
///
/// let policy = Policy::compile("replicas", "input.spec.replicas >= 2")?;
/// let facts = policy.evaluate(&Source::new("web.json", br#"{"spec": {"replicas": 3}}"#))?;
/// assert_eq!(facts.results[0].outcome, PolicyOutcome::Kept);
/// let facts = policy.evaluate(&Source::new("web.json", br#"{"spec": {}}"#))?;
/// assert_eq!(facts.results[0].outcome, PolicyOutcome::Undefined);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Policy {
    name: String,
    digest: Digest,
    program: Program,
}

/// A text that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy {name:?} is no CEL expression: {reason}")]
#[non_exhaustive]
pub struct PolicyError {
    /// The policy.
    pub name: String,
    /// What was wrong.
    pub reason: String,
}

impl Policy {
    /// Compiles a policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with the words of the compiler.
    pub fn compile(name: impl Into<String>, text: &str) -> Result<Self, PolicyError> {
        let name = name.into();
        if text.len() > LONGEST_POLICY {
            let reason = format!("{} bytes; at most {LONGEST_POLICY} are read", text.len());
            return Err(PolicyError { name, reason });
        }
        match Program::compile(text) {
            Ok(program) => Ok(Self { name, digest: Digest::of(text.as_bytes()), program }),
            Err(errors) => Err(PolicyError { name, reason: clip(&errors.to_string(), 500) }),
        }
    }

    /// The digest of its text, so that a verdict says which policy it is of.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Evaluates the policy over a JSON document.
    ///
    /// A field that is not there makes the policy `Undefined`, and a value that is no boolean `Unevaluated`: neither is kept.
    ///
    /// # Errors
    ///
    /// [`ReadError`], with the place, if the input is no JSON.
    pub fn evaluate(&self, source: &Source<'_>) -> Result<PolicyFacts, ReadError> {
        let document = Document::parse(source, &[])?;
        let root = document.root();
        let mut context = Context::default();
        let (outcome, message) = match context.add_variable("input", Input(root.tree)) {
            Err(error) => (PolicyOutcome::Unevaluated, error.to_string()),
            Ok(()) => match self.program.execute(&context) {
                Ok(Value::Bool(true)) => (PolicyOutcome::Kept, String::new()),
                Ok(Value::Bool(false)) => (PolicyOutcome::Broken, String::new()),
                Ok(_) => (PolicyOutcome::Unevaluated, "its value is neither true nor false".to_owned()),
                Err(error @ (ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_))) => {
                    (PolicyOutcome::Undefined, error.to_string())
                }
                Err(error) => (PolicyOutcome::Unevaluated, error.to_string()),
            },
        };
        let result = PolicyResult {
            rule: self.name.clone(),
            input: clip(source.file, 300),
            outcome,
            message: clip(&message, 500),
            at: root.at(),
        };
        Ok(PolicyFacts {
            engine: "cel".to_owned(),
            policy: Some(self.digest),
            results: vec![result],
            successes: 0,
            doubts: Vec::new(),
        })
    }
}

/// A JSON value as CEL sees it: whole numbers are `int`, so that `input.count > 0` compares like with like.
struct Input<'a>(&'a Tree);

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Tree::Whole(number) => match i64::try_from(*number) {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.serialize_u64(*number),
            },
            Tree::List(items) => serializer.collect_seq(items.iter().map(Input)),
            Tree::Object(entries) => serializer.collect_map(entries.iter().map(|(name, value)| (name, Input(value)))),
            other => other.serialize(serializer),
        }
    }
}
