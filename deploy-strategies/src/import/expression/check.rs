//! Whether the types fit, before anything is evaluated: the peer compiles a condition against the value, so that a comparison of a number
//! with a text is an error even where it would never be reached.

use super::ExpressionError;
use super::evaluate::Datum;
use super::parse::{Each, Expr, Function, Operator};

/// What is known of a value's type. Inside a map or a mixed list nothing is known.
#[derive(Debug, Clone, PartialEq)]
enum Type {
    Unknown,
    Nil,
    Bool,
    Int,
    Float,
    Text,
    List(Box<Self>),
    Map,
}

impl Type {
    fn of(datum: &Datum) -> Self {
        match datum {
            // The peer hands nothing over as a value of no known type.
            Datum::Nil => Self::Unknown,
            Datum::Bool(_) => Self::Bool,
            Datum::Int(_) => Self::Int,
            Datum::Float(_) => Self::Float,
            Datum::Text(_) => Self::Text,
            Datum::List(_) => Self::List(Self::Unknown.into()),
            Datum::Numbers(_) => Self::List(Self::Float.into()),
            Datum::Map(_) => Self::Map,
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Unknown)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "something",
            Self::Nil => "nil",
            Self::Bool => "true or false",
            Self::Int | Self::Float => "a number",
            Self::Text => "a text",
            Self::List(_) => "a list",
            Self::Map => "a map",
        }
    }
}

pub(super) fn check(tree: &Expr, result: &Datum) -> Result<(), ExpressionError> {
    let result = Type::of(result);
    match type_of(tree, &result, &Type::Unknown)? {
        Type::Bool | Type::Unknown => Ok(()),
        other => Err(ExpressionError::new(format!("it is {}, neither true nor false", other.name()))),
    }
}

fn type_of(tree: &Expr, result: &Type, element: &Type) -> Result<Type, ExpressionError> {
    let of = |tree: &Expr| type_of(tree, result, element);
    let need = |found: &Type, holds: bool, what: &str| {
        if holds { Ok(()) } else { Err(ExpressionError::new(format!("{} is no {what}", found.name()))) }
    };
    let boolean = |tree: &Expr, element: &Type| {
        let found = type_of(tree, result, element)?;
        need(&found, matches!(found, Type::Bool | Type::Unknown), "condition")
    };
    Ok(match tree {
        Expr::Nil => Type::Nil,
        Expr::Bool(_) => Type::Bool,
        Expr::Int(_) => Type::Int,
        Expr::Float(_) => Type::Float,
        Expr::Text(_) => Type::Text,
        Expr::Result => result.clone(),
        Expr::Element => element.clone(),
        Expr::Member(value, index) => match (of(value)?, of(index)?) {
            (Type::List(inside), Type::Int | Type::Unknown) => *inside,
            (Type::Map, Type::Text | Type::Unknown) | (Type::Unknown, Type::Int | Type::Text | Type::Unknown) => {
                Type::Unknown
            }
            (value, index) => {
                return Err(ExpressionError::new(format!("{} has nothing under {}", value.name(), index.name())));
            }
        },
        Expr::Not(value) => {
            boolean(value, element)?;
            Type::Bool
        }
        Expr::Minus(value) => {
            let found = of(value)?;
            need(&found, found.is_number(), "number")?;
            found
        }
        Expr::Binary(operator, left, right) => binary(*operator, &of(left)?, &of(right)?)?,
        Expr::Choice(condition, yes, no) => {
            boolean(condition, element)?;
            let (yes, no) = (of(yes)?, of(no)?);
            if yes == no { yes } else { Type::Unknown }
        }
        Expr::Call(function, arguments) => {
            let found = arguments.iter().map(of).collect::<Result<Vec<_>, _>>()?;
            let first = found.first().unwrap_or(&Type::Unknown);
            match function {
                Function::AsInt => Type::Int,
                Function::AsFloat => Type::Float,
                Function::IsNan | Function::IsInf => {
                    need(first, matches!(first, Type::Float | Type::Unknown), "floating-point number")?;
                    Type::Bool
                }
                Function::IsNil => Type::Bool,
                Function::Default => Type::Unknown,
                Function::Len => {
                    let holds = matches!(first, Type::List(_) | Type::Map | Type::Text | Type::Unknown);
                    need(first, holds, "list, map or text")?;
                    Type::Int
                }
                Function::Abs => {
                    need(first, first.is_number(), "number")?;
                    first.clone()
                }
            }
        }
        Expr::Each(each, list, body) => {
            let inside = match of(list)? {
                Type::List(inside) => *inside,
                Type::Unknown => Type::Unknown,
                other => return Err(ExpressionError::new(format!("{} is no list", other.name()))),
            };
            if *each == Each::Map {
                return Ok(Type::List(type_of(body, result, &inside)?.into()));
            }
            boolean(body, &inside)?;
            match each {
                Each::Count => Type::Int,
                Each::Filter => Type::List(inside.into()),
                Each::All | Each::Any | Each::None | Each::One | Each::Map => Type::Bool,
            }
        }
    })
}

fn binary(operator: Operator, left: &Type, right: &Type) -> Result<Type, ExpressionError> {
    use Operator as O;
    let numbers = left.is_number() && right.is_number();
    let texts = matches!((left, right), (Type::Text | Type::Unknown, Type::Text | Type::Unknown));
    let booleans = matches!((left, right), (Type::Bool | Type::Unknown, Type::Bool | Type::Unknown));
    let unknown = *left == Type::Unknown || *right == Type::Unknown;
    let (fits, gives) = match operator {
        O::Or | O::And => (booleans, Type::Bool),
        O::Equal | O::NotEqual => {
            let lists = matches!((left, right), (Type::List(_), Type::List(_)));
            let nil = *left == Type::Nil || *right == Type::Nil;
            (numbers || lists || nil || unknown || left == right, Type::Bool)
        }
        O::Less | O::AtMost | O::Greater | O::AtLeast => (numbers || texts, Type::Bool),
        O::In | O::NotIn => (matches!(right, Type::List(_) | Type::Map | Type::Unknown), Type::Bool),
        O::Contains | O::StartsWith | O::EndsWith | O::Matches => (texts, Type::Bool),
        O::Add if texts => (true, if unknown { Type::Unknown } else { Type::Text }),
        O::Add | O::Subtract | O::Multiply if unknown => (numbers, Type::Unknown),
        O::Add | O::Subtract | O::Multiply => {
            let whole = *left == Type::Int && *right == Type::Int;
            (numbers, if whole { Type::Int } else { Type::Float })
        }
        O::Divide => (numbers, Type::Float),
        O::Remainder => {
            let whole = |found: &Type| matches!(found, Type::Int | Type::Unknown);
            (whole(left) && whole(right), Type::Int)
        }
        O::Otherwise => (true, Type::Unknown),
    };
    if fits {
        return Ok(gives);
    }
    Err(ExpressionError::new(format!("{} and {} do not go together", left.name(), right.name())))
}
