//! A repository with the history of the service: two versions, each with its commits and its tag.

use std::path::{Path, PathBuf};
use std::process::Command;

use deploy_agents::evidence::facts::GitFacts;

use crate::Failure;
use crate::workshop::args::Fault;
use crate::workshop::tools::{Tools, succeed};

/// The version that serves.
pub(crate) const OLD: &str = "1.0.0";
/// The version that is released.
pub(crate) const NEW: &str = "1.1.0";
/// Who wrote it.
pub(crate) const AUTHOR: &str = "ada";

/// The files of the service. What ends with `.1` or `.2` is of the one version or of the other.
const FILES: [(&str, &str); 16] = [
    (".config/nextest.toml", include_str!("service/.config/nextest.toml")),
    ("CHANGELOG.md.1", include_str!("service/CHANGELOG.md.1")),
    ("CHANGELOG.md.2", include_str!("service/CHANGELOG.md.2")),
    ("README.md", include_str!("service/README.md")),
    ("RUNBOOK.md", include_str!("service/RUNBOOK.md")),
    ("config/settings.json.1", include_str!("service/config/settings.json.1")),
    ("config/settings.json.2", include_str!("service/config/settings.json.2")),
    ("config/settings.schema.json", include_str!("service/config/settings.schema.json")),
    ("infra/main.tf", include_str!("service/infra/main.tf")),
    ("src/lib.rs.1", include_str!("service/src/lib.rs.1")),
    ("src/lib.rs.2", include_str!("service/src/lib.rs.2")),
    ("src/main.rs", include_str!("service/src/main.rs")),
    ("tests/over_http.rs", include_str!("service/tests/over_http.rs")),
    ("tests/unit.rs.1", include_str!("service/tests/unit.rs.1")),
    ("tests/unit.rs.2", include_str!("service/tests/unit.rs.2")),
    ("Cargo.toml", include_str!("service/Cargo.toml.template")),
];
/// What this workspace was built with; the service takes its dependencies from there, so that nothing has to be fetched.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The repository, or its files alone where there is no `git`.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) old: PathBuf,
    pub(crate) new: PathBuf,
    pub(crate) commit: Option<String>,
    pub(crate) history: Option<GitFacts>,
}

impl Repository {
    /// Makes it: version 1.0.0, and version 1.1.0 after three commits.
    pub(crate) async fn make(folder: &Path, tools: &Tools, fault: Option<Fault>) -> Result<Self, Failure> {
        let (new, old) = (folder.join("orders"), folder.join("orders-before"));
        std::fs::create_dir_all(&new)?;
        let git = tools.find("git");
        let git = git.as_deref();
        let commit = |message: &str| -> Result<(), Failure> {
            let Some(git) = git else { return Ok(()) };
            succeed(plain(git, &new).args(["add", "--all"]))?;
            succeed(plain(git, &new).args(["commit", "--quiet", "--message", message]))?;
            Ok(())
        };
        let tag = |version: &str| -> Result<(), Failure> {
            let Some(git) = git else { return Ok(()) };
            let name = format!("v{version}");
            succeed(plain(git, &new).args(["tag", "--annotate", "--message", &name, &name]))?;
            Ok(())
        };
        if let Some(git) = git {
            succeed(plain(git, &new).args(["init", "--quiet", "--initial-branch=main"]))?;
        }
        write(&new, '1', |_| true)?;
        commit("feat: take orders and say what they cost")?;
        tag(OLD)?;
        write(&old, '1', |_| true)?;
        write(&new, '2', |file| file.starts_with("src/") || file.starts_with("tests/"))?;
        if fault == Some(Fault::FailingTest) {
            let file = new.join("src/lib.rs");
            let wrong = std::fs::read_to_string(&file)?.replace("DISCOUNT: u64 = 10", "DISCOUNT: u64 = 20");
            std::fs::write(file, wrong)?;
        }
        commit("feat: ten pieces or more cost a tenth less\n\nAn order of no pieces is refused.")?;
        write(&new, '2', |file| file.starts_with("config/"))?;
        commit("chore(config): show the discount")?;
        write(&new, '2', |file| file.starts_with("Cargo") || file.ends_with(".md"))?;
        commit("docs: version 1.1.0")?;
        tag(NEW)?;
        let (mut id, mut history) = (None, None);
        if let Some(git) = git {
            let repository = deploy_agents::evidence::git::Repository::new(&new).program(git).with_lines();
            let facts = repository.read(Some(&format!("v{OLD}")), "HEAD").await?;
            (id, history) = (Some(facts.to.clone()), Some(facts));
        }
        Ok(Self { old, new, commit: id, history })
    }
}

/// Writes the files of a version that are wanted.
fn write(folder: &Path, version: char, wanted: impl Fn(&str) -> bool) -> Result<(), Failure> {
    let number = if version == '1' { OLD } else { NEW };
    for (file, text) in FILES {
        let path = match file.strip_suffix(['1', '2']).and_then(|path| path.strip_suffix('.')) {
            Some(path) if file.ends_with(version) => path,
            Some(_) => continue,
            None => file,
        };
        if wanted(path) {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().ok_or("a file lies in a folder")?)?;
            std::fs::write(path, text.replace("@VERSION@", number))?;
        }
    }
    if wanted("Cargo.lock") {
        std::fs::write(folder.join("Cargo.lock"), lock(number))?;
        std::fs::write(folder.join(".gitignore"), "/target\n.terraform*\n*.tfstate*\n*.bin\n")?;
    }
    Ok(())
}

/// The lock file of the service: what it needs, as this workspace has it.
fn lock(version: &str) -> String {
    let of = |name: &str| LOCK.split("\n\n").find(|part| part.contains(&format!("\nname = \"{name}\"\n")));
    let mut text = String::from("# This file is automatically @generated by Cargo.\nversion = 4\n");
    for part in ["httparse", "itoa"].into_iter().filter_map(of) {
        text.push('\n');
        text.push_str(part);
        text.push('\n');
    }
    text.push_str(&format!(
        "\n[[package]]\nname = \"orders\"\nversion = \"{version}\"\ndependencies = [\n \"httparse\",\n \"itoa\",\n]\n"
    ));
    text
}

/// Git, with nothing of the user's configuration.
fn plain(git: &Path, folder: &Path) -> Command {
    let mut command = Command::new(git);
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for (name, value) in [("AUTHOR", AUTHOR), ("COMMITTER", AUTHOR)] {
        command.env(format!("GIT_{name}_NAME"), value).env(format!("GIT_{name}_EMAIL"), "ada@example.org");
    }
    command
}
