//! One honest report of every format, written by hand.

use deploy_agents::evidence::Format;

pub(crate) const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="shop" tests="5" failures="1" errors="1" time="2.75">
  <testsuite name="cart" tests="3" failures="1" errors="0" skipped="1" time="1.5" timestamp="2026-11-22T03:00:00Z">
    <testcase classname="cart::sum" name="adds" time="0.25"/>
    <testcase classname="cart::sum" name="rounds" time="1.25"><failure message="1 != 2" type="assert">at line 3 &amp; 4&#27;[0m</failure></testcase>
    <testcase classname="cart::sum" name="later"><skipped/></testcase>
  </testsuite>
  <testsuite name="checkout" tests="2" failures="0" errors="1" skipped="0" time="1.25">
    <testcase classname="checkout" name="pays" time="1"><rerunFailure message="first try"/><error message="lost connection"/></testcase>
    <testcase classname="checkout" name="retries" time="0.25"><flakyFailure message="first try"/></testcase>
  </testsuite>
</testsuites>
"#;

pub(crate) const LCOV: &str = "TN:\nSF:/build/shop/src/cart.rs\nFN:1,add\nFNDA:4,add\nFNF:1\nFNH:1\nDA:1,4\nDA:2,4\nDA:3,0\nBRDA:2,0,0,4\nBRDA:2,0,1,-\nBRF:2\nBRH:1\nLF:3\nLH:2\nend_of_record\nSF:/build/shop/src/pay.rs\nDA:7,1\nLF:1\nLH:1\nend_of_record\n";

pub(crate) const COBERTURA: &str = r#"<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.75" branch-rate="0.5" lines-covered="3" lines-valid="4" version="7.1" timestamp="1763780000">
  <sources><source>/build/shop/src</source></sources>
  <packages><package name="." line-rate="0.75" branch-rate="0.5"><classes>
    <class name="cart" filename="cart.rs" line-rate="0.6667" branch-rate="0.5">
      <methods><method name="add" signature=""><lines><line number="1" hits="4"/></lines></method></methods>
      <lines><line number="1" hits="4"/><line number="2" hits="4" branch="true" condition-coverage="50% (1/2)"/><line number="3" hits="0"/></lines>
    </class>
    <class name="pay" filename="pay.rs" line-rate="1" branch-rate="1"><methods/><lines><line number="7" hits="1"/></lines></class>
  </classes></package></packages>
</coverage>
"#;

pub(crate) const LLVM_COV: &str = r#"{"type": "llvm.coverage.json.export", "version": "2.0.1", "data": [{
  "files": [{"filename": "/build/shop/src/cart.rs", "segments": [[1, 1, 4, true, true, false], [3, 2, 0, false, false, false]],
    "summary": {"lines": {"count": 4, "covered": 3, "percent": 75.0}, "functions": {"count": 1, "covered": 1, "percent": 100},
      "regions": {"count": 5, "covered": 4, "notcovered": 1, "percent": 80}, "branches": {"count": 2, "covered": 1, "notcovered": 1, "percent": 50}}}],
  "functions": [],
  "totals": {"lines": {"count": 4, "covered": 3, "percent": 75.0}, "functions": {"count": 1, "covered": 1, "percent": 100},
      "regions": {"count": 5, "covered": 4, "notcovered": 1, "percent": 80}, "branches": {"count": 2, "covered": 1, "notcovered": 1, "percent": 50}}}]}"#;

pub(crate) const SARIF: &str = r#"{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{
  "tool": {"driver": {"name": "lint", "semanticVersion": "1.2.3", "rules": [
    {"id": "L001", "defaultConfiguration": {"level": "error"}, "properties": {"security-severity": "8.1"}},
    {"id": "L002"}]}},
  "invocations": [{"executionSuccessful": true, "exitCode": 1}],
  "versionControlProvenance": [{"repositoryUri": "https://example.com/shop", "revisionId": "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"}],
  "results": [
    {"ruleId": "L001", "ruleIndex": 0, "message": {"text": "a secret in the code"},
     "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/cart.rs"}, "region": {"startLine": 12, "startColumn": 3}}}],
     "partialFingerprints": {"primary": "abc"}},
    {"ruleIndex": 1, "message": {"text": "a long line"}},
    {"ruleId": "L002", "level": "note", "message": {"text": "a note"}},
    {"ruleId": "L001", "message": {"text": "accepted"}, "suppressions": [{"kind": "external", "justification": "a test key"}]}]}]}"#;

