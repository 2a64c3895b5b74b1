//! A run that parks: a person finds the way out, by each of its exits.

use super::{Desk, Process, Said, is_record, text_of, wait_for};

/// Ends so that nobody can tell what became of it.
const UNSURE: &str = "#!/bin/sh\necho begun >> begun\n[ -e mended ] || kill -9 $$\n";
const DONE: &str = "#!/bin/sh\necho done >> done\n";
const BREAKS: &str = "#!/bin/sh\nexit 1\n";
/// Can be undone only once it is mended.
const UNDONE: &str =
    "#!/bin/sh\n[ \"$DEPLOY_UNDO\" = 0 ] || [ -e mended ] || exit 1\necho \"$DEPLOY_UNDO\" >> undone\n";

/// One step that may be in doubt, and one after it.
const IN_DOUBT: &str = "
format: 1
name: in-doubt
rollback: { none: { reason: nothing is changed } }
phases:
  - name: work
    steps:
      - name: unsure
        task: { agent: unsure, timeout: 5m }
      - name: next
        task: { agent: next, timeout: 5m }
        after: [unsure]
";

/// What was done cannot be undone, and what follows fails.
const NO_WAY_BACK: &str = "
format: 1
name: no-way-back
rollback: previous
phases:
  - name: work
    steps:
      - name: change
        task:
          agent: change
          timeout: 5m
          undo: { agent: change, retry: { attempts: 1 } }
      - name: breaks
        task: { agent: breaks, timeout: 5m }
        after: [change]
";

/// A folder with a pipeline and programs, and a journal.
struct Bench {
    desk: Desk,
    args: Vec<String>,
}

impl Bench {
    fn new(pipeline: &str, programs: &[(&str, &str, &str)]) -> Self {
        let desk = Desk::new();
        let path = |name: &str| desk.path(name).to_str().expect("UTF-8").to_owned();
        std::fs::write(desk.path("pipeline.yaml"), pipeline).expect("written");
        let mut args: Vec<String> = ["run", "--file", &path("pipeline.yaml")].map(str::to_owned).into();
        for (option, name, text) in programs {
            // The programs look for their files beside themselves.
            let text = text.replacen('\n', &format!("\ncd '{}'\n", desk.folder.path().display()), 1);
            std::fs::write(desk.path(name), text).expect("written");
            // Not as a program of its own: a file that was written a moment ago is busy while another thread of ours forks.
            args.extend([(*option).to_owned(), format!("{name}=sh {}", path(name))]);
        }
        Self { desk, args }
    }

    fn in_doubt() -> Self {
        Self::new(IN_DOUBT, &[("--program-once", "unsure", UNSURE), ("--program", "next", DONE)])
    }

    fn no_way_back() -> Self {
        Self::new(NO_WAY_BACK, &[("--program", "change", UNDONE), ("--program", "breaks", BREAKS)])
    }

    /// Starts the run, and waits until it is parked.
    fn parked(&self) -> Process {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let run = self.desk.start(&args);
        wait_for("it is parked", || {
            let status = self.desk.say(&["status", "--exit-code"]);
            status.code == 4 && !status.one("status")["parked"].as_array().is_none_or(Vec::is_empty)
        });
        run
    }

    fn mend(&self) {
        std::fs::write(self.desk.path("mended"), "").expect("written");
    }

    /// How many lines a program wrote.
    fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.desk.path(name)).map_or(0, |text| text.lines().count())
    }

    /// Says something as grace.
    fn say(&self, words: &[&str]) -> Said {
        let mut words = words.to_vec();
        words.extend(["--as", "grace", "--why", "looked at it"]);
        self.desk.say(&words)
    }

    #[track_caller]
    fn taken(&self, words: &[&str]) {
        let said = self.say(words);
        assert_eq!((said.code, &said.one("said")["became"]), (0, &"taken".into()), "{}", said.text);
    }
}

