//! The default pipeline and what it releases to, so that `deployctl run` does something real where there is nothing but Rust.
//!
//! The *place* is a process of its own: a weighted proxy, two processes of a small service, and users who place orders all the
//! time. It outlives `deployctl run`, and ends when nobody has driven it for a while, or by `deployctl place stop`.

mod pipeline;
mod place;
mod session;
mod users;

use clap::Subcommand;
use serde_json::json;

pub(crate) use self::pipeline::{pipeline, site};
pub(crate) use self::session::{Session, new_token};
use crate::Failure;
use crate::code::Code;
use crate::shared::Shared;
use crate::show::Screen;

/// The revisions that the service has. The last one loses its connections under load, which its self-test does not notice.
const REVISIONS: [&str; 3] = ["v1", "v2", "v3"];

/// Show or end the place that the default pipeline releases to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// End the place, and the processes of the service with it.
    Stop,
    /// What the place itself runs.
    #[command(hide = true)]
    Serve,
    /// One process of the service.
    #[command(hide = true)]
    Service,
    /// Tests a revision by itself.
    #[command(hide = true)]
    SelfTest {
        /// Which.
        revision: String,
    },
}

pub(crate) async fn run(args: &Args, shared: &Shared) -> Result<Code, Failure> {
    let mut screen = Screen::new(shared.json);
    match &args.command {
        None => {
            let found = Session::adopt(&shared.journal()?).await?;
            let text = match &found {
                Some(session) => format!("the place is process {}, http://{}", session.pid, session.traffic),
                None => "no place is alive here".to_owned(),
            };
            let facts = found.map(|session| json!({ "pid": session.pid, "traffic": session.traffic }));
            screen.say("place", &text, &facts.unwrap_or_else(|| json!({ "pid": null })));
        }
        Some(Command::Stop) => {
            let ended = Session::stop(&shared.journal()?).await?;
            let text = if ended { "the place has ended" } else { "no place is alive here" };
            screen.say("place", text, &json!({ "ended": ended }));
        }
        Some(Command::Serve) => place::run(&shared.journal()?).await?,
        Some(Command::Service) => crate::service::run().await?,
        Some(Command::SelfTest { revision }) if !REVISIONS.contains(&revision.as_str()) => {
            crate::show::line(&format!(
                "there is no revision {revision} of this service; there are {}",
                REVISIONS.join(", ")
            ));
            return Ok(Code::Failed);
        }
        Some(Command::SelfTest { revision }) => {
            let passed = crate::self_test::run(revision).await? == std::process::ExitCode::SUCCESS;
            return Ok(if passed { Code::Succeeded } else { Code::Failed });
        }
    }
    Ok(Code::Succeeded)
}

/// What soaks and intervals are multiplied by.
pub(crate) fn pace(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if (0.1..=10.0).contains(&factor) { Ok(factor) } else { Err("0.1 to 10 is allowed".to_owned()) }
}
