//! Goes back to a source and reads what stands at a place.

use super::json::{Tree, find};
use super::xml::{Next, Xml};
use super::{Place, Problem, ReadError, Source};

/// A source that was opened again, to see what stands at a place that a fact cites.
///
/// ```
/// use deploy_agents::evidence::{Original, Place, Source, junit};
///
/// let bytes = br#"<testsuite name="cart" tests="1"><testcase name="adds" time="0.5"/></testsuite>"#;
/// let source = Source::new("junit.xml", bytes);
/// let facts = junit::read(&source)?;
/// let seconds = facts.cases[0].seconds.as_ref().expect("the report says");
/// assert_eq!(seconds.at.to_string(), "junit.xml#/testsuite/testcase/@time");
/// assert_eq!(Original::open(&source).text_at(&seconds.at.place)?, "0.5");
/// # Ok::<(), deploy_agents::evidence::ReadError>(())
/// ```
#[derive(Debug)]
pub struct Original<'a> {
    source: Source<'a>,
}

impl<'a> Original<'a> {
    /// Opens a source. For what stands in a signed envelope, that is its payload.
    #[must_use]
    pub fn open(source: &Source<'a>) -> Self {
        Self { source: *source }
    }

    /// The text or number that stands at a place, as text. Numbers of JSON are written in their shortest form, words of a text
    /// up to the next blank or comma.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the source cannot be read, or if nothing or no single value stands there.
    pub fn text_at(&self, place: &Place) -> Result<String, ReadError> {
        let nothing = || ReadError::new(Problem::Field, self.source.at(place.clone()), "no single value stands here");
        match place {
            Place::Whole => Ok(self.source.text()?.to_owned()),
            Place::Json(pointer) => match find(&self.source, pointer)? {
                Some(Tree::Flag(flag)) => Ok(flag.to_string()),
                Some(Tree::Whole(number)) => Ok(number.to_string()),
                Some(Tree::Negative(number)) => Ok(number.to_string()),
                Some(Tree::Real(number)) => Ok(number.to_string()),
                Some(Tree::Text(text)) => Ok(text.into_string()),
                Some(Tree::Null | Tree::List(_) | Tree::Object(_)) | None => Err(nothing()),
            },
            Place::Xml(path) => self.xml(path)?.ok_or_else(nothing),
            Place::Text { line, column } => {
                let index = |n: &u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
                let text = self.source.text()?.lines().nth(index(line)).ok_or_else(nothing)?;
                let rest = text.get(index(column)..).ok_or_else(nothing)?;
                let end =
                    rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | ']' | ')')).unwrap_or(rest.len());
                Ok(rest[..end].to_owned())
            }
        }
    }

    fn xml(&self, path: &str) -> Result<Option<String>, ReadError> {
        let (element_path, attribute) = match path.rsplit_once("/@") {
            Some((element, attribute)) => (element, Some(attribute)),
            None => (path, None),
        };
        let mut xml = Xml::new(&self.source)?;
        let (mut text, mut inside) = (String::new(), 0_usize);
        loop {
            match xml.next()? {
                Next::Open(element) if inside == 0 => {
                    if element.at().place == Place::Xml(element_path.to_owned()) {
                        match attribute {
                            Some(name) => return Ok(element.attribute(name).map(|value| value.trim().to_owned())),
                            None => inside = 1,
                        }
                    }
                }
                Next::Open(_) => inside += 1,
                Next::Text(part) if inside > 0 => text.push_str(&part),
                Next::Close(_) if inside == 1 => return Ok(Some(text.trim().to_owned())),
                Next::Close(_) => inside = inside.saturating_sub(1),
                Next::Text(_) => {}
                Next::End => return Ok(None),
            }
        }
    }
}
