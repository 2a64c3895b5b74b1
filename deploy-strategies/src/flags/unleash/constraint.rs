//! What a field of the context has to satisfy.

use std::net::IpAddr;

use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::context::Context;

/// What a field of the context has to satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Constraint {
    /// The field.
    pub context_name: String,
    /// How it is compared.
    pub operator: Operator,
    /// With any of these, where the operator takes several.
    #[serde(default)]
    pub values: Vec<String>,
    /// With this, where it takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether the answer is turned round.
    #[serde(default)]
    pub inverted: bool,
    /// Whether capitals matter not; for text alone.
    #[serde(default)]
    pub case_insensitive: bool,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are those of the specification and say what they do")]
pub enum Operator {
    In,
    NotIn,
    StrContains,
    StrStartsWith,
    StrEndsWith,
    NumEq,
    NumGt,
    NumGte,
    NumLt,
    NumLte,
    DateBefore,
    DateAfter,
    SemverEq,
    SemverGt,
    SemverGte,
    SemverLt,
    SemverLte,
    Regex,
    InCidr,
    /// One that is not known here; it never holds, turned round or not.
    #[serde(other)]
    Unknown,
}

impl Constraint {
    /// Whether the context satisfies it. What cannot be read as the number, date or version that it should be does not.
    #[must_use]
    pub fn holds(&self, context: &Context) -> bool {
        self.operator != Operator::Unknown && self.plain(context.field(&self.context_name)) != self.inverted
    }

    fn plain(&self, field: Option<&str>) -> bool {
        let Some(field) = field else { return self.operator == Operator::NotIn };
        let limit = self.value.as_deref().unwrap_or_default();
        match self.operator {
            Operator::In => self.values.iter().any(|value| value == field),
            Operator::NotIn => self.values.iter().all(|value| value != field),
            Operator::StrContains => self.text(field, |field, value| field.contains(value)),
            Operator::StrStartsWith => self.text(field, |field, value| field.starts_with(value)),
            Operator::StrEndsWith => self.text(field, |field, value| field.ends_with(value)),
            Operator::NumEq => numbers(field, limit, |a, b| a == b),
            Operator::NumGt => numbers(field, limit, |a, b| a > b),
            Operator::NumGte => numbers(field, limit, |a, b| a >= b),
            Operator::NumLt => numbers(field, limit, |a, b| a < b),
            Operator::NumLte => numbers(field, limit, |a, b| a <= b),
            Operator::DateBefore => dates(field, limit, |a, b| a < b),
            Operator::DateAfter => dates(field, limit, |a, b| a > b),
            Operator::SemverEq => versions(field, limit, std::cmp::Ordering::is_eq),
            Operator::SemverGt => versions(field, limit, std::cmp::Ordering::is_gt),
            Operator::SemverGte => versions(field, limit, std::cmp::Ordering::is_ge),
            Operator::SemverLt => versions(field, limit, std::cmp::Ordering::is_lt),
            Operator::SemverLte => versions(field, limit, std::cmp::Ordering::is_le),
            Operator::Regex => {
                let pattern = regex::RegexBuilder::new(limit).case_insensitive(self.case_insensitive).build();
                pattern.is_ok_and(|pattern| pattern.is_match(field))
            }
            Operator::InCidr => in_any_range(field, self.values.iter().map(String::as_str)),
            Operator::Unknown => false,
        }
    }

    fn text(&self, field: &str, holds: impl Fn(&str, &str) -> bool) -> bool {
        if self.case_insensitive {
            let field = field.to_lowercase();
            return self.values.iter().any(|value| holds(&field, &value.to_lowercase()));
        }
        self.values.iter().any(|value| holds(field, value))
    }
}

fn numbers(field: &str, limit: &str, holds: impl Fn(f64, f64) -> bool) -> bool {
    match (field.trim().parse(), limit.trim().parse()) {
        (Ok(field), Ok(limit)) => holds(field, limit),
        _ => false,
    }
}

fn dates(field: &str, limit: &str, holds: impl Fn(Timestamp, Timestamp) -> bool) -> bool {
    match (Timestamp::parse(field), Timestamp::parse(limit)) {
        (Ok(field), Ok(limit)) => holds(field, limit),
        _ => false,
    }
}

/// Compares by precedence, in which build metadata plays no part.
fn versions(field: &str, limit: &str, holds: impl Fn(std::cmp::Ordering) -> bool) -> bool {
    match (semver::Version::parse(field), semver::Version::parse(limit)) {
        (Ok(field), Ok(limit)) => holds(field.cmp_precedence(&limit)),
        _ => false,
    }
}

/// Whether an address is one of these, or in one of these ranges. Entries that are neither are passed over.
pub(super) fn in_any_range<'a>(address: &str, mut entries: impl Iterator<Item = &'a str>) -> bool {
    let Ok(address) = address.trim().parse::<IpAddr>() else { return false };
    entries.any(|entry| in_range(address, entry.trim()).unwrap_or(false))
}

fn in_range(address: IpAddr, entry: &str) -> Option<bool> {
    let (net, length) = entry.split_once('/').map_or((entry, None), |(net, length)| (net, Some(length)));
    let net: IpAddr = net.parse().ok()?;
    let (a, n, bits) = match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return Some(false),
    };
    let length: u32 = length.map_or(Some(bits), |length| length.parse().ok())?;
    if length > bits {
        return None;
    }
    let shift = bits - length;
    Some(a.checked_shr(shift).unwrap_or(0) == n.checked_shr(shift).unwrap_or(0))
}
