//! What answers to an incident is a command, or is said not to be here.

use super::{Desk, text_of};

#[test]
fn the_answer_to_an_incident_names_its_commands_and_refuses_what_is_not_here() {
    let desk = Desk::new();
    let said = desk.say(&["workflow", "incident-response"]);
    let error = said.error(9).to_owned();
    assert!(error.starts_with("nothing was done: "), "{error}");
    assert!(!desk.journal().exists(), "something was made");
    let steps = said.all("incident_step");
    let (here, missing): (Vec<_>, Vec<_>) = steps.iter().partition(|step| step["here"] == true);
    assert!(here.len() >= 6 && !missing.is_empty(), "{}", said.text);
    for step in missing {
        assert!(error.contains(text_of(step, "step")) && step["how"].is_null(), "{step}");
    }

    // Whatever is named as a command is one, with these options.
    for step in here {
        let Some(command) = text_of(step, "how").strip_prefix("deployctl ") else { continue };
        let words: Vec<&str> = command.split(' ').collect();
        let commands = words.iter().take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
        let mut asked: Vec<&str> = commands.copied().collect();
        asked.push("--help");
        let help = desk.text(&asked);
        assert_eq!(help.code, 0, "{command}");
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(
                help.text.contains(&format!("{option} <")) || help.text.contains(&format!("{option}\n")),
                "{command}: {option}"
            );
        }
    }

    // For a run, they can be copied as they stand.
    let run = desk.release(&["--revision", "v9"]).end();
    let id = text_of(run.one("end"), "run").to_owned();
    let said = desk.text(&["workflow", "incident-response", "last"]);
    assert!(said.code == 9 && said.text.contains(&format!("deployctl status {id}\n")), "{}", said.text);
    assert_eq!(desk.say(&["status", &id]).code, 0);
    assert!(desk.say(&["workflow", "incident-response", "nobody"]).error(2).contains("no run is called \"nobody\""));
}
