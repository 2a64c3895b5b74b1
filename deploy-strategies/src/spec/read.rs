//! From a text to a strategy, by way of the builders.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};

use super::{SpecError, StrategySpec};
use crate::all_at_once::AllAtOnce;
use crate::blue_green::BlueGreenBuilder;
use crate::canary::CanaryBuilder;
use crate::document::{self, Node, Value};
use crate::flags::FlagRolloutBuilder;
use crate::refusal::Refused;
use crate::rolling::RollingBuilder;

impl StrategySpec {
    /// Reads a strategy from JSON.
    ///
    /// # Errors
    ///
    /// [`SpecError`] with the path of everything that is wrong: no JSON or not UTF-8, a key that stands twice, a field that nobody
    /// knows, a value that cannot stand there, or what the strategy's builder refuses.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, SpecError> {
        Self::of(&Node::json(document::text(text.as_ref())?)?)
    }

    /// Reads a strategy from YAML 1.2: one document.
    ///
    /// ```
    /// use deploy_strategies::spec::StrategySpec;
    ///
    /// let spec = StrategySpec::from_yaml("
    /// type: rolling
    /// surge: {percent: 25}
    /// unavailable: {count: 0}
    /// ")?;
    /// assert_eq!(StrategySpec::from_yaml(spec.to_yaml()?)?, spec);
    ///
    /// let refused = StrategySpec::from_yaml("type: rolling\nsurge: {count: 1}\nunavailible: {count: 0}\n").expect_err("a slip");
    /// assert_eq!(refused.problems()[0].place.map(|place| (place.line, place.column)), Some((3, 1)));
    /// # Ok::<(), deploy_strategies::spec::SpecError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SpecError`] as [`from_json`](Self::from_json), with line and column.
    #[cfg(feature = "yaml")]
    pub fn from_yaml(text: impl AsRef<[u8]>) -> Result<Self, SpecError> {
        let documents = Node::yaml(document::text(text.as_ref())?)?;
        match documents.as_slice() {
            [one] => Self::of(one),
            [] => Err(SpecError::one(None, "", "it is empty").allowed("a map with the key type")),
            [_, second, ..] => {
                Err(SpecError::one(second.place, "", "a second document begins here").allowed("one document"))
            }
        }
    }

    fn of(node: &Node) -> Result<Self, SpecError> {
        let types = || Self::TYPES.join(", ");
        let Value::Map(entries) = &node.value else {
            return Err(
                SpecError::one(node.place, "", format!("it is {}", node.kind())).allowed("a map with the key type")
            );
        };
        let Some(tag) = entries.iter().find(|entry| entry.key == "type") else {
            return Err(SpecError::one(node.place, "type", "it is not there").allowed(types()));
        };
        let Value::Text(name) = &tag.node.value else {
            return Err(SpecError::one(tag.node.place, "type", format!("it is {}", tag.node.kind())).allowed(types()));
        };
        let fields = entries.iter().filter(|entry| entry.key != "type").cloned().collect();
        let fields = Node { place: node.place, value: Value::Map(fields) };
        let built = |refused: Refused| SpecError::refused(&refused, |at| fields.find(at));
        match name.as_str() {
            "canary" => fields.parse::<CanaryBuilder>()?.build().map(Self::Canary).map_err(built),
            "blue-green" => fields.parse::<BlueGreenBuilder>()?.build().map(Self::BlueGreen).map_err(built),
            "rolling" => fields.parse::<RollingBuilder>()?.build().map(Self::Rolling).map_err(built),
            "flags" => fields.parse::<FlagRolloutBuilder>()?.build().map(Self::Flags).map_err(built),
            "all-at-once" => fields.parse::<AllAtOnce>().map(Self::AllAtOnce),
            other => {
                Err(SpecError::one(tag.node.place, "type", format!("there is no strategy {other:?}")).allowed(types()))
            }
        }
    }
}

impl Node {
    /// A value of a type that serde knows. A field that nobody reads is refused, also in types that would pass over it.
    fn parse<T: DeserializeOwned>(&self) -> Result<T, SpecError> {
        let mut track = serde_path_to_error::Track::new();
        let mut unread = None;
        let mut note = |path: serde_ignored::Path<'_>| {
            unread.get_or_insert_with(|| in_brackets(&path.to_string()));
        };
        let tracked = serde_path_to_error::Deserializer::new(self, &mut track);
        let read = T::deserialize(serde_ignored::Deserializer::new(tracked, &mut note));
        let at = |path: &str| SpecError::one(self.find(path), path, "");
        match (read, unread) {
            (Err(error), _) => {
                let path = track.path().to_string();
                let path = if path == "." { "" } else { path.as_str() };
                let mut refused = at(path);
                refused.wrong(error.to_string());
                Err(refused)
            }
            (Ok(_), Some(path)) => {
                let mut refused = at(&path);
                refused.wrong("nobody knows this field".to_owned());
                Err(refused)
            }
            (Ok(value), None) => Ok(value),
        }
    }
}

/// A path `a.0.b` as `a[0].b`, and without the marks of options and newtypes.
fn in_brackets(path: &str) -> String {
    let mut written = String::new();
    for part in path.split('.').filter(|part| !part.is_empty() && *part != "?") {
        if part.bytes().all(|b| b.is_ascii_digit()) {
            written.push_str(&format!("[{part}]"));
        } else {
            if !written.is_empty() {
                written.push('.');
            }
            written.push_str(part);
        }
    }
    written
}

impl<'de> Deserialize<'de> for StrategySpec {
    /// From any format that describes itself, as strictly as [`StrategySpec::from_json`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(&Node::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
