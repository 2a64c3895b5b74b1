//! Conditions of Argo Rollouts: the part of its expression language (expr-lang) that manifests use, evaluated exactly.
//!
//! | part | what |
//! |---|---|
//! | values | numbers, texts, `true`, `false`, `nil`, `result` |
//! | inside a value | `.name`, `["name"]`, `[0]`, `[-1]` |
//! | operators | `== != < <= > >=`, `&& and \|\| or ! not`, `+ - * / %`, `in`, `contains`, `startsWith`, `endsWith`, `matches`, `? :`, `??` |
//! | functions | `asInt asFloat isNaN isInf isNil default len abs`, and over lists `all any none one count filter map` with `#` |
//!
//! Types are checked against the value before anything is evaluated, as the peer does: comparing a number with a text is an error, not
//! false. Whatever else the language has is refused when the condition is read, by name.

mod check;
mod evaluate;
mod parse;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(super) use self::evaluate::Datum;
pub(super) use self::parse::{Expr, Operator};

/// A condition over a measured value.
///
/// ```
/// use deploy_strategies::import::Expression;
/// use serde_json::json;
///
/// let condition = Expression::parse("len(result) == 0 || all(result, # < 0.05)")?;
/// assert_eq!(condition.evaluate(&json!([0.01, 0.02])), Ok(true));
/// assert_eq!(condition.evaluate(&json!([0.01, 0.2])), Ok(false));
/// assert!(condition.evaluate(&json!(0.01)).is_err(), "a number has no length");
///
/// let unknown = Expression::parse("now().Hour() < 18").expect_err("not a part that is evaluated");
/// assert_eq!(unknown.to_string(), "now at character 1 is not evaluated here");
/// # Ok::<(), deploy_strategies::import::ExpressionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression {
    text: String,
    tree: Expr,
}

/// A condition that cannot be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(String);

impl ExpressionError {
    pub(super) fn new(wrong: impl Into<String>) -> Self {
        Self(wrong.into())
    }
}

impl Expression {
    /// Reads a condition.
    ///
    /// # Errors
    ///
    /// [`ExpressionError`] names the first character that is not understood, or the part of the language that is not evaluated here.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let tree = parse::parse(text)?;
        Ok(Self { text: text.to_owned(), tree })
    }

    /// Whether it holds for a value, as JSON gives it: every number is a floating-point one.
    ///
    /// # Errors
    ///
    /// [`ExpressionError`] where the peer says `Error`: types that do not fit, a place that is not there, an answer that is neither
    /// true nor false.
    pub fn evaluate(&self, result: &serde_json::Value) -> Result<bool, ExpressionError> {
        self.holds(&Datum::of(result))
    }

    pub(super) fn holds(&self, result: &Datum) -> Result<bool, ExpressionError> {
        check::check(&self.tree, result)?;
        match evaluate::evaluate(&self.tree, result)? {
            Datum::Bool(is) => Ok(is),
            other => Err(ExpressionError::new(format!("{} is {}, neither true nor false", self.text, other.kind()))),
        }
    }

    pub(super) fn tree(&self) -> &Expr {
        &self.tree
    }

    /// The condition as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Expression {
    type Error = ExpressionError;
    fn try_from(text: String) -> Result<Self, ExpressionError> {
        Self::parse(&text)
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.text
    }
}
