//! Log files of bounded size.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::secret::{Secret, redact};

/// A file that several streams are written to. When it has grown to its limit it is renamed to `….1`, over the one before,
/// and begun anew, so that at most twice the limit is kept.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    limit: u64,
    secrets: Vec<Secret>,
    open: Mutex<(File, u64)>,
}

impl LogFile {
    pub(crate) fn create(path: PathBuf, limit: u64, secrets: Vec<Secret>) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = File::options().create(true).append(true).open(&path)?;
        let length = file.metadata()?.len();
        Ok(Self { path, limit, secrets, open: Mutex::new((file, length)) })
    }

    /// Writes `stream` to the file until it ends, in whole lines where they are not too long.
    pub(crate) async fn pump(&self, mut stream: impl AsyncRead + Unpin) {
        let mut pending = Vec::new();
        let mut chunk = vec![0; 8 * 1024];
        loop {
            let n = match stream.read(&mut chunk).await {
                Ok(n) if n > 0 => n,
                _ => break,
            };
            pending.extend_from_slice(&chunk[..n]);
            // Whole lines, so that no secret is cut in two; a line longer than 64 KiB is written as it stands.
            let whole = match pending.iter().rposition(|byte| *byte == b'\n') {
                Some(at) => at + 1,
                None if pending.len() > 64 * 1024 => pending.len(),
                None => 0,
            };
            let lines: Vec<u8> = pending.drain(..whole).collect();
            self.write(&lines);
        }
        self.write(&pending);
    }

    fn write(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let clean = redact(bytes, &self.secrets);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.append(&mut open, &clean) {
            tracing::warn!(path = %self.path.display(), %error, "a log file could not be written");
        }
    }

    fn append(&self, (file, length): &mut (File, u64), bytes: &[u8]) -> io::Result<()> {
        if *length > 0 && *length + bytes.len() as u64 > self.limit {
            std::fs::rename(&self.path, rotated(&self.path))?;
            *file = File::options().create(true).append(true).open(&self.path)?;
            *length = 0;
        }
        file.write_all(bytes)?;
        *length += bytes.len() as u64;
        Ok(())
    }
}

fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::{LogFile, rotated};
    use crate::secret::Secret;

    #[tokio::test]
    async fn a_log_file_stays_bounded_and_holds_no_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("v1-1.log");
        let log = LogFile::create(path.clone(), 1000, vec![Secret::new("hunter2")]).expect("a file");
        for round in 0..100 {
            log.pump(format!("line {round} hunter2 of a service that talks a lot\n").as_bytes()).await;
        }
        let now = std::fs::read_to_string(&path).expect("the file");
        let before = std::fs::read_to_string(rotated(&path)).expect("the one before");
        assert!(now.len() <= 1000 && before.len() <= 1000);
        assert!(now.contains("line 99") && !now.contains("hunter2") && !before.contains("hunter2"));
    }
}
