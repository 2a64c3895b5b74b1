//! Stories about the core, one module each.

mod blocks;
mod compile_fail;
mod crash;
mod driver_stories;
mod explore;
mod golden;
mod machine_differential;
mod machine_fuzz;
mod machine_mends;
mod machine_retry;
mod pipeline_problems;
mod plan_binds;
mod plan_lowers;
mod plan_properties;
mod plan_text;
mod world;
