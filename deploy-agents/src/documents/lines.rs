//! Which line of a text a place in a document came from.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The lines of the places of a document, by JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lines(BTreeMap<String, u32>);

/// A part of a pointer, as RFC 6901 writes it.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl Lines {
    /// The line of a place, or of the nearest place around it.
    #[must_use]
    pub fn of(&self, pointer: &str) -> Option<u32> {
        let mut at = pointer;
        loop {
            match (self.0.get(at), at.rfind('/')) {
                (Some(line), _) => return Some(*line),
                (None, Some(slash)) => at = &at[..slash],
                (None, None) => return None,
            }
        }
    }

    pub(super) fn set(&mut self, pointer: impl Into<String>, line: u32) {
        self.0.insert(pointer.into(), line);
    }

    /// The lines of a JSON text that was read already; and the first name that stands twice in one object.
    pub(super) fn of_json(text: &str) -> (Self, Option<(String, String)>) {
        let mut walk = JsonWalk { text, line: (0, 1), lines: Self::default(), twice: None };
        if let Ok(root) = serde_json::from_str::<&RawValue>(text) {
            walk.visit(root, String::new());
        }
        (walk.lines, walk.twice)
    }
}

struct JsonWalk<'t> {
    text: &'t str,
    /// How many bytes were counted, and the line that they end in. Values are visited in the order of the text.
    line: (usize, u32),
    lines: Lines,
    twice: Option<(String, String)>,
}

/// The members of an object in their order, each as its text.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'t> JsonWalk<'t> {
    fn visit(&mut self, value: &'t RawValue, pointer: String) {
        let text = value.get();
        let at = text.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let (counted, line) = self.line;
        let newlines =
            self.text.as_bytes().get(counted..at).unwrap_or_default().iter().filter(|b| **b == b'\n').count();
        let line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        self.line = (at.max(counted), line);
        self.lines.set(pointer.as_str(), line);
        if text.starts_with('{') {
            let Ok(Members(members)) = serde_json::from_str::<Members<'t>>(text) else { return };
            let mut seen = std::collections::BTreeSet::new();
            for (name, value) in members {
                if !seen.insert(name.clone()) && self.twice.is_none() {
                    self.twice = Some((pointer.clone(), name.clone()));
                }
                self.visit(value, format!("{pointer}/{}", escaped(&name)));
            }
        } else if text.starts_with('[') {
            let Ok(items) = serde_json::from_str::<Vec<&'t RawValue>>(text) else { return };
            for (index, value) in items.into_iter().enumerate() {
                self.visit(value, format!("{pointer}/{index}"));
            }
        }
    }
}

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn every_place_of_a_json_text_has_its_line() {
        let text = "{\n  \"a\": [1,\n 2, {\"b/c\": null}],\n\n \"d\": \"x\\ny\"}";
        let (lines, twice) = Lines::of_json(text);
        let of = |pointer| lines.of(pointer);
        assert_eq!((of(""), of("/a"), of("/a/0"), of("/a/1"), of("/d")), (Some(1), Some(2), Some(2), Some(3), Some(5)));
        assert_eq!((of("/a/2/b~1c"), of("/a/2/none/such")), (Some(3), Some(3)));
        assert_eq!(twice, None);
        assert_eq!(Lines::of_json("{\"a\":{\"b\":1,\n\"b\":2}}").1, Some(("/a".to_owned(), "b".to_owned())));
    }
}
