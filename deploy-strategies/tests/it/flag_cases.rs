//! Flags against the figures of GrowthBook, flagd and Unleash.

use deploy_strategies::flags::flagd::{Bucket, Version, fractional};
use deploy_strategies::flags::growthbook::{HashVersion, Range, bucket, choose, equal_weights, in_namespace, ranges};
use deploy_strategies::flags::unleash::{ChosenVariant, Context, State, normalised};
use proptest::prelude::*;
use serde_json::Value;

use crate::cases::{each, folder, say, whole};

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

fn pairs(row: &Value) -> Vec<Range> {
    row.as_array().unwrap().iter().map(|p| Range { from: p[0].as_f64().unwrap(), to: p[1].as_f64().unwrap() }).collect()
}

#[test]
fn growthbook_hashes() {
    each("growthbook_hash.json", None, |name, input, expected| {
        let version = HashVersion::of(whole(&input["version"]).unwrap());
        let hash = version.map(|version| bucket(text(input, "seed"), text(input, "value"), version));
        assert_eq!(hash, expected["hash"].as_f64(), "{name}");
    });
    assert_eq!(HashVersion::of(3), None);
}

#[test]
fn growthbook_ranges() {
    let file = "growthbook_ranges.json";
    each(file, Some("ranges"), |name, input, expected| {
        let weights: Option<Vec<f64>> =
            input["weights"].as_array().map(|w| w.iter().map(|w| w.as_f64().unwrap()).collect());
        let count = whole(&input["variations"]).unwrap() as usize;
        let is = ranges(count, input["coverage"].as_f64().unwrap(), weights.as_deref());
        let wanted = pairs(&expected["ranges"]);
        assert_eq!(is.len(), wanted.len(), "{name}");
        for (is, wanted) in is.iter().zip(wanted) {
            assert!(
                (is.from - wanted.from).abs() < 1e-8 && (is.to - wanted.to).abs() < 1e-8,
                "{name}: {is:?} {wanted:?}"
            );
        }
    });
    each(file, Some("choose"), |name, input, expected| {
        let chosen = choose(input["hash"].as_f64().unwrap(), &pairs(&input["ranges"]));
        let wanted = expected["variation"].as_i64().unwrap();
        assert_eq!(chosen, usize::try_from(wanted).ok(), "{name}");
    });
    each(file, Some("namespace"), |name, input, expected| {
        let share = Range { from: input["start"].as_f64().unwrap(), to: input["end"].as_f64().unwrap() };
        assert_eq!(expected["inside"], in_namespace(text(input, "user"), text(input, "namespace"), share), "{name}");
    });
    each(file, Some("equal_weights"), |name, input, expected| {
        // Fewer than none, which the peer takes, cannot be written with us.
        let count = usize::try_from(input["variations"].as_i64().unwrap().max(0)).unwrap();
        let is = equal_weights(count);
        let wanted: Vec<f64> = expected["weights"].as_array().unwrap().iter().map(|w| w.as_f64().unwrap()).collect();
        assert!(is.len() == wanted.len() && is.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-7), "{name}");
    });
}

#[test]
fn flagd_fractional() {
    each("flagd_fractional.json", None, |name, input, expected| {
        let buckets: Vec<Bucket<'_>> = input["buckets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| Bucket { variant: row["variant"].as_str(), weight: row["weight"].as_i64().unwrap() })
            .collect();
        let version = if input["version"] == "v1" { Version::V1 } else { Version::V2 };
        let chosen = input["bucketing_key"].as_str().and_then(|key| fractional(key, &buckets, version));
        let declared = input["declared_variants"].as_array().unwrap();
        let chosen = chosen.filter(|variant| declared.iter().any(|d| d == variant));
        assert_eq!(chosen.or_else(|| input["default_variant"].as_str()), expected["variant"].as_str(), "{name}");
    });
}

#[test]
fn unleash_specification() {
    let Some(folder) = folder("unleash_spec") else { return };
    let index: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("index.json")).unwrap()).unwrap();
    let mut ran = 0;
    for file in index["files"].as_array().unwrap() {
        let spec: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join(text(file, "file"))).unwrap()).unwrap();
        let state: State = serde_json::from_value(spec["state"].clone()).unwrap();
        let mut here = 0;
        for kind in ["tests", "variantTests"] {
            for test in spec[kind].as_array().into_iter().flatten() {
                let context: Context = serde_json::from_value(test["context"].clone()).unwrap();
                let (name, about) = (text(test, "toggleName"), &test["description"]);
                if kind == "tests" {
                    assert_eq!(test["expectedResult"], state.is_enabled(name, &context), "{about}");
                } else {
                    let wanted: ChosenVariant = serde_json::from_value(test["expectedResult"].clone()).unwrap();
                    assert_eq!(state.variant(name, &context), wanted, "{about}");
                }
                here += 1;
            }
        }
        let wanted = file["tests"].as_u64().unwrap() + file["variant_tests"].as_u64().unwrap();
        assert_eq!(here, wanted, "{file}");
        ran += here;
    }
    say(&format!("unleash_spec: {ran} tests of {} files", index["files"].as_array().unwrap().len()));
}

