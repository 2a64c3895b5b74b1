//! A file system in memory that remembers in which order bytes were written and synced, so that the power can be cut at any
//! of these moments.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlite_vfs::wip::{WalIndex, WalIndexLock};
use sqlite_vfs::{DatabaseHandle, LockKind, OpenAccess, OpenOptions, Vfs};

const REGION: usize = 32 * 1024;

/// What was done to a file.
#[derive(Debug, Clone)]
enum Act {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { length: usize },
    Sync,
    Delete,
}

/// What becomes of a write that was not synced when the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    Kept,
    /// Only its first so many sectors reach the disk.
    Torn {
        sectors: usize,
    },
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    acts: Vec<(String, Act)>,
    locks: BTreeMap<String, BTreeMap<u64, LockKind>>,
    index: BTreeMap<String, Index>,
    handles: u64,
    sync_fails: bool,
}

/// The shared memory of a write-ahead log.
#[derive(Debug, Default)]
struct Index {
    regions: BTreeMap<u32, Vec<u8>>,
    exclusive: BTreeMap<u8, u64>,
    shared: BTreeMap<u8, BTreeSet<u64>>,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk that SQLite knows under a name, which must be new in this process.
    pub(crate) fn register(name: &str) -> Self {
        let disk = Self::default();
        sqlite_vfs::register(name, disk.clone(), false).expect("a new name");
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many acts there were so far.
    pub(crate) fn moment(&self) -> usize {
        self.state().acts.len()
    }

    /// How often a file was deleted.
    pub(crate) fn deletions(&self, name: &str) -> usize {
        self.state().acts.iter().filter(|(file, act)| file == name && matches!(act, Act::Delete)).count()
    }

    /// How often a file was synced.
    pub(crate) fn syncs(&self, name: &str) -> usize {
        self.state().acts.iter().filter(|(file, act)| file == name && matches!(act, Act::Sync)).count()
    }

    /// From now on syncing fails, or succeeds again.
    pub(crate) fn fail_syncs(&self, fails: bool) {
        self.state().sync_fails = fails;
    }

    /// Writes into a folder what the disk holds if the power is cut after so many acts. What was synced is there; of the
    /// rest `fate` decides, write by write.
    pub(crate) fn cut_at(&self, moment: usize, folder: &Path, mut fate: impl FnMut() -> Fate) {
        let state = self.state();
        let mut durable: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        let mut pending: BTreeMap<&str, Vec<&Act>> = BTreeMap::new();
        for (file, act) in &state.acts[..moment] {
            match act {
                Act::Write { .. } | Act::Truncate { .. } => pending.entry(file).or_default().push(act),
                Act::Sync => {
                    let bytes = durable.entry(file).or_default();
                    pending
                        .remove(file.as_str())
                        .unwrap_or_default()
                        .into_iter()
                        .for_each(|act| apply(bytes, act, Fate::Kept));
                }
                // The worst case: a deletion is there at once.
                Act::Delete => {
                    durable.remove(file.as_str());
                    pending.remove(file.as_str());
                }
            }
        }
        for (file, acts) in pending {
            for act in acts {
                match fate() {
                    Fate::Lost => {}
                    fate => apply(durable.entry(file).or_default(), act, fate),
                }
            }
        }
        for (file, bytes) in durable {
            let name = Path::new(file).file_name().expect("a file has a name");
            std::fs::write(folder.join(name), bytes).expect("room");
        }
    }
}

fn apply(file: &mut Vec<u8>, act: &Act, fate: Fate) {
    match act {
        Act::Write { at, bytes } => {
            let bytes = match fate {
                Fate::Torn { sectors } => &bytes[..bytes.len().min(sectors * 512)],
                Fate::Kept | Fate::Lost => bytes,
            };
            let end = at + bytes.len();
            if file.len() < end {
                file.resize(end, 0);
            }
            file[*at..end].copy_from_slice(bytes);
        }
        Act::Truncate { length } => file.resize(*length, 0),
        Act::Sync | Act::Delete => {}
    }
}

impl Vfs for Disk {
    type Handle = Handle;

    fn open(&self, file: &str, options: OpenOptions) -> Result<Handle, Error> {
        let mut state = self.state();
        let exists = state.files.contains_key(file);
        match options.access {
            OpenAccess::Read | OpenAccess::Write if !exists => return Err(ErrorKind::NotFound.into()),
            OpenAccess::CreateNew if exists => return Err(ErrorKind::AlreadyExists.into()),
            _ => {}
        }
        state.files.entry(file.to_owned()).or_default();
        state.handles += 1;
        Ok(Handle { disk: self.clone(), file: file.to_owned(), id: state.handles, lock: LockKind::None })
    }

