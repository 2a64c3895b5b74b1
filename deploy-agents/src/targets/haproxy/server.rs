//! The servers of a backend, as `show servers state` tells them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::order::Readiness;

/// Names a server: its backend and its own name in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName {
    backend: String,
    server: String,
}

/// A text that cannot name a backend or a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} does not name a backend or server; allowed are ASCII letters, digits and . _ - :")]
pub struct ServerNameError {
    /// The text.
    pub text: String,
}

impl ServerName {
    /// A server of a backend.
    ///
    /// # Errors
    ///
    /// [`ServerNameError`] if either part has a character that HAProxy does not allow.
    pub fn new(backend: impl Into<String>, server: impl Into<String>) -> Result<Self, ServerNameError> {
        let (backend, server) = (backend.into(), server.into());
        for text in [&backend, &server] {
            if !is_name(text) {
                return Err(ServerNameError { text: text.clone() });
            }
        }
        Ok(Self { backend, server })
    }

    /// Its backend.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// Its own name.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.server)
    }
}

/// Whether a text may name a backend or a server.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'))
}

/// One server, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Which.
    pub name: ServerName,
    /// Where it listens; absent for one without an address.
    pub address: Option<SocketAddr>,
    /// Its weight, 0 to 256, whether or not it takes requests.
    pub weight: u32,
    /// Whether it is meant to take requests.
    pub readiness: Readiness,
    /// Whether HAProxy sends it requests: it is not down.
    pub is_up: bool,
    /// Whether its last health check passed; absent where none has ended yet.
    pub check_passed: Option<bool>,
}

/// `srv_admin_state` bits of HAProxy's management guide, 9.3, "show servers state": forced, inherited, configured and by a failed
/// resolution.
const IN_MAINTENANCE: u32 = 0x01 | 0x02 | 0x04 | 0x20;
/// The same: forced and inherited.
const IN_DRAIN: u32 = 0x08 | 0x10;

impl Server {
    /// Reads the answer to `show servers state`, version 1.
    pub(super) fn read_all(answer: &str) -> Result<Vec<Self>, String> {
        let mut lines = answer.lines().filter(|line| !line.trim().is_empty());
        match lines.next().map(str::trim) {
            Some("1") => {}
            other => return Err(format!("version 1 was expected, and it begins with {:?}", other.unwrap_or_default())),
        }
        let header = lines.next().and_then(|line| line.strip_prefix("# ")).ok_or("it has no header")?;
        let header: Vec<&str> = header.split_whitespace().collect();
        lines.map(|line| Self::read(&header, line)).collect()
    }

    fn read(header: &[&str], line: &str) -> Result<Self, String> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let text = |name: &str| {
            let at = header.iter().position(|column| *column == name);
            at.and_then(|at| fields.get(at)).copied().ok_or_else(|| format!("a line has no {name}: {line:?}"))
        };
        let number = |name: &str| text(name)?.parse::<u32>().map_err(|_| format!("{name} is not a number: {line:?}"));
        let name = ServerName::new(text("be_name")?, text("srv_name")?).map_err(|error| error.to_string())?;
        let port = number("srv_port")?;
        let address = text("srv_addr")?.parse::<IpAddr>().ok();
        let address = address.and_then(|ip| Some(SocketAddr::new(ip, u16::try_from(port).ok()?)));
        let admin = number("srv_admin_state")?;
        let readiness = match admin {
            _ if admin & IN_MAINTENANCE != 0 => Readiness::Maintenance,
            _ if admin & IN_DRAIN != 0 => Readiness::Drain,
            _ => Readiness::Ready,
        };
        // 0 unknown, 1 neutral, 2 failed, 3 passed, 4 passed for now.
        let check_passed = match number("srv_check_result")? {
            0 | 1 => None,
            2 => Some(false),
            _ => Some(true),
        };
        Ok(Self {
            name,
            address,
            weight: number("srv_uweight")?,
            readiness,
            is_up: number("srv_op_state")? != 0,
            check_passed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Server, ServerName};
    use crate::targets::haproxy::Readiness;

    /// As HAProxy 2.6.12 gave it: one added a moment ago, one that serves, one that drains.
    const ANSWER: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 app 1 v1:3 127.0.0.1 0 1 0 0 0 1 0 0 2 0 0 0 - 28481 - 0 0 - - 0
3 app 2 v1:4 127.0.0.1 2 0 10 0 1 15 3 2 6 0 0 0 - 28482 - 0 0 - - 0
3 app 3 v1:5 127.0.0.1 2 8 256 0 0 15 3 2 6 0 0 0 - 28483 - 0 0 - - 0
";

    #[test]
    fn reads_what_haproxy_says_of_its_servers() {
        let servers = Server::read_all(ANSWER).expect("it is as documented");
        let said: Vec<_> =
            servers.iter().map(|s| (s.name.to_string(), s.readiness, s.weight, s.is_up, s.check_passed)).collect();
        assert_eq!(
            said,
            [
                ("app/v1:3".to_owned(), Readiness::Maintenance, 0, false, None),
                ("app/v1:4".to_owned(), Readiness::Ready, 10, true, Some(true)),
                ("app/v1:5".to_owned(), Readiness::Drain, 256, true, Some(true)),
            ]
        );
        assert_eq!(servers[1].address, Some(([127, 0, 0, 1], 28482).into()));
    }

    #[test]
    fn what_is_not_as_documented_is_not_guessed() {
        for (answer, why) in [
            ("", "version 1 was expected"),
            ("2\n# be_id\n", "version 1 was expected"),
            ("1\n", "no header"),
            ("1\n# be_name srv_name\napp v1\n", "no srv_port"),
            (&ANSWER.replace(" 28482 ", " x "), "srv_port is not a number"),
        ] {
            let error = Server::read_all(answer).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_name_is_never_a_second_command() {
        assert!(ServerName::new("app", "v1:127.0.0.1:80").is_ok());
        for text in ["", "a b", "a;b", "a/b", "a\nb", "v1@x", "v1+x"] {
            assert!(ServerName::new("app", text).is_err() && ServerName::new(text, "v1").is_err(), "{text:?}");
        }
    }
}
