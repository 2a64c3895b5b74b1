//! Envoy's admin interface: runtime keys in, hosts and runtime keys out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde::Deserialize;

use crate::http::{HttpClient, HttpError, HttpLimits, PlainHttp};

/// The longest answer, in bytes: a page of some thousands of hosts.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A client of Envoy's admin interface. That has no authentication of its own: keep it on loopback.
#[derive(Debug, Clone)]
pub struct EnvoyAdmin {
    address: SocketAddr,
    http: PlainHttp,
}

/// One host of a cluster, as Envoy sees it now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvoyHost {
    /// Where it listens.
    pub address: SocketAddr,
    /// The name that was given with it.
    pub hostname: String,
    /// Whether it was told to take no new requests.
    pub is_draining: bool,
    /// Whether its health checks pass.
    pub is_well: bool,
    /// How many requests it has under way.
    pub under_way: u64,
}

/// A question to the admin interface without a usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvoyAdminError {
    /// No answer came.
    #[error("envoy's admin interface gave no answer to {path}")]
    Http {
        /// What was asked.
        path: String,
        /// The cause; it tells whether the question can have been received.
        source: HttpError,
    },
    /// It said no, in its own words.
    #[error("envoy answered {status} to {path}: {said}")]
    Refused {
        /// What was asked.
        path: String,
        /// The status.
        status: StatusCode,
        /// What it said.
        said: String,
    },
    /// The answer does not have the documented shape.
    #[error("envoy's answer to {path} cannot be read")]
    Unreadable {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl EnvoyAdmin {
    /// The admin interface at this address. It is not asked yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, http: PlainHttp::new() }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets runtime keys, all of them in one call, so that there is no moment in which only some are in force.
    ///
    /// # Errors
    ///
    /// [`EnvoyAdminError`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the keys may be set; read them back.
    pub async fn set_runtime(&self, keys: &BTreeMap<String, u32>) -> Result<(), EnvoyAdminError> {
        let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let path = format!("/runtime_modify?{}", pairs.join("&"));
        self.call(Method::POST, &path).await.map(|_| ())
    }

    /// The runtime keys below a prefix, and whether each was set over this interface; those that were are lost when Envoy is
    /// started again.
    ///
    /// # Errors
    ///
    /// [`EnvoyAdminError`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn runtime(&self, prefix: &str) -> Result<BTreeMap<String, (u32, bool)>, EnvoyAdminError> {
        let path = "/runtime";
        let answer: Runtime = self.read(path).await?;
        let admin = answer.layers.iter().position(|layer| layer == "admin");
        let entries = answer.entries.into_iter().filter(|(key, _)| key.starts_with(prefix));
        let read = entries.filter_map(|(key, entry)| {
            let set_here = admin.and_then(|at| entry.layer_values.get(at)).is_some_and(|value| !value.is_empty());
            Some((key, (entry.final_value.parse().ok()?, set_here)))
        });
        Ok(read.collect())
    }

    /// The hosts of every cluster.
    ///
    /// # Errors
    ///
    /// [`EnvoyAdminError`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn hosts(&self) -> Result<BTreeMap<String, Vec<EnvoyHost>>, EnvoyAdminError> {
        let answer: Clusters = self.read("/clusters?format=json").await?;
        let hosts = |cluster: Cluster| (cluster.name, cluster.host_statuses.into_iter().filter_map(host).collect());
        Ok(answer.cluster_statuses.into_iter().map(hosts).collect())
    }

    /// Whether it takes traffic.
    ///
    /// # Errors
    ///
    /// [`EnvoyAdminError::Refused`] as long as it does not.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn ready(&self) -> Result<(), EnvoyAdminError> {
        self.call(Method::GET, "/ready").await.map(|_| ())
    }

    async fn read<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, EnvoyAdminError> {
        let answer = self.call(Method::GET, path).await?;
        serde_json::from_slice(&answer).map_err(|source| EnvoyAdminError::Unreadable { path: path.to_owned(), source })
    }

    async fn call(&self, method: Method, path: &str) -> Result<Bytes, EnvoyAdminError> {
        let failed = |source| EnvoyAdminError::Http { path: path.to_owned(), source };
        let url = format!("http://{}{path}", self.address);
        let request = Request::builder().method(method).uri(url).body(Bytes::new()).map_err(|error| {
            failed(HttpError::Unsupported { to: self.address.to_string(), reason: error.to_string() })
        })?;
        let limits = HttpLimits { max_body: MOST_BYTES, ..HttpLimits::default() };
        let answer = self.http.send(request, limits).await.map_err(failed)?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer.into_body());
        }
        let said = String::from_utf8_lossy(answer.body()).trim().to_owned();
        Err(EnvoyAdminError::Refused { path: path.to_owned(), status, said })
    }
}

fn host(status: HostStatus) -> Option<EnvoyHost> {
    let socket = status.address.socket_address;
    let ip: IpAddr = socket.address.parse().ok()?;
    // A counter that is 0 has no value in Envoy's JSON.
    let under_way = status.stats.iter().find(|stat| stat.name == "rq_active");
    let health = status.health_status;
    Some(EnvoyHost {
        address: SocketAddr::new(ip, socket.port_value),
        hostname: status.hostname,
        is_draining: health.eds_health_status == "DRAINING",
        is_well: !health.failed_active_health_check && !health.pending_active_hc,
        under_way: under_way.and_then(|stat| stat.value.parse().ok()).unwrap_or(0),
    })
}

#[derive(Deserialize)]
struct Runtime {
    #[serde(default)]
    layers: Vec<String>,
    #[serde(default)]
    entries: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    layer_values: Vec<String>,
    final_value: String,
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    #[serde(default)]
    host_statuses: Vec<HostStatus>,
}

#[derive(Deserialize)]
struct HostStatus {
    address: Address,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    stats: Vec<Stat>,
    #[serde(default)]
    health_status: HealthStatus,
}

#[derive(Deserialize)]
struct Address {
    socket_address: SocketAddress,
}

#[derive(Deserialize)]
struct SocketAddress {
    address: String,
    port_value: u16,
}

#[derive(Deserialize)]
struct Stat {
    #[serde(default)]
    name: String,
    /// A 64-bit number, which JSON of protobuf writes as text.
    #[serde(default)]
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HealthStatus {
    eds_health_status: String,
    failed_active_health_check: bool,
    pending_active_hc: bool,
}
