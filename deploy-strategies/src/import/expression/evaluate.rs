//! From a tree and a value to an answer.

use std::collections::BTreeMap;

use super::ExpressionError;
use super::parse::{Each, Expr, Function, Operator};

/// A value while it is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Datum {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    /// The numbers of a Prometheus vector, of which the type is known.
    Numbers(Vec<f64>),
    Map(BTreeMap<String, Self>),
}

impl Datum {
    pub(crate) fn of(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Nil,
            Value::Bool(is) => Self::Bool(*is),
            Value::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(list) => Self::List(list.iter().map(Self::of).collect()),
            Value::Object(map) => Self::Map(map.iter().map(|(key, value)| (key.clone(), Self::of(value))).collect()),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) | Self::Numbers(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "the peer converts so before it compares")]
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(list) => Some(list.clone()),
            Self::Numbers(list) => Some(list.iter().map(|number| Self::Float(*number)).collect()),
            _ => None,
        }
    }
}

pub(super) fn evaluate(tree: &Expr, result: &Datum) -> Result<Datum, ExpressionError> {
    Scope { result, element: None }.evaluate(tree)
}

#[derive(Clone, Copy)]
struct Scope<'a> {
    result: &'a Datum,
    element: Option<&'a Datum>,
}

fn wrong<T>(text: impl Into<String>) -> Result<T, ExpressionError> {
    Err(ExpressionError::new(text))
}

