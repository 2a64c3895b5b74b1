//! Finds the lines that cite rows, and what they stand on.

use std::collections::BTreeSet;

/// What cites rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cite {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) rows: BTreeSet<u16>,
    /// Whether it is a test; only tests show anything.
    pub(crate) test: bool,
}

/// The cites of one file.
pub(crate) fn cites(file: &str, text: &str) -> Result<Vec<Cite>, String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let (said, of_file) = match (line.strip_prefix("/// Rows: "), line.strip_prefix("//! Rows: ")) {
            (Some(said), _) => (said, false),
            (_, Some(said)) => (said, true),
            _ => continue,
        };
        // Documentation may speak of rows of another kind.
        if !said.strip_prefix('M').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            continue;
        }
        let at = format!("{file}:{}", index + 1);
        let rows = rows(said).ok_or_else(|| format!("{at}: write rows as `Rows: M8, M9-M12.`, not {said:?}"))?;
        let (name, test) = if of_file {
            (file_name(file), false)
        } else {
            item(&lines, index).ok_or_else(|| format!("{at}: nothing follows that has a name"))?
        };
        found.push(Cite { file: file.to_owned(), name, rows, test });
    }
    Ok(found)
}

fn file_name(file: &str) -> String {
    let mut parts = file.trim_end_matches(".rs").rsplit('/');
    match parts.next() {
        Some("mod" | "lib" | "main") => parts.next().unwrap_or(file).to_owned(),
        last => last.unwrap_or(file).to_owned(),
    }
}

fn rows(said: &str) -> Option<BTreeSet<u16>> {
    let number = |text: &str| text.strip_prefix('M')?.parse::<u16>().ok();
    let mut rows = BTreeSet::new();
    for part in said.strip_suffix('.')?.split(", ") {
        match part.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first >= last {
                    return None;
                }
                rows.extend(first..=last);
            }
            None => {
                rows.insert(number(part)?);
            }
        }
    }
    Some(rows)
}

/// The item that a line of documentation stands on: its name, and whether it is a test.
fn item(lines: &[&str], at: usize) -> Option<(String, bool)> {
    let is_test = |line: &&str| {
        line.starts_with("#[") && line.trim_end_matches(']').split(['(', '[', ':', ' ']).any(|word| word == "test")
    };
    let belongs = |line: &&&str| line.starts_with("///") || line.starts_with("#[");
    // An attribute may stand before the documentation too.
    let before = lines[..at].iter().rev().take_while(belongs).any(is_test);
    let mut depth = 0_i32;
    let mut test = before;
    for line in &lines[at + 1..] {
        // Attributes and derives may take several lines.
        if depth > 0 || line.starts_with('#') {
            test |= depth == 0 && is_test(line);
            depth += count(line, '[') - count(line, ']');
            continue;
        }
        if line.starts_with("//") || line.is_empty() {
            continue;
        }
        return name(line).map(|name| (name, test));
    }
    None
}

fn count(line: &str, wanted: char) -> i32 {
    i32::try_from(line.matches(wanted).count()).unwrap_or(i32::MAX)
}

fn name(line: &str) -> Option<String> {
    let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '!')).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let kinds = ["fn", "struct", "enum", "trait", "mod", "const", "static", "type", "union", "macro_rules!"];
    // `const fn` is a function.
    let Some(at) = words.iter().position(|word| kinds.contains(word)) else {
        // A variant, a field, or an item that a macro makes: it begins with its name.
        let statement = ["let", "use", "impl", "return", "if", "match", "for", "while", "loop", "extern"];
        let first = words.iter().find(|word| !matches!(**word, "pub" | "crate" | "super"))?;
        return (line.starts_with(char::is_alphabetic) && !statement.contains(first)).then(|| (*first).to_owned());
    };
    let at = if words[at] == "const" && words.get(at + 1) == Some(&"fn") { at + 1 } else { at };
    let at = if words.get(at + 1) == Some(&"fn") { at + 1 } else { at };
    words.get(at + 1).map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Cite, cites};

    fn one(text: &str) -> Cite {
        let mut found = cites("a/src/b.rs", text).expect("well formed");
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn a_cite_knows_what_it_stands_on() {
        let text = "/// It is so.\n///\n/// Rows: M8, M10-M12.\n#[must_use]\npub async fn judge(\n";
        let cite = one(text);
        assert_eq!((cite.name.as_str(), cite.test), ("judge", false));
        assert_eq!(cite.rows.into_iter().collect::<Vec<_>>(), [8, 10, 11, 12]);
        for test in ["#[test]", "#[tokio::test(flavor = \"multi_thread\", worker_threads = 2)]", "#[tokio::test]"] {
            let cite = one(&format!("    /// Rows: M1.\n    {test}\n    async fn it_holds() {{\n"));
            assert_eq!((cite.name.as_str(), cite.test), ("it_holds", true), "{test}");
            assert!(one(&format!("{test}\n/// Rows: M1.\nfn it_holds() {{\n")).test, "{test}");
        }
        let derived = one(
            "/// Rows: M1.\n#[derive(Debug)]\n#[expect(\n    clippy::x,\n    reason = \"y\"\n)]\npub(crate) struct Thing<'a> {\n",
        );
        assert_eq!((derived.name.as_str(), derived.test), ("Thing", false));
        assert_eq!(one("//! Rows: M1.\n").name, "b");
        assert_eq!(one("    /// Rows: M1.\n    RiskManager is RiskManager {\n").name, "RiskManager");
        assert_eq!(one("    /// Rows: M1.\n    pub(crate) plan: Digest,\n").name, "plan");
        assert!(!one("#[test]\nfn first() {}\n\n/// Rows: M1.\nfn helper() {}\n").test, "the test is another");
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for said in ["M8", "M8, M9", "M8,M9.", "M12-M8.", "M8; M9.", "M8 and M9.", "M8..", "M99999."] {
            assert!(cites("x.rs", &format!("/// Rows: {said}\nfn x() {{}}\n")).is_err(), "{said}");
        }
        for nothing in ["", "    let x = 1;", "}", "impl Thing {"] {
            assert!(cites("x.rs", &format!("/// Rows: M8.\n{nothing}\n")).is_err(), "{nothing:?}");
        }
        assert_eq!(cites("x.rs", "/// Rows: of a table.\nfn x() {}\n"), Ok(Vec::new()));
    }
}
