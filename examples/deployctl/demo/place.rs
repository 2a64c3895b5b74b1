//! The place: a proxy, the processes of a service, and its users.

use std::time::Duration;

use deploy_agents::process::CommandLine;
use deploy_agents::secret::Secret;
use deploy_agents::targets::AdminAccess;
use deploy_agents::targets::place::{Place, PlaceConfig};
use deploy_agents::targets::processes::{FleetConfig, Launch};
use deploy_agents::wait::until;
use deploy_core::journal::Which;
use deploy_core::name::{RevisionName, TargetName};
use deploy_core::target::{DesiredState, Target as _};
use tokio::signal::unix::{SignalKind, signal};

use super::session::{Session, new_token, place_file};
use super::users::come_and_go;
use crate::Failure;
use crate::journal::JournalFile;
use crate::server::pause;
use crate::show::line;

/// How many processes serve version 1.
const INSTANCES: u32 = 2;
/// How long version 1 may take to serve.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long the place outlives the last run that needs it and the last look at it: long enough to look around.
const ALONE_FOR: Duration = Duration::from_secs(10 * 60);
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long requests may take to end before an instance is stopped, and how long it has to stop.
const DRAIN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));

/// Runs the place until its end.
pub(super) async fn run(file: &JournalFile) -> Result<(), Failure> {
    // A session of its own: whatever ends the terminal of a host does not end the place.
    nix::unistd::setsid()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = new_token()?;
    let service = CommandLine::new(std::env::current_exe()?).args(["place", "service"]);
    let fleet = FleetConfig::new(TargetName::new("place")?, Launch::template(service)).stopping(DRAIN.0, DRAIN.1);
    let access = AdminAccess::token(Secret::new(&token));
    let place = Place::start(PlaceConfig::new(fleet, access)).await?;

    let v1 = RevisionName::new("v1")?;
    place.fleet().begin_with(&DesiredState::alone(v1.clone(), INSTANCES, 100))?;
    let serves = until(READY_WITHIN, Duration::from_millis(20), || async {
        let state = place.fleet().observe().await.ok()?;
        (state.revision(&v1).ready == INSTANCES && state.weight(&v1) == 100).then_some(())
    });
    serves.await?;
    let users = come_and_go(place.traffic_address());
    let pid = i32::try_from(std::process::id())?;
    let session = Session { pid, admin: place.admin_address(), traffic: place.traffic_address(), token };
    session.announce(file)?;
    line(&format!("serves at {}", place.traffic_address()));
    tokio::select! {
        _ = terminate.recv() => line("ends because it was asked to"),
        () = nobody_needs_it(file) => line("ends because nobody needs it any more"),
    }
    users.abort();
    place.close().await;
    std::fs::remove_file(place_file(file)?)?;
    Ok(())
}

/// Returns when no run is unfinished and nobody has called for a while, or when its folder is gone.
async fn nobody_needs_it(file: &JournalFile) {
    let mut quiet = Duration::ZERO;
    let mut marked = None;
    loop {
        pause(LOOK_EVERY).await;
        let mark = place_file(file).and_then(|path| Ok(std::fs::metadata(path)?.modified()?));
        let Ok(mark) = mark else { return };
        let unfinished = match file.read() {
            Ok(journal) => journal.list(Which::Unfinished, None, 1).await.is_ok_and(|runs| !runs.is_empty()),
            Err(_) => false,
        };
        if unfinished || marked != Some(mark) {
            (quiet, marked) = (Duration::ZERO, Some(mark));
        } else {
            quiet += LOOK_EVERY;
        }
        if quiet >= ALONE_FOR {
            return;
        }
    }
}
