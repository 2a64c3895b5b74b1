//! A document in flagd's format, in which nothing is touched but the weights of a rollout.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use deploy_core::real::Real;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Parts of a percent that a weight can express: hundredths.
const PARTS: f64 = 100.0;

/// A text in flagd's format (`flags`, each with `state`, `variants`, `defaultVariant`, `targeting`).
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a str,
    flags: BTreeMap<Cow<'a, str>, Flag<'a>>,
}

#[derive(Debug, Deserialize)]
struct Flag<'a> {
    #[serde(borrow, default)]
    state: Cow<'a, str>,
    #[serde(borrow, default)]
    variants: BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(borrow, default)]
    targeting: Option<&'a RawValue>,
}

/// Where a rollout's two weights stand in the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rollout {
    /// The entry of the variant that is rolled out: `["on", 10]`.
    treatment: Entry,
    /// The entry of the variant that everybody else has.
    control: Entry,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// The whole entry.
    at: Range<usize>,
    /// Its variant, as it stands in the text.
    variant: String,
    weight: u32,
}

/// One change of the text.
type Edit = (Range<usize>, String);

impl<'a> Document<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Whole<'a> {
            #[serde(borrow)]
            flags: BTreeMap<Cow<'a, str>, Flag<'a>>,
        }
        let whole: Whole<'a> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self { text, flags: whole.flags })
    }

    /// Whether a flag is switched on at all.
    pub(super) fn is_enabled(&self, flag: &str) -> Result<bool, String> {
        match self.flag(flag)?.state.as_ref() {
            "ENABLED" => Ok(true),
            "DISABLED" => Ok(false),
            other => Err(format!("the state of {flag} is {other:?}; flagd knows ENABLED and DISABLED")),
        }
    }

    /// The share that has the variant, in percent. Nothing where the flag has no rule yet.
    pub(super) fn percent(&self, flag: &str, treatment: &str, control: &str) -> Result<Real, String> {
        let Some(Rollout { treatment, control }) = self.rollout(flag, treatment, control)? else {
            return Ok(Real::ZERO);
        };
        let whole = f64::from(treatment.weight) + f64::from(control.weight);
        if whole <= 0.0 {
            return Ok(Real::ZERO);
        }
        Real::new(f64::from(treatment.weight) * 100.0 / whole).map_err(|error| error.to_string())
    }

    /// The text with another share. Everything but the two weights stays as it is, to the byte; a flag without a rule gets one.
    pub(super) fn with_percent(
        &self,
        flag: &str,
        treatment: &str,
        control: &str,
        percent: Real,
    ) -> Result<String, String> {
        let (on, off) = weights(percent)?;
        let edits: Vec<Edit> = match self.rollout(flag, treatment, control)? {
            Some(Rollout { treatment, control }) => [(treatment, on), (control, off)]
                .map(|(entry, w)| (entry.at, format!("[{}, {w}]", entry.variant)))
                .into(),
            None => vec![self.first_rule(flag, treatment, control, (on, off))?],
        };
        Ok(apply(self.text, edits))
    }

    fn flag(&self, flag: &str) -> Result<&Flag<'a>, String> {
        self.flags.get(flag).ok_or_else(|| format!("there is no flag {flag}"))
    }

    /// Finds the one rule that shares out between the two variants.
    fn rollout(&self, name: &str, treatment: &str, control: &str) -> Result<Option<Rollout>, String> {
        let flag = self.flag(name)?;
        for variant in [treatment, control] {
            if !flag.variants.contains_key(variant) {
                return Err(format!("{name} has no variant {variant:?}"));
            }
        }
        let Some(targeting) = flag.targeting.filter(|raw| !matches!(raw.get(), "null" | "{}")) else { return Ok(None) };
        let mut rules = Vec::new();
        find(targeting, &mut rules);
        let mut found = Vec::new();
        for rule in rules {
            found.extend(self.read_rule(rule, treatment, control)?);
        }
        match found.len() {
            1 => Ok(found.pop()),
            0 => Err(format!(
                "the targeting of {name} has no rule `fractional` between {treatment:?} and {control:?} alone; add one where \
                 the rollout belongs"
            )),
            n => Err(format!(
                "the targeting of {name} has {n} rules `fractional` between {treatment:?} and {control:?}; leave one"
            )),
        }
    }

    /// Reads the arguments of a rule `fractional`: an optional key, and then a list for each variant. Nothing if it shares out
    /// between other variants.
    fn read_rule(&self, rule: &'a RawValue, treatment: &str, control: &str) -> Result<Option<Rollout>, String> {
        let arguments: Vec<&'a RawValue> = serde_json::from_str(rule.get()).map_err(|error| error.to_string())?;
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for argument in arguments.into_iter().filter(|raw| raw.get().starts_with('[')) {
            let parts: Vec<&'a RawValue> = serde_json::from_str(argument.get()).map_err(|error| error.to_string())?;
            let Some(variant) = parts.first() else { continue };
            let Ok(name) = serde_json::from_str::<String>(variant.get()) else { return Ok(None) };
            // A list without a weight has weight 1, as flagd has it.
            let weight = match parts.get(1) {
                None => 1,
                Some(raw) => {
                    raw.get().parse::<u32>().map_err(|_| format!("a weight is {}, not a whole number", raw.get()))?
                }
            };
            let entry = Entry { at: self.place(argument), variant: variant.get().to_owned(), weight };
            if entries.insert(name.clone(), entry).is_some() {
                return Err(format!("a rule `fractional` names {name:?} twice"));
            }
        }
        let only = entries.len() == 2;
        Ok(match (only, entries.remove(treatment), entries.remove(control)) {
            (true, Some(treatment), Some(control)) => Some(Rollout { treatment, control }),
            _ => None,
        })
    }

    /// Where a part stands in the text.
    fn place(&self, part: &RawValue) -> Range<usize> {
        // It was read out of this very text, so that it lies inside.
        let from = part.get().as_ptr() as usize - self.text.as_ptr() as usize;
        from..from + part.get().len()
    }

    /// The first rule of a flag that has none.
    fn first_rule(&self, name: &str, treatment: &str, control: &str, weights: (u32, u32)) -> Result<Edit, String> {
        let flag = self.flag(name)?;
        let rule = serde_json::json!({"fractional": [[treatment, weights.0], [control, weights.1]]});
        if let Some(empty) = flag.targeting {
            return Ok((self.place(empty), rule.to_string()));
        }
        // Behind the state, which every flag has and which therefore ends with more to come or with the flag.
        let raw: BTreeMap<Cow<'_, str>, &RawValue> = self.raw_flag(name)?;
        let state = raw.get("state").ok_or_else(|| format!("{name} has no state"))?;
        let end = self.place(state).end;
        Ok((end..end, format!(", \"targeting\": {rule}")))
    }

    fn raw_flag(&self, name: &str) -> Result<BTreeMap<Cow<'a, str>, &'a RawValue>, String> {
        #[derive(Deserialize)]
        struct Whole<'a> {
            #[serde(borrow)]
            flags: BTreeMap<Cow<'a, str>, &'a RawValue>,
        }
        let whole: Whole<'a> = serde_json::from_str(self.text).map_err(|error| error.to_string())?;
        let flag = whole.flags.get(name).ok_or_else(|| format!("there is no flag {name}"))?;
        serde_json::from_str(flag.get()).map_err(|error| error.to_string())
    }
}

