//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file as a whole, also after a power cut: beside its place, to the disk, then renamed. Who may read one that was there
/// stays as it was.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    /// Two writers in one process must not meet in one unfinished file.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let mut beside = path.file_name().unwrap_or_default().to_owned();
    beside.push(format!(".{}-{}.new", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let beside = path.with_file_name(beside);
    let written = write(path, &beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is left over would stay for ever; that it cannot be taken away is no news.
        let _ = fs::remove_file(&beside);
    }
    written?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn write(path: &Path, beside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(beside)?;
    if let Ok(there) = fs::metadata(path) {
        file.set_permissions(there.permissions())?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}
