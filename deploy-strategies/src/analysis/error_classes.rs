//! Errors grouped by what they say, and the groups that the candidate has and the baseline has not.

use std::collections::BTreeMap;
use std::fmt;

use deploy_core::monitor::Counts;
use serde::{Deserialize, Serialize};

use super::proportion::Proportions;
use super::special::real;

/// What an error says, without what differs from one occurrence to the next: numbers, hexadecimal words and what stands in
/// quotes.
///
/// ```
/// use deploy_strategies::analysis::error_classes::Fingerprint;
///
/// let one = Fingerprint::of("order 4711 of user 9f86d081884c: no such item \"lamp\" (attempt 3)");
/// let other = Fingerprint::of("order 12 of user 60303ae22b99: no such item \"chair\" (attempt 1)");
/// assert_eq!(one, other);
/// assert_eq!(one.as_str(), "order # of user #: no such item \"…\" (attempt #)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

/// How often each kind of error occurred: at most [`ErrorClasses::MOST`] kinds, what comes on top is only counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ErrorClasses {
    classes: BTreeMap<Fingerprint, u64>,
    /// Errors of kinds for which there was no room.
    #[serde(default)]
    others: u64,
}

/// A kind of error that the candidate has and the baseline has not, or far less often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewClass {
    /// What it says.
    pub fingerprint: Fingerprint,
    /// How often the candidate had it.
    pub candidate: u64,
    /// How often the baseline had it, as far as it remembers kinds.
    pub baseline: u64,
    /// The chance of so many more of the candidate's requests, if both had it alike; at most, where the baseline does not remember all kinds.
    pub p_value: f64,
}

/// The longest fingerprint, in characters: what tells kinds apart stands at the beginning.
const LONGEST: usize = 200;

/// From so many characters on a word of hexadecimal digits, with at least one digit of ten, is an identifier.
const IDENTIFIER: usize = 4;

