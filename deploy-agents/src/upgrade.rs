//! Documents of earlier formats, brought to the one that is read.

use serde_json::{Map, Value};

/// Makes a document of one format one of the next. The number of its format is not its business.
///
/// A step that was released is never changed, only followed by another: what it reads was written long ago.
pub type Upgrade = fn(&mut Map<String, Value>) -> Result<(), String>;

/// The formats of one kind of document: the newest, and the way there from each earlier one that is still read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Formats {
    newest: u32,
    upgrades: &'static [Upgrade],
}

/// A document whose format is not read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    #[error(
        "its format is {found}, and {newest} is the newest known here: read it with the build that wrote it, or a newer one"
    )]
    Newer { found: u64, newest: u32 },
    #[error("its format is {found}, and {oldest} is the oldest read here: write it anew")]
    Older { found: u64, oldest: u32 },
    #[error("it has no format number; one of today has \"format\": {newest}")]
    Unnumbered { newest: u32 },
    #[error("it is of format {from}, and could not be brought to {}: {why}", from + 1)]
    Step { from: u32, why: String },
}

impl Formats {
    /// The newest format, and one step for each earlier one that is still read, the last of which leads to the newest. Where they begin
    /// at 0, a document without a number is of format 0.
    pub(crate) const fn new(newest: u32, upgrades: &'static [Upgrade]) -> Self {
        Self { newest, upgrades }
    }

    fn oldest(self) -> u32 {
        self.newest.saturating_sub(u32::try_from(self.upgrades.len()).unwrap_or(u32::MAX))
    }

    /// Which of the formats that are read a number is; absent: there is none.
    pub(crate) fn known(self, number: Option<u64>) -> Result<u32, FormatError> {
        let (oldest, newest) = (self.oldest(), self.newest);
        let found = match number {
            None if oldest > 0 => return Err(FormatError::Unnumbered { newest }),
            None => 0,
            Some(found) => found,
        };
        match u32::try_from(found) {
            Ok(known) if (oldest..=newest).contains(&known) => Ok(known),
            Ok(known) if known < oldest => Err(FormatError::Older { found, oldest }),
            _ => Err(FormatError::Newer { found, newest }),
        }
    }

    /// Whether a number is of an earlier format that is read.
    pub(crate) fn is_earlier(self, number: Option<u64>) -> bool {
        self.known(number).is_ok_and(|known| known < self.newest)
    }

    /// A document of any format that is read as one of the newest, step by step.
    pub(crate) fn upgrade(self, mut document: Map<String, Value>) -> Result<Map<String, Value>, FormatError> {
        let found = self.known(document.get("format").and_then(Value::as_u64))?;
        let first = usize::try_from(found - self.oldest()).unwrap_or(usize::MAX);
        for (from, step) in (found..).zip(self.upgrades.iter().skip(first)) {
            step(&mut document).map_err(|why| FormatError::Step { from, why })?;
            document.insert("format".to_owned(), (from + 1).into());
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Format 2 was called otherwise, format 3 counts in seconds rather than minutes, format 4 has a list.
    const STEPS: Formats = Formats::new(
        4,
        &[
            |document| match document.remove("title") {
                Some(title) => {
                    document.insert("name".to_owned(), title);
                    Ok(())
                }
                None => Err("it has no title".to_owned()),
            },
            |document| {
                let minutes = document.remove("minutes").and_then(|m| m.as_u64()).ok_or("it has no minutes")?;
                document.insert("seconds".to_owned(), (60 * minutes).into());
                Ok(())
            },
            |document| {
                let name = document.remove("name").unwrap_or_default();
                document.insert("names".to_owned(), json!([name]));
                Ok(())
            },
        ],
    );

    fn upgraded(document: Value) -> Result<Value, String> {
        let Value::Object(document) = document else { panic!("an object") };
        STEPS.upgrade(document).map(Value::Object).map_err(|error| error.to_string())
    }

    /// Rows: M131.
    #[test]
    fn a_document_of_each_earlier_format_takes_each_step_that_is_left() {
        let newest = json!({ "format": 4, "names": ["a"], "seconds": 120 });
        for earlier in [
            json!({ "format": 1, "title": "a", "minutes": 2 }),
            json!({ "format": 2, "name": "a", "minutes": 2 }),
            json!({ "format": 3, "name": "a", "seconds": 120 }),
            newest.clone(),
        ] {
            assert_eq!(upgraded(earlier.clone()).as_ref(), Ok(&newest), "{earlier}");
        }
    }

    /// Rows: M131.
    #[test]
    fn what_is_newer_or_too_old_or_no_longer_understood_is_refused_with_what_to_do() {
        for (document, said) in [
            (
                json!({ "format": 5 }),
                "its format is 5, and 4 is the newest known here: read it with the build that wrote it",
            ),
            (json!({ "format": u64::MAX }), "the newest known here"),
            (json!({ "format": 0 }), "its format is 0, and 1 is the oldest read here: write it anew"),
            (json!({ "title": "a" }), "it has no format number; one of today has \"format\": 4"),
            (json!({ "format": "4" }), "it has no format number"),
            (json!({ "format": 1 }), "it is of format 1, and could not be brought to 2: it has no title"),
            (
                json!({ "format": 2, "name": "a" }),
                "it is of format 2, and could not be brought to 3: it has no minutes",
            ),
        ] {
            let error = upgraded(document.clone()).expect_err(said);
            assert!(error.contains(said), "{document}: {error}");
        }
    }

    /// Rows: M131.
    #[test]
    fn without_a_number_it_is_of_format_0_where_there_was_one() {
        const UNNUMBERED: Formats = Formats::new(1, &[|_| Ok(())]);
        assert_eq!(UNNUMBERED.known(None), Ok(0));
        assert!(UNNUMBERED.is_earlier(None) && !UNNUMBERED.is_earlier(Some(1)) && !UNNUMBERED.is_earlier(Some(2)));
        assert_eq!(UNNUMBERED.upgrade(Map::new()), Ok(Map::from_iter([("format".to_owned(), 1.into())])));
        assert_eq!(Formats::new(1, &[]).known(None), Err(FormatError::Unnumbered { newest: 1 }));
    }
}
