//! Documents in Markdown: written by anybody, read by the strict loader (feature `workflow-md`).
//!
//! A workflow is read from its beginning to its end by a small machine, one block after another. The depth of headings is not
//! trusted, since people put a heading of the second level inside a section of the third; what a heading says decides.
//!
//! | what stands there | what it means |
//! |---|---|
//! | the first heading | the name of the pipeline: its code span, or its words as a name |
//! | `Phase 2: …` | a phase: its code span, or its words as a name |
//! | `/task slug --timeout=10m`, `/gd:slug`, `/slug` | a step for that agent; so are a line `Agent: words` and a heading that names an agent |
//! | `/gate`, `/approve`, `/soak`, `/rollout` | the other kinds of step |
//! | `- [ ] …` after a step | a check that the step must pass, by its code span, or by the words that the host has an alias for |
//! | `- [ ] …` under a heading with "checklist" | an item of that list: bound to checks, or to an approval with `manual:phase/step` |
//! | `Lead:`, `Supporting:`, `Entry gates:`, `Exit gates:`, `Hold at most:`, `Only for:` | what is said of the phase |
//! | a list under "Deliverables" | what the phase promises |
//! | a table under "Go/no-go" | a gate at the exit of the phase, one row a criterion, each bound to checks |
//! | a section with "example" or "usage" in its heading | nothing |
//!
//! Anything else is prose, and prose means nothing; but a command or an unticked box in prose is an error, so that a slip in a
//! heading does not lose a step. A box that is ticked counts as one that is not: nobody ticks anything in a document.

mod write;

#[cfg(feature = "workflow-md")]
mod blocks;
#[cfg(feature = "workflow-md")]
mod command;
#[cfg(feature = "workflow-md")]
mod machine;
#[cfg(feature = "workflow-md")]
mod phase;
