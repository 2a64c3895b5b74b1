//! A ZIP archive, unpacked into the files that it names.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Cursor, Read as _};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::excerpt::excerpt;

/// How much of a name of others is shown.
const SHOWN: usize = 120;
/// Below this size after unpacking a ratio says nothing: a short report of one line a thousand times over is honest.
const RATIO_FROM: u64 = 1024 * 1024;
/// The file types of Unix in the upper half of an entry's attributes.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// How much an archive may hold before it is refused. All of it is held against what the archive states of itself before anything
/// is unpacked, and again while it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveLimits {
    /// The most entries, folders among them. Default 1,000: an artifact holds reports, not a tree of sources.
    pub entries: usize,
    /// The largest file after unpacking, in bytes. Default 32 MiB: what the readers of [`evidence`](crate::evidence) take.
    pub file: u64,
    /// All files together after unpacking, in bytes. Default 128 MiB.
    pub total: u64,
    /// How many times larger a file of more than 1 MiB may be than its packed bytes. Default 200: coverage reports pack to a
    /// twentieth; what packs a thousandfold is one byte over and over.
    pub ratio: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { entries: 1_000, file: 32 * 1024 * 1024, total: 128 * 1024 * 1024, ratio: 200 }
    }
}

impl ArchiveLimits {
    /// The same limits with another number of entries.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// The same limits with another size of the largest file, in bytes after unpacking.
    #[must_use]
    pub fn file(mut self, bytes: u64) -> Self {
        self.file = bytes;
        self
    }

    /// The same limits with another size of all files together, in bytes after unpacking.
    #[must_use]
    pub fn total(mut self, bytes: u64) -> Self {
        self.total = bytes;
        self
    }

    /// The same limits with another ratio.
    #[must_use]
    pub fn ratio(mut self, ratio: u64) -> Self {
        self.ratio = ratio;
        self
    }
}

/// An archive that was not unpacked. Of an archive that is wrong in one place nothing is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It is no ZIP archive, or ends in the middle: fetch it again; where the system keeps the file as it is, do not unpack it.
    #[error("it is no whole ZIP archive ({0}): fetch it again, or take the artifact as it is")]
    Broken(String),
    /// It holds too many entries: upload fewer files, or raise the limit.
    #[error("it holds {found} entries, and at most {limit} are unpacked: upload fewer, or raise the limit")]
    Entries {
        /// How many.
        found: usize,
        /// How many may be.
        limit: usize,
    },
    /// A file is too large: upload less, or raise the limit.
    #[error("{entry} has {found} bytes, and at most {limit} are unpacked: upload less of it, or raise the limit")]
    File {
        /// The entry.
        entry: String,
        /// Its size after unpacking, in bytes, as far as it was read.
        found: u64,
        /// How large it may be.
        limit: u64,
    },
    /// All files together are too large: upload less, or raise the limit.
    #[error("with {entry} its files have more than {limit} bytes together: upload fewer, or raise the limit")]
    Total {
        /// The entry at which it was too much.
        entry: String,
        /// How large they may be together.
        limit: u64,
    },
    /// A file unpacks to far more than its packed bytes: look at what packed it.
    #[error("{entry} unpacks to more than {limit} times its packed bytes: find out who packed it, or raise the limit")]
    Ratio {
        /// The entry.
        entry: String,
        /// How many times may be.
        limit: u64,
    },
    /// A name would leave the folder, or means different places to different systems: pack it again with relative names.
    #[error("{entry} does not stay in the folder ({why}): pack it again with plain relative names")]
    Leaves {
        /// The entry.
        entry: String,
        /// What is wrong with its name.
        why: &'static str,
    },
    /// An entry is neither a file nor a folder: pack what the link points at.
    #[error("{entry} is a link or a device: pack the file itself")]
    NotAFile {
        /// The entry.
        entry: String,
    },
    /// A name stands twice, and nobody can tell which is meant: pack it again.
    #[error("{entry} stands in it twice, and nobody can tell which is meant: pack it again")]
    Duplicate {
        /// The entry.
        entry: String,
    },
    /// An entry is encrypted: upload it plain, since the CI system guards its artifacts itself.
    #[error("{entry} is encrypted: upload it plain")]
    Encrypted {
        /// The entry.
        entry: String,
    },
    /// An entry is packed by a method that artifacts are not packed by: pack it by deflate, or only store it.
    #[error("{entry} is packed by {method}: pack it by deflate, or only store it")]
    Method {
        /// The entry.
        entry: String,
        /// The method.
        method: String,
    },
    /// The bytes of an entry are not those that the archive states: fetch it again.
    #[error("{entry} is damaged ({why}): fetch it again, or pack it again")]
    Damaged {
        /// The entry.
        entry: String,
        /// The reader's words.
        why: String,
    },
    /// The archive does not hold what is asked for: mend the name, or what is uploaded.
    #[error("it holds no file {wanted}, and these: {there}")]
    Missing {
        /// What was asked for.
        wanted: String,
        /// What is there, as far as it fits on a line.
        there: String,
    },
}

