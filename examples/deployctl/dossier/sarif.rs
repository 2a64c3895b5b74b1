//! A dossier as SARIF 2.1.0: a result for everything that is not as it must be.

use std::collections::BTreeSet;

use deploy_agents::dossier::{Dossier, Standing};
use serde_json::{Value, json};

use super::summary::{Fate, fates};

pub(super) fn write(dossier: &Dossier) -> String {
    let mut results: Vec<Value> = Vec::new();
    let result = |rule: &str, level: &str, text: String, step: &str| {
        json!({
            "ruleId": rule, "level": level, "message": { "text": text },
            "locations": [{ "logicalLocations": [{ "fullyQualifiedName": step, "kind": "step" }] }],
        })
    };
    for (path, fate) in fates(dossier) {
        if let Fate::Failed(why) = fate {
            results.push(result("step-failed", "error", format!("{path} failed: {why}"), path.as_str()));
        }
    }
    for step in dossier.steps() {
        for check in &step.checks {
            let level = match &check.standing {
                Standing::Verified(remarks) if remarks.is_empty() => continue,
                Standing::Verified(_) | Standing::Waived(_) => "note",
                Standing::Claimed(_) | Standing::Missing if check.mandatory => "error",
                _ => "warning",
            };
            let text = format!("{}: {} is {}", step.path, check.check, check.standing);
            results.push(result(check.check.as_str(), level, text, step.path.as_str()));
        }
    }
    let rules: BTreeSet<&str> = results.iter().filter_map(|result| result["ruleId"].as_str()).collect();
    let rules: Vec<Value> = rules.into_iter().map(|id| json!({ "id": id })).collect();
    let outcome = dossier.outcome();
    let run = json!({
        "tool": { "driver": { "name": "deployctl", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
        "automationDetails": { "id": format!("{}/{}", dossier.plan.pipeline, dossier.run) },
        "invocations": [{ "executionSuccessful": outcome.is_some() }],
        "results": results,
    });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run],
    });
    format!("{log:#}\n")
}
