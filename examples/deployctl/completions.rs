//! `deployctl completions`: what a shell needs to complete a command line.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::code::Code;

/// Print the completions for a shell.
///
/// For example: `deployctl completions bash > ~/.local/share/bash-completion/completions/deployctl`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Code {
    let mut command = crate::Args::command();
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "deployctl", &mut text);
    crate::show::line(String::from_utf8_lossy(&text).trim_end());
    Code::Succeeded
}
