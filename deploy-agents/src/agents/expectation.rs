//! What an answer over HTTP must be like.

use bytes::Bytes;

/// How much of a body is quoted in evidence and errors, in bytes.
const QUOTED: usize = 200;

/// What an answer must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expectation {
    /// A status from this to that, both included.
    Status(u16, u16),
    /// A body that holds this text.
    BodyContains(String),
    /// A header with exactly this value.
    Header(String, String),
}

impl Expectation {
    /// What is wrong with an answer; nothing if it is as expected.
    fn unmet(&self, answer: &http::Response<Bytes>) -> Option<String> {
        match self {
            Self::Status(from, to) => {
                let status = answer.status().as_u16();
                (!(*from..=*to).contains(&status)).then(|| format!("the status is {status}, not {from} to {to}"))
            }
            Self::BodyContains(text) => {
                let body = String::from_utf8_lossy(answer.body());
                (!body.contains(text)).then(|| format!("the body does not hold {text:?}; it begins {:?}", quote(&body)))
            }
            Self::Header(name, value) => {
                let there: Vec<_> =
                    answer.headers().get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
                (!there.iter().any(|v| v == value)).then(|| format!("the header {name} is {there:?}, not {value:?}"))
            }
        }
    }
}

pub(super) fn quote(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

/// All that an answer must be like: at the beginning, that its status is 200 to 299.
#[derive(Debug, Clone)]
pub(super) struct Expectations(Vec<Expectation>);

impl Default for Expectations {
    fn default() -> Self {
        Self(vec![Expectation::Status(200, 299)])
    }
}

impl Expectations {
    /// Adds one. A status replaces the one that was expected before.
    pub(super) fn add(&mut self, expectation: Expectation) {
        if matches!(expectation, Expectation::Status(..)) {
            self.0.retain(|known| !matches!(known, Expectation::Status(..)));
        }
        self.0.push(expectation);
    }

    /// The error is the first thing that is wrong with an answer.
    pub(super) fn met(&self, answer: &http::Response<Bytes>) -> Result<(), String> {
        self.0.iter().find_map(|expectation| expectation.unmet(answer)).map_or(Ok(()), Err)
    }
}