pub(crate) const CYCLONEDX: &str = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", "version": 1,
  "metadata": {"timestamp": "2026-11-22T02:00:00Z", "tools": {"components": [{"type": "application", "name": "bom-maker"}]},
    "component": {"bom-ref": "shop", "type": "application", "name": "shop", "version": "1.4.0", "purl": "pkg:cargo/shop@1.4.0"}},
  "components": [
    {"bom-ref": "serde", "type": "library", "name": "serde", "version": "1.0.229", "purl": "pkg:cargo/serde@1.0.229",
     "licenses": [{"expression": "MIT OR Apache-2.0"}], "hashes": [{"alg": "SHA-256", "content": "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"}],
     "components": [{"bom-ref": "serde_core", "type": "library", "group": "serde-rs", "name": "serde_core", "version": "1.0.229", "licenses": [{"license": {"id": "MIT"}}]}]},
    {"bom-ref": "odd", "type": "library", "name": "odd", "version": "0.1.0", "licenses": [{"license": {"name": "Our own licence"}}]}],
  "dependencies": [{"ref": "shop", "dependsOn": ["serde", "odd"]}, {"ref": "serde", "dependsOn": ["serde_core"]}],
  "vulnerabilities": [
    {"id": "CVE-2026-0001", "affects": [{"ref": "serde"}], "analysis": {"state": "not_affected", "justification": "code_not_reachable"}},
    {"id": "CVE-2026-0002", "affects": [{"ref": "odd"}], "analysis": {"state": "not_affected"}}]}"#;

pub(crate) const CYCLONEDX_XML: &str = r#"<?xml version="1.0"?>
<bom xmlns="http://cyclonedx.org/schema/bom/1.5" serialNumber="urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79" version="1">
  <metadata><timestamp>2026-11-22T02:00:00Z</timestamp>
    <tools><components><component type="application"><name>bom-maker</name></component></components></tools>
    <component type="application" bom-ref="shop"><name>shop</name><version>1.4.0</version><purl>pkg:cargo/shop@1.4.0</purl></component></metadata>
  <components>
    <component type="library" bom-ref="serde"><name>serde</name><version>1.0.229</version>
      <hashes><hash alg="SHA-256">ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad</hash></hashes>
      <licenses><expression>MIT OR Apache-2.0</expression></licenses><purl>pkg:cargo/serde@1.0.229</purl>
      <components><component type="library" bom-ref="serde_core"><group>serde-rs</group><name>serde_core</name><version>1.0.229</version>
        <licenses><license><id>MIT</id></license></licenses></component></components>
    </component>
    <component type="library" bom-ref="odd"><name>odd</name><version>0.1.0</version><licenses><license><name>Our own licence</name></license></licenses></component>
  </components>
  <dependencies><dependency ref="shop"><dependency ref="serde"/><dependency ref="odd"/></dependency><dependency ref="serde"><dependency ref="serde_core"/></dependency></dependencies>
  <vulnerabilities>
    <vulnerability><id>CVE-2026-0001</id><analysis><state>not_affected</state><justification>code_not_reachable</justification></analysis>
      <affects><target><ref>serde</ref></target></affects></vulnerability>
    <vulnerability><id>CVE-2026-0002</id><analysis><state>not_affected</state></analysis><affects><target><ref>odd</ref></target></affects></vulnerability>
  </vulnerabilities>
</bom>
"#;

