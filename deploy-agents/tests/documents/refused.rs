//! What cannot be read or bound is named with its line.

use deploy_agents::documents::{DocumentErrors, Loaded, Registry};
use deploy_core::pipeline::Pipeline;

use crate::world::registry;

const SOUND: &str = "\
format: 1
name: release-api
rollback: previous
gates:
  ready:
    kind: go-no-go
    with: [tests]
strategies:
  calm:
    kind: still
    with: { asks: [http] }
phases:
  - name: build
    lead: builder
    supporting: [worker]
    entry: [open]
    promises:
      - name: image
    steps:
      - name: image
        task:
          agent: builder
          provides: [{ name: image, version: 1 }]
          verify:
            - tests
            - check: scan
              max_age: 2h
      - name: try
        task:
          agent: tester
          needs:
            - name: image
              from: image
          undo:
            agent: undoer
        after: [image]
  - name: ship
    exit: [ready]
    steps:
      - name: rollout
        rollout:
          strategy: calm
          target: eu
          monitors: [http]
      - name: sign-off
        approval:
          question: All well?
        after: [rollout]
checklists:
  - title: Before
    items:
      - text: The tests pass
        checks: [tests]
      - text: Somebody looked
        manual: ship/sign-off
";

fn bind(text: &str, registry: &Registry) -> Result<Pipeline, DocumentErrors> {
    Loaded::yaml(text)?.bind(registry)
}

