//! The counters of `show stat`.

use std::collections::HashMap;

/// One line of `show stat`: a server, or the sum of a backend (`BACKEND`) or frontend (`FRONTEND`). Counters run since the
/// worker process was started, and begin again at 0 after a reload; see [`Worker`](super::Worker).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ServerStatistics {
    /// `pxname`: the backend or frontend.
    pub proxy: String,
    /// `svname`: the server, `BACKEND` or `FRONTEND`.
    pub name: String,
    /// `addr`: where it listens, as HAProxy writes it; empty for sums.
    pub address: String,
    /// `status`: `UP`, `DOWN`, `MAINT`, `DRAIN`, `OPEN`, …
    pub status: String,
    /// `check_status` of the last health check, such as `L7OK`; empty where there is none.
    pub check_status: String,
    /// `uweight`, the weight that was set; `weight` where the version does not state it.
    pub weight: u64,
    /// `scur`: requests under way.
    pub under_way: u64,
    /// `qcur`: requests that wait for it.
    pub queued: u64,
    /// `stot`: requests sent to it; of a frontend, connections.
    pub requests: u64,
    /// `hrsp_1xx`.
    pub answers_1xx: u64,
    /// `hrsp_2xx`.
    pub answers_2xx: u64,
    /// `hrsp_3xx`.
    pub answers_3xx: u64,
    /// `hrsp_4xx`.
    pub answers_4xx: u64,
    /// `hrsp_5xx`.
    pub answers_5xx: u64,
    /// `econ`: connections to it that failed.
    pub connection_errors: u64,
    /// `eresp`: answers that broke off or could not be read.
    pub answer_errors: u64,
    /// `wretr`: how often a request was tried again.
    pub retries: u64,
    /// `wredis`: how often a request went to another server.
    pub redispatches: u64,
    /// `qtime`, `ctime`, `rtime`, `ttime`: averages over the last 1024 requests, in milliseconds: waiting, connecting, until the
    /// answer began, in all.
    pub times_ms: [u64; 4],
    /// `idle_conn_cur` and `used_conn_cur`: connections to it that are kept open.
    pub connections: u64,
}

impl ServerStatistics {
    /// Whether this is a single server, not a sum.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.name != "BACKEND" && self.name != "FRONTEND"
    }

    /// Reads the answer to `show stat`: CSV, by the names in its header.
    pub(super) fn read_all(answer: &str) -> Result<Vec<Self>, String> {
        let mut lines = answer.lines().filter(|line| !line.trim().is_empty());
        let header = lines.next().and_then(|line| line.strip_prefix("# ")).ok_or("it has no header")?;
        let columns: HashMap<String, usize> =
            fields(header).into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        for needed in ["pxname", "svname", "status", "stot", "hrsp_5xx"] {
            if !columns.contains_key(needed) {
                return Err(format!("its header has no {needed}"));
            }
        }
        lines.map(|line| Self::read(&columns, &fields(line))).collect()
    }

    fn read(columns: &HashMap<String, usize>, fields: &[String]) -> Result<Self, String> {
        let text = |name: &str| columns.get(name).and_then(|at| fields.get(*at)).cloned().unwrap_or_default();
        // A counter that does not apply to a line is empty there.
        let number = |name: &str| match text(name) {
            empty if empty.is_empty() => Ok(0),
            digits => digits.parse::<u64>().map_err(|_| format!("{name} is not a number: {digits:?}")),
        };
        Ok(Self {
            proxy: text("pxname"),
            name: text("svname"),
            address: text("addr"),
            status: text("status"),
            check_status: text("check_status"),
            weight: if columns.contains_key("uweight") { number("uweight")? } else { number("weight")? },
            under_way: number("scur")?,
            queued: number("qcur")?,
            requests: number("stot")?,
            answers_1xx: number("hrsp_1xx")?,
            answers_2xx: number("hrsp_2xx")?,
            answers_3xx: number("hrsp_3xx")?,
            answers_4xx: number("hrsp_4xx")?,
            answers_5xx: number("hrsp_5xx")?,
            connection_errors: number("econ")?,
            answer_errors: number("eresp")?,
            retries: number("wretr")?,
            redispatches: number("wredis")?,
            times_ms: [number("qtime")?, number("ctime")?, number("rtime")?, number("ttime")?],
            connections: number("idle_conn_cur")? + number("used_conn_cur")?,
        })
    }
}

/// The fields of one line of CSV; quoted ones may hold commas and doubled quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::{ServerStatistics, fields};

    #[test]
    fn columns_go_by_name_and_may_be_quoted() {
        let answer = "# pxname,svname,qcur,scur,stot,status,hrsp_2xx,hrsp_5xx,check_desc,rtime,uweight,\n\
            app,v1:3,,2,120,UP,118,2,\"said \"\"hello\"\", twice\",7,90,\n\
            app,BACKEND,0,2,120,UP,118,2,,7,90,\n";
        let lines = ServerStatistics::read_all(answer).expect("it is as documented");
        let server = &lines[0];
        assert_eq!((server.proxy.as_str(), server.name.as_str(), server.is_server()), ("app", "v1:3", true));
        assert_eq!((server.requests, server.answers_2xx, server.answers_5xx), (120, 118, 2));
        assert_eq!((server.under_way, server.queued, server.weight, server.times_ms), (2, 0, 90, [0, 0, 7, 0]));
        assert!(!lines[1].is_server());
        assert_eq!(fields("a,\"b,\"\"c\",d"), ["a", "b,\"c", "d"]);
    }

    #[test]
    fn a_page_without_the_needed_columns_is_not_guessed_at() {
        assert!(ServerStatistics::read_all("app,v1\n").expect_err("no header").contains("no header"));
        assert!(ServerStatistics::read_all("# pxname,svname\n").expect_err("too few").contains("no status"));
        let bad = "# pxname,svname,status,stot,hrsp_5xx\napp,v1,UP,many,0\n";
        assert!(ServerStatistics::read_all(bad).expect_err("a word").contains("stot is not a number"));
    }
}
