//! Child processes: what is run, their groups and their output.

mod command_line;
mod group;
mod log_file;
mod output;
mod run;

pub use self::command_line::CommandLine;
pub(crate) use self::group::Group;
pub(crate) use self::log_file::LogFile;
pub(crate) use self::output::Capture;
pub use self::output::Captured;
pub(crate) use self::run::{Ended, run};
