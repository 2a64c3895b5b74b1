//! Envoy's bootstrap configuration, and the files from which it takes its hosts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::slots::{Slot, USERS};

/// An Envoy of the fleet's own: its configuration is written, and its process started and kept alive.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EnvoyConfig {
    /// The program. Default `envoy`, looked for on the path.
    pub program: PathBuf,
    /// Where its configuration and the files with its hosts lie; made if it is not there.
    pub dir: PathBuf,
    /// Where users come in.
    pub traffic: SocketAddr,
    /// Where its admin interface is. It has no authentication: keep it on loopback.
    pub admin: SocketAddr,
    /// How many revisions may have instances at the same time. Default 4: the old one, the new one, and two that drain.
    pub slots: usize,
    /// What Envoy asks instances for, with GET. Default `/healthz`.
    pub check_path: String,
    /// How often it asks. Default 500 ms.
    pub check_every: Duration,
    /// How long an instance may take to answer a request. Default 30 s.
    pub answer_within: Duration,
    /// How many threads serve. Default 2.
    pub concurrency: u32,
}

impl EnvoyConfig {
    /// An Envoy with its files in `dir`, with the defaults above.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, traffic: SocketAddr, admin: SocketAddr) -> Self {
        Self {
            program: "envoy".into(),
            dir: dir.into(),
            traffic,
            admin,
            slots: 4,
            check_path: "/healthz".to_owned(),
            check_every: Duration::from_millis(500),
            answer_within: Duration::from_secs(30),
            concurrency: 2,
        }
    }

    /// The same with other health checks.
    #[must_use]
    pub fn check(mut self, path: impl Into<String>, every: Duration) -> Self {
        self.check_path = path.into();
        self.check_every = every;
        self
    }

    pub(super) fn bootstrap_path(&self) -> PathBuf {
        self.dir.join("envoy.json")
    }

    /// The bootstrap configuration. The keys in force stand in its static layer, so that an Envoy that is started again begins
    /// with them; the admin layer goes over it.
    pub(super) fn bootstrap(&self, keys: &BTreeMap<String, u32>) -> Value {
        let slots: Vec<Slot> = Slot::all(self.slots).collect();
        let weighted: Vec<Value> = slots.iter().map(Slot::cluster).chain([Slot::nobody()]).map(weightless).collect();
        let seconds = |span: Duration| format!("{:.3}s", span.as_secs_f64());
        let to = |retry_on: &str| {
            json!({
                "weighted_clusters": {"runtime_key_prefix": USERS, "clusters": weighted},
                "timeout": seconds(self.answer_within),
                "retry_policy": {
                    "retry_on": retry_on,
                    "num_retries": 3,
                    "host_selection_retry_max_attempts": 5,
                    "retry_host_predicate": [typed("envoy.retry_host_predicates.previous_hosts",
                        "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate", json!({}))],
                },
            })
        };
        let reading = json!({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]});
        let routes = json!([
            // Sent again only where that is harmless: reading at any time, anything else if it was never received.
            {"match": reading, "route": to("connect-failure,refused-stream,reset")},
            {"match": {"prefix": "/"}, "route": to("connect-failure,refused-stream,reset-before-request")},
        ]);
        let router = typed("envoy.filters.http.router", "extensions.filters.http.router.v3.Router", json!({}));
        let manager = json!({
            "stat_prefix": USERS,
            "route_config": {
                "name": USERS,
                "virtual_hosts": [{"name": USERS, "domains": ["*"], "routes": routes}],
            },
            "http_filters": [router],
        });
        let manager = typed(
            "envoy.filters.network.http_connection_manager",
            "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            manager,
        );
        let listener = json!({
            "name": USERS,
            "address": socket(self.traffic),
            "filter_chains": [{"filters": [manager]}],
        });
        let clusters = slots.iter().map(|slot| self.cluster(slot)).chain([nobody()]);
        json!({
            "node": {"id": "fleet", "cluster": "fleet"},
            "admin": {"address": socket(self.admin)},
            "layered_runtime": {"layers": [
                {"name": "static", "static_layer": keys},
                {"name": "admin", "admin_layer": {}},
            ]},
            "static_resources": {"listeners": [listener], "clusters": clusters.collect::<Vec<_>>()},
        })
    }

    fn cluster(&self, slot: &Slot) -> Value {
        let every = format!("{:.3}s", self.check_every.as_secs_f64());
        json!({
            "name": slot.cluster(),
            "type": "EDS",
            "connect_timeout": "2s",
            "eds_cluster_config": {
                "eds_config": {
                    "resource_api_version": "V3",
                    "path_config_source": {
                        "path": slot.file(&self.dir),
                        "watched_directory": {"path": self.dir},
                    },
                },
            },
            // Unwell or draining hosts get nothing, however many they are; and one that is removed goes at once.
            // What the admin interface shows of a host's health reaches the serving threads only after the merge window, which is
            // 1 s by default: weight would go to a host that they still hold for unwell.
            "common_lb_config": {"healthy_panic_threshold": {"value": 0.0}, "update_merge_window": "0s"},
            "ignore_health_on_host_removal": true,
            "health_checks": [{
                "timeout": "2s",
                "interval": every,
                "no_traffic_interval": every,
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": self.check_path, "host": "fleet"},
            }],
        })
    }
}

/// A cluster of a route. Its weight comes from the runtime; the one that stands here is never used.
fn weightless(name: String) -> Value {
    json!({"name": name, "weight": 1})
}

/// Who answers when no revision serves: nobody. Without it the weights would sum to 0 then, which Envoy does not take.
fn nobody() -> Value {
    json!({"name": Slot::nobody(), "type": "STATIC", "connect_timeout": "1s"})
}

fn typed(name: &str, kind: &str, mut config: Value) -> Value {
    config["@type"] = format!("type.googleapis.com/envoy.{kind}").into();
    json!({"name": name, "typed_config": config})
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

/// Puts a document where Envoy reads it, so that it sees either the old one or the new one.
pub(super) fn put(path: &Path, document: &Value) -> std::io::Result<()> {
    let text = serde_json::to_vec_pretty(document)?;
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}

/// The hosts of a slot, as Envoy reads them from its file. `true` marks those that drain.
pub(super) fn hosts(slot: &Slot, hosts: &BTreeMap<SocketAddr, (String, bool)>, version: u64) -> Value {
    let host = |(address, (name, drains)): (&SocketAddr, &(String, bool))| {
        json!({
            "endpoint": {"address": socket(*address), "hostname": name},
            "health_status": if *drains { "DRAINING" } else { "HEALTHY" },
        })
    };
    json!({
        "version_info": version.to_string(),
        "resources": [{
            "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            "cluster_name": slot.cluster(),
            "endpoints": [{"lb_endpoints": hosts.iter().map(host).collect::<Vec<_>>()}],
        }],
    })
}
