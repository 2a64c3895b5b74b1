//! From text to a tree.

use super::ExpressionError;

/// The longest condition, in characters; and how deep it may nest.
const LONGEST: usize = 4_096;
const DEEPEST: u32 = 48;
/// How many parts it may have: chains such as `a + b + …` nest to the left, and are walked by recursion.
const MOST_PARTS: usize = 400;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// `result`.
    Result,
    /// `#`: the element that a function over a list looks at.
    Element,
    Member(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Minus(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
    Choice(Box<Self>, Box<Self>, Box<Self>),
    Call(Function, Vec<Self>),
    /// A function over a list, and what it asks of each element.
    Each(Each, Box<Self>, Box<Self>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    NotIn,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Otherwise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    AsInt,
    AsFloat,
    IsNan,
    IsInf,
    IsNil,
    Default,
    Len,
    Abs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Each {
    All,
    Any,
    None,
    One,
    Count,
    Filter,
    Map,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Int(i64),
    Float(f64),
    Text(String),
    Name(String),
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 27] = [
    "==", "!=", "<=", ">=", "&&", "||", "??", "(", ")", "[", "]", "{", "}", ",", ".", "#", "?", ":", "<", ">", "!",
    "+", "-", "*", "/", "%", ";",
];

pub(super) fn parse(text: &str) -> Result<Expr, ExpressionError> {
    if text.chars().count() > LONGEST {
        return Err(ExpressionError::new(format!("it has more than {LONGEST} characters")));
    }
    let tokens = tokens(text)?;
    if tokens.len() > MOST_PARTS {
        return Err(ExpressionError::new(format!("it has more than {MOST_PARTS} parts")));
    }
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, over_list: false };
    let tree = parser.whole()?;
    match parser.peek() {
        None => Ok(tree),
        Some(_) => Err(parser.unexpected()),
    }
}

/// Every token with the character at which it begins, counted from 1.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExpressionError> {
    let all: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut i = 0;
    while let Some(&c) = all.get(i) {
        let at = i + 1;
        let run = |from: usize, of: &dyn Fn(char) -> bool| all[from..].iter().take_while(|c| of(**c)).count();
        if c.is_whitespace() {
            i += 1;
        } else if c.is_ascii_digit() || (c == '.' && all.get(i + 1).is_some_and(char::is_ascii_digit)) {
            let mut end = i + run(i, &|c| c.is_ascii_digit());
            let mut whole = true;
            if all.get(end) == Some(&'.') && all.get(end + 1).is_some_and(char::is_ascii_digit) {
                whole = false;
                end += 1;
                end += run(end, &|c| c.is_ascii_digit());
            }
            if matches!(all.get(end), Some('e' | 'E')) {
                whole = false;
                end += 1 + usize::from(matches!(all.get(end + 1), Some('+' | '-')));
                end += run(end, &|c| c.is_ascii_digit());
            }
            let text: String = all[i..end].iter().collect();
            let read = if whole { text.parse().ok().map(Token::Int) } else { text.parse().ok().map(Token::Float) };
            let goes_on = all.get(end).is_some_and(|c| c.is_alphanumeric() || *c == '_');
            let token = read.filter(|_| !goes_on);
            let token = token.ok_or_else(|| ExpressionError::new(format!("{text} at character {at} is no number")))?;
            tokens.push((at, token));
            i = end;
        } else if c.is_alphabetic() || c == '_' {
            let end = i + run(i, &|c| c.is_alphanumeric() || c == '_');
            tokens.push((at, Token::Name(all[i..end].iter().collect())));
            i = end;
        } else if matches!(c, '"' | '\'' | '`') {
            let (read, end) = quoted(&all, i)?;
            tokens.push((at, Token::Text(read)));
            i = end;
        } else {
            let sign = SIGNS.iter().find(|sign| sign.chars().eq(all[i..].iter().copied().take(sign.len())));
            let sign =
                sign.ok_or_else(|| ExpressionError::new(format!("{c:?} at character {at} is not understood")))?;
            tokens.push((at, Token::Sign(sign)));
            i += sign.len();
        }
    }
    Ok(tokens)
}

fn quoted(all: &[char], begin: usize) -> Result<(String, usize), ExpressionError> {
    let quote = all[begin];
    let mut read = String::new();
    let mut i = begin + 1;
    while let Some(&c) = all.get(i) {
        i += 1;
        match c {
            c if c == quote => return Ok((read, i)),
            '\\' if quote != '`' => {
                let escaped = match all.get(i) {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(c @ ('\\' | '"' | '\'')) => *c,
                    _ => {
                        return Err(ExpressionError::new(format!("the escape at character {i} is not evaluated here")));
                    }
                };
                read.push(escaped);
                i += 1;
            }
            c => read.push(c),
        }
    }
    Err(ExpressionError::new(format!("the text at character {} does not end", begin + 1)))
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    next: usize,
    depth: u32,
    /// Whether `#` means something here.
    over_list: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let is = self.is(sign);
        self.next += usize::from(is);
        is
    }

    fn need(&mut self, sign: &str) -> Result<(), ExpressionError> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> ExpressionError {
        ExpressionError::new(match self.tokens.get(self.next) {
            None => "it ends too early".to_owned(),
            Some((at, Token::Name(name))) => format!("{name} at character {at} is not evaluated here"),
            Some((at, Token::Sign(sign))) => format!("{sign} at character {at} is not evaluated here"),
            Some((at, _)) => format!("what stands at character {at} is not understood"),
        })
    }

    fn whole(&mut self) -> Result<Expr, ExpressionError> {
        let condition = self.binary(0)?;
        if !self.take("?") {
            return Ok(condition);
        }
        let yes = self.whole()?;
        self.need(":")?;
        let no = self.whole()?;
        Ok(Expr::Choice(condition.into(), yes.into(), no.into()))
    }

    /// The operator that comes next, how strongly it binds, and how many tokens it is made of. The strengths are the peer's.
    fn operator(&self) -> Option<(Operator, u32, usize)> {
        use Operator as O;
        let (operator, strength) = match self.peek()? {
            Token::Sign(sign) => match *sign {
                "||" => (O::Or, 10),
                "&&" => (O::And, 15),
                "==" => (O::Equal, 20),
                "!=" => (O::NotEqual, 20),
                "<" => (O::Less, 20),
                "<=" => (O::AtMost, 20),
                ">" => (O::Greater, 20),
                ">=" => (O::AtLeast, 20),
                "+" => (O::Add, 30),
                "-" => (O::Subtract, 30),
                "*" => (O::Multiply, 60),
                "/" => (O::Divide, 60),
                "%" => (O::Remainder, 60),
                "??" => (O::Otherwise, 500),
                _ => return None,
            },
            Token::Name(name) => match name.as_str() {
                "or" => (O::Or, 10),
                "and" => (O::And, 15),
                "in" => (O::In, 20),
                "contains" => (O::Contains, 20),
                "startsWith" => (O::StartsWith, 20),
                "endsWith" => (O::EndsWith, 20),
                "matches" => (O::Matches, 20),
                "not" if matches!(self.tokens.get(self.next + 1), Some((_, Token::Name(name))) if name == "in") => {
                    return Some((O::NotIn, 20, 2));
                }
                _ => return None,
            },
            _ => return None,
        };
        Some((operator, strength, 1))
    }

    fn binary(&mut self, least: u32) -> Result<Expr, ExpressionError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(ExpressionError::new(format!("it nests deeper than {DEEPEST}")));
        }
        let mut left = self.unary()?;
        let mut compared = false;
        while let Some((operator, strength, tokens)) = self.operator().filter(|(_, strength, _)| *strength >= least) {
            // A chain of comparisons means different things in different versions of the peer.
            if strength == 20 && std::mem::replace(&mut compared, true) {
                return Err(self.unexpected());
            }
            self.next += tokens;
            let right = self.binary(strength + 1)?;
            left = Expr::Binary(operator, left.into(), right.into());
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, ExpressionError> {
        if self.take("!") || self.take_name("not") {
            return Ok(Expr::Not(self.binary(50)?.into()));
        }
        if self.take("-") {
            return Ok(match self.binary(90)? {
                Expr::Int(number) => Expr::Int(-number),
                Expr::Float(number) => Expr::Float(-number),
                other => Expr::Minus(other.into()),
            });
        }
        if self.take("+") {
            return self.binary(90);
        }
        let mut value = self.primary()?;
        loop {
            if self.take(".") {
                let Some(Token::Name(name)) = self.peek().cloned() else { return Err(self.unexpected()) };
                self.next += 1;
                value = Expr::Member(value.into(), Expr::Text(name).into());
            } else if self.take("[") {
                let index = self.whole()?;
                self.need("]")?;
                value = Expr::Member(value.into(), index.into());
            } else {
                return Ok(value);
            }
        }
    }

    fn take_name(&mut self, name: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Name(found)) if found == name);
        self.next += usize::from(is);
        is
    }

    fn primary(&mut self) -> Result<Expr, ExpressionError> {
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected()) };
        let value = match token {
            Token::Int(number) => Expr::Int(number),
            Token::Float(number) => Expr::Float(number),
            Token::Text(text) => Expr::Text(text),
            Token::Sign("(") => {
                self.next += 1;
                let inside = self.whole()?;
                self.need(")")?;
                return Ok(inside);
            }
            Token::Sign("#") if self.over_list => Expr::Element,
            Token::Name(name) => match name.as_str() {
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                "nil" => Expr::Nil,
                "result" => Expr::Result,
                name => return self.call(name),
            },
            Token::Sign(_) => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(value)
    }

    fn call(&mut self, name: &str) -> Result<Expr, ExpressionError> {
        let each = match name {
            "all" => Some(Each::All),
            "any" => Some(Each::Any),
            "none" => Some(Each::None),
            "one" => Some(Each::One),
            "count" => Some(Each::Count),
            "filter" => Some(Each::Filter),
            "map" => Some(Each::Map),
            _ => None,
        };
        let function = match name {
            "asInt" => Some((Function::AsInt, 1)),
            "asFloat" => Some((Function::AsFloat, 1)),
            "isNaN" => Some((Function::IsNan, 1)),
            "isInf" => Some((Function::IsInf, 1)),
            "isNil" => Some((Function::IsNil, 1)),
            "default" => Some((Function::Default, 2)),
            "len" => Some((Function::Len, 1)),
            "abs" => Some((Function::Abs, 1)),
            _ => None,
        };
        if each.is_none() && function.is_none() {
            return Err(self.unexpected());
        }
        self.next += 1;
        self.need("(")?;
        if let Some(each) = each {
            let list = self.whole()?;
            self.need(",")?;
            let outside = std::mem::replace(&mut self.over_list, true);
            let braces = self.take("{");
            let body = self.whole()?;
            if braces {
                self.need("}")?;
            }
            self.over_list = outside;
            self.need(")")?;
            return Ok(Expr::Each(each, list.into(), body.into()));
        }
        let (function, wanted) = function.ok_or_else(|| self.unexpected())?;
        let mut arguments = vec![self.whole()?];
        while self.take(",") {
            arguments.push(self.whole()?);
        }
        self.need(")")?;
        if arguments.len() != wanted {
            return Err(ExpressionError::new(format!("{name} takes {wanted}, not {}", arguments.len())));
        }
        Ok(Expr::Call(function, arguments))
    }
}
