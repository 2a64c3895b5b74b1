//! The way from an alert to whoever must hear it.

use deploy_core::time::{Spell, Timestamp};
use serde::{Deserialize, Serialize};

use crate::checks::assessment::{Assessment, Assessor, Figure};
use crate::checks::document::{Document, Read};
use crate::checks::thresholds::Thresholds;

/// A test of the way from an alert to whoever must hear it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertDrill {
    /// The alerts that were set off.
    pub alerts: Vec<DrilledAlert>,
}

/// One alert of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrilledAlert {
    /// Its name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// What to do when it fires.
    pub runbook: String,
    /// When it was set off.
    pub fired_at: Timestamp,
    /// When its receiver got it, by the receiver's own record; absent: it never did.
    #[serde(default)]
    pub received_at: Option<Timestamp>,
    /// Who received it.
    #[serde(default)]
    pub receiver: String,
}

impl Document for AlertDrill {
    const KIND: &'static str = "alert-drill";
}

/// Every alert of the test reached its receiver in time, and has an owner and a runbook.
///
/// Rows: M36, M152, M209.
#[must_use]
pub fn alerts_delivered(drill: &Read<AlertDrill>, t: &Thresholds) -> Assessment {
    let mut found = Assessor::new();
    found.require(!drill.document.alerts.is_empty(), || "no alert was set off".to_owned());
    for (index, alert) in drill.document.alerts.iter().enumerate() {
        let at = drill.at(format!("/alerts/{index}/received_at"));
        let name = &alert.name;
        found.require(!alert.owner.trim().is_empty(), || format!("{name} has no owner"));
        found.require(!alert.runbook.trim().is_empty(), || format!("{name} has no runbook"));
        match alert.received_at {
            None => found.fail(format!("{name} never reached anybody ({at})")),
            Some(received) if received < alert.fired_at => {
                found.fail(format!("{name} was received before it was set off ({at})"));
            }
            Some(received) => {
                let took = received.since(alert.fired_at);
                let limit = format!("at most {} s", t.alert_delivery_at_most.as_secs());
                found.figure(
                    Figure::number(format!("{name} took"), took.as_secs_f64(), "s").limit(limit).at(at.clone()),
                );
                found.require(took <= t.alert_delivery_at_most, || format!("{name} took {} ({at})", Spell(took)));
                found.require(!alert.receiver.trim().is_empty(), || format!("nobody says who received {name}"));
            }
        }
    }
    found.finish()
}
