//! The records are those that were written, or it is said which is not.

use deploy_core::journal::SqliteJournal;

use super::{Desk, text_of};

/// Rows: M236, M237, M238, M239, M240, M241, M242, M243.
#[test]
fn a_changed_record_is_found_and_the_practices_are_shown() {
    let desk = Desk::new();
    // A no-go is the quickest run.
    let run = desk.release(&["--revision", "v9"]).end();
    assert_eq!(run.code, 5, "{}", run.text);
    let sound = desk.say(&["audit", "verify"]);
    assert_eq!(sound.code, 0, "{}", sound.text);
    let head = text_of(sound.one("chain"), "head").to_owned();
    let anchored = desk.say(&["audit", "verify", "last", "--anchor", &head]);
    assert_eq!((anchored.code, &anchored.one("chain")["anchored"]), (0, &sound.one("chain")["records"]));
    let other = format!("{}0", &head[..head.len() - 1]);
    let other = if other == head { format!("{}1", &head[..head.len() - 1]) } else { other };
    assert_eq!(desk.say(&["audit", "verify", "last", "--anchor", &other]).code, 1);
    assert_eq!(desk.say(&["audit", "verify", "last", "--anchor", "x"]).code, 2);

    let practices = desk.say(&["audit"]);
    let rows: Vec<&str> = practices.all("practice").iter().map(|line| text_of(line, "row")).collect();
    assert_eq!(rows, ["M236", "M237", "M238", "M239", "M240", "M241", "M242", "M243"]);
    let kept = desk.say(&["audit", "--run", "last"]);
    let said: Vec<_> = kept.all("practice").iter().filter_map(|line| line["kept"].as_bool()).collect();
    assert!(kept.code == 0 && said == [true; 5], "{}", kept.text);

    // The dossier can be taken elsewhere, and checked there.
    let path = desk.path("dossier.jsonl");
    let name = path.to_str().expect("UTF-8");
    assert_eq!(desk.say(&["dossier", "last", "--out", name]).code, 0);
    let away = desk.say(&["audit", "verify", "--file", name]);
    assert_eq!((away.code, text_of(away.one("chain"), "head")), (0, head.as_str()), "{}", away.text);
    let text = std::fs::read_to_string(&path).expect("written");
    std::fs::write(&path, text.replacen("\"ada\"", "\"eve\"", 1)).expect("written");
    assert_eq!(desk.say(&["audit", "verify", "--file", name]).code, 1);

    // Somebody edits the journal.
    assert_eq!(desk.say(&["place", "stop"]).code, 0);
    // Whatever stands in the file beside it is brought in.
    drop(SqliteJournal::open(desk.journal()).expect("the journal"));
    let mut bytes = std::fs::read(desk.journal()).expect("the journal");
    let words = br#""subject":"ada""#;
    let at: Vec<usize> = (0..bytes.len() - words.len()).filter(|at| bytes[*at..].starts_with(words)).collect();
    assert!(!at.is_empty(), "the words are in the records");
    for at in at {
        bytes[at + 11..at + 14].copy_from_slice(b"eve");
    }
    std::fs::write(desk.journal(), bytes).expect("written");
    let broken = desk.say(&["audit", "verify"]);
    assert_eq!((broken.code, &broken.one("chain")["sound"]), (1, &false.into()), "{}", broken.text);
    assert!(text_of(broken.one("chain"), "text").contains("was changed"), "{}", broken.text);
    assert_eq!(desk.say(&["status", "last"]).code, 1, "and nothing is shown of it as if it were so");
}
