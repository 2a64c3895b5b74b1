//! Counts lines of log files.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::os::unix::fs::MetadataExt as _;

use deploy_core::monitor::MonitorError;
use deploy_core::name::RevisionName;
use regex::bytes::Regex;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::Mutex;

use super::exposition::Sample;

/// How many bytes are read for one question by default: some hundred thousand lines.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// The longest line that is looked at as a whole; the rest of a longer one is skipped, and it counts once.
const LONGEST_LINE: usize = 64 * 1024;
/// How many files are followed; those that were asked about longest ago are forgotten first.
const MOST_FILES: usize = 64;

/// Counts the lines of log files by what they match, from the first question on.
///
/// A line is counted once in each class whose expression it matches (RE2 syntax, linear time), and once in the class `all`. The
/// series is `log_lines_total{class="…"}`, a counter like any other.
///
/// The file is followed by what it is, not by its name: when it was renamed and another one stands in its place, the old one is
/// read to its end and the new one from its beginning; when it was truncated, it is read from its beginning. A file that is
/// rotated twice between two questions loses what stood in between. What follows a question by more than the bound
/// (16 MiB by default) is left to the next one; a file that grows faster than it is read is an error, for the counts would be
/// of the past.
///
/// ```
/// use deploy_agents::monitors::{LogLines, Query, ScrapeMonitor, Selector};
/// use deploy_core::name::{BlockName, MetricName};
///
/// let lines = LogLines::new("/var/log/shop/{revision}.log").class("error", r" (ERROR|FATAL) ")?;
/// let count = |class: &str| Selector::new(LogLines::SERIES).is("class", class);
/// let errors = Query::Ratio { bad: count("error"), all: count("all"), absent_is_zero: false };
/// let monitor = ScrapeMonitor::new(BlockName::new("log")?).source(lines).metric(MetricName::new("log.errors")?, errors);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Rows: M48, M76.
#[derive(Debug)]
pub struct LogLines {
    path: String,
    classes: Vec<(String, Regex)>,
    most_bytes: u64,
    files: Mutex<BTreeMap<String, Followed>>,
}

/// An expression that is none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the expression of the class {class:?} is none")]
pub struct LogLinesError {
    class: String,
    #[source]
    source: regex::Error,
}

/// A file as far as it was read.
#[derive(Debug)]
struct Followed {
    file: File,
    device: u64,
    inode: u64,
    at: u64,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
    /// Whether the rest of the line under way is skipped.
    skipping: bool,
    counts: Vec<u64>,
    asked: u64,
}

impl LogLines {
    /// The series that it counts in.
    pub const SERIES: &'static str = "log_lines_total";

