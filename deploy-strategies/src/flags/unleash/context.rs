//! About whom a flag is asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// About whom a flag is asked, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Context {
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The address that the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<String>,
    /// The environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// Now, in RFC 3339. Nobody reads a clock here: without it, constraints of time do not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_time: Option<String>,
    /// Anything else.
    #[serde(deserialize_with = "without_nulls")]
    pub properties: BTreeMap<String, String>,
    /// A number that the caller drew, for whatever is to be decided by chance. The same number decides alike.
    #[serde(skip)]
    pub draw: u32,
}

/// A field that is null is as good as missing.
fn without_nulls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all: BTreeMap<String, Option<String>> = Deserialize::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect())
}

impl Context {
    /// The context of a user.
    #[must_use]
    pub fn user(id: impl Into<String>) -> Self {
        Self { user_id: Some(id.into()), ..Self::default() }
    }

    /// A field by its name; nothing if it is missing or empty.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = match name {
            "userId" => &self.user_id,
            "sessionId" => &self.session_id,
            "remoteAddress" => &self.remote_address,
            "environment" => &self.environment,
            "appName" => &self.app_name,
            "currentTime" => &self.current_time,
            other => return self.properties.get(other).map(String::as_str).filter(|text| !text.is_empty()),
        };
        field.as_deref().filter(|text| !text.is_empty())
    }
}