/// What is said when this is written instead of that.
#[track_caller]
fn said(that: &str, this: &str) -> Vec<String> {
    assert!(SOUND.contains(that), "{that}");
    let refused = bind(&SOUND.replacen(that, this, 1), &registry()).expect_err("it must not bind");
    refused.problems.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn only(that: &str, this: &str, problem: &str) {
    assert_eq!(said(that, this), [problem]);
}

/// Rows: M138.
#[test]
fn what_is_not_known_is_named_with_its_line_and_the_nearest_name() {
    bind(SOUND, &registry()).expect("the sound document is sound");
    only(
        "agent: undoer",
        "agent: Un_doer",
        "line 35 (/phases/0/steps/1/task/undo/agent): agent \"Un_doer\" is not known here; did you mean undoer?",
    );
    only("lead: builder", "lead: somebody", "line 14 (/phases/0/lead): agent \"somebody\" is not known here");
    only(
        "[worker]",
        "[wroker]",
        "line 15 (/phases/0/supporting/0): agent \"wroker\" is not known here; did you mean worker?",
    );
    only("[open]", "[opne]", "line 16 (/phases/0/entry/0): gate \"opne\" is not known here; did you mean open?");
    only(
        "check: scan",
        "check: sacn",
        "line 26 (/phases/0/steps/0/task/verify/1): check \"sacn\" is not known here; did you mean scan?",
    );
    only(
        "target: eu",
        "target: eus",
        "line 43 (/phases/1/steps/0/rollout/target): target \"eus\" is not known here; did you mean eu?",
    );
    only(
        "monitors: [http]",
        "monitors: [http, htpp]",
        "line 44 (/phases/1/steps/0/rollout/monitors/1): monitor \"htpp\" is not known here; did you mean http?",
    );
    only(
        "after: [rollout]",
        "after: [rolout]",
        "line 48 (/phases/1/steps/1/after/0): step \"rolout\" is not known here; did you mean rollout?",
    );
    only(
        "from: image",
        "from: build/imag",
        "line 33 (/phases/0/steps/1/task/needs/0/from): step \"build/imag\" is not known here; did you mean build/image?",
    );
    only(
        "kind: still",
        "kind: stlil",
        "line 10 (/strategies/calm/kind): kind of strategy \"stlil\" is not known here; did you mean still?",
    );
    only(
        "manual: ship/sign-off",
        "manual: ship/sign-of",
        "line 55 (/checklists/0/items/1/manual): step \"ship/sign-of\" is not known here; did you mean ship/sign-off?",
    );
}

#[test]
fn what_is_known_and_does_not_fit_is_named_with_its_line() {
    only(
        "[tests]\nstrategies",
        "{ test: 1 }\nstrategies",
        "line 6 (/gates/ready): gate \"ready\" of kind go-no-go cannot be made: invalid type: map, expected a sequence",
    );
    only(
        "asks: [http]",
        "ask: [http]",
        "line 10 (/strategies/calm): strategy \"calm\" of kind still cannot be made: unknown field `ask`, expected `asks`",
    );
    only(
        "version: 1 }]",
        "version: 2 }]",
        "line 23 (/phases/0/steps/0/task/provides/0): agent builder does not provide \"image\" version 2",
    );
    only(
        "- name: image\n              from",
        "- name: imgae\n              from",
        "line 32 (/phases/0/steps/1/task/needs/0): agent tester does not need \"imgae\" version any; did you mean image?",
    );
    only(
        "promises:\n      - name: image",
        "promises:\n      - name: iamge",
        "line 18 (/phases/0/promises/0): deliverable \"iamge\" is not known here; did you mean image?",
    );
    only(
        "exit: [ready]\n",
        "exit: [open]\n",
        "line 6 (/gates/ready): gate \"ready\" is declared and never used; use it, or drop it",
    );
    only(
        "manual: ship/sign-off",
        "manual: ship/rollout",
        "line 55 (/checklists/0/items/1/manual): step \"ship/rollout\" is no approval, so that nobody is asked there",
    );
    only(
        "        checks: [tests]\n",
        "",
        "line 52 (/checklists/0/items/0): item \"The tests pass\" has no check, and no step at which people say so; give it one of the two",
    );
    only(
        "format: 1",
        "format: 2",
        "line 1 (/format): its format is 2, and 1 is read here; use the build that wrote it, or a newer one",
    );
    assert_eq!(
        said("  ready:\n", "  open:\n"),
        [
            "line 6 (/gates/open): gate \"open\" is declared here and registered by the host; rename the one that is declared",
            "line 38 (/phases/1/exit/0): gate \"ready\" is not known here",
        ]
    );
}

#[test]
fn what_the_builder_refuses_is_named_with_its_line_too() {
    only(
        "        after: [image]\n",
        "        after: [image, try]\n",
        "line 28 (/phases/0/steps/1): it waits for itself: build/try waits for build/try; drop one of these orders or inputs",
    );
    only(
        "monitors: [http]",
        "monitors: [errors]",
        "line 40 (/phases/1/steps/0): strategy calm asks monitor http, which the rollout is not given; give it with `monitor`, under the name http",
    );
    let problems = said("- name: build\n", "- name: bu ild\n");
    assert!(problems[0].starts_with("line 13 (/phases/0): phase name \"bu ild\" has ' ' at byte 2"), "{problems:#?}");
}

#[test]
fn unknown_fields_and_broken_texts_are_refused_with_their_line() {
    let first = |that, this| said_of(Loaded::yaml(&SOUND.replacen(that, this, 1)).expect_err("refused"));
    let unknown = first("    lead: builder", "    laed: builder");
    assert!(unknown.starts_with("line 14: unknown field `laed`, expected one of name, about, lead,"), "{unknown}");
    let unknown = first("question: All well?", "question: All well?\n          quroum: 2");
    assert!(unknown.starts_with("line 48: unknown field `quroum`"), "{unknown}");
    let both = first("          question: All well?", "          question: All well?\n        soak: 1m");
    assert!(both.contains("step sign-off is approval and soak"), "{both}");
    let length = first("max_age: 2h", "max_age: 2 hours");
    assert!(length.starts_with("line 27: \"2 hours\" is not a length of time"), "{length}");
    let twice = first("format: 1\n", "format: 1\nformat: 1\n");
    assert!(twice.starts_with("line 2: "), "{twice}");
    let json = |text: &str| said_of(Loaded::json(text).expect_err("refused"));
    assert_eq!(json("{\n \"format\": 1,\n \"nam\": 2}").split(',').next(), Some("line 3: unknown field `nam`"));
    assert!(json("{\n \"format\": ").starts_with("line 2: EOF"));
    let gates = r#"{"format":1,"name":"x","rollback":"previous","phases":[],
      "gates":{"a":{"kind":"k"},
               "a":{"kind":"k"}}}"#;
    assert_eq!(json(gates), "line 2: \"a\" stands twice in /gates");
    assert!(json(&" ".repeat(5 * 1024 * 1024)).contains("at most"));
}

fn said_of(errors: DocumentErrors) -> String {
    errors.problems[0].to_string()
}

/// Rows: M138.
#[test]
fn everything_is_named_at_once_in_the_order_of_the_text() {
    let text = SOUND.replace("undoer", "undor").replace("[open]", "[opne]").replace("target: eu", "target: ue");
    let refused = bind(&text, &registry()).expect_err("refused");
    assert_eq!(refused.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(16), Some(35), Some(43)]);
}