/// All rules `fractional` in a piece of targeting, wherever they stand.
fn find<'a>(piece: &'a RawValue, rules: &mut Vec<&'a RawValue>) {
    if let Ok(object) = serde_json::from_str::<BTreeMap<Cow<'a, str>, &'a RawValue>>(piece.get()) {
        for (key, value) in object {
            if key == "fractional" { rules.push(value) } else { find(value, rules) }
        }
    } else if let Ok(list) = serde_json::from_str::<Vec<&'a RawValue>>(piece.get()) {
        list.into_iter().for_each(|value| find(value, rules));
    }
}

/// The two weights of a percentage: parts of 100, or of 10 000 where it is not whole.
fn weights(percent: Real) -> Result<(u32, u32), String> {
    let hundredths = percent.get() * PARTS;
    if (hundredths - hundredths.round()).abs() > 1e-6 || !(0.0..=10_000.0).contains(&hundredths) {
        return Err(format!("{percent:?} % cannot be written: weights are whole hundredths of a percent, 0 to 100 %"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: a whole number up to 10 000")]
    let hundredths = hundredths.round() as u32;
    let (on, whole) = if hundredths.is_multiple_of(100) { (hundredths / 100, 100) } else { (hundredths, 10_000) };
    Ok((on, whole - on))
}

/// Carries out changes that do not overlap.
fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(at, _)| at.start);
    let (mut next, mut from) = (String::with_capacity(text.len() + 64), 0);
    for (at, replacement) in edits {
        next.push_str(&text[from..at.start]);
        next.push_str(&replacement);
        from = at.end;
    }
    next.push_str(&text[from..]);
    next
}

#[cfg(test)]
mod tests {
    use deploy_core::real::Real;
    use proptest::prelude::*;

    use super::Document;

    /// Formatted by hand, with fields that nobody here knows.
    const TEXT: &str = r#"{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "new-search":   { "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"if": [{"ends_with": [{"var": "email"}, "@ours.example"]}, "on",
        {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]}, ["on",  10], [ "off", 90 ]]}]},
      "metadata": {"owner": "caf\u00e9", "x": 1.50} },
    "fresh": {"variants": {"a": 1, "b": 2}, "state": "ENABLED", "defaultVariant": "b"},
    "empty": {"variants": {"a": 1, "b": 2}, "state": "DISABLED", "defaultVariant": "b", "targeting": {}},
    "implicit": {"variants": {"a": 1, "b": 2}, "state": "ENABLED", "targeting": {"fractional": [["a"], ["b"]]}}
  }, "$evaluators": {"k" : [1, 2]}
}
"#;

    fn percent(value: f64) -> Real {
        Real::new(value).expect("finite")
    }

    #[test]
    fn only_the_two_weights_change() {
        let document = Document::read(TEXT).expect("sound");
        assert_eq!(document.percent("new-search", "on", "off"), Ok(percent(10.0)));
        let next = document.with_percent("new-search", "on", "off", percent(25.0)).expect("possible");
        assert_eq!(next, TEXT.replace("[\"on\",  10], [ \"off\", 90 ]", "[\"on\", 25], [\"off\", 75]"));
        let finer = document.with_percent("new-search", "on", "off", percent(0.25)).expect("possible");
        assert!(finer.contains("[\"on\", 25], [\"off\", 9975]"), "{finer}");
        assert_eq!(Document::read(&finer).expect("sound").percent("new-search", "on", "off"), Ok(percent(0.25)));
        assert!(document.with_percent("new-search", "on", "off", percent(0.001)).is_err());
    }

    #[test]
    fn a_flag_without_a_rule_gets_its_first_one() {
        let document = Document::read(TEXT).expect("sound");
        for flag in ["fresh", "empty"] {
            assert_eq!(document.percent(flag, "a", "b"), Ok(Real::ZERO));
            let next = document.with_percent(flag, "a", "b", percent(5.0)).expect("possible");
            assert_eq!(Document::read(&next).expect("still sound").percent(flag, "a", "b"), Ok(percent(5.0)), "{next}");
        }
        assert_eq!(document.percent("implicit", "a", "b"), Ok(percent(50.0)), "a list without a weight has weight 1");
        assert_eq!((document.is_enabled("fresh"), document.is_enabled("empty")), (Ok(true), Ok(false)));
    }

    #[test]
    fn what_cannot_be_understood_is_not_guessed_at() {
        let rule = "{\"cat\": [{\"var\": \"$flagd.flagKey\"}, {\"var\": \"targetingKey\"}]}, ";
        let twice = TEXT.replace(
            "\"@ours.example\"]}, \"on\",",
            "\"@ours.example\"]}, {\"fractional\": [[\"on\", 1], [\"off\", 1]]},",
        );
        for (text, flag, says) in [
            (TEXT.to_owned(), "nobody", "there is no flag nobody"),
            (TEXT.replace("{\"on\": true, ", "{"), "new-search", "no variant \"on\""),
            (TEXT.replace("[ \"off\", 90 ]", "[\"off\", 80], [\"other\", 10]"), "new-search", "no rule `fractional`"),
            (TEXT.replace("[ \"off\", 90 ]", "[\"off\", 90.5]"), "new-search", "not a whole number"),
            (TEXT.replace(rule, "[\"on\", 3], "), "new-search", "twice"),
            (twice, "new-search", "2 rules"),
        ] {
            let document = Document::read(&text).expect("JSON");
            let error = document.percent(flag, "on", "off").expect_err(says);
            assert!(error.contains(says), "{error}");
        }
        assert!(Document::read("{\"flags\": 3}").is_err() && Document::read("{").is_err());
        assert!(Document::read("{\"flags\":{\"f\":{\"state\":\"on\"}}}").expect("JSON").is_enabled("f").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back_and_the_rest_is_the_same(hundredths in 0_u32..=10_000, again in 0_u32..=10_000) {
            let value = |hundredths| percent(f64::from(hundredths) / 100.0);
            let document = Document::read(TEXT).expect("sound");
            let once = document.with_percent("new-search", "on", "off", value(hundredths)).expect("possible");
            let once = Document::read(&once).expect("sound");
            prop_assert!((once.percent("new-search", "on", "off").expect("there").get() - value(hundredths).get()).abs() < 1e-9);
            let twice = once.with_percent("new-search", "on", "off", value(again)).expect("possible");
            let straight = document.with_percent("new-search", "on", "off", value(again)).expect("possible");
            prop_assert_eq!(twice, straight);
        }
    }
}