pub(crate) const SPDX_2: &str = r#"{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "shop", "documentNamespace": "https://example.com/shop/1",
  "creationInfo": {"created": "2026-11-22T02:00:00Z", "creators": ["Tool: bom-maker"]},
  "packages": [
    {"SPDXID": "SPDXRef-shop", "name": "shop", "versionInfo": "1.4.0", "downloadLocation": "NOASSERTION", "licenseConcluded": "MIT"},
    {"SPDXID": "SPDXRef-serde", "name": "serde", "versionInfo": "1.0.229", "licenseConcluded": "NOASSERTION", "licenseDeclared": "MIT OR Apache-2.0",
     "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:cargo/serde@1.0.229"}],
     "checksums": [{"algorithm": "SHA256", "checksumValue": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]},
    {"SPDXID": "SPDXRef-odd", "name": "odd", "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION"}],
  "relationships": [
    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-shop"},
    {"spdxElementId": "SPDXRef-shop", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-serde"}]}"#;

pub(crate) const SPDX_3: &str = r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
  {"type": "CreationInfo", "@id": "_:c", "created": "2026-11-22T02:00:00Z", "specVersion": "3.0.1", "createdBy": ["https://example.com/us"]},
  {"type": "SpdxDocument", "spdxId": "https://example.com/doc", "creationInfo": "_:c", "rootElement": ["https://example.com/bom"]},
  {"type": "software_Sbom", "spdxId": "https://example.com/bom", "creationInfo": "_:c", "rootElement": ["https://example.com/shop"]},
  {"type": "software_Package", "spdxId": "https://example.com/shop", "creationInfo": "_:c", "name": "shop", "software_packageVersion": "1.4.0"},
  {"type": "software_Package", "spdxId": "https://example.com/serde", "creationInfo": "_:c", "name": "serde", "software_packageVersion": "1.0.229",
   "software_packageUrl": "pkg:cargo/serde@1.0.229", "verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]},
  {"type": "simplelicensing_LicenseExpression", "spdxId": "https://example.com/l", "simplelicensing_licenseExpression": "MIT OR Apache-2.0"},
  {"type": "Relationship", "spdxId": "https://example.com/r1", "from": "https://example.com/serde", "relationshipType": "hasConcludedLicense", "to": ["https://example.com/l"]},
  {"type": "Relationship", "spdxId": "https://example.com/r2", "from": "https://example.com/shop", "relationshipType": "hasDeclaredLicense", "to": ["https://spdx.org/licenses/MIT"]},
  {"type": "Relationship", "spdxId": "https://example.com/r3", "from": "https://example.com/shop", "relationshipType": "dependsOn", "to": ["https://example.com/serde"]}]}"#;

pub(crate) const OSV_SCANNER: &str = r#"{"results": [{"source": {"path": "/build/Cargo.lock", "type": "lockfile"}, "packages": [
  {"package": {"name": "tiny", "version": "0.3.1", "ecosystem": "crates.io"},
   "vulnerabilities": [{"id": "RUSTSEC-2026-0001", "modified": "2026-10-01T00:00:00Z", "aliases": ["CVE-2026-0001"], "summary": "reads past the end",
      "affected": [{"package": {"name": "tiny", "ecosystem": "crates.io"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0.0.0-0"}, {"fixed": "0.3.2"}]}]}],
      "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}]},
     {"id": "RUSTSEC-2025-0009", "modified": "2026-10-01T00:00:00Z", "withdrawn": "2026-01-01T00:00:00Z"}],
   "groups": [{"ids": ["RUSTSEC-2026-0001"], "aliases": ["CVE-2026-0001"], "max_severity": "7.5"}]}]}]}"#;

pub(crate) const OSV: &str = r#"{"id": "GHSA-aaaa-bbbb-cccc", "modified": "2026-10-01T00:00:00Z", "aliases": ["CVE-2026-0003"], "summary": "a bad parser",
  "affected": [{"package": {"name": "tiny", "ecosystem": "crates.io"}, "versions": ["0.1.0"],
    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "0.3.2"}, {"introduced": "0.4.0"}, {"last_affected": "0.4.5"}]}]},
   {"package": {"name": "tiny-deb", "ecosystem": "Debian:12"}, "versions": ["1.0-1"], "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0-2"}]}]}],
  "database_specific": {"severity": "HIGH"}}"#;

