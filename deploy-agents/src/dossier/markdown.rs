//! A dossier as Markdown for a person.

use std::fmt::Write as _;

use super::{Dossier, Standing};

impl Dossier {
    /// The dossier as Markdown. What somebody typed is shown as it is and means nothing: no text of it can become a heading,
    /// a link or markup.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_markdown(&mut out);
        out
    }

    fn write_markdown(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "# Dossier of run {}\n", escape(self.run.as_str()))?;
        writeln!(out, "{}\n", escape(&self.plan.release.to_string()))?;
        match self.outcome() {
            Some((outcome, because)) => writeln!(out, "Ended **{outcome}**: {}\n", escape(because))?,
            None => writeln!(out, "It has not ended.\n")?,
        }
        writeln!(
            out,
            "- plan: `{}`\n- records: {}, head `{}`\n",
            self.plan.fingerprint(),
            self.head.next,
            self.head.hash
        )?;
        let counts = self.counts();
        writeln!(
            out,
            "Checks: {} verified, {} waived, {} claimed and not verified, {} missing.\n",
            counts[0], counts[1], counts[2], counts[3]
        )?;
        for step in self.steps() {
            writeln!(out, "## Step {}\n", escape(step.path.as_str()))?;
            if step.refused_reports > 0 {
                writeln!(out, "{} of its reports were not believed.\n", step.refused_reports)?;
            }
            if !step.checks.is_empty() {
                writeln!(out, "| check | asked for | standing | read |\n|---|---|---|---|")?;
            }
            for line in &step.checks {
                let read: Vec<String> = line.read.iter().map(|digest| format!("`{}`", digest.short())).collect();
                let asked = if line.mandatory { "yes" } else { "no" };
                let standing = escape(&line.standing.to_string());
                writeln!(out, "| {} | {asked} | {standing} | {} |", escape(line.check.as_str()), read.join(" "))?;
            }
            if !step.evidence.is_empty() {
                writeln!(out, "\n| evidence | kind | by | observed | about | bytes |\n|---|---|---|---|---|---|")?;
            }
            for line in &step.evidence {
                let e = &line.evidence;
                let bytes = line.bytes.map_or_else(|| "gone".to_owned(), |bytes| bytes.to_string());
                let about = about(e);
                let (kind, by, about) = (escape(&e.kind), escape(&e.producer.name), escape(&about));
                writeln!(out, "| `{}` | {kind} | {by} | {} | {about} | {bytes} |", e.digest.short(), e.observed_at)?;
            }
            for finding in &step.findings {
                writeln!(out, "\n- {:?}: {}", finding.severity, escape(&finding.text))?;
            }
            writeln!(out)?;
        }
        writeln!(out, "## Decisions\n\n| record | when | step | decision | why |\n|---|---|---|---|---|")?;
        for line in self.decisions() {
            let step = line.step.as_ref().map_or("", |path| path.as_str());
            let (step, why) = (escape(step), escape(&line.why));
            writeln!(out, "| {} | {} | {step} | {} | {why} |", line.position, line.at.wall, line.what)?;
        }
        Ok(())
    }

    /// How many checks are verified, waived, claimed and missing.
    #[must_use]
    pub fn counts(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        for line in self.steps().iter().flat_map(|step| &step.checks) {
            counts[match line.standing {
                Standing::Verified(_) => 0,
                Standing::Waived(_) => 1,
                Standing::Claimed(_) => 2,
                Standing::Missing => 3,
            }] += 1;
        }
        counts
    }
}

/// What a piece of evidence speaks of, in one line.
pub(super) fn about(evidence: &deploy_core::evidence::Evidence) -> String {
    let subject = &evidence.subject;
    let commit = subject.commit.as_ref().map(|commit| commit.chars().take(12).collect::<String>());
    let artifact = subject.artifact.as_ref().map(deploy_core::digest::Digest::short);
    let environment = subject.environment.as_ref().map(ToString::to_string);
    [commit, artifact, environment].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Text that shows as it is: every character with a meaning is taken out of it by a backslash or an entity.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            // A scheme would become a link in some renderers.
            ':' => out.push_str("&#58;"),
            c => out.push(c),
        }
    }
    out
}