    /// Counts lines of the file at this path; `{revision}` in it is replaced. One file of all revisions needs classes that tell
    /// them apart.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), classes: Vec::new(), most_bytes: MOST_BYTES, files: Mutex::default() }
    }

    /// The same with one more class.
    ///
    /// # Errors
    ///
    /// [`LogLinesError`] if the expression is none.
    pub fn class(mut self, name: impl Into<String>, expression: &str) -> Result<Self, LogLinesError> {
        let class = name.into();
        match Regex::new(expression) {
            Ok(expression) => self.classes.push((class, expression)),
            Err(source) => return Err(LogLinesError { class, source }),
        }
        Ok(self)
    }

    /// The same, reading at most so many bytes for one question.
    #[must_use]
    pub fn most_bytes(mut self, most: u64) -> Self {
        self.most_bytes = most.max(1);
        self
    }

    pub(super) fn path(&self, revision: &RevisionName) -> String {
        self.path.replace("{revision}", revision.as_str())
    }

    /// The counts of a file up to now.
    pub(super) async fn samples(&self, path: &str) -> Result<Vec<Sample>, MonitorError> {
        let mut files = self.files.lock().await;
        let failed = |error: std::io::Error| MonitorError::new(format!("the log {path} cannot be read")).because(error);
        let turn = files.values().map(|file| file.asked).max().unwrap_or(0) + 1;
        if let Some(file) = files.get_mut(path) {
            file.asked = turn;
            self.follow(file, path).await.map_err(failed)?.map_err(MonitorError::new)?;
        } else {
            let mut file = Followed::open(path, self.classes.len()).await.map_err(failed)?;
            file.at = file.file.seek(SeekFrom::End(0)).await.map_err(failed)?;
            file.asked = turn;
            files.insert(path.to_owned(), file);
        }
        while files.len() > MOST_FILES {
            let oldest = files.iter().min_by_key(|(_, file)| file.asked).map(|(path, _)| path.clone());
            let Some(oldest) = oldest else { break };
            files.remove(&oldest);
        }
        let Some(file) = files.get(path) else { return Ok(Vec::new()) };
        let names = std::iter::once("all").chain(self.classes.iter().map(|(name, _)| name.as_str()));
        #[expect(clippy::cast_precision_loss, reason = "counts of lines stay far below 2^53")]
        let sample = |(class, count): (&str, &u64)| Sample {
            name: Self::SERIES.to_owned(),
            labels: BTreeMap::from([("class".to_owned(), class.to_owned())]),
            value: *count as f64,
            at_ms: None,
        };
        Ok(names.zip(&file.counts).map(sample).collect())
    }

    /// Reads on. The inner error: more was written than is read for one question.
    async fn follow(&self, file: &mut Followed, path: &str) -> std::io::Result<Result<(), String>> {
        let mut left = self.most_bytes;
        if file.file.metadata().await?.len() < file.at {
            // It was truncated in place: what is there now was written since.
            file.restart().await?;
        }
        self.read_on(file, &mut left).await?;
        let there = match tokio::fs::metadata(path).await {
            Ok(there) => Some(there),
            // It was renamed, and the next one is not there yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if there.is_some_and(|there| (there.dev(), there.ino()) != (file.device, file.inode)) && left > 0 {
            // A line without an end is a line when nobody will write on.
            self.end_line(file);
            let next = Followed::open(path, 0).await?;
            let (counts, asked) = (std::mem::take(&mut file.counts), file.asked);
            *file = Followed { counts, asked, ..next };
            self.read_on(file, &mut left).await?;
        }
        if left == 0 {
            return Ok(Err(format!(
                "the log {path} grew by more than {} bytes since it was asked about",
                self.most_bytes
            )));
        }
        Ok(Ok(()))
    }

    async fn read_on(&self, file: &mut Followed, left: &mut u64) -> std::io::Result<()> {
        let mut part = vec![0; 64 * 1024];
        while *left > 0 {
            let most = usize::try_from(*left).unwrap_or(usize::MAX).min(part.len());
            let read = file.file.read(&mut part[..most]).await?;
            if read == 0 {
                return Ok(());
            }
            *left -= read as u64;
            file.at += read as u64;
            for piece in part[..read].split_inclusive(|byte| *byte == b'\n') {
                let (text, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
                if !file.skipping {
                    let room = LONGEST_LINE - file.begun.len();
                    file.begun.extend_from_slice(&text[..text.len().min(room)]);
                    if text.len() > room {
                        self.end_line(file);
                        file.skipping = true;
                    }
                }
                if ends {
                    if file.skipping { file.skipping = false } else { self.count(file) }
                }
            }
        }
        Ok(())
    }

    fn end_line(&self, file: &mut Followed) {
        if !file.begun.is_empty() {
            self.count(file);
        }
    }

    fn count(&self, file: &mut Followed) {
        let matched = self.classes.iter().map(|(_, expression)| expression.is_match(&file.begun));
        for (count, matched) in file.counts.iter_mut().zip(std::iter::once(true).chain(matched)) {
            *count += u64::from(matched);
        }
        file.begun.clear();
    }
}

impl Followed {
    async fn open(path: &str, classes: usize) -> std::io::Result<Self> {
        let file = File::open(path).await?;
        let metadata = file.metadata().await?;
        Ok(Self {
            file,
            device: metadata.dev(),
            inode: metadata.ino(),
            at: 0,
            begun: Vec::new(),
            skipping: false,
            counts: vec![0; classes + 1],
            asked: 0,
        })
    }

