//! One digest that stands for a whole plan.

use std::fmt::Write as _;

use serde_json::Value;

use super::Plan;
use crate::digest::Digest;

impl Plan {
    /// The digest of the plan in canonical JSON: keys sorted, no white space. Two plans have the same fingerprint exactly if
    /// they are the same, whatever wrote or read them in between, so an approval can be bound to what was approved.
    ///
    /// # Panics
    ///
    /// Never: a plan has no part that JSON could not hold.
    ///
    /// # Examples
    ///
    /// ```
    /// # use deploy_core::name::{EnvironmentName, RevisionName, ServiceName};
    /// # use deploy_core::operator::Principal;
    /// # use deploy_core::pipeline::Pipeline;
    /// # use deploy_core::plan::{Plan, RollbackTo};
    /// # use deploy_core::release::Release;
    /// # use std::time::Duration;
    /// # let p = Pipeline::builder("rest");
    /// # p.rollback(RollbackTo::Previous);
    /// # p.phase("wait").soak("bake", Duration::from_secs(60)).add();
    /// # let release = Release::new(ServiceName::new("api")?, EnvironmentName::new("test")?, RevisionName::new("v2")?);
    /// # let plan = p.build()?.plan(release, Principal::new("ada", "example.org"))?;
    /// let read_back: Plan = serde_json::from_str(&serde_json::to_string_pretty(&plan)?)?;
    /// assert_eq!(read_back.fingerprint(), plan.fingerprint());
    ///
    /// let wider = Plan { width: plan.width + 1, ..plan.clone() };
    /// assert_ne!(wider.fingerprint(), plan.fingerprint());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let value = serde_json::to_value(self).expect("a plan holds only names, texts, whole numbers and maps by name");
        let mut text = String::new();
        canonical(&value, &mut text);
        Digest::of(text.as_bytes())
    }
}

/// Sorts keys itself: whether a JSON map is sorted depends on features that another crate of the host may turn on.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonical(&Value::String(key.clone()), out);
                out.push(':');
                canonical(item, out);
            }
            out.push('}');
        }
        leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            // Writing to a string cannot fail.
            let _ = write!(out, "{leaf}");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn canonical_json_sorts_its_keys_and_has_no_white_space() {
        let value = serde_json::json!({ "b": [1, "x\"y", null], "a": { "z": true, "y": -2 } });
        let mut text = String::new();
        super::canonical(&value, &mut text);
        assert_eq!(text, r#"{"a":{"y":-2,"z":true},"b":[1,"x\"y",null]}"#);
    }
}
