//! Every value of every sample is changed into what hurts arithmetic and text: no check panics, and none takes long.

use std::panic::{AssertUnwindSafe, catch_unwind};

use deploy_core::digest::Digest;
use deploy_core::evidence::{CheckInput, Collected, Evidence};
use serde_json::{Value, json};

use crate::sample::{catalogue, pieces};
use crate::world::{now, release};

/// What stands in for a number.
fn numbers() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(1e308),
        json!(-1e308),
        json!(5e-324),
    ]
}

/// What stands in for a text; the times are the first and the last that can be written.
fn texts() -> Vec<Value> {
    let long = "9".repeat(10_000);
    ["", " ", "\u{0}", "NaN", "-1", "9999-12-31T23:59:59.999Z", "0000-01-01T00:00:00Z", "18446744073709551616", &long]
        .map(|text| json!(text))
        .into()
}

/// Every change of one value of a document, as new documents.
fn changes(document: &Value) -> Vec<Value> {
    fn walk(at: &Value, path: &mut Vec<String>, found: &mut Vec<(String, Vec<Value>)>) {
        let pointer = path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect();
        match at {
            Value::Number(_) => found.push((pointer, numbers())),
            Value::String(_) => found.push((pointer, texts())),
            Value::Array(items) => {
                let twice: Vec<Value> = items.iter().chain(items).cloned().collect();
                found.push((pointer, vec![json!([]), json!(twice)]));
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    walk(item, path, found);
                    path.pop();
                }
            }
            Value::Object(fields) => {
                found.push((pointer, vec![json!({}), Value::Null]));
                for (name, field) in fields {
                    path.push(name.clone());
                    walk(field, path, found);
                    path.pop();
                }
            }
            Value::Bool(said) => found.push((pointer, vec![json!(!said), Value::Null])),
            Value::Null => found.push((pointer, vec![json!(true)])),
        }
    }
    let mut found = Vec::new();
    walk(document, &mut Vec::new(), &mut found);
    let change = |(pointer, values): (String, Vec<Value>)| {
        values.into_iter().map(move |value| {
            let mut changed = document.clone();
            *changed.pointer_mut(&pointer).expect("it was found there") = value;
            changed
        })
    };
    found.into_iter().flat_map(change).collect()
}

/// Rows: M8, M9, M15, M16, M17, M19, M25, M41, M145, M174.
#[test]
fn no_value_of_any_report_makes_a_check_panic() {
    let (catalogue, pieces) = (catalogue(), pieces());
    let release = release();
    let (mut judged, mut met, mut broken) = (0_u64, 0_u64, Vec::new());
    for piece in &pieces {
        let Ok(document) = serde_json::from_slice::<Value>(&piece.bytes) else { continue };
        let readers: Vec<_> =
            catalogue.checks().filter(|check| check.kinds().contains(&piece.evidence.kind.as_str())).collect();
        for changed in changes(&document) {
            let bytes = serde_json::to_vec(&changed).expect("JSON");
            let evidence = Evidence { digest: Digest::of(&bytes), ..piece.evidence.clone() };
            for check in &readers {
                let others = |other: &&Collected| {
                    check.kinds().contains(&other.evidence.kind.as_str())
                        && other.evidence.digest != piece.evidence.digest
                };
                let mut all: Vec<(&Evidence, &[u8])> =
                    pieces.iter().filter(others).map(|other| (&other.evidence, other.bytes.as_slice())).collect();
                all.push((&evidence, &bytes));
                let input = CheckInput::new(&release, &all, now());
                judged += 1;
                match catch_unwind(AssertUnwindSafe(|| check.assess(&input).verdict)) {
                    Ok(verdict) => met += u64::from(verdict.is_met()),
                    Err(_) => broken.push(format!("{} on {}: {changed}", check.name(), piece.evidence.summary)),
                }
            }
        }
    }
    println!("{judged} judgements of changed reports, {met} of them met, {} panics", broken.len());
    broken.truncate(5);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(judged > 8_000 && met > 0 && met < judged, "{judged}, {met}");
}
