//! What people read and learn.

use deploy_core::evidence::{Refusal, Verdict};
use serde::{Deserialize, Serialize};

use crate::checks::shipping::DocsInventory;
use crate::crew::issued::Content;
use crate::crew::material::Material;

/// The documents of the release, and what is not finished in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeploymentDocs {
    /// The documents, by path.
    pub documents: Vec<String>,
    /// Places that are still to be written, each with its document.
    pub placeholders: Vec<String>,
    /// Links that lead nowhere, each with its document.
    pub dead_links: Vec<String>,
    /// How many public items there are, and how many of them are documented.
    pub documented: (u64, u64),
}

impl Content for DeploymentDocs {
    const NAME: &'static str = "deployment-docs";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let inventory = material.reading().document::<DocsInventory>()?.document;
        let named = |of: &dyn Fn(&crate::checks::shipping::InventoriedDocument) -> Vec<String>| {
            let lines = inventory.documents.iter().map(|d| (d.path.clone(), of(d)));
            lines.flat_map(|(path, lines)| lines.into_iter().map(move |line| format!("{path}: {line}"))).collect()
        };
        Ok(Self {
            documents: inventory.documents.iter().map(|d| d.path.clone()).collect(),
            placeholders: named(&|d| d.placeholders.clone()),
            dead_links: named(&|d| d.dead_links.clone()),
            documented: (inventory.public_items, inventory.documented_items),
        })
    }
}

/// What the next release should do otherwise, as far as checks can tell: everything that passed with a remark, was waived, or
/// was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LessonsLearned {
    /// What was let through, a line each: the check, and its remark.
    pub let_through: Vec<String>,
    /// The evidence that was refused, with why: the mend is in how it is produced.
    pub refused: Vec<String>,
}

impl Content for LessonsLearned {
    const NAME: &'static str = "lessons-learned";
    const VERSION: u32 = 1;
    fn of(material: &Material<'_>) -> Result<Self, Refusal> {
        let mut let_through = Vec::new();
        for said in material.said() {
            match &said.verdict {
                Verdict::Concerns { remarks } => {
                    let_through.extend(remarks.iter().map(|remark| format!("{}: {remark}", said.check)));
                }
                Verdict::Waived(waiver) => {
                    let_through.push(format!("{}: waived by {}: {}", said.check, waiver.person, waiver.reason));
                }
                Verdict::Pass | Verdict::Fail { .. } | Verdict::Inconclusive { .. } | Verdict::NotApplicable { .. } => {
                }
            }
        }
        let refused = material.refused().iter().map(|(e, why)| format!("{}: {why}", crate::checks::file_of(e)));
        Ok(Self { let_through, refused: refused.collect() })
    }
}
