//! Real producers, where they are on the path or in `EVIDENCE_TOOLS`. Debian's must be there with `REQUIRE_SERVICES=1`, all of them
//! with `REQUIRE_EVIDENCE=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use deploy_agents::evidence::dsse::{self, TrustedKey};
use deploy_agents::evidence::facts::{BomFormat, LatencyKind, PlanAction, Share, TestOutcome};
use deploy_agents::evidence::{
    Format, Source, blocking, cobertura, cyclonedx, hyperfine, junit, lcov, llvm_cov, pgbackrest, provenance, restic,
    sarif, terraform, wrk,
};

use crate::cluster::Cluster;
use crate::pointers::check_pointers;

/// Where a program is, or nothing if its tests are to be left out on this machine.
fn producer(program: &str) -> Option<PathBuf> {
    const PACKAGED: [&str; 4] = ["hyperfine", "pgbackrest", "restic", "wrk"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = std::env::var_os("EVIDENCE_TOOLS").unwrap_or_default();
    let folders = std::env::split_paths(&more).chain(std::env::split_paths(&path)).collect::<Vec<_>>();
    let found = folders.iter().map(|folder| folder.join(program)).find(|file| file.is_file());
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| value == "1");
    let required = is_set("REQUIRE_EVIDENCE") || (PACKAGED.contains(&program) && is_set("REQUIRE_SERVICES"));
    assert!(found.is_some() || !required, "{program} is not on the path, and it is required");
    if found.is_none() {
        writeln!(std::io::stderr(), "LEFT OUT: {program} is not on the path").expect("standard error");
    }
    found
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn succeed(command: &mut Command) -> Vec<u8> {
    let said = run(command);
    assert!(
        said.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    said.stdout
}

fn write(folder: &Path, file: &str, text: &str) -> PathBuf {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(&path, text).expect("written");
    path
}

/// Rows: M9.
#[test]
fn what_hyperfine_writes_is_read() {
    let Some(program) = producer("hyperfine") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hyperfine.json");
    succeed(Command::new(&program).args(["-N", "--runs", "5", "--export-json"]).arg(&file).arg("true"));
    let bytes = std::fs::read(&file).expect("written");
    let facts = hyperfine::read(&Source::new("hyperfine.json", &bytes)).expect("readable");
    assert_eq!((facts.benchmarks[0].samples.len(), facts.benchmarks[0].exit_codes.as_slice()), (5, &[Some(0); 5][..]));
    assert!(facts.doubts.is_empty(), "{:?}", facts.doubts);
    assert!(check_pointers(Format::Hyperfine, "hyperfine.json", &bytes) >= 5);
    succeed(Command::new(&program).args(["-N", "-i", "--runs", "3", "--export-json"]).arg(&file).arg("false"));
    let bytes = std::fs::read(&file).expect("written");
    let facts = hyperfine::read(&Source::new("hyperfine.json", &bytes)).expect("readable");
    assert!(blocking(&facts.doubts).is_some(), "a command that fails is not fast");
}

/// Rows: M19.
#[test]
fn what_restic_says_is_read_and_a_spoilt_pack_is_not_sound() {
    let Some(program) = producer("restic") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let repository = folder.path().join("repository");
    let data = write(folder.path(), "data/orders.txt", &"an order\n".repeat(1_000));
    let restic_at = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("--no-cache").args(words).env("RESTIC_PASSWORD", "test").env("RESTIC_REPOSITORY", &repository);
        command.env("HOME", folder.path());
        command
    };
    let none = run(&mut restic_at(&["snapshots", "--json"]));
    assert!(!restic::check(none.status.code().unwrap_or(-1)).sound, "there is no repository yet");
    succeed(&mut restic_at(&["init"]));
    let empty = succeed(&mut restic_at(&["snapshots", "--json"]));
    assert!(blocking(&restic::read(&Source::new("s", &empty)).expect("readable").doubts).is_some(), "no snapshot yet");
    succeed(restic_at(&["backup"]).arg(data.parent().expect("a folder")));
    let bytes = succeed(&mut restic_at(&["snapshots", "--json"]));
    let facts = restic::read(&Source::new("snapshots.json", &bytes)).expect("readable");
    let newest = facts.newest_good().expect("one");
    assert!(newest.label.len() == 64 && newest.contents[0].ends_with("data"), "{newest:?}");
    check_pointers(Format::Restic, "snapshots.json", &bytes);
    let checked = run(&mut restic_at(&["check", "--read-data"]));
    assert!(restic::check(checked.status.code().unwrap_or(-1)).sound);
    let packs = repository.join("data");
    let pack = std::fs::read_dir(&packs)
        .expect("packs")
        .flatten()
        .find_map(|entry| std::fs::read_dir(entry.path()).ok()?.flatten().next());
    let pack = pack.expect("a pack").path();
    let mut spoilt = std::fs::read(&pack).expect("readable");
    let middle = spoilt.len() / 2;
    spoilt[middle] ^= 0xFF;
    std::fs::remove_file(&pack).expect("removed");
    std::fs::write(&pack, spoilt).expect("written");
    let checked = run(&mut restic_at(&["check", "--read-data"]));
    let check = restic::check(checked.status.code().unwrap_or(-1));
    assert!(!check.sound, "{check:?}");
}

/// Rows: M19.
#[test]
fn what_pgbackrest_says_of_nothing_is_read() {
    let Some(program) = producer("pgbackrest") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let repository = folder.path().join("repository");
    std::fs::create_dir_all(repository.join("backup/shop")).expect("made");
    let config = write(
        folder.path(),
        "pgbackrest.conf",
        &format!("[global]\nrepo1-path={}\nlog-level-file=off\n[shop]\npg1-path=/nonexistent\n", repository.display()),
    );
    let info = |stanza: &str| {
        succeed(
            Command::new(&program)
                .args(["info", "--output=json"])
                .arg(format!("--config={}", config.display()))
                .arg(format!("--stanza={stanza}"))
                .arg(format!("--lock-path={}", folder.path().display())),
        )
    };
    for stanza in ["shop", "other"] {
        let bytes = info(stanza);
        let facts = pgbackrest::read(&Source::new("info.json", &bytes)).expect("readable");
        assert!(blocking(&facts.doubts).is_some() && facts.newest_good().is_none());
        assert!(facts.stores.iter().all(|store| store.code.as_ref().is_some_and(|code| code.value != 0)), "{facts:?}");
        check_pointers(Format::PgBackRest, "info.json", &bytes);
    }
}

/// Rows: M19, M198.
#[test]
fn what_pgbackrest_backs_up_is_read_and_restored() {
    if producer("pgbackrest").is_none() {
        return;
    }
    let Some(cluster) = Cluster::prepare() else { return };
    let (data, here) = (cluster.at("data"), cluster.at(""));
    for folder in ["repository", "lock", "restored"] {
        succeed(cluster.command("mkdir").args(["-m", "700", folder]));
    }
    let config = format!(
        "[global]\nrepo1-path={}\nlog-level-file=off\nlock-path={}\nstart-fast=y\nrepo1-retention-full=1\n[shop]\npg1-path={data}\npg1-socket-path={here}\npg1-user=postgres\n",
        cluster.at("repository"),
        cluster.at("lock")
    );
    std::fs::write(cluster.at("pgbackrest.conf"), config).expect("written");
    let config = format!("--config={}", cluster.at("pgbackrest.conf"));
    cluster.serve(&format!("archive_mode=on\narchive_command='pgbackrest {config} --stanza=shop archive-push %p'\n"));
    let backrest = |words: &[&str]| {
        let always = [config.as_str(), "--stanza=shop", "--log-level-console=error"];
        succeed(cluster.command("pgbackrest").args(always).args(words))
    };
    backrest(&["stanza-create"]);
    let info = || backrest(&["info", "--output=json"]);
    let before = pgbackrest::read(&Source::new("info.json", &info())).expect("readable");
    assert!(blocking(&before.doubts).is_some() && before.newest_good().is_none(), "no backup yet");
    backrest(&["backup", "--type=full"]);
    backrest(&["backup", "--type=incr"]);
    let bytes = info();
    let facts = pgbackrest::read(&Source::new("info.json", &bytes)).expect("readable");
    assert!(facts.doubts.is_empty(), "{:?}", facts.doubts);
    let kinds: Vec<_> = facts.backups.iter().map(|backup| backup.kind.as_str()).collect();
    assert_eq!(kinds, ["full", "incr"]);
    assert_eq!(facts.backups[1].needs, [facts.backups[0].label.clone()]);
    assert_eq!(facts.newest_good().map(|backup| &backup.label), Some(&facts.backups[1].label));
    assert!(check_pointers(Format::PgBackRest, "info.json", &bytes) >= 7);
    backrest(&["restore", &format!("--pg1-path={}", cluster.at("restored"))]);
    assert!(
        Path::new(&cluster.at("restored/PG_VERSION")).is_file() && Path::new(&cluster.at("restored/base")).is_dir()
    );
}

/// Rows: M16, M149.
#[test]
fn what_terraform_plans_is_read_and_keeps_no_secret() {
    let Some(program) = producer("terraform") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let configure = |input: &str, secret: &str| {
        let text = format!(
            "variable \"password\" {{\n  sensitive = true\n  default = \"{secret}\"\n}}\nresource \"terraform_data\" \"web\" {{\n  input = \"{input}\"\n  triggers_replace = [\"{input}\"]\n}}\nresource \"terraform_data\" \"db\" {{\n  input = var.password\n}}\n"
        );
        write(folder.path(), "main.tf", &text);
    };
    let terraform_with = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).current_dir(folder.path()).env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1");
        command
    };
    configure("one", "correct-horse-battery");
    succeed(&mut terraform_with(&["init", "-input=false", "-no-color"]));
    let plan = || {
        let planned =
            run(&mut terraform_with(&["plan", "-input=false", "-no-color", "-detailed-exitcode", "-out=p.bin"]));
        assert!(matches!(planned.status.code(), Some(0 | 2)), "{planned:?}");
        succeed(&mut terraform_with(&["show", "-json", "p.bin"]))
    };
    let bytes = plan();
    let facts = terraform::read(&Source::new("plan.json", &bytes)).expect("readable");
    assert!(facts.changes.iter().all(|c| c.action == PlanAction::Create) && facts.changes.len() == 2, "{facts:?}");
    check_pointers(Format::Terraform, "plan.json", &bytes);
    succeed(&mut terraform_with(&["apply", "-input=false", "-no-color", "p.bin"]));
    configure("two", "staple-of-another-kind");
    let bytes = plan();
    let facts = terraform::read(&Source::new("plan.json", &bytes)).expect("readable");
    let of = |address: &str| facts.changes.iter().find(|c| c.address == address).expect("planned");
    assert_eq!(of("terraform_data.web").action, PlanAction::DeleteThenCreate);
    assert_eq!(of("terraform_data.db").action, PlanAction::Update);
    assert!(!of("terraform_data.web").replace_paths.is_empty());
    let kept = terraform::redact(&Source::new("plan.json", &bytes)).expect("readable");
    for secret in ["correct-horse-battery", "staple-of-another-kind"] {
        assert!(String::from_utf8_lossy(&bytes).contains(secret) && !String::from_utf8_lossy(&kept).contains(secret));
    }
    succeed(&mut terraform_with(&["apply", "-input=false", "-no-color", "p.bin"]));
    let facts = terraform::read(&Source::new("plan.json", &plan())).expect("readable");
    assert_eq!((facts.effective().count(), facts.drift.len()), (0, 0));
}