pub(crate) const CARGO_AUDIT: &str = r#"{"database": {"advisory-count": 900, "last-commit": "f00", "last-updated": "2026-11-21T10:00:00Z"}, "lockfile": {"dependency-count": 120},
  "settings": {"target_arch": [], "severity": null, "ignore": ["RUSTSEC-2020-0071"], "informational_warnings": ["unmaintained"]},
  "vulnerabilities": {"found": true, "count": 1, "list": [{"advisory": {"id": "RUSTSEC-2026-0001", "package": "tiny", "title": "reads past the end", "aliases": ["CVE-2026-0001"],
     "cvss": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}, "versions": {"patched": [">=0.3.2"], "unaffected": []}, "package": {"name": "tiny", "version": "0.3.1"}}]},
  "warnings": {"unmaintained": [{"kind": "unmaintained", "package": {"name": "old", "version": "1.0.0"}, "advisory": {"id": "RUSTSEC-2025-0002", "title": "no maintainer", "aliases": [], "cvss": null}, "versions": {"patched": []}}],
     "yanked": [{"kind": "yanked", "package": {"name": "gone", "version": "2.0.0"}, "advisory": null}]}}"#;

pub(crate) const TRIVY: &str = r#"{"SchemaVersion": 2, "CreatedAt": "2026-11-22T02:00:00.5Z", "ArtifactName": "registry.example.com/shop:1.4.0", "ArtifactType": "container_image",
  "Metadata": {"OS": {"Family": "debian", "Name": "12.5"}, "ImageID": "sha256:1111111111111111111111111111111111111111111111111111111111111111",
    "RepoDigests": ["registry.example.com/shop@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]},
  "Results": [{"Target": "shop (debian 12.5)", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": [
     {"VulnerabilityID": "CVE-2026-0001", "PkgName": "openssl", "PkgIdentifier": {"PURL": "pkg:deb/debian/openssl@3.0.1"}, "InstalledVersion": "3.0.1", "FixedVersion": "3.0.2, 3.1.1",
      "Status": "fixed", "Severity": "CRITICAL", "SeveritySource": "nvd", "Title": "a flaw", "CVSS": {"ghsa": {"V3Score": 8.8}, "nvd": {"V3Score": 9.8}}},
     {"VulnerabilityID": "CVE-2026-0009", "PkgName": "zlib", "InstalledVersion": "1.2"}]},
   {"Target": "Dockerfile", "Class": "config", "Misconfigurations": [{"ID": "DS002", "Title": "root user", "Severity": "HIGH", "Status": "FAIL"}, {"ID": "DS003", "Title": "kept", "Severity": "HIGH", "Status": "PASS"}]},
   {"Target": "app/.env", "Class": "secret", "Secrets": [{"RuleID": "aws-key", "Severity": "CRITICAL", "Title": "a key"}]}]}"#;

pub(crate) const GRYPE: &str = r#"{"matches": [{"vulnerability": {"id": "GHSA-aaaa-bbbb-cccc", "severity": "High", "description": "a flaw", "fix": {"versions": ["0.3.2"], "state": "fixed"},
    "cvss": [{"version": "3.1", "metrics": {"baseScore": 7.5}}]}, "relatedVulnerabilities": [{"id": "CVE-2026-0003"}], "matchDetails": [],
    "artifact": {"name": "tiny", "version": "0.3.1", "type": "rust-crate", "purl": "pkg:cargo/tiny@0.3.1"}}],
  "ignoredMatches": [{"appliedIgnoreRules": [{"vulnerability": "CVE-2026-0004", "reason": "not reachable"}], "vulnerability": {"id": "CVE-2026-0004", "severity": "Critical"}, "artifact": {"name": "odd", "version": "1"}}],
  "source": {"type": "image", "target": {"userInput": "shop:1.4.0", "imageID": "sha256:1111111111111111111111111111111111111111111111111111111111111111",
    "manifestDigest": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "repoDigests": []}},
  "descriptor": {"name": "grype", "version": "0.90.0", "timestamp": "2026-11-22T02:00:00Z", "db": {"status": {"schemaVersion": "v6.0.2", "built": "2026-11-21T01:00:00Z"}}}}"#;

