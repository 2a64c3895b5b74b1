//! What is released, as the command line says it.

use clap::{Args, ValueEnum};
use deploy_core::digest::Digest;
use deploy_core::name::{EnvironmentName, RevisionName, ServiceName};
use deploy_core::release::{Change, Release, ReleaseKind};
use deploy_core::time::Timestamp;

/// What is released.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReleaseArgs {
    /// The service.
    #[arg(long, default_value = "orders")]
    service: ServiceName,

    /// Where it goes.
    #[arg(long, default_value = "this-machine")]
    environment: EnvironmentName,

    /// The revision. The service of the default pipeline has v2, which is good, and v3, which is not.
    #[arg(long, default_value = "v2")]
    revision: RevisionName,

    /// How urgent it is: selects the profile of phases and gates.
    #[arg(long, value_enum, default_value_t = Kind::Production)]
    kind: Kind,

    /// The commit that was built.
    #[arg(long)]
    commit: Option<String>,

    /// When that commit was made, as RFC 3339: evidence about it from before is stale.
    #[arg(long, value_name = "TIME", requires = "commit", value_parser = crate::agent::time)]
    committed_at: Option<Timestamp>,

    /// Who wrote the change: none of them may approve it. May be given several times.
    #[arg(long = "author", value_name = "NAME")]
    authors: Vec<String>,

    /// Where to read more: the incident that a hotfix mends, for example. May be given several times.
    #[arg(long = "link", value_name = "URL")]
    links: Vec<String>,

    /// A built artifact with the digest of its bytes. May be given several times.
    #[arg(long = "artifact", value_name = "NAME=SHA256", value_parser = artifact)]
    artifacts: Vec<(String, Digest)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Production,
    Hotfix,
    FeatureRollout,
    Infrastructure,
    Configuration,
    EmergencyPatch,
}

impl ReleaseArgs {
    pub(crate) fn release(&self) -> Release {
        let kind = match self.kind {
            Kind::Production => ReleaseKind::Production,
            Kind::Hotfix => ReleaseKind::Hotfix,
            Kind::FeatureRollout => ReleaseKind::FeatureRollout,
            Kind::Infrastructure => ReleaseKind::Infrastructure,
            Kind::Configuration => ReleaseKind::Configuration,
            Kind::EmergencyPatch => ReleaseKind::EmergencyPatch,
        };
        let (commit, authors, links) = (self.commit.clone(), self.authors.clone(), self.links.clone());
        let change = Change { commit, committed_at: self.committed_at, authors, links };
        let release = Release::new(self.service.clone(), self.environment.clone(), self.revision.clone());
        let release = release.kind(kind).change(change);
        self.artifacts.iter().fold(release, |release, (name, digest)| release.artifact(name, *digest))
    }
}

fn artifact(text: &str) -> Result<(String, Digest), String> {
    let (name, digest) = text.rsplit_once('=').ok_or("write it as NAME=SHA256")?;
    let digest = if digest.contains(':') { digest.to_owned() } else { format!("sha256:{digest}") };
    Ok((name.to_owned(), digest.parse().map_err(|error| format!("{error}"))?))
}