#[test]
fn what_nobody_can_tell_is_settled_as_finished() {
    let bench = Bench::in_doubt();
    let run = bench.parked();
    let shown = bench.desk.text(&["status"]).text;
    assert!(shown.contains("parked at work/unsure"), "{shown}");
    let status = bench.desk.text(&["status", "last"]).text;
    assert_eq!(status.matches("is parked: ").count(), 1, "{status}");
    assert!(status.contains("nobody can tell what became of the attempt") && status.contains("settle"), "{status}");

    // What is no way out of this is refused, with the reason, and changes nothing.
    let waived = bench.say(&["waive"]);
    assert!(waived.error(7).contains("no undo of it is parked"), "{}", waived.text);
    let approved = bench.say(&["approve", "--step", "work/unsure"]);
    assert!(approved.error(7).contains("it does not ask anybody: it is parked"), "{}", approved.text);
    bench.taken(&["acknowledge"]);
    let took = bench.desk.say(&["status", "last"]);
    assert_eq!(took.one("status")["parked"].as_array().map(Vec::len), Some(1), "{}", took.text);

    bench.taken(&["settle", "--outcome", "finished"]);
    let ended = run.end();
    assert_eq!(ended.code, 0, "{}", ended.text);
    assert_eq!((bench.lines("begun"), bench.lines("done")), (1, 1), "it ran once, and what follows ran");
    let took = ended.lines.iter().filter(|line| is_record(line, "took"));
    let texts: Vec<&str> = took.map(|line| text_of(line, "text")).collect();
    assert!(texts.iter().any(|text| text.contains("grace@this-machine says acknowledge")), "{texts:?}");
}

#[test]
fn what_was_never_started_is_tried_again() {
    let bench = Bench::in_doubt();
    let run = bench.parked();
    bench.mend();
    bench.taken(&["settle", "--outcome", "never-started"]);
    let ended = run.end();
    assert_eq!(ended.code, 0, "{}", ended.text);
    assert_eq!((bench.lines("begun"), bench.lines("done")), (2, 1), "it was tried once more");
}

#[test]
fn what_failed_is_the_end() {
    let bench = Bench::in_doubt();
    let run = bench.parked();
    bench.taken(&["settle", "--outcome", "failed"]);
    let ended = run.end();
    assert!([1, 3].contains(&ended.code), "{}", ended.text);
    assert!(
        text_of(ended.one("end"), "text").contains("settled by grace@this-machine: looked at it"),
        "{}",
        ended.text
    );
    assert_eq!((bench.lines("begun"), bench.lines("done")), (1, 0), "nothing followed");
}

#[test]
fn an_undo_is_tried_again_once_it_is_mended() {
    let bench = Bench::no_way_back();
    let run = bench.parked();
    // Not mended yet: it parks again.
    bench.taken(&["retry"]);
    wait_for("it is parked again", || {
        let shown = bench.desk.say(&["dossier", "last", "--format", "lines"]).text;
        shown.matches("\"kind\":\"parked\"").count() == 2
    });
    bench.mend();
    bench.taken(&["retry"]);
    let ended = run.end();
    assert_eq!((ended.code, &ended.one("end")["outcome"]), (3, &"rolled_back".into()), "{}", ended.text);
    assert_eq!(std::fs::read_to_string(bench.desk.path("undone")).expect("it ran"), "0\n1\n", "done, then undone");
}

#[test]
fn an_undo_that_cannot_be_done_is_answered_for_by_a_person() {
    let bench = Bench::no_way_back();
    let run = bench.parked();
    bench.taken(&["waive"]);
    let ended = run.end();
    assert_eq!(ended.code, 1, "what still stands was not rolled back: {}", ended.text);
    let passed = |line: &&serde_json::Value| is_record(line, "undo_passed") && line["step"] == "work/change";
    let passed = ended.lines.iter().find(passed).expect("it was passed over");
    assert!(text_of(passed, "text").contains("waived by grace@this-machine: looked at it"), "{passed}");
    assert_eq!(std::fs::read_to_string(bench.desk.path("undone")).expect("it ran"), "0\n", "it was not undone");
}