/// The files of an archive, by the name that each has in it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Files(BTreeMap<String, Vec<u8>>);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, bytes)| (name, bytes.len()))).finish()
    }
}

impl Files {
    /// Unpacks an archive: all of it or nothing.
    pub(super) fn unpack(bytes: &[u8], limits: &ArchiveLimits) -> Result<Self, ArchiveError> {
        let broken = |error: &ZipError| ArchiveError::Broken(excerpt(&error.to_string(), SHOWN));
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
        if archive.len() > limits.entries {
            return Err(ArchiveError::Entries { found: archive.len(), limit: limits.entries });
        }
        if archive.has_duplicate_names() {
            let entry = stands_twice(bytes, archive.central_directory_start()).unwrap_or_else(|| "a name".to_owned());
            return Err(ArchiveError::Duplicate { entry });
        }
        let files = stated(&archive, limits)?;
        // What one reader sees in its directory and another before each file is the same; no byte belongs to two files.
        archive.validate_header_consistency().map_err(|error| broken(&error))?;
        let mut unpacked = BTreeMap::new();
        let mut total = 0;
        for (index, name) in files {
            let bytes = inflated(&mut archive, index, &name, limits, total)?;
            total += bytes.len() as u64;
            unpacked.insert(name, bytes);
        }
        Ok(Self(unpacked))
    }

    /// The bytes of one file.
    pub(super) fn file(&self, name: &str) -> Result<&[u8], ArchiveError> {
        self.0.get(name).map(Vec::as_slice).ok_or_else(|| {
            let there = self.0.keys().map(|name| excerpt(name, SHOWN)).collect::<Vec<_>>().join(", ");
            let there = if there.is_empty() { "none".to_owned() } else { excerpt(&there, 4 * SHOWN) };
            ArchiveError::Missing { wanted: name.to_owned(), there }
        })
    }
}

/// The files that an archive states, by their places in it, where all that it states may be.
fn stated(archive: &ZipArchive<Cursor<&[u8]>>, limits: &ArchiveLimits) -> Result<Vec<(usize, String)>, ArchiveError> {
    let mut files = Vec::new();
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let damaged = |entry: &str, error: &ZipError| ArchiveError::Damaged {
            entry: entry.to_owned(),
            why: excerpt(&error.to_string(), SHOWN),
        };
        let data = archive.by_index_data(index).map_err(|error| damaged("an entry", &error))?;
        let raw = excerpt(&String::from_utf8_lossy(data.name_raw()), SHOWN);
        let name = data.name().map_err(|error| damaged(&raw, &error))?.into_owned();
        let entry = excerpt(&name, SHOWN);
        if let Some(why) = leaves(&name) {
            return Err(ArchiveError::Leaves { entry, why });
        }
        let is_folder = name.ends_with('/');
        match data.unix_mode().map_or(0, |mode| mode & TYPE) {
            0 => {}
            REGULAR if !is_folder => {}
            FOLDER if is_folder => {}
            _ => return Err(ArchiveError::NotAFile { entry }),
        }
        if data.encrypted() {
            return Err(ArchiveError::Encrypted { entry });
        }
        if !matches!(data.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ArchiveError::Method { entry, method: data.compression().to_string() });
        }
        let (packed, size) = (data.compressed_size(), data.size());
        if size > limits.file {
            return Err(ArchiveError::File { entry, found: size, limit: limits.file });
        }
        total = total.saturating_add(size);
        if total > limits.total {
            return Err(ArchiveError::Total { entry, limit: limits.total });
        }
        if size > RATIO_FROM && size > packed.saturating_mul(limits.ratio) {
            return Err(ArchiveError::Ratio { entry, limit: limits.ratio });
        }
        if !is_folder {
            files.push((index, name));
        }
    }
    Ok(files)
}

