//! The place: proxy, processes and users. It outlives engines, and ends when it is told to or when nobody calls any more.

use std::sync::Arc;
use std::time::Duration;

use deploy_agents::process::CommandLine;
use deploy_agents::secret::Secret;
use deploy_agents::targets::AdminAccess;
use deploy_agents::targets::place::{Place, PlaceConfig};
use deploy_agents::targets::processes::{FleetConfig, Launch};
use deploy_agents::wait::until;
use deploy_core::name::{RevisionName, RunId};
use deploy_core::target::{DesiredState, Target as _};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Notify};

use crate::args::Args;
use crate::desk::{Behind, attend};
use crate::server::pause;
use crate::session::{PlaceFile, announce, current, new_token, state_folder};
use crate::users::Users;
use crate::{Failure, pipeline, show};

/// How many processes serve version 1.
const INSTANCES: u32 = 3;
/// How long version 1 may take to serve.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long nobody may call before the place ends by itself: long enough to look around after the engine was killed.
pub(crate) const ALONE_FOR: Duration = Duration::from_secs(5 * 60);
/// How long requests may take to end before an instance is stopped, and how long it has to stop.
const DRAIN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));

/// Runs the place until its end.
pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    // A session of its own: whatever ends the engine's terminal does not end the place.
    nix::unistd::setsid()?;
    let folder = current(&state_folder(args.state.as_deref())?);
    let token = new_token()?;

    let service = CommandLine::new(std::env::current_exe()?).args(["--role", "service"]);
    let fleet = FleetConfig::new(pipeline::target()?, Launch::template(service))
        .stopping(DRAIN.0, DRAIN.1)
        .logs(folder.join("services"));
    std::fs::create_dir(folder.join("services"))?;
    let access = AdminAccess::token(Secret::new(&token));
    let place = Place::start(PlaceConfig::new(fleet, access)).await?;

    let v1 = RevisionName::new("v1")?;
    place.fleet().begin_with(&DesiredState::alone(v1.clone(), INSTANCES, 100))?;
    let serves = until(READY_WITHIN, Duration::from_millis(20), || async {
        let state = place.fleet().observe().await.ok()?;
        (state.revision(&v1).ready == INSTANCES && state.weight(&v1) == 100).then_some(())
    });
    serves.await?;

    let users = Mutex::new(Users::start(place.traffic_address()));
    let behind = Arc::new(Behind { users, called: Notify::new(), ended: Notify::new() });
    let desk = TcpListener::bind(("127.0.0.1", 0)).await?;
    let file = PlaceFile {
        session: RunId::generate().to_string(),
        pid: std::process::id(),
        admin: place.admin_address(),
        desk: desk.local_addr()?,
        traffic: place.traffic_address(),
        token: token.clone(),
        pace: args.pace,
    };
    tokio::spawn(attend(desk, Secret::new(&token), Arc::clone(&behind)));
    announce(&folder, &file)?;

    show::line(&format!("serves at {}", place.traffic_address()));
    show::line(&format!("ends because {}", reason_to_end(&behind).await?));
    behind.users.lock().await.stop().await;
    place.close().await;
    Ok(())
}

/// Waits for a reason to end.
async fn reason_to_end(behind: &Behind) -> Result<&'static str, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            () = behind.ended.notified() => return Ok("the engine said so"),
            _ = terminate.recv() => return Ok("it was asked to terminate"),
            () = behind.called.notified() => {}
            () = pause(ALONE_FOR) => return Ok("nobody has called for five minutes"),
        }
    }
}