pub(crate) const OPENVEX: &str = r#"{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex/1", "author": "shop team", "timestamp": "2026-11-20T00:00:00Z", "version": 1, "statements": [
  {"vulnerability": {"name": "CVE-2026-0001", "aliases": ["GHSA-aaaa-bbbb-cccc"]}, "products": [{"@id": "pkg:cargo/tiny@0.3.1", "identifiers": {"purl": "pkg:cargo/tiny@0.3.1"},
    "hashes": {"sha-256": "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"}}], "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path"},
  {"vulnerability": {"name": "CVE-2026-0001"}, "products": [{"@id": "pkg:cargo/tiny@0.3.1"}], "status": "affected", "action_statement": "update", "timestamp": "2026-11-21T00:00:00Z"},
  {"vulnerability": {"name": "CVE-2026-0002"}, "products": [{"@id": "pkg:cargo/odd"}], "status": "not_affected", "justification": "because"}]}"#;

pub(crate) const CSAF: &str = r#"{"document": {"category": "csaf_vex", "csaf_version": "2.0", "publisher": {"name": "shop team", "category": "vendor", "namespace": "https://example.com"},
    "tracking": {"id": "S-1", "status": "final", "version": "1", "current_release_date": "2026-11-20T00:00:00Z", "initial_release_date": "2026-11-20T00:00:00Z"}, "title": "x"},
  "product_tree": {"branches": [{"category": "vendor", "name": "us", "branches": [{"category": "product_version", "name": "1.4.0",
      "product": {"product_id": "P1", "name": "shop 1.4.0", "product_identification_helper": {"purl": "pkg:cargo/shop@1.4.0"}}}]}],
    "full_product_names": [{"product_id": "P2", "name": "odd 0.1.0"}], "product_groups": [{"group_id": "G", "product_ids": ["P1"]}]},
  "vulnerabilities": [{"cve": "CVE-2026-0001", "product_status": {"known_not_affected": ["P1", "P2"]}, "flags": [{"label": "vulnerable_code_not_present", "group_ids": ["G"]}]},
    {"cve": "CVE-2026-0002", "product_status": {"known_affected": ["P2"], "fixed": ["P1"]}}]}"#;

pub(crate) const TERRAFORM: &str = r#"{"format_version": "1.2", "terraform_version": "1.11.4", "timestamp": "2026-11-22T02:00:00Z", "applyable": true, "complete": true, "errored": false,
  "variables": {"db_password": {"value": "hunter2-hunter2"}}, "planned_values": {"outputs": {"password": {"value": "hunter2-hunter2"}}}, "configuration": {},
  "resource_changes": [
    {"address": "db.main", "mode": "managed", "type": "db", "name": "main", "provider_name": "example.com/db", "action_reason": "replace_because_cannot_update",
     "change": {"actions": ["delete", "create"], "before": {"size": 1, "password": "hunter2-hunter2", "name": "a"}, "after": {"size": 2, "password": "hunter2-hunter2", "name": "a"},
       "after_unknown": {"id": true}, "before_sensitive": {"password": true}, "after_sensitive": {"password": true}, "replace_paths": [["size"], ["nodes", 0, "zone"]]}},
    {"address": "web.a", "mode": "managed", "type": "web", "name": "a", "provider_name": "example.com/web", "change": {"actions": ["create", "delete"], "before": {"v": 1}, "after": {"v": 2, "banner": "hunter2-hunter2"}, "after_unknown": {}}},
    {"address": "web.b", "mode": "managed", "type": "web", "name": "b", "provider_name": "example.com/web", "change": {"actions": ["no-op"], "before": {"v": 1}, "after": {"v": 1}, "after_unknown": {}}}],
  "resource_drift": [{"address": "web.b", "type": "web", "provider_name": "example.com/web", "change": {"actions": ["no-op"], "before": {}, "after": {}}},
    {"address": "db.main", "type": "db", "provider_name": "example.com/db", "change": {"actions": ["update"], "before": {"size": 1}, "after": {"size": 3}}}],
  "output_changes": {"url": {"actions": ["update"], "before": "a", "after": "b", "before_sensitive": false, "after_sensitive": false}},
  "checks": [{"address": {"to_display": "check.health", "kind": "check"}, "status": "fail", "instances": [{"address": {"to_display": "check.health"}, "status": "fail", "problems": [{"message": "not well"}]}]}]}"#;

