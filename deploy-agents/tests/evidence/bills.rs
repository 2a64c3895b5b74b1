//! Bills of materials, licences, and statements in them.

use deploy_agents::evidence::facts::{BomFacts, BomFormat, LicenceAnswer, LicenceStatement, VexStatus};
use deploy_agents::evidence::{DoubtKind, Source, blocking, cyclonedx, spdx};

use crate::doubted;
use crate::samples::{CYCLONEDX, CYCLONEDX_XML, SPDX_2, SPDX_3};

fn cyclonedx(text: &str) -> BomFacts {
    cyclonedx::read(&Source::new("bom", text.as_bytes())).expect("readable")
}

fn spdx(text: &str) -> BomFacts {
    spdx::read(&Source::new("bom", text.as_bytes())).expect("readable")
}

/// Rows: M148, M199.
#[test]
fn json_and_xml_say_the_same() {
    let (json, mut xml) = (cyclonedx(CYCLONEDX), cyclonedx(CYCLONEDX_XML));
    let plain = |mut facts: BomFacts| {
        facts.spec_version.clear();
        facts.created = None;
        facts.doubts.clear();
        facts.statements.iter_mut().for_each(|s| s.at = Default::default());
        facts.components.iter_mut().chain(&mut facts.subject).for_each(|c| c.at = Default::default());
        facts
    };
    assert_eq!(json.created.as_ref().map(|c| c.value), xml.created.as_ref().map(|c| c.value));
    xml.components.sort_by_key(|c| c.reference != "serde");
    let mut sorted = json.clone();
    sorted.components.sort_by_key(|c| c.reference != "serde");
    for facts in [&mut sorted, &mut xml] {
        facts.components.sort_by(|a, b| a.reference.cmp(&b.reference));
    }
    assert_eq!(plain(sorted), plain(xml));
    assert_eq!((json.components.len(), json.relations), (3, 3), "components inside of components count");
    assert_eq!(json.subject.expect("a subject").name, "shop");
    let nested = json.components.iter().find(|c| c.name == "serde-rs/serde_core").expect("nested");
    assert_eq!(nested.at.to_string(), "bom#/components/0/components/0");
}

#[test]
fn statements_speak_of_what_their_references_mean() {
    let facts = cyclonedx::read_vex(&Source::new("bom", CYCLONEDX.as_bytes())).expect("readable");
    let statement = facts.effective(&["cve-2026-0001"], &["pkg:cargo/serde@1.0.229"]).expect("a statement");
    assert_eq!(statement.status, VexStatus::NotAffected);
    assert!(statement.clears());
    assert!(facts.effective(&["CVE-2026-0001"], &["pkg:cargo/odd@0.1.0"]).is_none());
    let unjustified = facts.effective(&["CVE-2026-0002"], &["odd"]).expect("a statement");
    assert!(!unjustified.clears(), "without a reason, nothing is cleared");
    assert_eq!(doubted(&facts.doubts, DoubtKind::Unjustified), 1);
}

#[test]
fn a_bill_of_nothing_blocks() {
    let empty = cyclonedx(r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}"#);
    assert_eq!(
        (doubted(&empty.doubts, DoubtKind::NothingMeasured), doubted(&empty.doubts, DoubtKind::NoSubject)),
        (1, 1)
    );
    assert!(blocking(&empty.doubts).is_some());
    let empty = cyclonedx(
        r#"<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><metadata><tools><components><component><name>t</name></component></components></tools></metadata></bom>"#,
    );
    assert!(blocking(&empty.doubts).is_some(), "the tools are not in the bill");
    assert!(blocking(&spdx(r#"{"spdxVersion": "SPDX-2.2", "packages": []}"#).doubts).is_some());
}

#[test]
fn two_components_of_one_name_block() {
    let facts = cyclonedx(&CYCLONEDX.replace("\"bom-ref\": \"odd\"", "\"bom-ref\": \"serde\""));
    assert_eq!(doubted(&facts.doubts, DoubtKind::Contradiction), 1);
}

/// Rows: M148, M199.
#[test]
fn both_versions_of_spdx_say_the_same() {
    for (text, format) in [(SPDX_2, BomFormat::Spdx2), (SPDX_3, BomFormat::Spdx3)] {
        let facts = spdx(text);
        assert_eq!(facts.format, format);
        let serde = facts.components.iter().find(|c| c.name == "serde").expect("serde");
        assert_eq!(serde.purl.as_deref(), Some("pkg:cargo/serde@1.0.229"));
        assert_eq!(serde.licences, [LicenceStatement::Expression("MIT OR Apache-2.0".to_owned())]);
        assert_eq!(serde.hashes["sha256"].len(), 64);
        let subject = facts.subject.expect("a subject");
        assert_eq!((subject.name.as_str(), subject.licences.as_slice()), ("shop", &[LicenceStatement::of("MIT")][..]));
    }
}

/// Rows: M148.
#[test]
fn not_saying_is_not_permitting() {
    let facts = spdx(SPDX_2);
    let odd = facts.components.iter().find(|c| c.name == "odd").expect("odd");
    assert_eq!(odd.licences, [LicenceStatement::NoAssertion]);
    assert!(matches!(odd.licence_answer(["MIT"]), LicenceAnswer::Unknown(_)));
    let named = cyclonedx(CYCLONEDX);
    let odd = named.components.iter().find(|c| c.name == "odd").expect("odd");
    assert!(
        matches!(odd.licence_answer(["Our own licence"]), LicenceAnswer::Unknown(_)),
        "a name is no licence of the list"
    );
}

/// Rows: M148.
#[test]
fn expressions_are_evaluated() {
    use LicenceAnswer::{Permitted, Refused, Unknown};
    let answer = |texts: &[&str], list: &[&str]| {
        let mut component = deploy_agents::evidence::facts::BomComponent::default();
        component.licences = texts.iter().map(|text| LicenceStatement::of(text)).collect();
        component.licence_answer(list.iter().copied())
    };
    let list = ["MIT", "Apache-2.0", "BSD-3-Clause"];
    assert_eq!(answer(&["MIT"], &list), Permitted);
    assert_eq!(answer(&["GPL-3.0-only OR MIT"], &list), Permitted);
    assert_eq!(answer(&["(MIT AND BSD-3-Clause) OR GPL-2.0-only"], &list), Permitted);
    assert_eq!(answer(&["Apache-2.0 WITH LLVM-exception"], &list), Permitted);
    assert!(matches!(answer(&["MIT AND GPL-3.0-only"], &list), Refused(_)));
    assert!(matches!(answer(&["MIT", "GPL-3.0-only"], &list), Refused(_)), "each statement applies");
    assert!(matches!(answer(&["NONE"], &list), Refused(_)));
    assert!(matches!(answer(&["LicenseRef-mine"], &list), Refused(_)));
    for unclear in ["NOASSERTION", "", "mit-ish", "MIT AND", "MIT/Apache-2.0", "See LICENSE"] {
        assert!(matches!(answer(&[unclear], &list), Unknown(_)), "{unclear}");
    }
    assert!(matches!(answer(&[], &list), Unknown(_)));
}
