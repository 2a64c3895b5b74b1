//! Tests one revision by itself: starts it on a port of its own, places a few orders, and says what came of them.

use std::process::ExitCode;

use bytes::Bytes;
use deploy_agents::http::{HttpClient as _, HttpLimits, PlainHttp};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::Failure;
use crate::service::serve_orders;
use crate::show;

/// How many orders it places.
const ORDERS: u32 = 6;

/// What the self-test found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SelfTested {
    /// What the service says that it is.
    pub(crate) version: String,
    /// How many orders were placed.
    pub(crate) orders: u32,
    /// How many of them were refused.
    pub(crate) refused: u32,
}

impl SelfTested {
    /// Reads what a self-test wrote, wherever in its output it stands.
    pub(crate) fn read(output: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(output).map_err(|e| e.to_string())?;
        let line = text.lines().find(|line| line.starts_with('{')).ok_or("the output holds no result")?;
        serde_json::from_str(line).map_err(|e| e.to_string())
    }
}

/// Tests `revision`, and prints the result as one line of JSON.
pub(crate) async fn run(revision: &str) -> Result<ExitCode, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve_orders(listener, revision.to_owned()));
    let (http, limits) = (PlainHttp::new(), HttpLimits::default());
    let ask = async |path: &str, body: &'static [u8]| {
        let request = http::Request::post(format!("http://{address}{path}")).body(Bytes::from_static(body))?;
        Ok::<_, Failure>(http.send(request, limits).await?)
    };
    #[derive(Deserialize)]
    struct Said {
        version: String,
    }
    let said: Said = serde_json::from_slice(ask("/version", b"").await?.body())?;
    let mut found = SelfTested { version: said.version, orders: ORDERS, refused: 0 };
    for _ in 0..ORDERS {
        found.refused += u32::from(!ask("/orders", b"one of each").await?.status().is_success());
    }
    show::line(&serde_json::to_string(&found)?);
    Ok(if found.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