impl Scope<'_> {
    fn evaluate(&self, tree: &Expr) -> Result<Datum, ExpressionError> {
        Ok(match tree {
            Expr::Nil => Datum::Nil,
            Expr::Bool(is) => Datum::Bool(*is),
            Expr::Int(number) => Datum::Int(*number),
            Expr::Float(number) => Datum::Float(*number),
            Expr::Text(text) => Datum::Text(text.clone()),
            Expr::Result => self.result.clone(),
            Expr::Element => self.element.cloned().unwrap_or(Datum::Nil),
            Expr::Member(value, index) => member(&self.evaluate(value)?, &self.evaluate(index)?)?,
            Expr::Not(value) => Datum::Bool(!self.is(value)?),
            Expr::Minus(value) => match self.evaluate(value)? {
                Datum::Int(number) => Datum::Int(number.checked_neg().ok_or_else(too_large)?),
                Datum::Float(number) => Datum::Float(-number),
                other => return wrong(format!("{} has no minus", other.kind())),
            },
            Expr::Choice(condition, yes, no) => self.evaluate(if self.is(condition)? { yes } else { no })?,
            Expr::Binary(Operator::And, left, right) => Datum::Bool(self.is(left)? && self.is(right)?),
            Expr::Binary(Operator::Or, left, right) => Datum::Bool(self.is(left)? || self.is(right)?),
            Expr::Binary(Operator::Otherwise, left, right) => match self.evaluate(left)? {
                Datum::Nil => self.evaluate(right)?,
                other => other,
            },
            Expr::Binary(operator, left, right) => binary(*operator, &self.evaluate(left)?, &self.evaluate(right)?)?,
            Expr::Call(function, arguments) => self.call(*function, arguments)?,
            Expr::Each(each, list, body) => self.each(*each, list, body)?,
        })
    }

    fn is(&self, tree: &Expr) -> Result<bool, ExpressionError> {
        match self.evaluate(tree)? {
            Datum::Bool(is) => Ok(is),
            other => wrong(format!("{} is neither true nor false", other.kind())),
        }
    }

    fn call(&self, function: Function, arguments: &[Expr]) -> Result<Datum, ExpressionError> {
        let values = arguments.iter().map(|tree| self.evaluate(tree)).collect::<Result<Vec<_>, _>>()?;
        let first = values.first().unwrap_or(&Datum::Nil);
        Ok(match (function, first) {
            // The peer asks these of the measured value, whatever stands between the brackets.
            (Function::IsNil, _) => Datum::Bool(*self.result == Datum::Nil),
            (Function::Default, _) if *self.result == Datum::Nil => values.get(1).cloned().unwrap_or(Datum::Nil),
            (Function::Default, _) => self.result.clone(),
            (Function::AsInt, Datum::Int(number)) => Datum::Int(*number),
            #[expect(clippy::cast_possible_truncation, reason = "towards zero, as the peer converts")]
            (Function::AsInt, Datum::Float(number)) if number.abs() < 9e18 => Datum::Int(*number as i64),
            (Function::AsInt, Datum::Text(text)) => match text.parse() {
                Ok(number) => Datum::Int(number),
                Err(_) => return wrong(format!("{text:?} is no whole number")),
            },
            (Function::AsFloat, Datum::Int(_) | Datum::Float(_)) => Datum::Float(first.number().unwrap_or(f64::NAN)),
            (Function::AsFloat, Datum::Text(text)) => match text.parse() {
                Ok(number) => Datum::Float(number),
                Err(_) => return wrong(format!("{text:?} is no number")),
            },
            (Function::IsNan, Datum::Float(number)) => Datum::Bool(number.is_nan()),
            (Function::IsInf, Datum::Float(number)) => Datum::Bool(number.is_infinite()),
            (Function::Len, Datum::Text(text)) => count(text.chars().count()),
            (Function::Len, Datum::Map(map)) => count(map.len()),
            (Function::Len, Datum::List(list)) => count(list.len()),
            (Function::Len, Datum::Numbers(list)) => count(list.len()),
            (Function::Abs, Datum::Int(number)) => Datum::Int(number.checked_abs().ok_or_else(too_large)?),
            (Function::Abs, Datum::Float(number)) => Datum::Float(number.abs()),
            (_, other) => return wrong(format!("{function:?} does not take {}", other.kind())),
        })
    }

    fn each(&self, each: Each, list: &Expr, body: &Expr) -> Result<Datum, ExpressionError> {
        let list = self.evaluate(list)?;
        let Some(items) = list.items() else { return wrong(format!("{} is no list", list.kind())) };
        let inside = |item| Scope { result: self.result, element: Some(item) };
        if each == Each::Map {
            return Ok(Datum::List(items.iter().map(|item| inside(item).evaluate(body)).collect::<Result<_, _>>()?));
        }
        let mut kept = Vec::new();
        for item in &items {
            let holds = inside(item).is(body)?;
            match (each, holds) {
                (Each::All, false) | (Each::None, true) => return Ok(Datum::Bool(false)),
                (Each::Any, true) => return Ok(Datum::Bool(true)),
                (_, true) => kept.push(item.clone()),
                (_, false) => {}
            }
        }
        Ok(match each {
            Each::All | Each::None => Datum::Bool(true),
            Each::Any => Datum::Bool(false),
            Each::One => Datum::Bool(kept.len() == 1),
            Each::Count => count(kept.len()),
            Each::Filter | Each::Map => Datum::List(kept),
        })
    }
}

