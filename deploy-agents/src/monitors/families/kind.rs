//! The sixteen kinds.

use std::fmt;

use deploy_core::monitor::Reading;
use serde::{Deserialize, Serialize};

/// What a kind of monitoring is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorFamily {
    /// How the application serves.
    Application,
    /// What it does for users and for the business.
    Business,
    /// Whether it is safe.
    Security,
    /// Whether what it stands on is well.
    Infrastructure,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $text:literal, $family:ident, $ready:literal;)*) => {
        /// A kind of monitoring. Four to a family.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum MonitorKind {
            $($(#[$doc])* $kind,)*
        }

        impl MonitorKind {
            /// All of them, family by family.
            pub const ALL: [Self; 16] = [$(Self::$kind,)*];

            /// Its name, for people.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }

            /// Its family.
            #[must_use]
            pub fn family(self) -> MonitorFamily {
                match self { $(Self::$kind => MonitorFamily::$family,)* }
            }

            /// What of this crate measures it, ready made.
            #[must_use]
            pub fn ready_made(self) -> &'static str {
                match self { $(Self::$kind => $ready,)* }
            }
        }
    };
}

kinds! {
    /// How long answers take.
    ResponseTimes = "response times", Application, "Query::Slower, Query::Quantile, envoy::latency_ms, ProbeMonitor, Meter::size";
    /// How much is served.
    Throughput = "throughput", Application, "Query::Rate, haproxy::throughput, envoy::throughput";
    /// How much of it goes wrong.
    ErrorRates = "error rates", Application, "Query::Ratio, haproxy::errors, envoy::errors, ProbeMonitor, Meter::event";
    /// What it takes, and whether that grows.
    ResourceUsage = "resource usage", Application, "Query::Max, Fold::Slope";
    /// How much it is used.
    UserEngagement = "user engagement", Business, "PromQuery::Seasonal, Meter::event";
    /// How many of those who begin come to an end.
    Conversion = "conversion", Business, "Meter::event, Query::Ratio";
    /// How content users are.
    Satisfaction = "satisfaction", Business, "Query::Apdex, Meter::size";
    /// What it brings in.
    RevenueImpact = "revenue impact", Business, "Meter::size, Query::Rate, difference_of_means";
    /// Who tries to break in.
    IntrusionDetection = "intrusion detection", Security, "LogLines, Meter::event";
    /// Which known holes what runs has.
    VulnerabilityScanning = "vulnerability scanning", Security, "Heartbeats";
    /// Whether policies still hold.
    Compliance = "compliance", Security, "Heartbeats";
    /// Whether the answer to an incident would work.
    SecurityIncidentResponse = "security incident response", Security, "Heartbeats of its drills, SecurityIncident";
    /// Whether it is up and ready.
    SystemHealth = "system health", Infrastructure, "ProbeMonitor, Query::Sum";
    /// What the way to it is like.
    NetworkPerformance = "network performance", Infrastructure, "NetworkProbe";
    /// Whether its database keeps up.
    DatabasePerformance = "database performance", Infrastructure, "ProgramMonitor, Query::Max";
    /// Whether those it depends on are well.
    ThirdPartyServices = "third-party services", Infrastructure, "ProbeMonitor, Excused";
}

impl MonitorKind {
    /// Whether a reading can be one of this kind: shares and rates of events are counts, so that a judge sees on how many events
    /// they rest; sizes may be quantiles, samples or histograms.
    #[must_use]
    pub fn takes(self, reading: &Reading) -> bool {
        match self {
            Self::ErrorRates
            | Self::Conversion
            | Self::VulnerabilityScanning
            | Self::Compliance
            | Self::SecurityIncidentResponse => matches!(reading, Reading::Counts(_)),
            Self::Throughput | Self::ResourceUsage => matches!(reading, Reading::Value(_)),
            Self::ResponseTimes | Self::NetworkPerformance => {
                matches!(reading, Reading::Value(_) | Reading::Samples(_) | Reading::Histogram(_) | Reading::Counts(_))
            }
            Self::Satisfaction | Self::RevenueImpact | Self::UserEngagement | Self::DatabasePerformance => {
                !matches!(reading, Reading::NoData)
            }
            Self::IntrusionDetection | Self::SystemHealth | Self::ThirdPartyServices => {
                matches!(reading, Reading::Value(_) | Reading::Counts(_))
            }
        }
    }
}

impl fmt::Display for MonitorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

impl fmt::Display for MonitorFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Application => "application",
            Self::Business => "business",
            Self::Security => "security",
            Self::Infrastructure => "infrastructure",
        })
    }
}
