//! A revision is the program that it was approved as.

use std::path::Path;

use deploy_core::digest::Digest;

use crate::process::CommandLine;

/// Whether a command line starts a program of these bytes; why not, if it does not.
pub(super) async fn is_program(line: &CommandLine, wanted: &Digest) -> Result<(), String> {
    let name = line.name();
    let path = Path::new(line.program());
    // A bare name may be another program by the time it is looked up.
    if path.components().count() < 2 {
        return Err(format!("{name} is not named by its path, so that nobody can tell whether it is {wanted}"));
    }
    let bytes = tokio::fs::read(path).await.map_err(|error| format!("{name} could not be read: {error}"))?;
    let found = Digest::of(&bytes);
    if found == *wanted { Ok(()) } else { Err(format!("{name} is {found}, and {wanted} was approved")) }
}
