//! Whether a configuration is valid.

use std::fmt;
use std::sync::Arc;

/// Says what is wrong with a configuration.
type Judge = dyn Fn(&[u8]) -> Vec<String> + Send + Sync;

/// Says what is wrong with a configuration: nothing, if it is valid.
#[derive(Clone)]
pub struct ConfigValidator {
    name: String,
    judge: Arc<Judge>,
}

impl fmt::Debug for ConfigValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConfigValidator").field(&self.name).finish()
    }
}

impl ConfigValidator {
    /// The host's own. The faults must not hold values of the configuration, which may be secrets.
    pub fn new(name: impl Into<String>, judge: impl Fn(&[u8]) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), judge: Arc::new(judge) }
    }

    /// Reads the configuration as JSON into `T`, which is how many services read their own.
    #[must_use]
    pub fn typed<T: serde::de::DeserializeOwned + 'static>(name: impl Into<String>) -> Self {
        Self::new(name, |bytes| match serde_json::from_slice::<T>(bytes) {
            Ok(_) => Vec::new(),
            // The reader's own words may quote a value.
            Err(error) => vec![format!("it cannot be read at line {} column {}", error.line(), error.column())],
        })
    }

    /// A JSON schema, of the draft that it names, or else 2020-12. References out of the schema are not followed.
    ///
    /// ```
    /// # #[cfg(feature = "json-schema")] {
    /// use deploy_agents::agents::ConfigValidator;
    /// use serde_json::json;
    ///
    /// let schema = json!({ "type": "object", "properties": { "port": { "type": "integer" } }, "required": ["port"] });
    /// let validator = ConfigValidator::json_schema("orders.schema.json", &schema)?;
    /// assert!(validator.faults(br#"{ "port": 8080 }"#).is_empty());
    /// assert_eq!(validator.faults(br#"{ "port": "secret" }"#), ["/port: it does not follow /properties/port/type"]);
    /// # }
    /// # Ok::<(), deploy_agents::agents::SchemaError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if it is not a schema.
    #[cfg(feature = "json-schema")]
    pub fn json_schema(name: impl Into<String>, schema: &serde_json::Value) -> Result<Self, SchemaError> {
        let schema = jsonschema::options().build(schema).map_err(|error| SchemaError { reason: error.to_string() })?;
        Ok(Self::new(name, move |bytes| {
            let document: serde_json::Value = match serde_json::from_slice(bytes) {
                Ok(document) => document,
                Err(error) => {
                    return vec![format!("it is not JSON at line {} column {}", error.line(), error.column())];
                }
            };
            // What the schema's own message says would quote the value.
            let fault = |error: jsonschema::ValidationError<'_>| {
                let at = error.instance_path().to_string();
                let at = if at.is_empty() { "the whole".to_owned() } else { at };
                format!("{at}: it does not follow {}", error.schema_path())
            };
            schema.iter_errors(&document).map(fault).collect()
        }))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with a configuration, without its values.
    #[must_use]
    pub fn faults(&self, config: &[u8]) -> Vec<String> {
        (self.judge)(config)
    }
}

/// A document that is not a JSON schema: mend it as the reason says.
#[cfg(feature = "json-schema")]
#[derive(Debug, thiserror::Error)]
#[error("this is not a JSON schema that can be used: {reason}")]
pub struct SchemaError {
    reason: String,
}
