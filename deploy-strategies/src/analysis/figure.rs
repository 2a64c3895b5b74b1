//! Figures of a configuration, held against what they have to be.

/// A figure of a judge's configuration makes no sense: with it every release would pass, or none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} of the {judge} is {value}, where {needed} is needed")]
pub struct FigureError {
    /// Whose.
    pub judge: &'static str,
    /// Which.
    pub field: String,
    /// What it is.
    pub value: f64,
    /// What it has to be.
    pub needed: &'static str,
}

/// The figures of one judge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures(pub(super) &'static str);

impl Figures {
    pub(super) fn within(
        self,
        field: impl Into<String>,
        value: f64,
        right: bool,
        needed: &'static str,
    ) -> Result<(), FigureError> {
        if right { Ok(()) } else { Err(FigureError { judge: self.0, field: field.into(), value, needed }) }
    }

    /// Strictly between 0 and 1.
    pub(super) fn open(self, field: impl Into<String>, value: f64) -> Result<(), FigureError> {
        self.within(field, value, value > 0.0 && value < 1.0, "a number between 0 and 1")
    }

    /// Above 0, and finite.
    pub(super) fn positive(self, field: impl Into<String>, value: f64) -> Result<(), FigureError> {
        self.within(field, value, value > 0.0 && value.is_finite(), "a number above 0")
    }

    /// A score from 0 to 100 from which on a release passes, and the one from which on it does not fail.
    pub(super) fn scores(self, pass: f64, (field, below): (&str, f64)) -> Result<(), FigureError> {
        self.within("pass", pass, pass > 0.0 && pass <= 100.0, "a score above 0, and at most 100")?;
        self.within(field, below, (0.0..=pass).contains(&below), "a score of 0 or more, and at most that for passing")
    }
}