/// The bytes of one file. What it states of itself is not believed: it may be a lie.
fn inflated(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    name: &str,
    limits: &ArchiveLimits,
    total: u64,
) -> Result<Vec<u8>, ArchiveError> {
    let entry = || excerpt(name, SHOWN);
    let why = |why: String| ArchiveError::Damaged { entry: entry(), why: excerpt(&why, SHOWN) };
    let file = archive.by_index(index).map_err(|error| why(error.to_string()))?;
    let most = limits.file.min(limits.total.saturating_sub(total));
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| why(error.to_string()))?;
    match bytes.len() as u64 {
        found if found > limits.file => Err(ArchiveError::File { entry: entry(), found, limit: limits.file }),
        found if found > most => Err(ArchiveError::Total { entry: entry(), limit: limits.total }),
        _ => Ok(bytes),
    }
}

/// Why a name would leave the folder, or mean different places to different systems.
fn leaves(name: &str) -> Option<&'static str> {
    let segments = name.strip_suffix('/').unwrap_or(name);
    if name.starts_with('/') {
        Some("it is absolute")
    } else if name.contains('\\') {
        Some("a backslash parts folders on some systems")
    } else if name.contains(':') {
        Some("a colon names a drive on some systems")
    } else if name.chars().any(char::is_control) {
        Some("it has control characters")
    } else if segments.split('/').any(|segment| segment == "..") {
        Some("`..` leads out of it")
    } else if segments.split('/').any(|segment| segment.is_empty() || segment == ".") {
        Some("a part of it is empty")
    } else {
        None
    }
}

