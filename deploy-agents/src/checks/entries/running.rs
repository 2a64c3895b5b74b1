//! Where it runs, and how the run goes.

use deploy_core::time::Spell;

use super::{DAY, entry};
use crate::checks::assessment::Assessor;
use crate::checks::catalogue::CatalogueCheck;
use crate::checks::document::Document as _;
use crate::checks::level::ValidationLevel::{Enterprise, Minimal, Standard, Strict};
use crate::checks::thresholds::Thresholds;
use crate::checks::{infrastructure, kind, performance, runs};

pub(super) fn ground(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry(
            "environment",
            format!(
                "the environment is what is declared, and certificates hold for {} more",
                Spell(t.certificate_holds_at_least)
            ),
            |r, t| Ok(infrastructure::environment(&r.document()?, r.release(), r.now(), t)),
        )
        .reads(&[infrastructure::EnvironmentProbe::KIND])
        .rows(&[16, 140, 143])
        .level(Standard),
        entry("no-drift", "the plan would change nothing, and nobody else changed anything", |r, _| {
            Ok(infrastructure::no_drift(&r.plan(kind::TERRAFORM_PLAN_AFTER)?.1))
        })
        .reads(&[kind::TERRAFORM_PLAN_AFTER])
        .rows(&[16, 149, 183, 202])
        .level(Standard),
        entry(
            "plan-applied",
            "the plan that was applied is the approved one, and takes nothing away that nobody permitted",
            |r, _| {
                let (evidence, plan) = r.plan(kind::TERRAFORM_PLAN)?;
                Ok(infrastructure::plan_applied(&r.document()?, &plan, &evidence.digest))
            },
        )
        .reads(&[infrastructure::IacApply::KIND, kind::TERRAFORM_PLAN])
        .rows(&[135, 149, 202])
        .level(Strict),
        entry(
            "capacity",
            format!("there is room for the strategy at its widest, with {} % to spare", t.capacity_headroom),
            |r, t| Ok(infrastructure::capacity(&r.document()?, r.release(), t)),
        )
        .reads(&[infrastructure::CapacityReport::KIND])
        .rows(&[17, 143])
        .level(Standard),
        entry(
            "monitoring-up",
            format!(
                "every target is up and was scraped within {}, every rule can be evaluated",
                Spell(t.scrape_max_age)
            ),
            |r, t| {
                let (targets, rules) = (r.monitoring(kind::PROMETHEUS_TARGETS)?, r.monitoring(kind::PROMETHEUS_RULES)?);
                Ok(infrastructure::monitoring_up(&targets, &rules, r.now(), t))
            },
        )
        .reads(&[kind::PROMETHEUS_TARGETS, kind::PROMETHEUS_RULES])
        .rows(&[18, 141, 152, 155, 180, 208])
        .level(Standard),
        entry("series-flow", "there are series of the new revision, with samples", |r, _| {
            let answer = r.monitoring(kind::PROMETHEUS_SERIES)?;
            Ok(infrastructure::series_flow(&answer, r.release().revision.as_str()))
        })
        .reads(&[kind::PROMETHEUS_SERIES])
        .rows(&[35, 152])
        .level(Strict),
        entry(
            "alerts-delivered",
            format!(
                "every test alert reached its receiver within {}, and has owner and runbook",
                Spell(t.alert_delivery_at_most)
            ),
            |r, t| Ok(infrastructure::alerts_delivered(&r.document()?, t)),
        )
        .reads(&[infrastructure::AlertDrill::KIND])
        .rows(&[18, 36, 152, 155, 209])
        .level(Standard)
        .max_age(7 * DAY),
        entry(
            "backup",
            format!(
                "a sound backup of at most {} was made after writes were frozen, and one was restored within {}",
                Spell(t.backup_max_age),
                Spell(t.restore_max_age)
            ),
            |r, t| {
                let (stores, restores) = (r.backups()?, r.documents()?);
                let mut found = Assessor::new();
                for store in &stores {
                    found.include(&store.tool, infrastructure::backup(store, &restores, r.now(), t));
                }
                Ok(found.finish())
            },
        )
        .reads(&[kind::PGBACKREST, kind::RESTIC, infrastructure::RestoreRecord::KIND])
        .rows(&[19, 23, 144, 198])
        .level(Standard)
        // The record of the restore; the backup's own age is looked at by itself.
        .max_age(30 * DAY),
        entry(
            "configuration",
            "the configuration is the approved one, follows its schema, and one instance took it first",
            |r, _| Ok(infrastructure::configuration(&r.document()?)),
        )
        .reads(&[infrastructure::ConfigRecord::KIND])
        .rows(&[33, 203])
        .level(Standard),
    ]
}

pub(super) fn run(t: &Thresholds) -> Vec<CatalogueCheck> {
    vec![
        entry("health", "every declared health check said yes often enough, of every instance", |r, _| {
            Ok(infrastructure::health(&r.document()?, r.release()))
        })
        .reads(&[infrastructure::HealthReport::KIND])
        .rows(&[67, 151, 175, 205])
        .level(Minimal)
        .max_age(DAY / 24),
        entry("workloads", "every workload is where it is wanted, and runs an image of the release", |r, _| {
            Ok(infrastructure::workloads(&r.objects(kind::KUBERNETES)?, r.release()))
        })
        .reads(&[kind::KUBERNETES])
        .rows(&[151, 204])
        .level(Strict)
        .max_age(DAY / 24),
        entry(
            "smoke",
            "every declared smoke test ran and passed, so that every critical function was tried",
            |r, t| Ok(performance::smoke(&r.document()?, &r.tests(kind::SMOKE)?, t)),
        )
        .reads(&[performance::SmokePlan::KIND, kind::SMOKE])
        .rows(&[31, 40, 153, 206])
        .level(Minimal),
        entry(
            "rollback-drill",
            format!(
                "the engine rolled this revision back within {}, in at most {}, and what had served served again",
                Spell(t.drill_max_age),
                Spell(t.drill_at_most)
            ),
            |r, t| Ok(runs::rollback_drill(&r.run(kind::DRILL_EXPORT)?, r.release(), r.now(), t)),
        )
        .reads(&[kind::DRILL_EXPORT])
        .rows(&[11, 142, 212])
        .level(Minimal)
        .max_age(t.drill_max_age),
        entry("deployment-executed", "the run of this release ended well, by its own records", |r, _| {
            Ok(runs::executed(&r.run(kind::RUN_EXPORT)?, r.release()))
        })
        .reads(&[kind::RUN_EXPORT])
        .rows(&[151, 204])
        .level(Enterprise),
    ]
}
