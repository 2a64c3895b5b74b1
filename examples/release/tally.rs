//! What the users were answered.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How many reasons are kept in words.
const MOST_REASONS: usize = 5;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The service answered, and well.
    Well { version: String },
    /// The service itself answered that it could not.
    Refused { version: String },
    /// No answer of the service arrived: whoever moves traffic and processes around has lost it.
    Lost { why: String },
}

/// Every answer, counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    requests: u64,
    by_version: BTreeMap<String, Counted>,
    lost: u64,
    reasons: Vec<String>,
}

#[derive(Debug, Default)]
struct Counted {
    requests: u64,
    refused: u64,
    users: BTreeSet<u32>,
    users_refused: BTreeSet<u32>,
}

/// A tally at one instant, as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// How many users there are.
    pub(crate) users: u32,
    /// How many requests were made and ended, one way or another.
    pub(crate) requests: u64,
    /// By version that answered.
    pub(crate) versions: BTreeMap<String, VersionCounts>,
    /// Requests that no version of the service answered.
    pub(crate) lost: u64,
    /// Why, in words, for the first few.
    pub(crate) reasons: Vec<String>,
}

/// What one version answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct VersionCounts {
    /// How many requests.
    pub(crate) requests: u64,
    /// How many of them it refused with a status of 500 or more.
    pub(crate) refused: u64,
    /// How many different users met it.
    pub(crate) users: u64,
    /// How many different users it refused at least once.
    pub(crate) users_refused: u64,
}

impl Tally {
    /// Counts one answer.
    pub(crate) fn count(&mut self, user: u32, answered: Answered) {
        self.requests += 1;
        let (version, refused) = match answered {
            Answered::Well { version } => (version, false),
            Answered::Refused { version } => (version, true),
            Answered::Lost { why } => {
                self.lost += 1;
                if self.reasons.len() < MOST_REASONS {
                    self.reasons.push(why);
                }
                return;
            }
        };
        let counted = self.by_version.entry(version).or_default();
        counted.requests += 1;
        counted.users.insert(user);
        if refused {
            counted.refused += 1;
            counted.users_refused.insert(user);
        }
    }

    /// How it stands.
    pub(crate) fn counts(&self, users: u32) -> Counts {
        let size = |set: &BTreeSet<u32>| u64::try_from(set.len()).unwrap_or(u64::MAX);
        let versions = self.by_version.iter().map(|(version, counted)| {
            let counts = VersionCounts {
                requests: counted.requests,
                refused: counted.refused,
                users: size(&counted.users),
                users_refused: size(&counted.users_refused),
            };
            (version.clone(), counts)
        });
        let versions = versions.collect();
        Counts { users, requests: self.requests, versions, lost: self.lost, reasons: self.reasons.clone() }
    }
}