/// The first name that stands twice in the directory of an archive, which begins there. The reader tells only that one does.
fn stands_twice(bytes: &[u8], start: u64) -> Option<String> {
    /// The length of a header of the directory before its name, and where it says how long name, extra field and comment are.
    const HEADER: usize = 46;
    let mut rest = bytes.get(usize::try_from(start).ok()?..)?;
    let mut seen = std::collections::BTreeSet::new();
    while rest.starts_with(b"PK\x01\x02") {
        let length = |at: usize| Some(usize::from(u16::from_le_bytes(rest.get(at..at + 2)?.try_into().ok()?)));
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let name = rest.get(HEADER..HEADER + name)?;
        if !seen.insert(name) {
            return Some(excerpt(&String::from_utf8_lossy(name), SHOWN));
        }
        rest = rest.get(HEADER + name.len() + extra + comment..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    const LOCAL: &[u8; 4] = b"PK\x03\x04";
    const CENTRAL: &[u8; 4] = b"PK\x01\x02";

    fn deflated() -> SimpleFileOptions {
        SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
    }

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, deflated()).expect("a name");
            writer.write_all(bytes).expect("bytes");
        }
        writer.finish().expect("an archive").into_inner()
    }

    fn unpacked(bytes: &[u8]) -> Result<Files, ArchiveError> {
        Files::unpack(bytes, &ArchiveLimits::default())
    }

    fn places(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
        let found: Vec<usize> = (0..bytes.len() - wanted.len()).filter(|at| bytes[*at..].starts_with(wanted)).collect();
        assert!(!found.is_empty(), "{wanted:?} is in it");
        found
    }

    /// Puts other bytes in the place of these, wherever they stand.
    fn replaced(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
        assert_eq!(old.len(), new.len());
        places(&bytes, old).into_iter().for_each(|at| bytes[at..at + new.len()].copy_from_slice(new));
        bytes
    }

    /// Writes bytes at a place of every header of one kind: those before the files, or those of the directory.
    fn headers(mut bytes: Vec<u8>, magic: &[u8; 4], at: usize, new: &[u8]) -> Vec<u8> {
        places(&bytes, magic)
            .into_iter()
            .for_each(|place| bytes[place + at..place + at + new.len()].copy_from_slice(new));
        bytes
    }

    #[test]
    fn every_file_has_its_name_and_its_bytes() {
        let report = b"<testsuite tests=\"1\"/>".repeat(500);
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_directory("unit/", SimpleFileOptions::default()).expect("a folder");
        writer.start_file("unit/junit.xml", deflated().unix_permissions(0o644)).expect("a name");
        writer.write_all(&report).expect("bytes");
        writer.start_file("lcov é.info", SimpleFileOptions::default()).expect("a name");
        writer.write_all(b"SF:a").expect("bytes");
        let files = unpacked(&writer.finish().expect("an archive").into_inner()).expect("it is sound");
        assert_eq!(files.file("unit/junit.xml"), Ok(report.as_slice()));
        assert_eq!(files.file("lcov é.info"), Ok(b"SF:a".as_slice()));
        let error = files.file("junit.xml").expect_err("in another folder");
        assert_eq!(error.to_string(), "it holds no file junit.xml, and these: lcov é.info, unit/junit.xml");
        assert_eq!(files.0.len(), 2, "a folder is no file");
        assert!(unpacked(&packed(&[])).expect("an empty archive is one").0.is_empty());
    }

    #[test]
    fn what_was_packed_in_a_stream_is_unpacked_too() {
        // So the uploader of GitHub packs: sizes stand behind each file, and in the directory.
        let mut writer = ZipWriter::new_stream(Vec::new());
        for name in ["a.xml", "b.xml"] {
            writer.start_file(name, deflated()).expect("a name");
            writer.write_all(name.as_bytes()).expect("bytes");
        }
        let bytes = writer.finish().expect("an archive").into_inner();
        assert_eq!(unpacked(&bytes).expect("it is sound").file("b.xml"), Ok(b"b.xml".as_slice()));
    }

    #[test]
    fn no_cut_off_archive_is_unpacked_wherever_it_ends() {
        let whole = packed(&[("a.xml", b"<a/>".repeat(9).as_slice()), ("b.xml", b"<b/>")]);
        assert!(unpacked(&whole).is_ok());
        for end in 0..whole.len() {
            let error = unpacked(&whole[..end]).expect_err("it is cut off");
            assert!(matches!(error, ArchiveError::Broken(_)), "at {end}: {error}");
        }
        assert!(unpacked(b"<testsuite/>").expect_err("no archive").to_string().contains("take the artifact as it is"));
    }

    #[test]
    fn a_changed_byte_never_gives_other_bytes_under_a_name() {
        let whole = packed(&[("a.xml", b"<a/>".repeat(9).as_slice()), ("b.xml", b"<b/>")]);
        let files = unpacked(&whole).expect("it is sound");
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x41;
            match unpacked(&bytes) {
                // A date, a version, a comment: nothing that is taken.
                Ok(other) => assert_eq!(other, files, "at {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > whole.len() / 2, "{refused} of {}", whole.len());
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked_and_one_that_lies_while_it_is() {
        let zeros = vec![0_u8; 8 * 1024 * 1024];
        let bomb = packed(&[("junit.xml", &zeros)]);
        assert!(bomb.len() < 16 * 1024);
        let error = unpacked(&bomb).expect_err("a bomb");
        assert_eq!(error, ArchiveError::Ratio { entry: "junit.xml".to_owned(), limit: 200 });
        let limits = ArchiveLimits::default().ratio(u64::MAX);
        assert!(Files::unpack(&bomb, &limits).is_ok());
        let error = Files::unpack(&bomb, &limits.file(8 * 1024 * 1024 - 1)).expect_err("one byte too many");
        assert!(matches!(error, ArchiveError::File { found: 8_388_608, limit: 8_388_607, .. }), "{error}");
        let two = packed(&[("a", &zeros), ("b", &zeros)]);
        assert!(Files::unpack(&two, &limits.total(16 * 1024 * 1024)).is_ok());
        let error = Files::unpack(&two, &limits.total(16 * 1024 * 1024 - 1)).expect_err("one byte too many");
        assert_eq!(error, ArchiveError::Total { entry: "b".to_owned(), limit: 16 * 1024 * 1024 - 1 });
        let many: Vec<String> = (0..4).map(|n| format!("{n}.xml")).collect();
        let many = packed(&many.iter().map(|name| (name.as_str(), b"<a/>".as_slice())).collect::<Vec<_>>());
        assert!(Files::unpack(&many, &limits.entries(4)).is_ok());
        let error = Files::unpack(&many, &limits.entries(3)).expect_err("one too many");
        assert_eq!(error, ArchiveError::Entries { found: 4, limit: 3 });

        // It states a kilobyte, in both places, and inflates to eight megabytes.
        let size = &1024_u32.to_le_bytes();
        let lie = headers(headers(bomb.clone(), LOCAL, 22, size), CENTRAL, 24, size);
        let error = unpacked(&lie).expect_err("it lies");
        assert!(matches!(&error, ArchiveError::Damaged { entry, .. } if entry == "junit.xml"), "{error}");
        // It states one size here and another there.
        let error = unpacked(&headers(bomb, CENTRAL, 24, size)).expect_err("it contradicts itself");
        assert!(matches!(error, ArchiveError::Broken(_)), "{error}");
        // Both entries are the same bytes: a thousand of them would be a thousand times as much.
        let shared = headers(packed(&[("a", b"<a/>"), ("b", b"<a/>")]), CENTRAL, 42, &0_u32.to_le_bytes());
        assert!(matches!(unpacked(&shared).expect_err("they overlap"), ArchiveError::Broken(_)));
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        for (name, why) in [
            ("../a.xml", "`..` leads out"),
            ("a/../../b.xml", "`..` leads out"),
            ("a/..", "`..` leads out"),
            ("/etc/passwd", "absolute"),
            ("C:/a.xml", "a colon names a drive"),
            ("a.xml:stream", "a colon names a drive"),
            (r"..\a.xml", "backslash"),
            (r"\\host\share", "backslash"),
            ("a//b.xml", "empty"),
            ("./a.xml", "empty"),
            ("a\u{1b}[2J.xml", "control"),
        ] {
            // Packed under a harmless name of the same length: writers clean names.
            let plain = "x".repeat(name.len());
            let bytes = replaced(packed(&[("good.txt", b"1"), (&plain, b"2")]), plain.as_bytes(), name.as_bytes());
            let error = unpacked(&bytes).expect_err(name);
            assert!(matches!(error, ArchiveError::Leaves { .. }) && error.to_string().contains(why), "{name}: {error}");
            assert!(!error.to_string().contains('\u{1b}'), "it is shown harmless");
        }
        let dots = packed(&[("..a/b..xml", b"1"), (".hidden", b"2"), ("...", b"3")]);
        assert_eq!(unpacked(&dots).expect("dots in a name are no way out").0.len(), 3);
    }

    #[test]
    fn a_link_is_refused_and_so_is_what_stands_twice_or_is_encrypted_or_packed_otherwise() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("report.xml", "/etc/passwd", SimpleFileOptions::default()).expect("a link");
        let error = unpacked(&writer.finish().expect("an archive").into_inner()).expect_err("a link");
        assert_eq!(error, ArchiveError::NotAFile { entry: "report.xml".to_owned() });

        let twice = replaced(packed(&[("a.xml", b"good"), ("b.xml", b"other"), ("c.xml", b"bad")]), b"c.xml", b"a.xml");
        let error = unpacked(&twice).expect_err("it stands twice");
        assert_eq!(error, ArchiveError::Duplicate { entry: "a.xml".to_owned() });

        let plain = packed(&[("a.xml", b"<a/>")]);
        let flag = |bytes, magic, at| headers(bytes, magic, at, &1_u16.to_le_bytes());
        let error = unpacked(&flag(flag(plain.clone(), LOCAL, 6), CENTRAL, 8)).expect_err("encrypted");
        assert_eq!(error, ArchiveError::Encrypted { entry: "a.xml".to_owned() });

        let method = |bytes, magic, at| headers(bytes, magic, at, &14_u16.to_le_bytes());
        let error = unpacked(&method(method(plain, LOCAL, 8), CENTRAL, 10)).expect_err("another method");
        assert!(matches!(&error, ArchiveError::Method { entry, .. } if entry == "a.xml"), "{error}");
    }
}