pub(crate) const KUBERNETES: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "prod", "generation": 7}, "spec": {"replicas": 3, "template": {"spec": {"containers": [
     {"name": "shop", "image": "registry.example.com/shop@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]}}},
   "status": {"observedGeneration": 7, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "ok"},
     {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "ok"}]}},
  {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop-1", "namespace": "prod"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
   "containerStatuses": [{"name": "shop", "image": "shop:1.4.0", "imageID": "registry.example.com/shop@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "ready": true, "restartCount": 2, "state": {"running": {}}}]}},
  {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "shop-x", "namespace": "prod", "labels": {"kubernetes.io/service-name": "shop"}},
   "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}, {"addresses": ["10.0.0.2"]}, {"addresses": ["10.0.0.3"], "conditions": {"ready": false, "terminating": true}}]},
  {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}]}"#;

pub(crate) const STATEMENT: &str = r#"{"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "shop", "digest": {"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}],
  "predicateType": "https://slsa.dev/provenance/v1", "predicate": {"buildDefinition": {"buildType": "https://example.com/build@v1", "externalParameters": {"ref": "refs/tags/v1.4.0"},
    "resolvedDependencies": [{"uri": "git+https://example.com/shop", "digest": {"gitCommit": "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"}}]},
   "runDetails": {"builder": {"id": "https://example.com/builder@v2"}, "metadata": {"invocationId": "run-1", "startedOn": "2026-11-22T01:00:00Z", "finishedOn": "2026-11-22T01:05:00Z"}}}}"#;

pub(crate) const OCI_INDEX: &str = r#"{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
  {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 10, "digest": "sha256:1111111111111111111111111111111111111111111111111111111111111111", "platform": {"os": "linux", "architecture": "amd64"}},
  {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 10, "digest": "sha256:2222222222222222222222222222222222222222222222222222222222222222", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}]}"#;

pub(crate) const K6_EXPORT: &str = r#"{"root_group": {"name": ""}, "metrics": {"http_reqs": {"count": 1200, "rate": 40.5},
  "http_req_failed": {"passes": 12, "fails": 1188, "value": 0.01, "thresholds": {"rate<0.05": false}},
  "http_req_duration": {"avg": 20.5, "min": 1.25, "med": 18, "max": 300.5, "p(90)": 60, "p(95)": 80.75, "thresholds": {"p(95)<100": false, "max<200": true}},
  "checks": {"passes": 1190, "fails": 10, "value": 0.99}}}"#;

pub(crate) const K6_SUMMARY: &str = r#"{"root_group": {"name": ""}, "options": {"summaryTrendStats": ["avg"]}, "state": {"isStdOutTTY": false, "testRunDurationMs": 30000.5}, "metrics": {
  "http_reqs": {"type": "counter", "contains": "default", "values": {"count": 1200, "rate": 40.5}},
  "http_req_failed": {"type": "rate", "contains": "default", "values": {"rate": 0.01, "passes": 12, "fails": 1188}, "thresholds": {"rate<0.05": {"ok": true}}},
  "http_req_duration": {"type": "trend", "contains": "time", "values": {"avg": 20.5, "min": 1.25, "med": 18, "max": 300.5, "p(90)": 60, "p(95)": 80.75}, "thresholds": {"p(95)<100": {"ok": true}, "max<200": {"ok": false}}},
  "checks": {"type": "rate", "contains": "default", "values": {"rate": 0.99, "passes": 1190, "fails": 10}}}}"#;

pub(crate) const OHA: &str = r#"{"summary": {"successRate": 1.0, "total": 6.0012, "slowest": 0.05, "fastest": 0.0004, "average": 0.003, "requestsPerSec": 10000.5, "totalData": 100, "sizePerRequest": 1, "sizePerSec": 16.6},
  "responseTimeHistogram": {"0.001": 5}, "latencyPercentiles": {"p50": 0.002, "p90": 0.004, "p95": 0.006, "p99": 0.01, "p99.9": 0.03, "p99.99": null},
  "statusCodeDistribution": {"200": 59000, "503": 1000}, "errorDistribution": {"aborted due to deadline": 19, "connection refused": 5}}"#;

