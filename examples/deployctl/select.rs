//! Which run is meant.

use deploy_core::journal::{Journal, RunEntry, Which};

use crate::Failure;
use crate::trouble::Trouble;

/// How many runs are read at once.
const PAGE: usize = 256;
/// How many are named where several could be meant.
const NAMED: usize = 6;

/// Every run of a journal, in order of creation.
pub(crate) async fn runs(journal: &dyn Journal, which: Which) -> Result<Vec<RunEntry>, Failure> {
    let mut runs: Vec<RunEntry> = Vec::new();
    loop {
        let page = journal.list(which, runs.last().map(|entry| &entry.run), PAGE).await?;
        let whole = page.len() == PAGE;
        runs.extend(page);
        if !whole {
            return Ok(runs);
        }
    }
}

/// The run that is meant by its id, by how its id begins, or by `last`. Without a word, the only one that has not ended.
pub(crate) async fn select(journal: &dyn Journal, word: Option<&str>) -> Result<RunEntry, Failure> {
    let Some(word) = word else {
        return one(runs(journal, Which::Unfinished).await?, || {
            "no run is under way; name one, see `deployctl status`".to_owned()
        });
    };
    let all = runs(journal, Which::All).await?;
    if word == "last" {
        return all.into_iter().last().ok_or_else(|| Trouble::usage("there is no run in this journal yet"));
    }
    if let Some(exact) = all.iter().find(|entry| entry.run.as_str() == word) {
        return Ok(exact.clone());
    }
    let begins = all.into_iter().filter(|entry| !word.is_empty() && entry.run.as_str().starts_with(word));
    one(begins.collect(), || format!("no run is called {word:?} or begins with it; `deployctl status` lists them"))
}

fn one(mut found: Vec<RunEntry>, none: impl Fn() -> String) -> Result<RunEntry, Failure> {
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(Trouble::usage(none())),
        (Some(last), others) => {
            found.push(last);
            let mut names: Vec<_> = found.iter().rev().take(NAMED).map(|entry| entry.run.to_string()).collect();
            if found.len() > NAMED {
                names.push("…".to_owned());
            }
            Err(Trouble::usage(format!("{} runs could be meant: {}; name one of them", others + 1, names.join(", "))))
        }
    }
}
