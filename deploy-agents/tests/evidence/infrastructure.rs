//! Plans, objects of a cluster, images and versions.

use deploy_agents::evidence::facts::{
    ImageFacts, KubernetesFacts, OciReference, PlanAction, PlanFacts, Progress, VersionFacts,
};
use deploy_agents::evidence::{DoubtKind, Problem, ReadError, Source, blocking, kubernetes, oci, terraform, version};
use deploy_core::digest::Digest;

use crate::doubted;
use crate::samples::{KUBERNETES, OCI_INDEX, TERRAFORM};

fn plan(text: &str) -> Result<PlanFacts, ReadError> {
    terraform::read(&Source::new("plan.json", text.as_bytes()))
}

fn objects(text: &str) -> KubernetesFacts {
    kubernetes::read(&Source::new("objects.json", text.as_bytes())).expect("readable")
}

fn image(text: &str) -> Result<ImageFacts, ReadError> {
    oci::read(&Source::new("index.json", text.as_bytes()))
}

/// Rows: M16, M149, M202.
#[test]
fn the_order_of_delete_and_create_is_kept_apart() {
    let facts = plan(TERRAFORM).expect("readable");
    let actions: Vec<_> = facts.changes.iter().map(|c| (c.address.as_str(), c.action)).collect();
    assert_eq!(
        actions,
        [
            ("db.main", PlanAction::DeleteThenCreate),
            ("web.a", PlanAction::CreateThenDelete),
            ("web.b", PlanAction::NoOp)
        ]
    );
    assert_eq!((facts.effective().count(), facts.destructive().count()), (2, 2));
    assert_eq!(facts.changes[0].replace_paths, ["size", "nodes.0.zone"]);
    assert_eq!(facts.changes[0].changed, ["id", "size"], "what will only be known later may change");
    assert_eq!(facts.drift.len(), 1, "an entry that stays as it is, is no drift");
    assert_eq!(
        (facts.checks[0].status.as_str(), facts.checks[0].problems.as_slice()),
        ("fail", &["not well".to_owned()][..])
    );
    assert_eq!(facts.variables, ["db_password"]);
    assert!(facts.doubts.is_empty());
}