    fn delete(&self, file: &str) -> Result<(), Error> {
        let mut state = self.state();
        state.acts.push((file.to_owned(), Act::Delete));
        state.files.remove(file).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn exists(&self, file: &str) -> Result<bool, Error> {
        Ok(self.state().files.contains_key(file))
    }

    fn temporary_name(&self) -> String {
        format!("temporary-{}", self.state().handles)
    }

    fn random(&self, buffer: &mut [i8]) {
        // The salts of the log: the same in each run of a test.
        let seed = self.state().acts.len();
        for (at, byte) in buffer.iter_mut().enumerate() {
            *byte = i8::try_from((seed * 31 + at * 17) % 127).unwrap_or_default();
        }
    }

    /// How long SQLite waits for a lock it counts by this, and by nothing else: it has to last as long as it says.
    #[expect(clippy::disallowed_methods, reason = "SQLite asks the file system to let time pass while a lock is held")]
    fn sleep(&self, span: Duration) -> Duration {
        std::thread::sleep(span);
        span
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Handle {
    disk: Disk,
    file: String,
    id: u64,
    lock: LockKind,
}

impl DatabaseHandle for Handle {
    type WalIndex = SharedIndex;

    fn size(&self) -> Result<u64, Error> {
        Ok(self.disk.state().files.get(&self.file).map_or(0, |bytes| bytes.len() as u64))
    }

    fn read_exact_at(&mut self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        let state = self.disk.state();
        let bytes = state.files.get(&self.file).map_or(&[][..], Vec::as_slice);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let there = buffer.len().min(bytes.len() - from);
        buffer[..there].copy_from_slice(&bytes[from..from + there]);
        buffer[there..].fill(0);
        if there == buffer.len() { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        let at = usize::try_from(offset).map_err(|_| ErrorKind::InvalidInput)?;
        let act = Act::Write { at, bytes: bytes.to_vec() };
        let mut state = self.disk.state();
        apply(state.files.entry(self.file.clone()).or_default(), &act, Fate::Kept);
        state.acts.push((self.file.clone(), act));
        Ok(())
    }

    fn sync(&mut self, _data_only: bool) -> Result<(), Error> {
        let mut state = self.disk.state();
        if state.sync_fails {
            return Err(Error::other("the disk does not answer"));
        }
        state.acts.push((self.file.clone(), Act::Sync));
        Ok(())
    }

    fn set_len(&mut self, size: u64) -> Result<(), Error> {
        let act = Act::Truncate { length: usize::try_from(size).map_err(|_| ErrorKind::InvalidInput)? };
        let mut state = self.disk.state();
        apply(state.files.entry(self.file.clone()).or_default(), &act, Fate::Kept);
        state.acts.push((self.file.clone(), act));
        Ok(())
    }

    fn lock(&mut self, lock: LockKind) -> Result<bool, Error> {
        let mut state = self.disk.state();
        let locks = state.locks.entry(self.file.clone()).or_default();
        let others = |least: LockKind| locks.iter().any(|(id, kind)| *id != self.id && rank(*kind) >= rank(least));
        let granted = match lock {
            LockKind::None => true,
            LockKind::Shared => !others(LockKind::Pending),
            LockKind::Reserved | LockKind::Pending => !others(LockKind::Reserved),
            LockKind::Exclusive => !others(LockKind::Shared),
        };
        if granted {
            locks.insert(self.id, lock);
            self.lock = lock;
        }
        Ok(granted)
    }

    fn reserved(&mut self) -> Result<bool, Error> {
        let state = self.disk.state();
        let locks = state.locks.get(&self.file);
        Ok(locks.is_some_and(|locks| locks.values().any(|kind| rank(*kind) >= rank(LockKind::Reserved))))
    }

    fn current_lock(&self) -> Result<LockKind, Error> {
        Ok(self.lock)
    }

    fn wal_index(&self, _read_only: bool) -> Result<SharedIndex, Error> {
        Ok(SharedIndex { disk: self.disk.clone(), file: self.file.clone(), id: self.id })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(locks) = self.disk.state().locks.get_mut(&self.file) {
            locks.remove(&self.id);
        }
    }
}

fn rank(lock: LockKind) -> u8 {
    match lock {
        LockKind::None => 0,
        LockKind::Shared => 1,
        LockKind::Reserved => 2,
        LockKind::Pending => 3,
        LockKind::Exclusive => 4,
    }
}

/// One connection's view of the shared memory. It is memory: a cut takes all of it.
#[derive(Debug)]
pub(crate) struct SharedIndex {
    disk: Disk,
    file: String,
    id: u64,
}

impl SharedIndex {
    fn with<T>(&self, work: impl FnOnce(&mut Index) -> T) -> T {
        work(self.disk.state().index.entry(self.file.clone()).or_default())
    }
}

impl WalIndex for SharedIndex {
    fn map(&mut self, region: u32) -> Result<[u8; REGION], Error> {
        let mut data = [0; REGION];
        self.pull(region, &mut data)?;
        Ok(data)
    }

    fn lock(&mut self, slots: Range<u8>, lock: WalIndexLock) -> Result<bool, Error> {
        let id = self.id;
        Ok(self.with(|index| {
            let others = |index: &Index, slot: u8, exclusive: bool| {
                index.exclusive.get(&slot).is_some_and(|holder| *holder != id)
                    || exclusive
                        && index.shared.get(&slot).is_some_and(|holders| holders.iter().any(|other| *other != id))
            };
            let exclusive = lock == WalIndexLock::Exclusive;
            if lock != WalIndexLock::None && slots.clone().any(|slot| others(index, slot, exclusive)) {
                return false;
            }
            for slot in slots {
                match lock {
                    WalIndexLock::None => {
                        if index.exclusive.get(&slot) == Some(&id) {
                            index.exclusive.remove(&slot);
                        }
                        index.shared.entry(slot).or_default().remove(&id);
                    }
                    WalIndexLock::Shared => {
                        index.shared.entry(slot).or_default().insert(id);
                    }
                    WalIndexLock::Exclusive => {
                        index.exclusive.insert(slot, id);
                    }
                }
            }
            true
        }))
    }

    fn delete(self) -> Result<(), Error> {
        self.disk.state().index.remove(&self.file);
        Ok(())
    }

    fn pull(&mut self, region: u32, data: &mut [u8; REGION]) -> Result<(), Error> {
        self.with(|index| match index.regions.get(&region) {
            Some(bytes) => data.copy_from_slice(bytes),
            None => data.fill(0),
        });
        Ok(())
    }

    fn push(&mut self, region: u32, data: &[u8; REGION]) -> Result<(), Error> {
        self.with(|index| index.regions.insert(region, data.to_vec()));
        Ok(())
    }
}
