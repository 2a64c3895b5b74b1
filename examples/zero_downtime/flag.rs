//! The flag that is rolled out: a file in flagd's format, and how the service reads it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deploy_agents::targets::flags::{FlagFile, FlagFileFlag};
use deploy_core::name::{FlagName, TargetName};
use deploy_strategies::flags::flagd::{Bucket, Version, fractional};
use serde_json::Value;

use crate::Failure;
use crate::service::pause;

/// The flag.
pub(crate) const FLAG: &str = "new-checkout";
/// The variable that tells the service where the file is.
pub(crate) const FILE: &str = "FLAGS_FILE";
/// How often the service looks whether the file has changed.
const LOOK: Duration = Duration::from_millis(20);

/// Nobody has it yet.
const BEGIN: &str = r#"{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "new-checkout": {
      "state": "ENABLED",
      "variants": {"on": true, "off": false},
      "defaultVariant": "off",
      "targeting": {"fractional": [["on", 0], ["off", 100]]}
    }
  }
}
"#;

/// Writes the file, as it is before the first release.
pub(crate) fn begin() -> Result<PathBuf, Failure> {
    let path = std::env::temp_dir().join(format!("zero-downtime-{}-flags.json", std::process::id()));
    std::fs::write(&path, BEGIN)?;
    Ok(path)
}

/// The file as a target.
pub(crate) fn target(path: &Path) -> Result<FlagFile, Failure> {
    Ok(FlagFile::new(TargetName::new("flags")?, path).flag(FlagFileFlag::new(FlagName::new(FLAG)?)))
}

/// The weights of the flag, as one instance has read them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flag(Arc<RwLock<Vec<(String, i64)>>>);

impl Flag {
    /// Which variant a user has.
    pub(crate) fn variant(&self, user: &str) -> String {
        let weights = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let bucket = |(variant, weight): &'_ (String, i64)| (variant.clone(), *weight);
        let weights: Vec<(String, i64)> = weights.iter().map(bucket).collect();
        let buckets: Vec<Bucket<'_>> =
            weights.iter().map(|(variant, weight)| Bucket { variant: Some(variant), weight: *weight }).collect();
        fractional(&format!("{FLAG}{user}"), &buckets, Version::V2).unwrap_or("off").to_owned()
    }

    /// Reads the file whenever it has changed, for ever.
    pub(crate) async fn follow(self, path: PathBuf) {
        let mut before = String::new();
        loop {
            if let Ok(text) = std::fs::read_to_string(&path)
                && text != before
                && let Some(weights) = weights(&text)
            {
                *self.0.write().unwrap_or_else(PoisonError::into_inner) = weights;
                before = text;
            }
            pause(LOOK).await;
        }
    }
}

fn weights(text: &str) -> Option<Vec<(String, i64)>> {
    let document: Value = serde_json::from_str(text).ok()?;
    let rule = document.pointer(&format!("/flags/{FLAG}/targeting/fractional"))?.as_array()?;
    rule.iter().map(|entry| Some((entry.get(0)?.as_str()?.to_owned(), entry.get(1)?.as_i64()?))).collect()
}
