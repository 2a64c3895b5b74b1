//! What changed from one plan to another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::page::entry;
use super::{Plan, StepId};
use crate::time::Spell;

/// Every difference between two plans, in the order plan, phases, steps, blocks, targets. Shown as text with `to_string`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanDiff {
    /// None if the plans are the same.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// In what part of the plan.
    pub area: Area,
    /// The phase, step, block or target; empty for the plan as a whole.
    pub name: String,
    /// What became of it.
    pub difference: Difference,
}

/// A part of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The plan as a whole: the release, the way back, limits, the order of phases and steps.
    Plan,
    /// A phase.
    Phase,
    /// A step.
    Step,
    /// A building block.
    Block,
    /// A target.
    Target,
}

/// What became of a part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// One of its fields is another.
    Changed {
        /// The field, as records write it; parts of parts are joined by a dot.
        field: String,
        /// What it was, as people read it; empty if it was not there.
        from: String,
        /// What it is.
        to: String,
    },
}

impl Plan {
    /// What is different in `newer`. Nothing is left out: the difference is empty exactly if the plans are equal.
    ///
    /// # Panics
    ///
    /// Never: a plan has no part that JSON could not hold.
    ///
    /// # Examples
    ///
    /// ```
    /// # use deploy_core::name::{EnvironmentName, RevisionName, ServiceName};
    /// # use deploy_core::operator::Principal;
    /// # use deploy_core::pipeline::Pipeline;
    /// # use deploy_core::plan::{Plan, RollbackTo};
    /// # use deploy_core::release::Release;
    /// # use std::time::Duration;
    /// # let release = Release::new(ServiceName::new("api")?, EnvironmentName::new("test")?, RevisionName::new("v2")?);
    /// let plan = |minutes: u64, width| {
    ///     let p = Pipeline::builder("rest");
    ///     p.rollback(RollbackTo::Previous).width(width);
    ///     p.phase("wait").soak("bake", Duration::from_secs(60 * minutes)).add();
    ///     let pipeline = p.build().expect("nothing is wrong with it");
    ///     pipeline.plan(release.clone(), Principal::new("ada", "example.org")).expect("there is something to do")
    /// };
    /// let diff = plan(10, 4).diff(&plan(10, 2));
    /// assert_eq!(diff.to_string(), "~ plan: width 4 -> 2\n");
    /// assert!(plan(10, 4).diff(&plan(10, 4)).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn diff(&self, newer: &Self) -> PlanDiff {
        let (old, new) = (Parts::of(self), Parts::of(newer));
        let mut changes = Vec::new();
        fields(Area::Plan, "", &old.whole, &new.whole, &mut changes);
        order("order of phases", &old.phases, &new.phases, &mut changes);
        order("order of steps", &old.steps, &new.steps, &mut changes);
        for (area, old, new) in [
            (Area::Phase, &old.phases, &new.phases),
            (Area::Step, &old.steps, &new.steps),
            (Area::Block, &old.blocks, &new.blocks),
            (Area::Target, &old.targets, &new.targets),
        ] {
            members(area, old, new, &mut changes);
        }
        PlanDiff { changes }
    }
}

impl PlanDiff {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// One line for each change: `+` added, `-` removed, `~` changed.
impl fmt::Display for PlanDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no difference\n");
        }
        for Change { area, name, difference } in &self.changes {
            let area = match area {
                Area::Plan => "plan",
                Area::Phase => "phase ",
                Area::Step => "step ",
                Area::Block => "block ",
                Area::Target => "target ",
            };
            let line = match difference {
                Difference::Added => format!("+ {area}{name}"),
                Difference::Removed => format!("- {area}{name}"),
                Difference::Changed { field, from, to } => {
                    let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
                    format!("~ {area}{name}: {field} {} -> {}", shown(from), shown(to))
                }
            };
            let (mark, text) = line.split_at(1);
            entry(f, mark, 2, text)?;
        }
        Ok(())
    }
}

/// Named parts of a plan in order, each as JSON in which steps are named by path.
type Named = Vec<(String, Value)>;

struct Parts {
    whole: Value,
    phases: Named,
    steps: Named,
    blocks: Named,
    targets: Named,
}

