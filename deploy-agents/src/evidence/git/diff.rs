//! What differs between two trees.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::ChangedFile;

/// Reads what `git diff-tree -z --numstat` writes: `added TAB removed TAB path NUL`.
pub(super) fn numstat(bytes: &[u8], most: usize) -> Result<Vec<ChangedFile>, String> {
    let mut files = Vec::new();
    for entry in bytes.split(|b| *b == 0).filter(|entry| !entry.is_empty()) {
        if files.len() >= most {
            return Err(format!("more than {most} changed files are not read"));
        }
        let mut parts = entry.splitn(3, |b| *b == b'\t');
        let (Some(added), Some(removed), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("git listed a changed file in a way that is not known".to_owned());
        };
        // A dash stands for a binary file.
        let count = |part: &[u8]| std::str::from_utf8(part).ok().and_then(|text| text.trim().parse().ok());
        files.push(ChangedFile {
            path: String::from_utf8_lossy(path).into_owned(),
            added: count(added),
            removed: count(removed),
            lines: BTreeSet::new(),
        });
    }
    Ok(files)
}

/// Reads the lines that are new from a patch without context. Lines are counted down inside of each hunk, so that no content
/// can pass for a header.
pub(super) fn changed_lines(bytes: &[u8]) -> Result<BTreeMap<String, BTreeSet<u64>>, String> {
    let unknown = |line: &str| format!("git wrote a patch in a way that is not known: {line:.80}");
    let mut files: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    let mut path: Option<String> = None;
    let mut content = 0_u64;
    for line in bytes.split(|b| *b == b'\n') {
        if content > 0 {
            if !line.starts_with(b"\\") {
                content -= 1;
            }
            continue;
        }
        let line = String::from_utf8_lossy(line);
        if line.starts_with("diff ") {
            path = None;
        } else if let Some(name) = line.strip_prefix("+++ ") {
            // git ends a name with blanks in it by a tab.
            let name = unquote(name.trim_end_matches('\t')).ok_or_else(|| unknown(&line))?;
            path = name.strip_prefix("b/").map(str::to_owned);
        } else if let Some(hunk) = line.strip_prefix("@@ ") {
            let (removed, added) = sides(hunk).ok_or_else(|| unknown(&line))?;
            content = removed.1.saturating_add(added.1);
            if let Some(path) = &path {
                // No hunk is longer than the patch.
                if added.1 > bytes.len() as u64 {
                    return Err(unknown(&line));
                }
                let end = added.0.saturating_add(added.1);
                files.entry(path.clone()).or_default().extend(added.0..end);
            }
        }
    }
    Ok(files)
}

/// `-3,2 +3,4 @@ …`: start and length of both sides.
fn sides(hunk: &str) -> Option<((u64, u64), (u64, u64))> {
    let mut parts = hunk.split(' ');
    let side = |part: &str, sign: char| {
        let (start, length) = part.strip_prefix(sign)?.split_once(',').unwrap_or((part.strip_prefix(sign)?, "1"));
        Some((start.parse().ok()?, length.parse().ok()?))
    };
    Some((side(parts.next()?, '-')?, side(parts.next()?, '+')?))
}

/// A name in quotes, as git writes those with control characters, quotes or backslashes in them.
fn unquote(name: &str) -> Option<String> {
    let Some(inner) = name.strip_prefix('"') else { return Some(name.to_owned()) };
    let mut bytes = Vec::new();
    let mut rest = inner.strip_suffix('"')?.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            first @ b'0'..=b'3' => {
                let octal = [first, rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&octal).ok()?, 8).ok()?
            }
            quoted @ (b'"' | b'\\') => quoted,
            _ => return None,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{changed_lines, numstat, unquote};

    #[test]
    fn names_in_quotes_are_what_they_stand_for() {
        assert_eq!(unquote("b/plain name"), Some("b/plain name".to_owned()));
        assert_eq!(unquote(r#""b/a\tb\"c\\d\303\251""#), Some("b/a\tb\"c\\dé".to_owned()));
        for broken in ["\"b/a", r#""b/\"#, r#""b/\9""#, r#""b/\30""#] {
            assert_eq!(unquote(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_hunk_that_is_longer_than_its_patch_is_refused() {
        let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1,18446744073709551615 @@\n+a\n";
        assert!(changed_lines(patch.as_bytes()).is_err());
        assert!(numstat(b"1\t2\ta\x003\t4\tb\0", 1).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in "(diff |\\+\\+\\+ b/|@@ -|@@ -1,2 \\+3,4 @@|[0-9]{1,20}|,| |\n|\t|\"|\\\\|-|\\+|é|\0){0,40}") {
            let _either = changed_lines(bytes.as_bytes());
            let _either = numstat(bytes.as_bytes(), 10);
        }
    }
}