pub(crate) const WRK: &str = "Running 10s test @ http://127.0.0.1:8080/\n  2 threads and 10 connections\n  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency   635.91us    0.89ms  12.92ms   93.69%\n    Req/Sec    56.20k     8.07k   62.00k    86.54%\n  Latency Distribution\n     50%  250.00us\n     75%  491.00us\n     90%  700.00us\n     99%    5.80ms\n  22464 requests in 10.00s, 17.76MB read\n  Socket errors: connect 0, read 4, write 0, timeout 1\n  Non-2xx or 3xx responses: 100\nRequests/sec:   2246.53\nTransfer/sec:      1.77MB\n";

pub(crate) const HYPERFINE: &str = r#"{"results": [{"command": "shop --version", "mean": 0.002, "stddev": 0.001, "median": 0.002, "user": 0.001, "system": 0.0005, "min": 0.001, "max": 0.003,
  "times": [0.001, 0.002, 0.003], "exit_codes": [0, 0, 0]}]}"#;

pub(crate) const CRITERION_SAMPLE: &str =
    r#"{"sampling_mode": "Linear", "iters": [1.0, 2.0, 4.0], "times": [100.0, 210.0, 400.0]}"#;

pub(crate) const CRITERION_ESTIMATES: &str = r#"{"mean": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 99.0, "upper_bound": 105.0}, "point_estimate": 102.5, "standard_error": 1.0},
  "median": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 99.0, "upper_bound": 105.0}, "point_estimate": 101.0, "standard_error": 1.0}, "slope": null,
  "std_dev": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 1.0, "upper_bound": 2.0}, "point_estimate": 1.5, "standard_error": 0.1}}"#;

pub(crate) const PROMETHEUS: &str = r#"{"status": "success", "data": {"resultType": "vector", "result": [
  {"metric": {"__name__": "up", "job": "shop", "instance": "a:1"}, "value": [1763780000.5, "1"]},
  {"metric": {"__name__": "errors", "job": "shop"}, "value": [1763780000.5, "NaN"]}]}}"#;

pub(crate) const PROMETHEUS_TARGETS: &str = r#"{"status": "success", "data": {"activeTargets": [
  {"labels": {"job": "shop", "instance": "a:1"}, "scrapePool": "shop", "scrapeUrl": "http://a:1/metrics", "lastError": "", "lastScrape": "2026-11-22T02:59:58.25Z", "health": "up"},
  {"labels": {"job": "shop", "instance": "b:1"}, "scrapePool": "shop", "scrapeUrl": "http://b:1/metrics", "lastError": "connection refused", "lastScrape": "0001-01-01T00:00:00Z", "health": "down"}], "droppedTargets": []}}"#;

pub(crate) const PGBACKREST: &str = r#"[{"name": "shop", "status": {"code": 0, "message": "ok", "lock": {"backup": {"held": false}}}, "cipher": "none", "db": [{"id": 1, "version": "15"}], "backup": [
  {"label": "20261121-010000F", "type": "full", "prior": null, "reference": null, "error": false, "timestamp": {"start": 1763687000, "stop": 1763687300}, "info": {"size": 2048}, "lsn": {"start": "0/2000028", "stop": "0/2000138"}},
  {"label": "20261121-010000F_20261122-010000I", "type": "incr", "prior": "20261121-010000F", "reference": ["20261121-010000F"], "error": true, "timestamp": {"start": 1763773400, "stop": 1763773420}, "info": {"size": 4096}, "lsn": {"start": "0/4000028", "stop": "0/4000138"}}]}]"#;

pub(crate) const RESTIC: &str = r#"[{"time": "2026-11-22T01:00:00.123456789+01:00", "tree": "aa", "paths": ["/srv/shop"], "hostname": "db1", "username": "root", "id": "4f8a2c", "short_id": "4f8a2c",
   "summary": {"backup_start": "2026-11-22T01:00:00+01:00", "backup_end": "2026-11-22T01:00:09+01:00", "total_bytes_processed": 1234}},
  {"time": "2026-11-21T01:00:00Z", "tree": "bb", "paths": ["/srv/shop"], "hostname": "db1", "id": "11aa22", "short_id": "11aa22"}]"#;

pub(crate) const CONFTEST: &str = r#"[{"filename": "deploy.yaml", "namespace": "main", "successes": 3, "warnings": [{"msg": "no owner"}], "failures": [{"msg": "runs as root"}], "exceptions": [{"msg": "known"}], "skipped": []}]"#;