/// Rows: M9.
#[tokio::test]
async fn what_wrk_prints_is_read_with_failures_counted() {
    let Some(program) = producer("wrk") else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut buffer, mut turn) = ([0; 4096], 0_u64);
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                    turn += 1;
                    let status = if turn.is_multiple_of(4) { "503 Service Unavailable" } else { "200 OK" };
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    // A second is plenty for a hundred requests, unless the machine is busy with something else: then it takes longer.
    let mut seconds = 1;
    let said = loop {
        let said = tokio::process::Command::new(&program)
            .args(["--latency", "-t1", "-c2"])
            .arg(format!("-d{seconds}s"))
            .arg(format!("http://{address}/"))
            .output()
            .await
            .expect("wrk starts");
        let facts = wrk::read(&Source::new("wrk.txt", &said.stdout));
        if seconds > 60 || facts.is_ok_and(|facts| facts.asked() >= Some(100)) {
            break said;
        }
        seconds *= 4;
    };
    server.abort();
    let facts = wrk::read(&Source::new("wrk.txt", &said.stdout))
        .unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(&said.stdout)));
    let share = facts.failed_share().expect("it says");
    assert!((0.15..0.35).contains(&share), "every fourth answer is a 503: {share}");
    assert!(facts.latency(LatencyKind::PerMille(990)).is_some_and(|seconds| seconds > 0.0));
    check_pointers(Format::Wrk, "wrk.txt", &said.stdout);
}

