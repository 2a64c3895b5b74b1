//! What makes no sense is answered with what was wrong, where, and what to do; and nothing is done.

use super::Desk;

#[test]
fn a_journal_that_is_not_there_or_is_something_else() {
    let desk = Desk::new();
    for args in
        [&["status"][..], &["pause", "--why", "x"], &["dossier"], &["audit", "verify"], &["plan", "--diff", "last"]]
    {
        let said = desk.say(args);
        let text = said.error(2);
        assert!(text.contains("there is no journal at ") && text.contains("`deployctl run` makes one"), "{text}");
        assert!(!desk.journal().exists(), "{args:?} made one");
    }
    std::fs::write(desk.journal(), "this is a letter, and not a database; it is long enough to be one")
        .expect("written");
    let other = desk.say(&["status"]);
    assert!([1, 2].contains(&other.code), "{}", other.text);
    let text = other.one("error")["text"].as_str().expect("text").to_owned();
    assert!(text.contains(desk.journal().to_str().expect("UTF-8")) && text.contains("not a"), "{text}");
    let letter = std::fs::read_to_string(desk.journal()).expect("still there");
    assert!(letter.starts_with("this is a letter"), "it was overwritten");
}

#[test]
fn a_run_that_is_not_there_or_could_be_another() {
    let desk = Desk::new();
    for run in ["abc-1", "abc-2"] {
        assert_eq!(desk.release(&["--revision", "v9", "--run", run]).end().code, 5);
    }
    let text = desk.say(&["status", "nobody"]);
    assert!(text.error(2).contains("no run is called \"nobody\""), "{}", text.text);
    let text = desk.say(&["status", "abc"]);
    assert!(text.error(2).contains("2 runs could be meant: abc-2, abc-1"), "{}", text.text);
    assert_eq!(desk.say(&["status", "abc-1"]).code, 0);
    let none = desk.say(&["pause", "--why", "x"]);
    assert!(none.error(2).contains("no run is under way"), "{}", none.text);
    let empty = desk.say(&["pause", "abc-1", "--why", "  "]);
    assert!(empty.error(2).contains("--why is empty"), "{}", empty.text);
    let nobody = desk.say(&["pause", "abc-1", "--why", "x", "--as", "\n"]);
    assert!(nobody.error(2).contains("it is not known who you are"), "{}", nobody.text);
}

#[test]
fn a_command_line_that_cannot_be_read() {
    let desk = Desk::new();
    for args in [
        &["fly"][..],
        &["pause"],
        &["run", "--revision", "not a name"],
        &["run", "--pace", "1000"],
        &["run", "--kind", "whimsical"],
        &["waive", "--why", "x", "--expires", "tomorrow"],
        &["approve", "--why", "x", "--step", "no path"],
        &["status", "--from", "3"],
        &["completions", "cmd"],
    ] {
        let output = desk.command(args).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{args:?}");
    }
    let plan = desk.path("plan.json");
    std::fs::write(&plan, "{\"pipeline\": 3}").expect("written");
    let said = desk.say(&["run", "--plan", plan.to_str().expect("UTF-8")]);
    assert!(said.error(2).contains("plan.json is not a plan: "), "{}", said.text);
    assert!(!desk.path("place.json").exists(), "something was started");
}

#[test]
fn help_names_the_exit_codes_and_shells_are_served() {
    let desk = Desk::new();
    let help = desk.text(&["--help"]).text;
    for code in ["0  succeeded", "3  rolled back", "4  held", "5  no-go", "130  handed back"] {
        assert!(help.contains(code), "{code}: {help}");
    }
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deployctl/README.md")).expect("it is there");
    for line in help.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit())) {
        let (number, meaning) = line.trim().split_once("  ").expect("a number and its meaning");
        assert!(readme.contains(&format!("| {number} | {meaning} |")), "README.md lacks: {line}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.text(&["completions", shell]);
        assert!(
            script.code == 0 && script.text.contains("acknowledge") && script.text.contains("deployctl"),
            "{shell}"
        );
    }
}
