//! Slots: clusters that stand in Envoy's configuration from the start, and that revisions move into and out of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use deploy_core::name::RevisionName;

use super::admin::EnvoyHost;
use crate::targets::balancer::Upstreams;
use crate::targets::haproxy::gather;

/// The route that users take; begins every runtime key.
pub(super) const USERS: &str = "users";

/// One of the clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(usize);

impl Slot {
    pub(super) fn all(count: usize) -> impl Iterator<Item = Self> {
        (1..=count).map(Self)
    }

    pub(super) fn cluster(&self) -> String {
        format!("slot-{}", self.0)
    }

    /// The cluster without hosts.
    pub(super) fn nobody() -> String {
        "nobody".to_owned()
    }

    pub(super) fn file(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.json", self.cluster()))
    }

    fn key(&self) -> String {
        format!("{USERS}.{}", self.cluster())
    }
}

/// What Envoy does now, slot by slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    hosts: BTreeMap<Slot, Vec<EnvoyHost>>,
    weights: BTreeMap<Slot, u32>,
}

impl Seen {
    pub(super) fn of(
        slots: usize,
        mut hosts: BTreeMap<String, Vec<EnvoyHost>>,
        keys: &BTreeMap<String, (u32, bool)>,
    ) -> Self {
        let weight = |slot: &Slot| keys.get(&slot.key()).map_or(0, |(weight, _)| *weight);
        Self {
            hosts: Slot::all(slots).map(|s| (s, hosts.remove(&s.cluster()).unwrap_or_default())).collect(),
            weights: Slot::all(slots).map(|s| (s, weight(&s))).collect(),
        }
    }

    /// Which revision a slot holds.
    fn revision(&self, slot: Slot) -> Option<RevisionName> {
        self.hosts.get(&slot)?.iter().find_map(|host| RevisionName::new(&*host.hostname).ok())
    }

    /// The hosts that take requests, by revision.
    pub(super) fn upstreams(&self) -> Upstreams {
        let mut upstreams = Upstreams::new();
        for host in self.hosts.values().flatten().filter(|host| !host.is_draining) {
            if let Ok(revision) = RevisionName::new(&*host.hostname) {
                upstreams.entry(revision).or_default().insert(host.address);
            }
        }
        upstreams
    }

    /// Who gets how much, in parts of `whole`.
    pub(super) fn shares(&self, whole: u32) -> BTreeMap<RevisionName, u32> {
        let mut sums = BTreeMap::new();
        for (slot, weight) in &self.weights {
            if let Some(revision) = self.revision(*slot) {
                *sums.entry(revision).or_default() += u64::from(*weight);
            }
        }
        gather(&sums, whole)
    }

    /// A host, wherever it is.
    pub(super) fn host(&self, address: SocketAddr) -> Option<&EnvoyHost> {
        self.hosts.values().flatten().find(|host| host.address == address)
    }

