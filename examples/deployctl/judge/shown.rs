//! How a judgement is shown.

use std::path::Path;

use deploy_strategies::analysis::page::Page;
use serde_json::json;

use super::args::Args;
use super::method::Judged;
use super::outcome::Failure;

#[expect(clippy::print_stdout, reason = "the judgement is what the program is for")]
pub(crate) fn show(args: &Args, judged: &Judged) -> Result<(), Failure> {
    if args.json {
        println!("{}", json!({"method": judged.method, "verdict": judged.verdict, "power": judged.power}));
    } else {
        print!("{}", judged.verdict);
        for power in &judged.power {
            println!("power: {power}");
        }
    }
    args.page.as_deref().map_or(Ok(()), |path| write(args, path, judged))
}

fn write(args: &Args, path: &Path, judged: &Judged) -> Result<(), Failure> {
    let title = format!("{} beside {} ({})", args.candidate.display(), args.baseline.display(), judged.method);
    let page = Page::new(title, &judged.verdict).power(judged.power.clone());
    let text = match path.extension().and_then(|end| end.to_str()) {
        Some("md") => page.markdown(),
        Some("html") => judged.pictures.iter().cloned().fold(page, Page::picture).html(),
        _ => {
            let path = path.display();
            return Err(Failure::Arguments(format!(
                "{path}: a page is Markdown or HTML; end its name in .md or .html"
            )));
        }
    };
    std::fs::write(path, text).map_err(|source| Failure::File { path: path.to_owned(), source })
}