fn flexible(rollout: u32) -> State {
    serde_json::from_value(serde_json::json!({"features": [{"name": "f", "enabled": true, "strategies": [
        {"name": "flexibleRollout", "parameters": {"rollout": rollout.to_string(), "stickiness": "userId", "groupId": "f"}}
    ]}]}))
    .unwrap()
}

fn holds(operator: &str, value: &str, field: &str) -> bool {
    let constraint = serde_json::json!({"contextName": "x", "operator": operator, "value": value, "values": [value]});
    let constraint: deploy_strategies::flags::unleash::Constraint = serde_json::from_value(constraint).unwrap();
    constraint.holds(&Context { properties: [("x".to_owned(), field.to_owned())].into(), ..Context::default() })
}

#[test]
fn versions_patterns_and_ranges_of_addresses() {
    assert!(holds("SEMVER_GT", "1.2.3", "1.2.10") && !holds("SEMVER_GT", "1.2.3", "1.2.3"));
    assert!(holds("SEMVER_LT", "1.2.3", "1.2.3-beta.1") && holds("SEMVER_EQ", "1.2.3", "1.2.3+build"));
    assert!(
        !holds("SEMVER_GTE", "1.2", "2.0.0") && !holds("SEMVER_LTE", "1.2.3", "v1.0.0"),
        "what cannot be read does not hold"
    );
    assert!(
        holds("REGEX", "^a.c$", "abc") && !holds("REGEX", "(", "("),
        "a pattern that does not parse does not match"
    );
    assert!(!holds("REGEX", "a(?=b)", "ab"), "RE2 has no look-around");
    assert!(holds("IN_CIDR", "10.0.0.0/8", "10.2.3.4") && !holds("IN_CIDR", "10.0.0.0/8", "11.0.0.1"));
    assert!(holds("IN_CIDR", "2001:db8::/32", "2001:db8::1") && holds("IN_CIDR", "127.0.0.1", "127.0.0.1"));
    assert!(
        holds("IN_CIDR", "0.0.0.0/0", "1.2.3.4")
            && !holds("IN_CIDR", "10.0.0.0/33", "10.0.0.1")
            && !holds("IN_CIDR", "nonsense", "10.0.0.1")
    );
}

/// Every way of bucketing spreads 100,000 users evenly over a hundred parts: Pearson's statistic stays under its 99.99 % point.
///
/// Rows: M170.
#[test]
fn users_are_spread_evenly_and_each_keeps_its_place() {
    const USERS: u32 = 100_000;
    // Of a chi-square with 99 degrees of freedom, by the approximation of E. Wilson and M. Hilferty (1931): 161.
    const MOST: f64 = 161.0;
    let names: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    let buckets: Vec<Bucket<'_>> = names.iter().map(|name| Bucket { variant: Some(name), weight: 1 }).collect();
    type Place<'a> = &'a dyn Fn(&str) -> usize;
    let growthbook = |user: &str, version| (bucket("seed", user, HashVersion::of(version).unwrap()) * 100.0) as usize;
    let ways: [(&str, Place<'_>); 4] = [
        ("GrowthBook 1", &|user| growthbook(user, 1)),
        ("GrowthBook 2", &|user| growthbook(user, 2)),
        ("Unleash", &|user| normalised(user, "group", 100, 0) as usize - 1),
        ("flagd", &|user| fractional(&format!("flag{user}"), &buckets, Version::V2).unwrap().parse().unwrap()),
    ];
    for (name, place) in ways {
        let mut counts = [0_u32; 100];
        for user in 0..USERS {
            let user = format!("user-{user}");
            counts[place(&user)] += 1;
            assert_eq!(place(&user), place(&user), "{name}");
        }
        let expected = f64::from(USERS) / 100.0;
        let statistic: f64 = counts.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
        assert!(statistic < MOST, "{name}: {statistic}");
        say(&format!("{name}: chi-square {statistic:.0} of at most {MOST}"));
    }
}

proptest! {
    #[test]
    fn a_raised_percentage_only_adds_users(user in "[a-z0-9]{1,12}", low in 0..=100_u32, more in 0..=100_u32) {
        let high = (low + more).min(100);
        let had = flexible(low).is_enabled("f", &Context::user(&user));
        let has = flexible(high).is_enabled("f", &Context::user(&user));
        prop_assert!(!had || has);
        prop_assert!(flexible(100).is_enabled("f", &Context::user(&user)));
        prop_assert!(!flexible(0).is_enabled("f", &Context::user(&user)));
        let place = bucket("seed", &user, HashVersion::V2);
        let chosen = |coverage: u32| choose(place, &ranges(2, f64::from(coverage) / 100.0, None));
        prop_assert!(chosen(low).is_none() || chosen(low) == chosen(high));
    }
}

#[test]
fn another_seed_shuffles_all() {
    let both = (0..2_000)
        .filter(|i| normalised(&i.to_string(), "a", 100, 0) <= 50 && normalised(&i.to_string(), "b", 100, 0) <= 50);
    let both = both.count();
    assert!((420..580).contains(&both), "{both} of 2000 are in both halves; a quarter would be independent");
}