/// Rows: M20.
#[test]
fn what_bandit_and_ruff_find_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let code = write(
        folder.path(),
        "app.py",
        "import os\nimport subprocess\n\nsubprocess.call('ls', shell=True)\nassert True\n",
    );
    let good = write(folder.path(), "good.py", "print(\"hello\")\n");
    if let Some(bandit) = producer("bandit") {
        let bytes = run(Command::new(&bandit).args(["-q", "-f", "sarif"]).arg(&code)).stdout;
        let facts = sarif::read(&Source::new("bandit.sarif", &bytes)).unwrap_or_else(|error| panic!("{error}"));
        assert!(facts.open().count() >= 2 && blocking(&facts.doubts).is_none(), "{facts:?}");
        check_pointers(Format::Sarif, "bandit.sarif", &bytes);
        let bytes = run(Command::new(&bandit).args(["-q", "-f", "sarif"]).arg(&good)).stdout;
        let facts = sarif::read(&Source::new("bandit.sarif", &bytes)).expect("readable");
        assert!(
            facts.findings.is_empty() && facts.runs[0].has_results && blocking(&facts.doubts).is_none(),
            "{facts:?}"
        );
    }
    if let Some(ruff) = producer("ruff") {
        let check = |format: &str| {
            run(Command::new(&ruff).args(["check", "--isolated", "--no-cache", "--output-format", format]).arg(&code))
                .stdout
        };
        let bytes = check("sarif");
        let facts = sarif::read(&Source::new("ruff.sarif", &bytes)).expect("readable");
        assert!(facts.open().any(|finding| finding.rule == "F401"), "{facts:?}");
        check_pointers(Format::Sarif, "ruff.sarif", &bytes);
        let bytes = check("junit");
        let facts = junit::read(&Source::new("ruff.xml", &bytes)).expect("readable");
        assert!(facts.counted.not_passed() > 0 && facts.doubts.is_empty(), "{facts:?}");
        check_pointers(Format::Junit, "ruff.xml", &bytes);
    }
}

