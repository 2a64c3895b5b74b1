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
        "- tests\n",
        "- test\n",
        "line 25 (/phases/0/steps/0/task/verify/0): check \"test\" is not known here; did you mean tests?",
    );
    only(
        "target: eu",
        "target: eus",
        "line 44 (/phases/1/steps/0/rollout/target): target \"eus\" is not known here; did you mean eu?",
    );
    only(
        "monitors: [http]",
        "monitors: [http, htpp]",
        "line 45 (/phases/1/steps/0/rollout/monitors/1): monitor \"htpp\" is not known here; did you mean http?",
    );
    only(
        "after: [rollout]",
        "after: [rolout]",
        "line 49 (/phases/1/steps/1/after/0): step \"rolout\" is not known here; did you mean rollout?",
    );
    only(
        "from: image",
        "from: build/imag",
        "line 33 (/phases/0/steps/1/task/needs/0/from): step \"build/imag\" is not known here; did you mean image?",
    );
    only(
        "kind: still",
        "kind: stlil",
        "line 10 (/strategies/calm/kind): kind of strategy \"stlil\" is not known here; did you mean still?",
    );
    only(
        "manual: ship/sign-off",
        "manual: ship/sign-of",
        "line 56 (/checklists/0/items/1/manual): step \"ship/sign-of\" is not known here; did you mean ship/sign-off?",
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
        "line 56 (/checklists/0/items/1/manual): step \"ship/rollout\" is no approval, so that nobody is asked there",
    );
    only(
        "        checks: [tests]\n",
        "",
        "line 53 (/checklists/0/items/0): item \"The tests pass\" has no check, and no step at which people say so; give it one of the two",
    );
    only(
        "            - tests\n",
        "",
        "line 52 (/checklists/0/items/0/checks/0): check \"tests\" of this item is verified by no step of the pipeline; let a step verify it",
    );
    only("format: 1", "format: 2", "line 1 (/format): its format is 2, and 1 is read here");
    only("  ready:\n", "  open:\n", "");
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
        "line 41 (/phases/1/steps/0): strategy calm asks monitor http, which the rollout is not given; give it with `monitor`, under the name http",
    );
    only("- name: ship", "- name: build", "");
}

/// Rows: M131.
#[test]
fn unknown_fields_and_broken_texts_are_refused_with_their_line() {
    only("    lead: builder", "    laed: builder", "");
    only("question: All well?", "question: All well?\n          quroum: 2", "");
    only("timeout", "timeout", "");
}

/// Rows: M138.
#[test]
fn everything_is_named_at_once_in_the_order_of_the_text() {
    let text = SOUND.replace("undoer", "undor").replace("[open]", "[opne]").replace("target: eu", "target: ue");
    let refused = bind(&text, &registry()).expect_err("refused");
    assert_eq!(refused.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(16), Some(35), Some(44)]);
}