pub(crate) const OPA: &str = r#"{"result": [{"expressions": [{"value": true, "text": "data.release.allow", "location": {"row": 1, "col": 1}}, {"value": ["no owner"], "text": "data.release.deny"}]}]}"#;

pub(crate) const CDEVENT: &str = r#"{"context": {"version": "0.4.1", "id": "271069a8-fc18-44f1-b38f-9d70a1695819", "source": "/monitoring/eu",
  "type": "dev.cdevents.incident.detected.0.2.0", "timestamp": "2026-11-22T02:31:07.250Z"},
  "subject": {"id": "INC-7", "source": "/pager", "type": "incident", "content": {"description": "one request in ten fails",
    "environment": {"id": "production"}, "service": {"id": "shop"}, "artifactId": "pkg:oci/shop@sha256%3A97e9"}},
  "customData": {"metric": "errors"}}"#;

pub(crate) const CDEVENT_IN_CLOUD_EVENT: &str = r#"{"specversion": "1.0", "id": "e-2", "source": "/pager", "type": "dev.cdevents.incident.reported.0.3.0", "datacontenttype": "application/json",
  "data": {"context": {"specversion": "0.5.1", "id": "e-2", "source": "/pager", "type": "dev.cdevents.incident.reported.0.3.0", "timestamp": "2026-11-22T03:31:07+01:00"},
    "subject": {"id": "INC-7", "content": {"environment": {"id": "production"}, "ticketURI": "https://tickets.example.org/7"}}}}"#;

/// Every format, with a file name and an honest report of it; some formats have several.
pub(crate) const ALL: &[(Format, &str, &str)] = &[
    (Format::Junit, "junit.xml", JUNIT),
    (Format::Lcov, "lcov.info", LCOV),
    (Format::Cobertura, "cobertura.xml", COBERTURA),
    (Format::LlvmCov, "coverage.json", LLVM_COV),
    (Format::Sarif, "lint.sarif", SARIF),
    (Format::CycloneDx, "bom.json", CYCLONEDX),
    (Format::CycloneDx, "bom.xml", CYCLONEDX_XML),
    (Format::CycloneDxVex, "bom.json", CYCLONEDX),
    (Format::Spdx, "spdx.json", SPDX_2),
    (Format::Spdx, "spdx3.json", SPDX_3),
    (Format::Osv, "osv-scanner.json", OSV_SCANNER),
    (Format::Osv, "osv.json", OSV),
    (Format::CargoAudit, "audit.json", CARGO_AUDIT),
    (Format::Trivy, "trivy.json", TRIVY),
    (Format::Grype, "grype.json", GRYPE),
    (Format::OpenVex, "openvex.json", OPENVEX),
    (Format::Csaf, "csaf.json", CSAF),
    (Format::Terraform, "plan.json", TERRAFORM),
    (Format::Kubernetes, "objects.json", KUBERNETES),
    (Format::Provenance, "provenance.json", STATEMENT),
    (Format::Oci, "index.json", OCI_INDEX),
    (Format::K6, "k6-export.json", K6_EXPORT),
    (Format::K6, "k6-summary.json", K6_SUMMARY),
    (Format::Oha, "oha.json", OHA),
    (Format::Wrk, "wrk.txt", WRK),
    (Format::Hyperfine, "hyperfine.json", HYPERFINE),
    (Format::Criterion, "target/criterion/sum/new/sample.json", CRITERION_SAMPLE),
    (Format::Criterion, "target/criterion/sum/new/estimates.json", CRITERION_ESTIMATES),
    (Format::Prometheus, "query.json", PROMETHEUS),
    (Format::Prometheus, "targets.json", PROMETHEUS_TARGETS),
    (Format::PgBackRest, "info.json", PGBACKREST),
    (Format::Restic, "snapshots.json", RESTIC),
    (Format::Conftest, "conftest.json", CONFTEST),
    (Format::Opa, "opa.json", OPA),
    (Format::CdEvents, "incident.json", CDEVENT),
    (Format::CdEvents, "incident-envelope.json", CDEVENT_IN_CLOUD_EVENT),
];
