//! How a judgement is shown.

use std::path::Path;

use deploy_strategies::analysis::page::Page;
use serde_json::json;

use super::args::Args;
use super::method::Judged;
use super::outcome::Failure;
use crate::show::{Screen, line};

/// What a page is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Markdown,
    Html,
}

/// Whether the page that is asked for, if any, is one that can be written: said before anything is judged.
///
/// # Errors
///
/// [`Failure`] if its name does not say what it is.
pub(crate) fn check(args: &Args) -> Result<(), Failure> {
    args.page.as_deref().map_or(Ok(()), |path| kind(path).map(drop))
}

pub(crate) fn show(args: &Args, judged: &Judged) -> Result<(), Failure> {
    // The page first: whoever reads the judgement may rely on it.
    if let Some(path) = args.page.as_deref() {
        write(args, path, judged)?;
    }
    let warnings = judged.warnings.iter().map(|warning| format!("\nwarning: {warning}"));
    let power = judged.power.iter().map(|power| format!("\npower: {power}"));
    let text: String =
        [judged.verdict.to_string().trim_end().to_owned()].into_iter().chain(warnings).chain(power).collect();
    if args.json {
        let facts = json!({
            "method": judged.method,
            "verdict": judged.verdict,
            "warnings": judged.warnings,
            "power": judged.power,
            "lines": judged.traced.lines,
            "decided": judged.traced.decided,
        });
        Screen::new(true).say("judgement", &text, &facts);
    } else {
        line(&text);
    }
    Ok(())
}

fn write(args: &Args, path: &Path, judged: &Judged) -> Result<(), Failure> {
    let title = format!("{} beside {} ({})", args.candidate.display(), args.baseline.display(), judged.method);
    let mut verdict = judged.verdict.clone();
    for warning in &judged.warnings {
        verdict.because = format!("{}; warning: {warning}", verdict.because);
    }
    let page = Page::new(title, &verdict).power(judged.power.clone());
    let text = match kind(path)? {
        Kind::Markdown => page.markdown(),
        Kind::Html => judged.traced.pictures.iter().cloned().fold(page, Page::picture).html(),
    };
    std::fs::write(path, text).map_err(|source| Failure::File { path: path.to_owned(), source })
}

fn kind(path: &Path) -> Result<Kind, Failure> {
    match path.extension().and_then(|end| end.to_str()) {
        Some("md") => Ok(Kind::Markdown),
        Some("html") => Ok(Kind::Html),
        _ => {
            let path = path.display();
            let what = format!("{path}: a page is Markdown or HTML; end its name in .md or .html");
            Err(Failure::Arguments(what))
        }
    }
}