fn count(number: usize) -> Datum {
    Datum::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn too_large() -> ExpressionError {
    ExpressionError::new("a whole number grows too large")
}

fn member(value: &Datum, index: &Datum) -> Result<Datum, ExpressionError> {
    match (value, index) {
        (Datum::Map(map), Datum::Text(key)) => Ok(map.get(key).cloned().unwrap_or(Datum::Nil)),
        (Datum::List(_) | Datum::Numbers(_), Datum::Int(at)) => {
            let items = value.items().unwrap_or_default();
            let from_end = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let place = if *at < 0 { from_end + at } else { *at };
            let found = usize::try_from(place).ok().and_then(|place| items.get(place).cloned());
            found.map_or_else(|| wrong(format!("there is no element {at} of {}", items.len())), Ok)
        }
        (value, index) => wrong(format!("{} has nothing under {}", value.kind(), index.kind())),
    }
}

fn equal(left: &Datum, right: &Datum) -> bool {
    match (left.number(), right.number()) {
        (Some(left), Some(right)) => left == right,
        (None, None) => match (left.items(), right.items()) {
            (Some(left), Some(right)) => {
                left.len() == right.len() && left.iter().zip(&right).all(|(left, right)| equal(left, right))
            }
            _ => left == right,
        },
        _ => false,
    }
}

fn binary(operator: Operator, left: &Datum, right: &Datum) -> Result<Datum, ExpressionError> {
    use Operator as O;
    let unfit = || wrong(format!("{} and {} do not go together", left.kind(), right.kind()));
    let compare = |of_numbers: fn(&f64, &f64) -> bool, of_texts: fn(&str, &str) -> bool| match (left, right) {
        (Datum::Text(left), Datum::Text(right)) => Ok(Datum::Bool(of_texts(left, right))),
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => Ok(Datum::Bool(of_numbers(&left, &right))),
            _ => unfit(),
        },
    };
    let calculate = |of_whole: fn(i64, i64) -> Option<i64>, of_numbers: fn(f64, f64) -> f64| match (left, right) {
        (Datum::Int(left), Datum::Int(right)) => of_whole(*left, *right).map(Datum::Int).ok_or_else(too_large),
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => Ok(Datum::Float(of_numbers(left, right))),
            _ => unfit(),
        },
    };
    let texts = |of: fn(&str, &str) -> bool| match (left, right) {
        (Datum::Text(left), Datum::Text(right)) => Ok(Datum::Bool(of(left, right))),
        _ => unfit(),
    };
    match operator {
        O::Equal => Ok(Datum::Bool(equal(left, right))),
        O::NotEqual => Ok(Datum::Bool(!equal(left, right))),
        O::Less => compare(|a, b| a < b, |a, b| a < b),
        O::AtMost => compare(|a, b| a <= b, |a, b| a <= b),
        O::Greater => compare(|a, b| a > b, |a, b| a > b),
        O::AtLeast => compare(|a, b| a >= b, |a, b| a >= b),
        O::In | O::NotIn => {
            let found = match (left, right) {
                (Datum::Text(key), Datum::Map(map)) => map.contains_key(key),
                _ => match right.items() {
                    Some(items) => items.iter().any(|item| equal(left, item)),
                    None => return unfit(),
                },
            };
            Ok(Datum::Bool(found == (operator == O::In)))
        }
        O::Contains => texts(|a, b| a.contains(b)),
        O::StartsWith => texts(|a, b| a.starts_with(b)),
        O::EndsWith => texts(|a, b| a.ends_with(b)),
        O::Matches => match (left, right) {
            (Datum::Text(text), Datum::Text(pattern)) => match regex::Regex::new(pattern) {
                Ok(pattern) => Ok(Datum::Bool(pattern.is_match(text))),
                Err(_) => wrong(format!("{pattern:?} is no pattern")),
            },
            _ => unfit(),
        },
        O::Add => match (left, right) {
            (Datum::Text(left), Datum::Text(right)) => Ok(Datum::Text(format!("{left}{right}"))),
            _ => calculate(i64::checked_add, |a, b| a + b),
        },
        O::Subtract => calculate(i64::checked_sub, |a, b| a - b),
        O::Multiply => calculate(i64::checked_mul, |a, b| a * b),
        O::Divide => match (left.number(), right.number()) {
            (Some(left), Some(right)) => Ok(Datum::Float(left / right)),
            _ => unfit(),
        },
        O::Remainder => match (left, right) {
            (Datum::Int(left), Datum::Int(right)) => {
                left.checked_rem(*right).map_or_else(|| wrong("a remainder of zero"), |rest| Ok(Datum::Int(rest)))
            }
            _ => unfit(),
        },
        // Evaluated where what stands on the right may not be looked at.
        O::And | O::Or | O::Otherwise => unfit(),
    }
}
