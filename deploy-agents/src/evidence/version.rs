//! Versions, from every place that says one.

use super::facts::{SaidVersion, VersionFacts};
use super::json::{Document, clip};
use super::{Doubt, DoubtKind, Place, Problem, ReadError, Source, Sourced};

impl VersionFacts {
    /// What several places say. Two that differ are a blocking doubt.
    #[must_use]
    pub fn of(said: Vec<SaidVersion>) -> Self {
        let mut facts = Self { said, doubts: Vec::new() };
        if let Some((first, rest)) = facts.said.split_first() {
            for other in rest.iter().filter(|other| other.version.value != first.version.value) {
                let text = format!(
                    "{} says {}, and {} says {}",
                    first.source, first.version.value, other.source, other.version.value
                );
                facts.doubts.push(Doubt::new(DoubtKind::Contradiction, other.version.at.clone(), text));
            }
        } else {
            let text = "nobody says a version";
            facts.doubts.push(Doubt::new(DoubtKind::NothingMeasured, super::Pointer::default(), text));
        }
        facts
    }
}

fn said(source: &Source<'_>, text: &str, place: Place) -> Result<SaidVersion, ReadError> {
    let at = source.at(place);
    match semver::Version::parse(text) {
        Ok(version) => {
            let version = Sourced::new(version.to_string(), at);
            Ok(SaidVersion { source: source.file.to_owned(), version })
        }
        Err(error) => {
            let reason = format!("{:?} is no semantic version: {error}", clip(text, 60));
            Err(ReadError::new(Problem::Field, at, reason))
        }
    }
}

/// Reads the version that a tag says: `v1.2.3`, `1.2.3` or `name-v1.2.3`.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn from_tag(source: &Source<'_>) -> Result<SaidVersion, ReadError> {
    let text = source.text()?.trim();
    let digits = |at: usize| text[at..].starts_with(|c: char| c.is_ascii_digit());
    // The version begins at the first digit that begins the text or stands behind `v`, `-`, `/` or `@`.
    let start = (0..text.len().min(256)).find(|at| {
        text.is_char_boundary(*at)
            && digits(*at)
            && (*at == 0 || text[..*at].ends_with(['-', '/', '@']) || is_v(&text[..*at]))
    });
    let start = start.unwrap_or(0);
    said(source, &text[start..], Place::Text { line: 1, column: start as u64 + 1 })
}

/// A `v` that begins the text or a part of it.
fn is_v(before: &str) -> bool {
    before.strip_suffix('v').is_some_and(|front| front.is_empty() || front.ends_with(['-', '/', '@']))
}

/// Reads the version of a `Cargo.toml`: of `[package]`, else of `[workspace.package]`.
///
/// # Errors
///
/// [`ReadError`], with the line, also for a version that is inherited: it stands in another file.
pub fn from_cargo_manifest(source: &Source<'_>) -> Result<SaidVersion, ReadError> {
    let text = source.text()?;
    let (mut section, mut inherited, mut workspace) = ("", None, None);
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim();
        if bare.starts_with('[') {
            section = bare.split('#').next().unwrap_or_default().trim();
            continue;
        }
        if !matches!(section, "[package]" | "[workspace.package]") {
            continue;
        }
        let Some((key, value)) = bare.split_once('=') else { continue };
        let line_number = index as u64 + 1;
        match key.trim() {
            "version" => {
                let Some(version) = quoted(value.trim()) else {
                    inherited = Some(line_number);
                    continue;
                };
                let column = line.find(version).unwrap_or(0) as u64 + 1;
                let found = said(source, version, Place::Text { line: line_number, column })?;
                if section == "[package]" {
                    return Ok(found);
                }
                workspace = Some(found);
            }
            "version.workspace" => inherited = Some(line_number),
            _ => {}
        }
    }
    match (workspace, inherited) {
        (Some(found), _) => Ok(found),
        (None, Some(line)) => {
            let at = source.at(Place::Text { line, column: 1 });
            Err(ReadError::new(Problem::Field, at, "the version is inherited; read the manifest of the workspace"))
        }
        (None, None) => Err(ReadError::new(Problem::Field, source.at(Place::Whole), "there is no version in it")),
    }
}

fn quoted(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split_once(quote).map(|(inner, _)| inner)
}

/// Reads the version of a `package.json`.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn from_package_json(source: &Source<'_>) -> Result<SaidVersion, ReadError> {
    let document = Document::parse(source, &[])?;
    let node = document.root().need("version")?;
    said(source, node.text()?, node.at().place)
}

/// Reads the newest version of a changelog: the first heading with a version in it, `## [1.2.3] - 2026-11-22` for example.
///
/// # Errors
///
/// [`ReadError`], with the place.
pub fn from_changelog(source: &Source<'_>) -> Result<SaidVersion, ReadError> {
    for (index, line) in source.text()?.lines().enumerate() {
        if !line.starts_with('#') {
            continue;
        }
        for word in line.split([' ', '[', ']', '(', ')', '\t']).take(64) {
            let bare = word.strip_prefix('v').unwrap_or(word);
            if semver::Version::parse(bare).is_ok() {
                let column = line.find(bare).unwrap_or(0) as u64 + 1;
                return said(source, bare, Place::Text { line: index as u64 + 1, column });
            }
        }
    }
    Err(ReadError::new(Problem::Field, source.at(Place::Whole), "no heading names a version"))
}
