//! A file in flagd's format.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use deploy_core::digest::Digest;
use deploy_core::name::{FlagName, TargetName};
use deploy_core::real::Real;
use deploy_core::target::{Applied, Capabilities, DesiredState, EffectContext, Target, TargetError, TargetState};

use super::document::Document;
use super::percent::{state, wanted};

/// One flag of a file: the variant that is rolled out, and the one that everybody else has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlagFileFlag {
    /// Its name.
    pub flag: FlagName,
    /// The variant that is rolled out. Default `on`.
    pub treatment: String,
    /// The variant that everybody else has. Default `off`.
    pub control: String,
}

impl FlagFileFlag {
    /// A flag between `on` and `off`.
    #[must_use]
    pub fn new(flag: FlagName) -> Self {
        Self { flag, treatment: "on".to_owned(), control: "off".to_owned() }
    }

    /// The same flag between other variants.
    #[must_use]
    pub fn variants(mut self, treatment: impl Into<String>, control: impl Into<String>) -> Self {
        (self.treatment, self.control) = (treatment.into(), control.into());
        self
    }
}

/// The percentages of flags in a JSON file in flagd's format.
///
/// A percentage is the weight of a variant in the flag's one rule `fractional` between its two variants, wherever in its
/// targeting that stands. Nothing else in the file is touched, to the byte. A flag without targeting gets such a rule. flagd
/// shares out by a hash of flag and targeting key, so that a raised percentage only adds users.
///
/// - *Written atomically*: a new file beside the old one, synced and renamed. Whoever reads sees one or the other.
/// - *Read back* after each write.
/// - *Compare and apply*: the version is a digest of the whole file, so that any change by anybody outdates an observation. The file
///   is compared again right before it is replaced; a change within that moment would be lost, as with any editor.
/// - *Switched off*: a flag whose `state` is `DISABLED` is at 0 %, whatever its weights are. It is never switched on here: that
///   was a person's decision.
///
/// The file is the place. Whether flagd has read it is not seen; it watches its files, and takes up changes at once.
///
/// ```
/// use deploy_agents::targets::flags::{FlagFile, FlagFileFlag};
/// use deploy_core::name::{FlagName, TargetName};
/// use deploy_core::target::Target as _;
///
/// let flags = FlagFile::new(TargetName::new("flags")?, "/etc/flagd/shop.json")
///     .flag(FlagFileFlag::new(FlagName::new("new-search")?));
/// assert!(flags.capabilities().flags);
/// # Ok::<(), deploy_core::name::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FlagFile {
    name: TargetName,
    path: PathBuf,
    flags: Vec<FlagFileFlag>,
    /// Held from reading to renaming, so that two statements in this process never overwrite each other.
    changing: Arc<Mutex<()>>,
}

impl FlagFile {
    /// A file, of whose flags none is rolled out yet.
    #[must_use]
    pub fn new(name: TargetName, path: impl Into<PathBuf>) -> Self {
        Self { name, path: path.into(), flags: Vec::new(), changing: Arc::default() }
    }

    /// The same file with one more flag that is rolled out. Flags that were not added are neither shown nor changed.
    #[must_use]
    pub fn flag(mut self, flag: FlagFileFlag) -> Self {
        self.flags.push(flag);
        self
    }

    fn text(&self) -> Result<String, TargetError> {
        std::fs::read_to_string(&self.path).map_err(|error| {
            TargetError::transient(format!("{} could not be read", self.path.display())).because(error)
        })
    }

