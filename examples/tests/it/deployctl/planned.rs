//! Plans: looked at before anything happens, compared, and followed exactly.

use super::Desk;

#[test]
fn a_plan_is_shown_before_anything_is_there_and_nothing_is_started() {
    let desk = Desk::new();
    let shown = desk.text(&["plan", "--ask"]);
    assert_eq!(shown.code, 0, "{}", shown.text);
    for part in
        ["orders: orders v2 to this-machine", "asked for by", "phase rollout", "canary", "asks: Shall this revision"]
    {
        assert!(shown.text.contains(part), "{part} is missing: {}", shown.text);
    }
    assert!(shown.text.contains("its target was not observed"), "{}", shown.text);
    assert!(!desk.journal().exists() && !desk.path("place.json").exists(), "something was started");
    let json = desk.say(&["plan"]);
    assert_eq!(json.one("plan")["plan"]["pipeline"], "orders");
}

#[test]
fn a_plan_that_was_written_is_followed_and_compared() {
    let desk = Desk::new();
    let path = desk.path("plan.json");
    let path = path.to_str().expect("UTF-8");
    assert_eq!(desk.say(&["plan", "--revision", "v9", "--commit", "abc", "--pace", "0.25", "--out", path]).code, 0);
    let run = desk.release(&["--plan", path]).end();
    assert_eq!(run.code, 5, "{}", run.text);
    let same = desk.say(&["plan", "--revision", "v9", "--commit", "abc", "--pace", "0.25", "--diff", "last"]);
    assert_eq!(same.one("plan_diff")["changes"], serde_json::json!([]), "{}", same.text);
    let other = desk.text(&["plan", "--revision", "v2", "--ask", "--pace", "0.25", "--diff", "last"]);
    assert!(other.text.contains("release") && other.text.contains("+ step pre-deployment/sign-off"), "{}", other.text);
    // The place is there now: the stages are foreseen.
    let foreseen = desk.text(&["plan"]);
    assert!(!foreseen.text.contains("its target was not observed"), "{}", foreseen.text);
}
