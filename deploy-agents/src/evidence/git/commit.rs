//! A commit as the bytes that are hashed.

use deploy_core::time::Timestamp;

use super::super::facts::{Commit, CommitSignature, ConventionalCommit};
use super::{is_id, unique};

/// The first commit of what `git cat-file --batch` writes, and what follows it.
pub(super) fn parse_commit(bytes: &[u8]) -> Option<(Commit, &[u8])> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    let header = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut parts = header.split(' ');
    let (id, kind, size) = (parts.next()?, parts.next()?, parts.next()?.parse::<usize>().ok()?);
    if kind != "commit" || !is_id(id) {
        return None;
    }
    let start = end + 1;
    let object = bytes.get(start..start.checked_add(size)?)?;
    let rest = bytes.get(start + size + 1..)?;
    Some((commit(id, object)?, rest))
}

fn commit(id: &str, object: &[u8]) -> Option<Commit> {
    let mut commit = Commit { id: id.to_owned(), signature: CommitSignature::None, ..Commit::default() };
    let mut rest = object;
    loop {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let (line, after) = (rest.get(..end)?, rest.get(end + 1..)?);
        rest = after;
        if line.is_empty() {
            break;
        }
        let line = String::from_utf8_lossy(line);
        match line.split_once(' ') {
            Some(("parent", parent)) => commit.parents.push(parent.to_owned()),
            Some(("author", who)) if commit.author.is_empty() => (commit.author, commit.authored) = person(who)?,
            Some(("committer", who)) if commit.committer.is_empty() => {
                (commit.committer, commit.committed) = person(who)?
            }
            Some(("gpgsig" | "gpgsig-sha256", _)) => commit.signature = CommitSignature::Present,
            // Further headers, and the further lines of one, which begin with a blank.
            _ => {}
        }
    }
    let message = String::from_utf8_lossy(rest).replace('\0', "\u{FFFD}");
    let (subject, body) = message.split_once('\n').unwrap_or((&message, ""));
    subject.trim().clone_into(&mut commit.subject);
    let (body, trailers) = split_trailers(body.trim());
    commit.trailers = trailers;
    commit.body = body;
    commit.reverts = unique(after_each(&message, "This reverts commit "));
    commit.copied_from = after_each(&message, "(cherry picked from commit ").last();
    commit.conventional = conventional(&message);
    Some(commit)
}

/// `Name <address> 1732245000 +0100`: the zone says where somebody sat, and changes nothing about when.
fn person(text: &str) -> Option<(String, Timestamp)> {
    let (who, times) = text.rsplit_once('>')?;
    let seconds: i64 = times.split_whitespace().next()?.parse().ok()?;
    Some((format!("{}>", who.trim()), Timestamp(seconds.checked_mul(1_000)?)))
}

/// The full names that stand after each of some words.
fn after_each<'a>(message: &'a str, words: &'a str) -> impl Iterator<Item = String> + 'a {
    message.match_indices(words).filter_map(move |(at, _)| {
        let rest = message.get(at + words.len()..)?;
        let id = &rest[..rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len())];
        is_id(id).then(|| id.to_owned())
    })
}

/// The last paragraph, if every line of it is a trailer, goes on from one, or says where the commit was copied from.
fn split_trailers(body: &str) -> (String, Vec<(String, String)>) {
    let (before, last) = body.rsplit_once("\n\n").unwrap_or(("", body));
    let mut trailers: Vec<(String, String)> = Vec::new();
    for line in last.lines() {
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = trailers.last_mut()
        {
            value.push(' ');
            value.push_str(line.trim());
            continue;
        }
        if line.starts_with("(cherry picked from commit ") {
            continue;
        }
        let token = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match line.split_once(':') {
            Some((name, value)) if token(name) && value.starts_with(' ') => {
                trailers.push((name.to_owned(), value.trim().to_owned()));
            }
            Some(("BREAKING CHANGE", value)) => {
                trailers.push(("BREAKING CHANGE".to_owned(), value.trim().to_owned()));
            }
            _ => return (body.to_owned(), Vec::new()),
        }
    }
    if trailers.is_empty() { (body.to_owned(), trailers) } else { (before.trim().to_owned(), trailers) }
}

fn conventional(message: &str) -> Option<ConventionalCommit> {
    let parsed = git_conventional::Commit::parse(message.trim()).ok()?;
    Some(ConventionalCommit {
        kind: parsed.type_().as_str().to_ascii_lowercase(),
        scope: parsed.scope().map(|scope| scope.as_str().to_owned()),
        description: parsed.description().to_owned(),
        breaking: parsed.breaking(),
        breaking_text: parsed.breaking_description().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::{parse_commit, split_trailers};

    #[test]
    fn only_a_paragraph_of_trailers_is_one() {
        let (body, trailers) =
            split_trailers("Text.\n\nSigned-off-by: A <a@x>\nFixes: #1\n more\n(cherry picked from commit abc)");
        assert_eq!(body, "Text.");
        assert_eq!(
            trailers,
            [("Signed-off-by".to_owned(), "A <a@x>".to_owned()), ("Fixes".to_owned(), "#1 more".to_owned())]
        );
        for text in ["Text: and more\nof it", "http://example.com", ""] {
            assert_eq!(split_trailers(text), (text.to_owned(), Vec::new()));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_object_makes_it_panic(
            size in 0_usize..300,
            text in "(tree |parent |author |committer |gpgsig |A <a@x> |[0-9]{1,20}|> | |\n|\n\n|feat!: |This reverts commit |[0-9a-f]{40}|é|\0){0,30}",
        ) {
            let header = format!("{} commit {size}\n", "a".repeat(40));
            let bytes = [header.as_bytes(), text.as_bytes(), b"\n"].concat();
            let _either = parse_commit(&bytes);
            let exact = format!("{} commit {}\n{text}\n", "a".repeat(40), text.len());
            let _either = parse_commit(exact.as_bytes());
            let _either = parse_commit(text.as_bytes());
        }
    }
}