impl Parts {
    fn of(plan: &Plan) -> Self {
        let path = |id: StepId| plan.step(id).map_or_else(|| format!("step {}", id.0), |s| s.path.to_string());
        let mut whole = object(plan);
        for part in ["phases", "steps", "blocks", "targets"] {
            whole.remove(part);
        }
        let phase = |index: &super::PlannedPhase| {
            let mut fields = object(index);
            fields.remove("name");
            for end in ["entry", "exit"] {
                fields.remove(end);
            }
            fields.insert("entry".to_owned(), path(index.entry).into());
            fields.insert("exit".to_owned(), path(index.exit).into());
            (index.name.to_string(), Value::Object(fields))
        };
        let step = |step: &super::PlannedStep| {
            let mut fields = object(step);
            // `dependents` is `after` seen from the other side.
            for part in ["path", "dependents", "after", "phase"] {
                fields.remove(part);
            }
            let after: Vec<_> = step.after.iter().map(|id| path(*id)).collect();
            fields.insert("after".to_owned(), after.into());
            let name = plan.phases.get(step.phase as usize).map_or_else(String::new, |p| p.name.to_string());
            fields.insert("phase".to_owned(), name.into());
            if let super::Work::Task { inputs, .. } = &step.work
                && let Some(shown) =
                    fields.get_mut("work").and_then(|w| w.get_mut("task")).and_then(|t| t.get_mut("inputs"))
            {
                *shown = inputs.iter().map(|(name, from)| (name.clone(), Value::from(path(*from)))).collect();
            }
            (step.path.to_string(), Value::Object(fields))
        };
        Self {
            whole: Value::Object(whole),
            phases: plan.phases.iter().map(phase).collect(),
            steps: plan.steps.iter().map(step).collect(),
            blocks: plan.blocks.iter().map(|(name, block)| (name.to_string(), Value::Object(object(block)))).collect(),
            targets: plan.targets.iter().map(|(name, can)| (name.to_string(), Value::Object(object(can)))).collect(),
        }
    }
}

fn object<T: Serialize>(part: &T) -> Map<String, Value> {
    match serde_json::to_value(part) {
        Ok(Value::Object(map)) => map,
        other => unreachable!("every part of a plan is an object of names, texts and whole numbers, not {other:?}"),
    }
}

/// Whether what both plans have comes in another order.
fn order(what: &str, old: &Named, new: &Named, changes: &mut Vec<Change>) {
    let names = |list: &Named| list.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    let (ours, theirs) = (names(old), names(new));
    let common = |list: &Named| -> Vec<String> {
        list.iter().map(|(name, _)| name).filter(|n| ours.contains(*n) && theirs.contains(*n)).cloned().collect()
    };
    let (from, to) = (common(old), common(new));
    if from != to {
        let (field, from, to) = (what.to_owned(), from.join(", "), to.join(", "));
        let difference = Difference::Changed { field, from, to };
        changes.push(Change { area: Area::Plan, name: String::new(), difference });
    }
}

fn members(area: Area, old: &Named, new: &Named, changes: &mut Vec<Change>) {
    let before: BTreeMap<&String, &Value> = old.iter().map(|(name, value)| (name, value)).collect();
    let now: BTreeSet<&String> = new.iter().map(|(name, _)| name).collect();
    for (name, _) in old.iter().filter(|(name, _)| !now.contains(name)) {
        changes.push(Change { area, name: name.clone(), difference: Difference::Removed });
    }
    for (name, value) in new {
        match before.get(name) {
            None => changes.push(Change { area, name: name.clone(), difference: Difference::Added }),
            Some(old) => fields(area, name, old, value, changes),
        }
    }
}

fn fields(area: Area, name: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let mut walk = Vec::new();
    compare(&mut walk, old, new, &mut |field, from, to| {
        let difference = Difference::Changed { field, from, to };
        changes.push(Change { area, name: name.to_owned(), difference });
    });
}

/// Walks two values down to where they differ.
fn compare(walk: &mut Vec<String>, old: &Value, new: &Value, found: &mut impl FnMut(String, String, String)) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(before), Value::Object(now)) if !other_variant(before, now) => {
            let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            for key in keys {
                let (old, new) = (before.get(key).unwrap_or(&Value::Null), now.get(key).unwrap_or(&Value::Null));
                walk.push(key.clone());
                compare(walk, old, new, found);
                walk.pop();
            }
        }
        _ => {
            let field = walk.last().map_or("", String::as_str);
            found(walk.join("."), shown(field, old), shown(field, new));
        }
    }
}

/// A variant of an enum is written as an object with one key; another variant is another value as a whole.
fn other_variant(before: &Map<String, Value>, now: &Map<String, Value>) -> bool {
    before.len() == 1 && now.len() == 1 && before.keys().next() != now.keys().next()
}

/// The fields that hold milliseconds.
const SPANS: [&str; 9] = [
    "timeout",
    "undo_timeout",
    "backoff",
    "backoff_at_most",
    "hold_at_most",
    "span",
    "observe_every",
    "expires_after",
    "max_age",
];

fn shown(field: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_u64() {
            Some(ms) if SPANS.contains(&field) => Spell(std::time::Duration::from_millis(ms)).to_string(),
            _ => number.to_string(),
        },
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => items.iter().map(|item| shown("", item)).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let one = |(key, item): (&String, &Value)| match item {
                Value::Object(_) => format!("{key} ({})", shown(key, item)),
                _ => format!("{key}: {}", shown(key, item)),
            };
            map.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}
