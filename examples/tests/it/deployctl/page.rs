//! The page of a run: its events are numbered, and whoever comes back goes on without loss.

use bytes::Bytes;
use deploy_agents::http::{HttpClient as _, HttpLimits, PlainHttp};

use super::{Desk, text_of};

fn get(url: &str, seen: Option<u64>) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut request = http::Request::get(url);
    if let Some(seen) = seen {
        request = request.header("last-event-id", seen.to_string());
    }
    let request = request.body(Bytes::new()).expect("a request");
    let limits = HttpLimits { timeout: super::BOUND, ..HttpLimits::default() };
    let answer = runtime.block_on(PlainHttp::new().send(request, limits)).expect("an answer");
    (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).expect("UTF-8"))
}

fn numbers(events: &str) -> Vec<u64> {
    events.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect()
}

/// Rows: M112.
#[test]
fn a_page_shows_a_run_and_goes_on_where_a_browser_was() {
    let desk = Desk::new();
    let run = desk.release(&["--ask"]);
    desk.held();
    let mut served = desk.start(&["status", "--serve"]);
    let url = text_of(&served.until(|line| line["kind"] == "page"), "url").to_owned();
    let (status, page) = get(&url, None);
    assert!(status == 200 && page.contains("new EventSource(\"events\")"), "{page}");
    assert!(
        desk.say(&["abort", "--as", "grace", "--why", "<script>alert(1)</script>"]).code == 0 && run.end().code == 6
    );

    let (status, events) = get(&format!("{url}events"), None);
    assert_eq!(status, 200);
    let all = numbers(&events);
    assert_eq!(all, (0..all.len() as u64).collect::<Vec<_>>());
    assert!(
        events.contains("event: view\n") && events.ends_with("\n\n") && events.contains("event: end\n"),
        "{events}"
    );
    let (_, rest) = get(&format!("{url}events"), Some(all[2]));
    assert_eq!(numbers(&rest), all[3..]);

    // Who does not know the address reads nothing.
    let root = url.split_at(url.find("//").expect("a scheme") + 2);
    let host = root.1.split('/').next().expect("a host");
    for path in ["", "events", "0000/events"] {
        assert_eq!(get(&format!("http://{host}/{path}"), None).0, 404, "{path}");
    }
}