/// Rows: M148.
#[test]
fn what_a_generator_of_bills_writes_is_read_in_both_forms() {
    let Some(program) = producer("cyclonedx-py") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let list = write(folder.path(), "requirements.txt", "requests==2.31.0\nidna==3.6\n");
    let generate = |form: &str| {
        succeed(
            Command::new(&program).args(["requirements", "--output-format", form, "--output-reproducible"]).arg(&list),
        )
    };
    for form in ["JSON", "XML"] {
        let bytes = generate(form);
        let facts = cyclonedx::read(&Source::new("bom", &bytes)).unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(facts.format, BomFormat::CycloneDx);
        let mut names: Vec<_> = facts.components.iter().map(|c| (c.name.as_str(), c.version.as_str())).collect();
        names.sort_unstable();
        assert_eq!(names, [("idna", "3.6"), ("requests", "2.31.0")], "{form}");
        assert!(facts.components.iter().all(|c| c.purl.as_deref().is_some_and(|purl| purl.starts_with("pkg:pypi/"))));
    }
}

/// A package of its own, of this library.
fn package(library: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = "[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    write(folder.path(), "Cargo.toml", manifest);
    write(folder.path(), "src/lib.rs", library);
    folder
}

/// LLVM's own programs, of the version that this compiler writes profiles for; a toolchain that brings them needs none of these.
fn llvm_tools() -> Option<[(&'static str, PathBuf); 2]> {
    let said = String::from_utf8(succeed(Command::new("rustc").arg("-vV"))).expect("text");
    let version = said.lines().find_map(|line| line.strip_prefix("LLVM version: ")).expect("its LLVM");
    let major = version.split('.').next().expect("a number");
    let folder = PathBuf::from(format!("/usr/lib/llvm-{major}/bin"));
    let tools = [("LLVM_COV", folder.join("llvm-cov")), ("LLVM_PROFDATA", folder.join("llvm-profdata"))];
    let there = tools.iter().all(|(_, file)| file.is_file());
    let required = std::env::var("REQUIRE_EVIDENCE").is_ok_and(|value| value == "1");
    assert!(there || !required, "LLVM {major} is not in {}, and it is required", folder.display());
    if !there {
        writeln!(std::io::stderr(), "LEFT OUT: LLVM {major} is not in {}", folder.display()).expect("standard error");
    }
    there.then_some(tools)
}

/// Of one run, in its three forms: they agree with each other line by line, and with what ran.
///
/// Rows: M8, M172.
#[test]
fn what_cargo_llvm_cov_writes_is_read_in_all_three_forms() {
    let Some(program) = producer("cargo-llvm-cov") else { return };
    let Some(tools) = llvm_tools() else { return };
    let folder = package(
        "pub fn larger(a: u32, b: u32) -> u32 {\n    if a > b {\n        a\n    } else {\n        b\n    }\n}\n\
         pub fn never() -> u32 {\n    7\n}\n\
         #[cfg(test)]\nmod tests {\n    #[test]\n    fn the_first_is_larger() {\n        assert_eq!(super::larger(2, 1), 2);\n    }\n}\n",
    );
    let cover = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("llvm-cov").args(words).current_dir(folder.path()).envs(tools.clone());
        command.env("CARGO_TARGET_DIR", folder.path().join("target")).env_remove("RUSTFLAGS");
        succeed(&mut command)
    };
    cover(&["test", "--no-report", "--offline"]);
    let mut by_line = Vec::new();
    for (form, format) in [("--lcov", Format::Lcov), ("--cobertura", Format::Cobertura), ("--json", Format::LlvmCov)] {
        let file = folder.path().join("report");
        cover(&["report", form, "--output-path", "report"]);
        let bytes = std::fs::read(&file).expect("written");
        let source = Source::new("report", &bytes);
        let facts = match format {
            Format::Lcov => lcov::read(&source),
            Format::Cobertura => cobertura::read(&source),
            _ => llvm_cov::read(&source),
        };
        let facts = facts.unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(facts.lines, Share { covered: 7, total: 11 }, "{form}");
        assert_eq!(facts.strictest_lines(), facts.lines, "{form}");
        assert!(blocking(&facts.doubts).is_none(), "{form}: {:?}", facts.doubts);
        let pointers = check_pointers(format, "report", &bytes);
        // The lines and those that ran, at least: an LCOV report states no more.
        assert!(pointers >= 2, "{form}: {pointers} numbers say where they stand");
        assert_eq!(facts.files.len(), 1, "{form}");
        by_line.push(facts.files[0].hits.clone());
        // The line that never ran is in none of them.
        let changed = BTreeMap::from([("src/lib.rs".to_owned(), BTreeSet::from([3, 5]))]);
        let change = facts.of_change(&changed);
        match format {
            Format::LlvmCov => assert_eq!(change.without_lines, ["src/lib.rs"]),
            _ => assert_eq!(change.lines, Share { covered: 1, total: 2 }, "{form}"),
        }
    }
    assert_eq!(by_line[0], by_line[1], "the tracefile and Cobertura's");
}