#[test]
fn every_action_is_known_or_refused() {
    let with = |actions: &str| {
        plan(&format!(
            r#"{{"format_version": "1.0", "resource_changes": [{{"address": "a", "change": {{"actions": {actions}}}}}]}}"#
        ))
    };
    for (actions, action) in [
        (r#"["read"]"#, PlanAction::Read),
        (r#"["update"]"#, PlanAction::Update),
        (r#"["delete"]"#, PlanAction::Delete),
        (r#"["forget"]"#, PlanAction::Forget),
        (r#"["create", "forget"]"#, PlanAction::CreateThenForget),
    ] {
        assert_eq!(with(actions).expect("known").changes[0].action, action);
    }
    for actions in ["[]", r#"["destroy"]"#, r#"["no-op", "delete"]"#, r#"["delete", "delete"]"#, "null", r#""delete""#]
    {
        let error = with(actions).expect_err(actions);
        assert_eq!(error.problem, Problem::Field, "{actions}");
        assert!(error.at.to_string().starts_with("plan.json#/resource_changes/0/change"), "{error}");
    }
}

/// Rows: M149.
#[test]
fn a_plan_that_failed_or_is_a_part_blocks() {
    for (from, to, kind) in [
        ("\"errored\": false", "\"errored\": true", DoubtKind::Unfinished),
        ("\"complete\": true", "\"complete\": false", DoubtKind::Incomplete),
    ] {
        let facts = plan(&TERRAFORM.replace(from, to)).expect("readable");
        assert_eq!(doubted(&facts.doubts, kind), 1);
        assert!(blocking(&facts.doubts).is_some());
    }
}

#[test]
fn format_versions_of_another_major_are_refused() {
    for version in ["0.2", "2.0", "10.1", "", "x"] {
        let error =
            plan(&TERRAFORM.replace("\"format_version\": \"1.2\"", &format!("\"format_version\": \"{version}\"")))
                .expect_err(version);
        assert_eq!((error.problem, error.at.to_string().as_str()), (Problem::Version, "plan.json#/format_version"));
    }
    assert!(plan(&TERRAFORM.replace("\"format_version\": \"1.2\"", "\"format_version\": \"1.99\"")).is_ok());
}

#[test]
fn no_secret_is_in_the_facts_or_in_what_is_kept() {
    let secret = "hunter2-hunter2";
    assert!(TERRAFORM.matches(secret).count() >= 5);
    let facts = serde_json::to_string(&plan(TERRAFORM).expect("readable")).expect("data");
    assert!(!facts.contains(secret));
    let kept = terraform::redact(&Source::new("plan.json", TERRAFORM.as_bytes())).expect("readable");
    let text = String::from_utf8(kept.clone()).expect("text");
    assert!(!text.contains(secret), "{text}");
    assert!(text.contains("\"size\":2") && text.contains("(redacted)"), "what is no secret stays");
    let again = terraform::read(&Source::new("plan.json", &kept)).expect("still a plan");
    assert_eq!(again.changes.len(), 3);
    assert_eq!(again.changes[0].action, PlanAction::DeleteThenCreate);
    // A whole side marked, a list marked by parts, and a mark on one side alone.
    let marks = r#"{"format_version": "1.0", "resource_changes": [
        {"address": "a", "change": {"actions": ["update"], "before": {"k": "secret-one"}, "after": {"k": "secret-two"}, "before_sensitive": true, "after_sensitive": {}}},
        {"address": "b", "change": {"actions": ["update"], "before": {"l": ["plain", "secret-three", {"m": "secret-four"}]}, "after": {"l": []}, "before_sensitive": {"l": [false, true, {"m": true}]}}}],
        "output_changes": {"o": {"actions": ["create"], "before": null, "after": {"deep": ["secret-five"]}, "after_sensitive": true}}}"#;
    let text =
        String::from_utf8(terraform::redact(&Source::new("p", marks.as_bytes())).expect("readable")).expect("text");
    assert!(!text.contains("secret-") && text.contains("plain"), "{text}");
    assert!(terraform::redact(&Source::new("p", b"{}")).is_err(), "what is no plan is not kept");
}

#[test]
fn a_workload_is_complete_only_when_its_status_is_about_the_latest_statement() {
    let facts = objects(KUBERNETES);
    assert_eq!(facts.workloads[0].progress(), Progress::Complete);
    let progress = |from: &str, to: &str| {
        let text = KUBERNETES.replace(from, to);
        assert_ne!(text, KUBERNETES, "{from}");
        objects(&text).workloads[0].progress()
    };
    assert!(matches!(progress("\"observedGeneration\": 7", "\"observedGeneration\": 6"), Progress::Stale(_)));
    assert!(matches!(progress("\"observedGeneration\": 7, ", ""), Progress::Stale(_)));
    assert!(matches!(progress("\"updatedReplicas\": 3", "\"updatedReplicas\": 2"), Progress::Underway(_)));
    assert!(matches!(progress("\"updatedReplicas\": 3, ", ""), Progress::Underway(_)), "none is left out");
    assert!(
        matches!(
            progress(
                "\"status\": {\"observedGeneration\": 7, \"replicas\": 3",
                "\"status\": {\"observedGeneration\": 7, \"replicas\": 4"
            ),
            Progress::Underway(_)
        ),
        "an old one is still there"
    );
    assert!(matches!(progress("\"availableReplicas\": 3", "\"availableReplicas\": 2"), Progress::Underway(_)));
    assert!(matches!(progress("\"readyReplicas\": 3", "\"readyReplicas\": 2"), Progress::Underway(_)));
    assert!(matches!(
        progress("\"reason\": \"NewReplicaSetAvailable\"", "\"reason\": \"ProgressDeadlineExceeded\""),
        Progress::Stuck(_)
    ));
    assert_eq!(
        progress("\"spec\": {\"replicas\": 3", "\"spec\": {\"paused\": true, \"replicas\": 3"),
        Progress::Paused
    );
    assert!(matches!(progress("\"spec\": {\"replicas\": 3, ", "\"spec\": {"), Progress::Underway(_)));
}

#[test]
fn pods_name_the_image_that_runs_by_digest() {
    let facts = objects(KUBERNETES);
    let container = &facts.pods[0].containers[0];
    assert_eq!(container.digest.as_ref().and_then(|d| d.value.parse().ok()), Some(Digest::of(b"abc")));
    assert_eq!(container.restarts.as_ref().map(|r| r.value), Some(2));
    assert!(facts.pods[0].ready && !facts.pods[0].terminating);
    let bare = KUBERNETES.replace("\"imageID\": \"registry.example.com/shop@", "\"imageID\": \"");
    assert!(
        objects(&bare).pods[0].containers[0].digest.is_none(),
        "a digest without a repository is of the configuration"
    );
    let endpoints = &facts.endpoints[0];
    assert_eq!(
        (endpoints.service.as_str(), endpoints.ready, endpoints.not_ready, endpoints.terminating),
        ("shop", 2, 0, 1)
    );
    assert!(facts.doubts.is_empty());
    let tagged = objects(
        &KUBERNETES.replace("@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}", ":1.4.0\"}"),
    );
    assert_eq!(doubted(&tagged.doubts, DoubtKind::Movable), 1);
    assert!(blocking(&objects(r#"{"kind": "List", "items": []}"#).doubts).is_some());
    assert!(blocking(&objects(r#"{"kind": "ConfigMap"}"#).doubts).is_some());
    let typed = objects(r#"{"kind": "PodList", "items": [{"metadata": {"name": "a"}}]}"#);
    assert_eq!((typed.pods.len(), typed.pods[0].ready), (1, false));
}

/// Rows: M147, M200.
#[test]
fn a_list_of_images_has_one_for_each_platform() {
    let facts = image(OCI_INDEX).expect("readable");
    assert_eq!(facts.digest, Some(Digest::of(OCI_INDEX.as_bytes())));
    assert_eq!(facts.for_platform("linux/amd64").map(|d| d.short()).as_deref(), Some("11111111"));
    assert_eq!(facts.for_platform("linux/arm64"), None, "the variant is a part of the name");
    assert!(facts.for_platform("linux/arm64/v8").is_some());
    let two = OCI_INDEX.replace("\"arm64\", \"variant\": \"v8\"", "\"amd64\"");
    assert_eq!(
        image(&two).expect("readable").for_platform("linux/amd64"),
        None,
        "two of one platform: which runs is open"
    );
    let single = r#"{"schemaVersion": 2, "config": {"digest": "sha256:1111111111111111111111111111111111111111111111111111111111111111"}, "layers": []}"#;
    assert_eq!(image(single).expect("readable").for_platform("any/thing"), Some(Digest::of(single.as_bytes())));
}

#[test]
fn a_document_that_is_an_image_and_a_list_is_refused() {
    let both = OCI_INDEX.replacen('{', r#"{"layers": [], "#, 1);
    assert_eq!(image(&both).expect_err("both").problem, Problem::Hostile);
    let misnamed = OCI_INDEX.replace("image.index.v1", "image.manifest.v1");
    assert_eq!(image(&misnamed).expect_err("misnamed").problem, Problem::Hostile);
    let short = OCI_INDEX.replace(&"1".repeat(64), "11");
    assert_eq!(image(&short).expect_err("short").at.to_string(), "index.json#/manifests/0/digest");
}

#[test]
fn references_are_parsed_as_pullers_do() {
    let digest = format!("sha256:{}", "a".repeat(64));
    for (text, whole) in [
        ("nginx", "docker.io/library/nginx"),
        ("shop/cart:1.4", "docker.io/shop/cart:1.4"),
        ("localhost/cart", "localhost/cart"),
        ("localhost:5000/cart", "localhost:5000/cart"),
        ("ghcr.io/a/b-c__d.e/f:V1_x", "ghcr.io/a/b-c__d.e/f:V1_x"),
        ("[::1]:5000/cart", "[::1]:5000/cart"),
        (&format!("ghcr.io/a/b:1@{digest}"), &format!("ghcr.io/a/b:1@{digest}")),
    ] {
        let reference: OciReference = text.parse().expect(text);
        assert_eq!(reference.to_string(), whole);
        assert_eq!(reference.is_pinned(), text.contains('@'));
        assert_eq!(reference.to_string().parse(), Ok(reference), "a reference reads back");
    }
    for text in [
        "",
        "/",
        "a//b",
        "A/b",
        "a:b:c",
        "a:",
        ":tag",
        "a@",
        "a@sha256:abc",
        "a b",
        "a/b:-x",
        "a_/b",
        "a___b",
        "ghcr.io/",
        "-a.com/b",
        "a.com:99999/b",
        "a.com:x/b",
        "../etc",
        "a/../b",
        &format!("a@{}", digest.to_uppercase()),
        &format!("a@SHA256:{}", "a".repeat(64)),
        &"a".repeat(300),
    ] {
        assert!(text.parse::<OciReference>().is_err(), "{text:?}");
    }
}

/// Rows: M147.
#[test]
fn the_version_is_the_same_wherever_it_stands() {
    let said = |reader: fn(&Source<'_>) -> Result<deploy_agents::evidence::facts::SaidVersion, ReadError>,
                file: &str,
                text: &str| { reader(&Source::new(file, text.as_bytes())) };
    let cargo = "[package]\nname = \"shop\"\nversion = \"1.4.0\" # next\n\n[dependencies.other]\nversion = \"9.9.9\"\n";
    let all = vec![
        said(version::from_tag, "tag", "v1.4.0").expect("a version"),
        said(version::from_cargo_manifest, "Cargo.toml", cargo).expect("a version"),
        said(version::from_package_json, "package.json", r#"{"version": "1.4.0"}"#).expect("a version"),
        said(version::from_changelog, "CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [1.4.0] - 2026-11-22\n")
            .expect("a version"),
    ];
    assert_eq!(all[1].version.at.to_string(), "Cargo.toml:3:12");
    let facts = VersionFacts::of(all.clone());
    assert_eq!(facts.agreed(), Some("1.4.0"));
    assert!(facts.doubts.is_empty());
    let mut other = all;
    other.push(said(version::from_tag, "tag", "shop-v1.4.1").expect("a version"));
    let facts = VersionFacts::of(other);
    assert_eq!((facts.agreed(), doubted(&facts.doubts, DoubtKind::Contradiction)), (None, 1));
    assert!(blocking(&VersionFacts::of(Vec::new()).doubts).is_some());
    for (text, parsed) in [("1.2.3-rc.1", "1.2.3-rc.1"), ("refs/tags/v2.0.0", "2.0.0"), ("@shop/cart@3.1.0", "3.1.0")] {
        assert_eq!(said(version::from_tag, "tag", text).expect(text).version.value, parsed);
    }
    for text in ["latest", "v1.2", "1.02.3", "v1.2.3.4"] {
        assert!(said(version::from_tag, "tag", text).is_err(), "{text}");
    }
    let inherited = said(version::from_cargo_manifest, "Cargo.toml", "[package]\nversion.workspace = true\n")
        .expect_err("inherited");
    assert!(inherited.reason.contains("inherited"));
    let workspace = "[workspace.package]\nversion = '0.1.0'\n";
    assert_eq!(said(version::from_cargo_manifest, "Cargo.toml", workspace).expect("a version").version.value, "0.1.0");
}

/// Answers every request with the same bytes.
async fn registry(body: &'static str, digest: String, status: u16) -> (String, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&request[..read]).into_owned();
            let right = asked.starts_with("GET /v2/shop/cart/manifests/") && asked.contains("image.index.v1+json");
            let status = if right { status } else { 400 };
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nDocker-Content-Digest: {digest}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _sent = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    (base, server)
}

/// Rows: M147, M200.
#[tokio::test]
async fn a_tag_is_resolved_to_the_digest_of_the_bytes_that_came() {
    let http = deploy_agents::http::PlainHttp::default();
    let right = Digest::of(OCI_INDEX.as_bytes());
    let tag: OciReference = "registry.example.com/shop/cart:1.4".parse().expect("a reference");
    let (base, server) = registry(OCI_INDEX, right.to_string(), 200).await;
    let (pinned, facts) = oci::resolve(&http, &base, &tag).await.expect("resolved");
    assert_eq!((pinned.digest, pinned.tag.as_deref()), (Some(right), Some("1.4")));
    assert_eq!(facts.platforms.len(), 2);
    assert!(oci::resolve(&http, &base, &pinned).await.is_ok());
    let mut moved = pinned;
    moved.digest = Some(Digest::of(b"other"));
    assert_eq!(oci::resolve(&http, &base, &moved).await.expect_err("moved").problem, Problem::Hostile);
    server.abort();
    let (base, server) = registry(OCI_INDEX, Digest::of(b"other").to_string(), 200).await;
    assert_eq!(oci::resolve(&http, &base, &tag).await.expect_err("a lie").problem, Problem::Hostile);
    server.abort();
    for (body, status) in [(OCI_INDEX, 404), ("<html>", 200), ("", 200)] {
        let (base, server) = registry(body, Digest::of(body.as_bytes()).to_string(), status).await;
        assert!(oci::resolve(&http, &base, &tag).await.is_err(), "{status} {body:?}");
        server.abort();
    }
    assert_eq!(oci::resolve(&http, "http://127.0.0.1:1", &tag).await.expect_err("nobody").problem, Problem::Producer);
}