impl Fingerprint {
    /// The fingerprint of a message.
    #[must_use]
    pub fn of(message: &str) -> Self {
        let mut text = String::new();
        let mut rest = message.trim();
        while let Some(first) = rest.chars().next() {
            let end = match first {
                '"' | '\'' | '`' => rest[1..].find(first).map(|close| close + 2),
                _ => None,
            };
            // An apostrophe within a word opens no quote.
            let within = first == '\'' && text.ends_with(char::is_alphanumeric);
            if let Some(end) = end.filter(|_| !within) {
                text.extend([first, '…', first]);
                rest = &rest[end..];
                continue;
            }
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            if end == 0 {
                text.push(if first.is_whitespace() { ' ' } else { first });
                rest = &rest[first.len_utf8()..];
                continue;
            }
            text.push_str(&word(&rest[..end]));
            rest = &rest[end..];
        }
        let mut short = String::new();
        for c in text.chars().take(LONGEST) {
            // Spaces, and numbers with points or dashes between them, are one.
            let repeated = c == ' ' && short.ends_with(' ') || c == '#' && short.ends_with(['#']);
            if c == '#' && short.ends_with(['.', '-', ':']) && short[..short.len() - 1].ends_with('#') {
                short.pop();
            } else if !repeated {
                short.push(c);
            }
        }
        Self(short)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A word without what differs: an identifier or a number as `#`, digits in a name as `#`.
fn word(word: &str) -> String {
    let digits = word.chars().any(|c| c.is_ascii_digit());
    if word.len() >= IDENTIFIER && digits && word.chars().all(|c| c.is_ascii_hexdigit()) {
        return "#".to_owned();
    }
    let mut text = String::new();
    for c in word.chars() {
        match c.is_ascii_digit() {
            true if text.ends_with('#') => {}
            true => text.push('#'),
            false => text.push(c),
        }
    }
    text
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ErrorClasses {
    /// As many kinds are told apart: whoever has more groups by something that is no kind.
    pub const MOST: usize = 500;

    /// Counts one error.
    pub fn count(&mut self, message: &str) {
        let fingerprint = Fingerprint::of(message);
        if self.classes.len() >= Self::MOST && !self.classes.contains_key(&fingerprint) {
            self.others = self.others.saturating_add(1);
            return;
        }
        let count = self.classes.entry(fingerprint).or_default();
        *count = count.saturating_add(1);
    }

    /// How often this kind occurred.
    #[must_use]
    pub fn of(&self, fingerprint: &Fingerprint) -> u64 {
        self.classes.get(fingerprint).copied().unwrap_or(0)
    }

    /// Errors of kinds for which there was no room. Where there are any, the kinds that are new may not be all.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }

    /// The kinds that the candidate had more often than chance allows, the surest first: by Fisher's test on the requests that had them,
    /// with a chance of at most `alpha` (0 to 1) of naming any where both arms are alike. That holds for one look at a time that does not
    /// depend on what was seen; who looks again and again divides `alpha` among the looks. It takes each error for one of another request:
    /// requests that have the same error many times make chance look smaller than it is.
    ///
    /// `alpha` is divided by the kinds that either arm had, since which these are says nothing of the arm that had them; by those of the
    /// candidate alone it would be divided by fewer the luckier they fell. Of [`ErrorClasses::others`] each is taken for a kind of its own in
    /// that number, and all of the baseline's for any kind that the baseline does not remember: where the baseline had more kinds than
    /// it could remember, a kind is named only if it were new even so.
    ///
    /// `requests` are those of the candidate and of the baseline. Nothing where one of them saw none.
    #[must_use]
    pub fn new_in(&self, baseline: &Self, requests: (u64, u64), alpha: f64) -> Vec<NewClass> {
        let level = alpha / real(self.kinds_with(baseline).max(1));
        let classes = self.classes.iter().filter_map(|(fingerprint, candidate)| {
            let known = baseline.classes.get(fingerprint).copied();
            // A request may have an error more than once.
            let of = |events: u64, bad: u64| Counts::new(events, bad.min(events)).ok();
            let most = known.unwrap_or(baseline.others);
            let both = Proportions::of(of(requests.0, *candidate)?, of(requests.1, most)?).ok()?;
            let p_value = both.exact().greater;
            let (fingerprint, old) = (fingerprint.clone(), known.unwrap_or(0));
            (p_value <= level).then_some(NewClass { fingerprint, candidate: *candidate, baseline: old, p_value })
        });
        let mut classes: Vec<NewClass> = classes.collect();
        classes.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
        classes
    }

    /// The most kinds that either of two arms may have had.
    fn kinds_with(&self, other: &Self) -> u64 {
        let more = other.classes.keys().filter(|fingerprint| !self.classes.contains_key(*fingerprint));
        let remembered = u64::try_from(self.classes.len() + more.count()).unwrap_or(u64::MAX);
        remembered.saturating_add(self.others).saturating_add(other.others)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{ErrorClasses, Fingerprint};

    #[test]
    fn what_differs_from_case_to_case_is_left_out() {
        for (message, fingerprint) in [
            ("timeout after 3.25s on 10.0.0.7:8080", "timeout after #s on #"),
            ("can't open '/var/lib/a b' (errno 2)", "can't open '…' (errno #)"),
            ("request 550e8400-e29b-41d4-a716-446655440000 failed", "request # failed"),
            ("  deadbeef   is a word, deadbee7 is not ", "deadbeef is a word, # is not"),
            ("worker17 lost", "worker# lost"),
            ("unbalanced \" quote 5", "unbalanced \" quote #"),
        ] {
            assert_eq!(Fingerprint::of(message).as_str(), fingerprint);
        }
    }

    /// Rows: M189.
    #[test]
    fn a_new_class_is_named_and_old_ones_are_not() {
        let (mut candidate, mut baseline) = (ErrorClasses::default(), ErrorClasses::default());
        for i in 0..300 {
            baseline.count(&format!("connection {i} reset by peer"));
            baseline.count(&format!("user {i} not found"));
        }
        for i in 0..34 {
            candidate.count(&format!("connection {i} reset by peer"));
            candidate.count(&format!("user {} not found", i * 7));
        }
        for i in 0..12 {
            candidate.count(&format!("cannot decode field {i} of cart v2"));
        }
        let found = candidate.new_in(&baseline, (10_000, 90_000), 0.01);
        let names: Vec<&str> = found.iter().map(|class| class.fingerprint.as_str()).collect();
        assert_eq!(names, ["cannot decode field # of cart v#"]);
        assert_eq!((found[0].candidate, found[0].baseline), (12, 0));
        // One of a kind may be chance: the baseline has nine times the traffic and may meet it too.
        let mut once = ErrorClasses::default();
        once.count("disk full");
        assert!(once.new_in(&baseline, (10_000, 90_000), 0.01).is_empty());
        assert!(candidate.new_in(&baseline, (0, 90_000), 0.01).is_empty());
    }

    /// A message of a kind of its own.
    fn letters(mut i: u32) -> String {
        let mut text = String::new();
        for _ in 0..4 {
            text.push(char::from(b'k' + u8::try_from(i % 10).expect("small")));
            i /= 10;
        }
        text
    }

    #[test]
    fn kinds_that_the_baseline_alone_had_are_chances_too() {
        // Of a hundred kinds that occur once, two have to fall to an arm of two requests in a hundred, by chance alone.
        let (mut candidate, mut baseline) = (ErrorClasses::default(), ErrorClasses::default());
        (0..2).for_each(|i| candidate.count(&letters(i)));
        (2..100).for_each(|i| baseline.count(&letters(i)));
        assert!(candidate.new_in(&baseline, (1_000, 99_000), 0.05).is_empty());
        // Alone, it would be a chance of one in a hundred.
        let mut alone = ErrorClasses::default();
        alone.count("disk full");
        assert_eq!(alone.new_in(&ErrorClasses::default(), (1_000, 99_000), 0.05).len(), 1);
    }

    #[test]
    fn a_kind_that_the_baseline_may_have_forgotten_is_not_new() {
        let mut baseline = ErrorClasses::default();
        (0..500).for_each(|i| baseline.count(&letters(i)));
        let mut candidate = ErrorClasses::default();
        (0..20).for_each(|_| candidate.count("disk full"));
        let new = |baseline: &ErrorClasses| candidate.new_in(baseline, (10_000, 90_000), 0.01).len();
        assert_eq!(new(&baseline), 1);
        // The baseline had it as often for its share, when there was no room left.
        (0..180).for_each(|_| baseline.count("disk full"));
        assert_eq!((baseline.others(), new(&baseline)), (180, 0));
        // A few that were forgotten cannot have been so many.
        let mut few = ErrorClasses::default();
        (0..503).for_each(|i| few.count(&letters(i)));
        assert_eq!((few.others(), new(&few)), (3, 1));
    }

    proptest! {
        #[test]
        fn where_each_kind_occurs_once_chance_names_any_as_seldom_as_promised(kinds in 1u32..60, share in 0.001f64..0.5) {
            // The chance that none of them falls to the candidate is known; any that does is named, or none is.
            let requests = ((share * 1e6) as u64, 1_000_000 - (share * 1e6) as u64);
            let (mut candidate, mut baseline) = (ErrorClasses::default(), ErrorClasses::default());
            candidate.count(&letters(0));
            (1..kinds).for_each(|i| baseline.count(&letters(i)));
            let named = !candidate.new_in(&baseline, requests, 0.05).is_empty();
            let falls = 1.0 - (1.0 - requests.0 as f64 / 1e6).powi(i32::try_from(kinds).expect("few"));
            prop_assert!(!named || falls <= 0.05 + 1e-9, "{falls}");
        }
    }

    #[test]
    fn there_are_only_so_many_kinds() {
        let mut classes = ErrorClasses::default();
        (0..600).for_each(|i| classes.count(&letters(i)));
        assert_eq!((classes.classes.len(), classes.others()), (ErrorClasses::MOST, 100));
    }

    proptest! {
        #[test]
        fn any_text_has_a_short_fingerprint_without_digits(text: String) {
            let fingerprint = Fingerprint::of(&text);
            prop_assert!(fingerprint.as_str().chars().count() <= 200);
            prop_assert!(!fingerprint.as_str().chars().any(|c| c.is_ascii_digit()));
        }

        #[test]
        fn a_fingerprint_is_its_own(text in "[a-z0-9 '\":.]{0,40}") {
            let once = Fingerprint::of(&text);
            prop_assert_eq!(Fingerprint::of(once.as_str()), once);
        }
    }
}