/// Rows: M8, M153.
#[test]
fn what_nextest_writes_is_read() {
    let Some(program) = producer("cargo-nextest") else { return };
    let folder = package(
        "#[cfg(test)]\nmod tests {\n    #[test]\n    fn passes() {}\n    #[test]\n    fn fails() {\n        assert_eq!(1, 2, \"<no> & never\");\n    }\n    #[test]\n    #[ignore]\n    fn later() {}\n}\n",
    );
    write(folder.path(), ".config/nextest.toml", "[profile.ci.junit]\npath = \"junit.xml\"\n");
    let mut command = Command::new(&program);
    command.args(["nextest", "run", "--profile", "ci", "--offline", "--no-fail-fast"]).current_dir(folder.path());
    command.env("CARGO_TARGET_DIR", folder.path().join("target")).env_remove("RUSTFLAGS");
    let said = run(&mut command);
    let bytes = std::fs::read(folder.path().join("target/nextest/ci/junit.xml"));
    let bytes = bytes.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&said.stderr)));
    let facts = junit::read(&Source::new("junit.xml", &bytes)).expect("readable");
    assert_eq!(
        (facts.counted.total, facts.counted.passed, facts.counted.failed),
        (2, 1, 1),
        "the ignored test is not in it"
    );
    assert!(facts.doubts.is_empty(), "{:?}", facts.doubts);
    let failed = facts.cases.iter().find(|case| case.outcome == TestOutcome::Failed).expect("one");
    assert!(failed.message.contains("<no> & never"), "{}", failed.message);
    check_pointers(Format::Junit, "junit.xml", &bytes);
}

