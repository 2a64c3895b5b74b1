//! Events about incidents.

use cdevents_sdk::{CDEvent, Content, Subject};
use deploy_agents::evidence::facts::{IncidentFacts, IncidentPredicate};
use deploy_agents::evidence::{DoubtKind, Place, Problem, ReadError, Source, blocking, cdevents};
use deploy_core::time::Timestamp;
use proptest::prelude::*;

use crate::doubted;
use crate::samples::{CDEVENT, CDEVENT_IN_CLOUD_EVENT};

fn read(text: &str) -> Result<IncidentFacts, ReadError> {
    cdevents::read(&Source::new("event.json", text.as_bytes()))
}

/// Rows: M232.
#[test]
fn an_event_says_what_happens_where_and_to_what() {
    let facts = read(CDEVENT).expect("readable");
    assert_eq!((facts.said, facts.incident.value.as_str()), (IncidentPredicate::Detected, "INC-7"));
    assert_eq!(facts.at.value, Timestamp::parse("2026-11-22T02:31:07.250Z").expect("a time"));
    assert_eq!((facts.source.as_str(), facts.kept_at.as_deref()), ("/monitoring/eu", Some("/pager")));
    assert_eq!(facts.environment.to_string(), "production (event.json#/subject/content/environment/id)");
    assert_eq!(facts.service.map(|service| service.value).as_deref(), Some("shop"));
    assert_eq!(facts.description, "one request in ten fails");

    let facts = read(CDEVENT_IN_CLOUD_EVENT).expect("readable");
    assert_eq!((facts.said, facts.service), (IncidentPredicate::Reported, None));
    assert_eq!(facts.at.value, Timestamp::parse("2026-11-22T02:31:07Z").expect("a time"));
    assert_eq!(facts.at.at.place, Place::Json("/data/context/timestamp".to_owned()));
    assert_eq!(facts.ticket.as_deref(), Some("https://tickets.example.org/7"));
    assert!(facts.doubts.is_empty());
}

#[test]
fn what_is_no_event_about_an_incident_or_of_an_unknown_version_is_refused_with_its_place() {
    let place = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let error = read(&text.replacen(from, to, 1)).expect_err(to);
        let Place::Json(pointer) = error.at.place else { panic!("{}", error.at) };
        (error.problem, pointer)
    };
    let kind = || "/context/type".to_owned();
    for (to, problem, pointer) in [
        ("dev.cdevents.service.deployed.0.2.0", Problem::Version, kind()),
        ("dev.cdevents.incident.detected.0.4.0", Problem::Version, kind()),
        ("dev.cdevents.incident.detected.1.2.0", Problem::Version, kind()),
        ("dev.cdevents.incident.detected", Problem::Version, kind()),
        ("dev.cdevents.incident.closed.0.2.0", Problem::Version, kind()),
        ("", Problem::Version, kind()),
    ] {
        assert_eq!(place(CDEVENT, "dev.cdevents.incident.detected.0.2.0", to), (problem, pointer), "{to}");
    }
    for (from, to, pointer) in [
        ("\"id\": \"INC-7\", ", "", "/subject"),
        ("INC-7", " ", "/subject/id"),
        ("\"environment\": {\"id\": \"production\"}, ", "", "/subject/content"),
        ("production", "", "/subject/content/environment/id"),
        ("\"shop\"", "7", "/subject/content/service/id"),
        ("2026-11-22T02:31:07.250Z", "yesterday", "/context/timestamp"),
    ] {
        assert_eq!(place(CDEVENT, from, to), (Problem::Field, pointer.to_owned()), "{from}");
    }
    let (problem, pointer) = place(CDEVENT_IN_CLOUD_EVENT, "\"1.0\"", "\"0.3\"");
    assert_eq!((problem, pointer.as_str()), (Problem::Version, "/specversion"));
}

/// An envelope is what brokers sort by; where it says something else than what is in it, somebody is deceived.
#[test]
fn an_envelope_that_contradicts_its_event_blocks() {
    for (from, to) in [("\"id\": \"e-2\"", "\"id\": \"e-3\""), ("\"source\": \"/pager\"", "\"source\": \"/elsewhere\"")]
    {
        let facts = read(&CDEVENT_IN_CLOUD_EVENT.replacen(from, to, 1)).expect("readable");
        assert_eq!(doubted(&facts.doubts, DoubtKind::Contradiction), 1, "{to}");
        assert!(blocking(&facts.doubts).is_some());
    }
}

/// What the SDK of those who specify the events makes of this content, with the moment at which it did.
fn written(content: Content, id: &str, event: &str) -> (String, Timestamp) {
    let source = || "/pager".try_into().expect("a reference");
    let subject = Subject::from(content).with_id(id.try_into().expect("not empty")).with_source(source());
    let event = CDEvent::from(subject).with_id(event.try_into().expect("not empty")).with_source(source());
    let millis = event.timestamp().unix_timestamp_nanos() / 1_000_000;
    let text = serde_json::to_string(&event).expect("JSON");
    (text, Timestamp(i64::try_from(millis).expect("in our time")))
}

/// Every predicate in every version that there has been.
fn contents(environment: &str, service: Option<&str>, description: Option<&str>) -> Vec<(IncidentPredicate, Content)> {
    let mut content = serde_json::json!({ "environment": { "id": environment } });
    if let Some(service) = service {
        content["service"] = serde_json::json!({ "id": service, "source": "/cluster" });
    }
    if let Some(description) = description {
        content["description"] = description.into();
    }
    let mut with_ticket = content.clone();
    with_ticket["ticketURI"] = "https://tickets.example.org/7".into();
    let made = |predicate: IncidentPredicate, version: &str| {
        let json = if predicate == IncidentPredicate::Reported { &with_ticket } else { &content };
        let kind = format!("dev.cdevents.incident.{predicate}.{version}");
        (predicate, Content::from_json(&kind, json.clone()).expect("its content"))
    };
    let predicates = [IncidentPredicate::Detected, IncidentPredicate::Reported, IncidentPredicate::Resolved];
    ["0.1.0", "0.2.0", "0.3.0"].iter().flat_map(|version| predicates.map(|p| made(p, version))).collect()
}

proptest! {
    /// Rows: M232.
    #[test]
    fn what_the_sdk_of_the_events_writes_is_read(
        id in "[^\\s\u{0}]{1,40}",
        event in "[a-zA-Z0-9-]{1,40}",
        environment in "[^\\s\u{0}]{1,40}",
        service in proptest::option::of("[^\\s\u{0}]{1,40}"),
        description in proptest::option::of(".{0,80}"),
    ) {
        for (predicate, content) in contents(&environment, service.as_deref(), description.as_deref()) {
            let (text, at) = written(content, &id, &event);
            let facts = read(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            prop_assert_eq!(facts.said, predicate);
            prop_assert_eq!(&facts.incident.value, &id);
            prop_assert_eq!(&facts.event, &event);
            prop_assert_eq!(&facts.environment.value, &environment);
            prop_assert_eq!(facts.service.map(|service| service.value), service.clone());
            prop_assert_eq!(facts.description, description.clone().unwrap_or_default());
            prop_assert_eq!(facts.at.value, at);
            prop_assert_eq!(facts.ticket.is_some(), predicate == IncidentPredicate::Reported);
        }
    }
}