    fn document<'a>(&self, text: &'a str) -> Result<Document<'a>, TargetError> {
        Document::read(text).map_err(|why| self.unreadable(&why))
    }

    fn unreadable(&self, why: &str) -> TargetError {
        TargetError::definitive(format!("{}: {why}", self.path.display()))
    }

    /// The percentages that are in force.
    fn percents(&self, document: &Document<'_>) -> Result<BTreeMap<FlagName, Real>, TargetError> {
        let percent = |flag: &FlagFileFlag| {
            let weight = document.percent(flag.flag.as_str(), &flag.treatment, &flag.control)?;
            let enabled = document.is_enabled(flag.flag.as_str())?;
            Ok((flag.flag.clone(), if enabled { weight } else { Real::ZERO }))
        };
        self.flags.iter().map(percent).collect::<Result<_, String>>().map_err(|why| self.unreadable(&why))
    }

    fn change(&self, desired: &DesiredState) -> Result<Applied, TargetError> {
        let wanted = wanted(desired, self.flags.iter().map(|flag| &flag.flag))?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.text()?;
        if desired.based_on.is_some_and(|based_on| based_on != version(&before)) {
            let message = format!("{} has changed since it was observed; observe it again", self.path.display());
            return Err(TargetError::transient(message));
        }
        let document = self.document(&before)?;
        let now = self.percents(&document)?;
        let mut text = before.clone();
        for flag in &self.flags {
            let (is, percent) = (now.get(&flag.flag).copied(), wanted.get(&flag.flag).copied().unwrap_or(Real::ZERO));
            if is == Some(percent) {
                continue;
            }
            let name = flag.flag.as_str();
            if !document.is_enabled(name).map_err(|why| self.unreadable(&why))? {
                let why =
                    format!("{name} is DISABLED, and is to be at {percent} %; whoever disabled it has to enable it");
                return Err(self.unreadable(&why));
            }
            text = (self.document(&text)?)
                .with_percent(name, &flag.treatment, &flag.control, percent)
                .map_err(|why| self.unreadable(&why))?;
        }
        if text == before {
            return Ok(Applied::unchanged());
        }
        self.replace(&before, &text)?;
        let after = self.text()?;
        if self.percents(&self.document(&after)?)? != wanted {
            let message = format!("{} was written, and reads back otherwise", self.path.display());
            return Err(TargetError::unknown(message));
        }
        Ok(Applied::changed())
    }

    /// Puts a new text in the place of the one that was read.
    fn replace(&self, before: &str, text: &str) -> Result<(), TargetError> {
        let path = &self.path;
        let unwritten = |error: std::io::Error| {
            TargetError::transient(format!("{} could not be written", path.display())).because(error)
        };
        let mut beside = path.clone().into_os_string();
        beside.push(".deploy-new");
        let beside = Path::new(&beside);
        let written = || {
            let mut file = std::fs::File::create(beside)?;
            file.write_all(text.as_bytes())?;
            file.set_permissions(std::fs::metadata(path)?.permissions())?;
            file.sync_all()
        };
        written().map_err(unwritten)?;
        if self.text()? != before {
            // What is left over hurts nobody, and the next write replaces it.
            let _ = std::fs::remove_file(beside);
            return Err(TargetError::transient(format!("{} was changed by somebody else meanwhile", path.display())));
        }
        std::fs::rename(beside, path).map_err(unwritten)?;
        // The rename itself must survive a loss of power too; where folders cannot be synced, there is nothing more to do.
        if let Some(folder) = path.parent() {
            let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }
}

#[async_trait]
impl Target for FlagFile {
    fn name(&self) -> TargetName {
        self.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { flags: true, compare_and_apply: true, ..Capabilities::default() }
    }

    async fn observe(&self) -> Result<TargetState, TargetError> {
        let file = self.clone();
        blocking(move || {
            let text = file.text()?;
            Ok(state(file.percents(&file.document(&text)?)?, Some(version(&text))))
        })
        .await
    }

    async fn apply(&self, desired: &DesiredState, _cx: &EffectContext) -> Result<Applied, TargetError> {
        let (file, desired) = (self.clone(), desired.clone());
        blocking(move || file.change(&desired)).await
    }
}

/// Disks may take their time; other work goes on meanwhile.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TargetError> + Send + 'static,
) -> Result<T, TargetError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(TargetError::unknown("the work on a file of flags was cut off").because(error)),
    }
}

/// Another number for every other text.
fn version(text: &str) -> u64 {
    let digest = Digest::of(text.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
