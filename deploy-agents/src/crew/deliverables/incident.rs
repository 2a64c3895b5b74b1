//! What is handed over of an incident: what it cost the service, and what it cost its users.

use std::time::Duration;

use deploy_core::evidence::Refusal;
use serde::{Deserialize, Serialize};

use crate::checks::impact::Impact;
use crate::crew::issued::Content;
use crate::crew::material::Material;

/// What an incident cost the service.
///
/// Rows: M118.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceImpact {
    /// What the incident is called.
    pub incident: String,
    /// How long users met it; absent while it goes on.
    #[serde(with = "deploy_core::time::option_duration_ms")]
    pub lasted: Option<Duration>,
    /// How many requests there were while it went on.
    pub requests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The share of requests that must be good, from 0 to 1.
    pub objective: f64,
    /// The share of the error budget of a period that it spent: 1 is all of it.
    pub budget_spent: f64,
}

impl Content for ServiceImpact {
    const NAME: &'static str = "service-impact";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let impact = material.reading().document::<Impact>()?.document;
        Ok(Self {
            lasted: impact.ended_at.map(|ended| ended.since(impact.began_at)),
            requests: impact.totals.requests,
            failed: impact.totals.failed,
            objective: impact.objective,
            budget_spent: impact.totals.budget_spent,
            incident: impact.incident,
        })
    }
}

/// What an incident cost its users and the business.
///
/// Rows: M118.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserImpact {
    /// What the incident is called.
    pub incident: String,
    /// At least so many users met a failure; absent where users are not told apart.
    pub users_at_least: Option<u64>,
    /// At most so many did.
    pub users_at_most: Option<u64>,
    /// What was expected and not taken in, in the smallest unit of the currency; absent where amounts are not measured.
    pub lost: Option<i64>,
    /// The currency, in ISO 4217.
    pub currency: Option<String>,
}

impl Content for UserImpact {
    const NAME: &'static str = "user-impact";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let impact = material.reading().document::<Impact>()?.document;
        Ok(Self {
            incident: impact.incident,
            users_at_least: impact.totals.users_at_least,
            users_at_most: impact.totals.users_at_most,
            lost: impact.totals.lost,
            currency: impact.currency,
        })
    }
}