    /// Which slot each revision is in, or gets: the one that it has, or else a free one. A slot is free when it has no host and no
    /// weight.
    pub(super) fn places<'a>(
        &self,
        revisions: impl IntoIterator<Item = &'a RevisionName>,
    ) -> Result<BTreeMap<RevisionName, Slot>, String> {
        let mut places: BTreeMap<RevisionName, Slot> = BTreeMap::new();
        for slot in self.hosts.keys() {
            if let Some(revision) = self.revision(*slot) {
                places.entry(revision).or_insert(*slot);
            }
        }
        let mut taken: BTreeSet<Slot> = places.values().copied().collect();
        for revision in revisions {
            if places.contains_key(revision) {
                continue;
            }
            let is_free = |slot: &&Slot| !taken.contains(slot) && self.hosts.get(slot).is_none_or(Vec::is_empty);
            let weightless = |slot: &&Slot| self.weights.get(slot).is_none_or(|weight| *weight == 0);
            let Some(slot) = self.hosts.keys().filter(is_free).find(weightless).copied() else {
                return Err(format!("no slot is free for {revision}: all {} hold other revisions", self.hosts.len()));
            };
            taken.insert(slot);
            places.insert(revision.clone(), slot);
        }
        Ok(places)
    }

    /// The hosts of each slot for these upstreams: wanted ones serve, others drain until they have no request under way. Slots that are
    /// as they should be are left out.
    pub(super) fn files(
        &self,
        upstreams: &Upstreams,
        places: &BTreeMap<RevisionName, Slot>,
    ) -> BTreeMap<Slot, BTreeMap<SocketAddr, (String, bool)>> {
        let mut files = BTreeMap::new();
        for (slot, there) in &self.hosts {
            let mut next: BTreeMap<SocketAddr, (String, bool)> = BTreeMap::new();
            for host in there.iter().filter(|host| !(host.is_draining && host.under_way == 0)) {
                next.insert(host.address, (host.hostname.clone(), true));
            }
            for (revision, addresses) in upstreams.iter().filter(|(revision, _)| places.get(*revision) == Some(slot)) {
                next.extend(addresses.iter().map(|address| (*address, (revision.to_string(), false))));
            }
            let now = there.iter().map(|host| (host.address, (host.hostname.clone(), host.is_draining))).collect();
            if next != now {
                files.insert(*slot, next);
            }
        }
        files
    }

    /// The runtime keys for these shares. Every slot is named, so that one call leaves nothing of what was before.
    pub(super) fn keys(
        &self,
        shares: &BTreeMap<RevisionName, u32>,
        places: &BTreeMap<RevisionName, Slot>,
    ) -> BTreeMap<String, u32> {
        let mut keys: BTreeMap<String, u32> = self.hosts.keys().map(|slot| (slot.key(), 0)).collect();
        for (revision, share) in shares {
            if let Some(slot) = places.get(revision) {
                keys.insert(slot.key(), *share);
            }
        }
        let nobody = u32::from(keys.values().all(|weight| *weight == 0));
        keys.insert(format!("{USERS}.{}", Slot::nobody()), nobody);
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;

    use deploy_core::name::RevisionName;

    use super::super::admin::EnvoyHost;
    use super::{Seen, Slot};
    use crate::targets::balancer::Upstreams;

    fn name(text: &str) -> RevisionName {
        RevisionName::new(text).expect("a name")
    }

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn host(port: u16, revision: &str, is_draining: bool, under_way: u64) -> EnvoyHost {
        EnvoyHost { address: at(port), hostname: revision.to_owned(), is_draining, is_well: true, under_way }
    }

    fn seen(hosts: &[(&str, Vec<EnvoyHost>)], weights: &[(&str, u32)]) -> Seen {
        let hosts = hosts.iter().map(|(slot, hosts)| ((*slot).to_owned(), hosts.clone())).collect();
        Seen::of(3, hosts, &weights.iter().map(|(key, weight)| ((*key).to_owned(), (*weight, true))).collect())
    }

    #[test]
    fn a_revision_keeps_its_slot_and_a_new_one_gets_one_that_nobody_uses() {
        // The second slot is empty and still has weight: whoever came in would get traffic before it is ready.
        let seen = seen(&[("slot-1", vec![host(1, "v1", false, 0)])], &[("users.slot-1", 50), ("users.slot-2", 50)]);
        let places = seen.places([&name("v1"), &name("v2")]).expect("there is one");
        assert_eq!(places, BTreeMap::from([(name("v1"), Slot(1)), (name("v2"), Slot(3))]));
        assert!(seen.places([&name("v2"), &name("v3")]).is_err());
        let keys = seen.keys(&BTreeMap::from([(name("v2"), 100)]), &places);
        let wanted = [("users.nobody", 0), ("users.slot-1", 0), ("users.slot-2", 0), ("users.slot-3", 100)];
        assert_eq!(keys, wanted.map(|(key, weight)| (key.to_owned(), weight)).into());
        assert_eq!(seen.keys(&BTreeMap::new(), &places)["users.nobody"], 1, "weights never sum to nothing");
    }

    #[test]
    fn a_host_drains_first_and_is_forgotten_when_it_is_idle() {
        let hosts = vec![host(1, "v1", false, 2), host(2, "v1", true, 1), host(3, "v1", true, 0)];
        let seen = seen(&[("slot-1", hosts)], &[("users.slot-1", 100)]);
        let places = seen.places([]).expect("nothing is asked");
        let files = seen.files(&Upstreams::new(), &places);
        let left: Vec<_> = files[&Slot(1)].iter().map(|(address, (_, drains))| (address.port(), *drains)).collect();
        assert_eq!(left, [(1, true), (2, true)]);
        let same = Upstreams::from([(name("v1"), [at(1), at(2)].into())]);
        let files = seen.files(&same, &places);
        let back: Vec<_> = files[&Slot(1)].iter().map(|(address, (_, drains))| (address.port(), *drains)).collect();
        assert_eq!(back, [(1, false), (2, false)], "one that is wanted again serves again");
    }
}