    async fn restart(&mut self) -> std::io::Result<()> {
        self.at = self.file.seek(SeekFrom::Start(0)).await?;
        self.begun.clear();
        self.skipping = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::Path;

    use super::LogLines;

    fn write(path: &Path, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
        file.write_all(text.as_bytes()).expect("written");
    }

    async fn counts(lines: &LogLines, path: &Path) -> Vec<u64> {
        let samples = lines.samples(path.to_str().expect("text")).await.expect("read");
        samples.iter().map(|sample| super::super::whole(sample.value)).collect()
    }

    fn lines() -> LogLines {
        LogLines::new("").class("error", "ERROR").expect("an expression")
    }

    #[tokio::test]
    async fn lines_are_counted_from_the_first_question_on_and_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, lines) = (folder.path().join("log"), lines());
        assert!(lines.samples(path.to_str().expect("text")).await.is_err(), "no file is an error, not zero lines");
        write(&path, "ERROR of yesterday\n");
        assert_eq!(counts(&lines, &path).await, [0, 0]);
        write(&path, "INFO a\nERROR b\nERR");
        assert_eq!(counts(&lines, &path).await, [2, 1], "a line that is not written to its end is none yet");
        write(&path, "OR c\n\n");
        assert_eq!(counts(&lines, &path).await, [4, 2]);
    }

    #[tokio::test]
    async fn rotation_loses_nothing_and_counts_nothing_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, lines) = (folder.path().join("log"), lines());
        write(&path, "");
        counts(&lines, &path).await;
        write(&path, "ERROR 1\nINFO\n");
        std::fs::rename(&path, folder.path().join("log.1")).expect("renamed");
        assert_eq!(counts(&lines, &path).await, [2, 1], "the next file is not there yet");
        write(&folder.path().join("log.1"), "ERROR 2 without its end");
        write(&path, "ERROR 3\n");
        assert_eq!(counts(&lines, &path).await, [4, 3]);
        // Copied and truncated in place.
        std::fs::write(&path, "").expect("truncated");
        write(&path, "INFO\n");
        assert_eq!(counts(&lines, &path).await, [5, 3]);
    }

    #[tokio::test]
    async fn what_is_read_is_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let lines = lines().most_bytes(1_000);
        write(&path, "");
        counts(&lines, &path).await;
        write(&path, &"INFO\n".repeat(300));
        let error = lines.samples(path.to_str().expect("text")).await.expect_err("too fast");
        assert!(error.message.contains("1000 bytes"), "{error}");
        assert_eq!(counts(&lines, &path).await, [300, 0], "it is left to the next question");
        let long = LogLines::new("").class("error", "ERROR").expect("an expression");
        counts(&long, &path).await;
        write(&path, &format!("{}ERROR\nERROR\n", "x".repeat(200_000)));
        assert_eq!(counts(&long, &path).await, [2, 1], "a long line counts once, and its end is not looked at");
    }

    proptest::proptest! {
        /// However the writes are cut, and wherever the file is rotated, each line is counted once.
        #[test]
        fn every_line_is_counted_once(
            steps in proptest::collection::vec((proptest::collection::vec(proptest::bool::ANY, 0..5), 0_u8..3), 1..12),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let folder = tempfile::tempdir().expect("a folder");
                let (path, lines) = (folder.path().join("log"), lines());
                write(&path, "");
                counts(&lines, &path).await;
                let (mut all, mut bad) = (0, 0);
                for (n, (written, then)) in steps.iter().enumerate() {
                    for is_bad in written {
                        write(&path, if *is_bad { "an ERROR\n" } else { "fine\n" });
                        all += 1;
                        bad += u64::from(*is_bad);
                    }
                    if *then == 0 {
                        std::fs::rename(&path, folder.path().join(format!("log.{n}"))).expect("renamed");
                        write(&path, "");
                    }
                    assert_eq!(counts(&lines, &path).await, [all, bad]);
                }
            });
        }
    }
}