/// Rows: M12.
#[test]
fn what_openssl_signs_is_verified() {
    let Some(program) = producer("openssl") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = |file: &str| folder.path().join(file);
    let statement = crate::samples::STATEMENT;
    std::fs::write(at("message"), dsse::encode("application/vnd.in-toto+json", statement.as_bytes())).expect("written");
    let openssl = |words: &[&str]| succeed(Command::new(&program).args(words).current_dir(folder.path()));
    for (name, make, sign) in [
        (
            "ed25519",
            &["genpkey", "-algorithm", "ed25519", "-out", "key"][..],
            &["pkeyutl", "-sign", "-rawin", "-inkey", "key", "-in", "message"][..],
        ),
        (
            "ecdsa-p256-sha256",
            &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key"],
            &["dgst", "-sha256", "-sign", "key", "message"],
        ),
    ] {
        openssl(make);
        let pem = String::from_utf8(openssl(&["pkey", "-in", "key", "-pubout"])).expect("text");
        let signature = openssl(sign);
        let envelope = format!(
            r#"{{"payloadType": "application/vnd.in-toto+json", "payload": "{}", "signatures": [{{"sig": "{}"}}]}}"#,
            BASE64_STANDARD.encode(statement),
            BASE64_STANDARD.encode(signature)
        );
        let key = TrustedKey::from_pem(name, &pem).expect("a key");
        let facts = provenance::read(&Source::new("e", envelope.as_bytes()), &[key])
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(facts.signed_by[0].algorithm, name);
    }
}
