//! A dossier as JUnit XML: what every CI system shows.

use std::fmt::Write as _;

use deploy_agents::dossier::{Dossier, Standing};
use deploy_core::plan::Work;

use super::summary::{Fate, fates};

/// A suite for each phase; in it a case for each step, and one for each check of it.
pub(super) fn write(dossier: &Dossier) -> String {
    let fates = fates(dossier);
    let steps = dossier.steps();
    let mut suites = String::new();
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for (index, phase) in (0_u32..).zip(&dossier.plan.phases) {
        let mut cases = String::new();
        let mut counts = (0, 0, 0);
        let mut case = |name: &str, fate: &Fate| {
            counts.0 += 1;
            let _ = write!(cases, "    <testcase classname={} name={}", quoted(phase.name.as_str()), quoted(name));
            let _ = match fate {
                Fate::Done => writeln!(cases, "/>"),
                Fate::Failed(why) => {
                    counts.1 += 1;
                    writeln!(cases, "><failure message={}/></testcase>", quoted(why))
                }
                Fate::NotReached => {
                    counts.2 += 1;
                    writeln!(cases, "><skipped message=\"not reached\"/></testcase>")
                }
            };
        };
        for planned in dossier.plan.steps.iter().filter(|step| step.phase == index) {
            if matches!(planned.work, Work::Gate { gate: None, .. }) {
                continue;
            }
            case(planned.path.as_str(), fates.get(&planned.path).unwrap_or(&Fate::NotReached));
            for check in steps.iter().filter(|step| step.path == planned.path).flat_map(|step| &step.checks) {
                let fate = match &check.standing {
                    Standing::Verified(_) | Standing::Waived(_) => Fate::Done,
                    Standing::Missing if !check.mandatory => Fate::NotReached,
                    other => Fate::Failed(other.to_string()),
                };
                case(&format!("{}: {}", planned.path, check.check), &fate);
            }
        }
        tests += counts.0;
        failures += counts.1;
        skipped += counts.2;
        let head = format!("tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\"", counts.0, counts.1, counts.2);
        let _ = writeln!(suites, "  <testsuite name={} {head}>\n{cases}  </testsuite>", quoted(phase.name.as_str()));
    }
    let name = quoted(&format!("{} {}", dossier.plan.pipeline, dossier.plan.release));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name={name} tests=\"{tests}\" failures=\"{failures}\" \
         errors=\"0\" skipped=\"{skipped}\">\n{suites}</testsuites>\n"
    )
}

/// A value of an attribute. What XML cannot hold at all is replaced.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn nothing_in_a_text_ends_an_attribute() {
        assert_eq!(quoted("a<b>&\"c\"\n\u{1}"), "\"a&lt;b&gt;&amp;&quot;c&quot; \u{fffd}\"");
    }
}
