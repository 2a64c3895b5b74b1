//! HAProxy's runtime socket: commands in, answers out, nothing assumed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy_core::time::Spell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::order::Order;
use super::server::{Server, is_name};
use super::statistics::ServerStatistics;

/// The longest path that a unix socket's address holds on Linux, in bytes, without the zero at its end.
const LONGEST_PATH: usize = 107;
/// What ends each answer in interactive mode. Without it the end of an answer cannot be told from an empty line in it.
const PROMPT: &[u8] = b"\n> ";

/// A client of HAProxy's runtime socket (`stats socket PATH level admin`).
///
/// It holds no connection: each call connects, asks, reads every answer to its end and closes. Calls are bounded in time and
/// in size. An empty answer or one of the few known phrases is success; anything else is [`SocketError::Refused`] with
/// HAProxy's own words, because it answers errors as prose without a code.
///
/// Reading needs `level user`, changing needs `level admin`.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use deploy_agents::targets::haproxy::RuntimeSocket;
///
/// let socket = RuntimeSocket::new("/run/haproxy/admin.sock")?;
/// for server in socket.statistics().await?.iter().filter(|line| line.proxy == "app") {
///     println!("{}: {} requests, {} of them 5xx", server.name, server.requests, server.answers_5xx);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSocket {
    path: PathBuf,
    timeout: Duration,
    most_bytes: usize,
}

/// Who answers at a runtime socket: another one after each reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Worker {
    /// Its process id.
    pub pid: u32,
    /// When it was started, in seconds since the Unix epoch.
    pub started: u64,
}

/// A command without a usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The path cannot be the address of a unix socket: put the socket into a folder with a shorter path.
    #[error("{} has {} bytes, and a unix socket's path at most {LONGEST_PATH}", path.display(), path.as_os_str().len())]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// The command cannot be sent: a line break or a semicolon would make several of it.
    #[error("{command:?} is not one command")]
    NotOneCommand {
        /// The command.
        command: String,
    },
    /// Nobody answers at the socket, so nothing was changed: is HAProxy running, and may this process open the socket?
    #[error("nobody answers at {}", path.display())]
    NotThere {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// No whole answer came in time; the command may have been carried out.
    #[error("no whole answer to {command:?} within {}", Spell(*bound))]
    TimedOut {
        /// The command that was asked last.
        command: String,
        /// How long it was waited for.
        bound: Duration,
    },
    /// The answer is longer than was allowed.
    #[error("the answer to {command:?} is longer than {limit} bytes")]
    TooLong {
        /// The command.
        command: String,
        /// The limit.
        limit: usize,
    },
    /// The connection ended before the answer did; the command may have been carried out.
    #[error("the answer to {command:?} broke off")]
    Broken {
        /// The command.
        command: String,
        /// The cause.
        source: std::io::Error,
    },
    /// HAProxy said no, in its own words.
    #[error("haproxy did not take {command:?}: {answer}")]
    Refused {
        /// The command.
        command: String,
        /// What it answered.
        answer: String,
    },
    /// The answer does not have the documented shape.
    #[error("the answer to {command:?} cannot be read: {why}")]
    Unreadable {
        /// The command.
        command: String,
        /// What is wrong with it.
        why: String,
    },
}

impl SocketError {
    /// Whether the command certainly reached nobody.
    #[must_use]
    pub fn is_not_sent(&self) -> bool {
        matches!(self, Self::PathTooLong { .. } | Self::NotOneCommand { .. } | Self::NotThere { .. })
    }

    /// Whether HAProxy itself said no.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

impl RuntimeSocket {
    /// The socket at this path. It is not opened yet. At most 5 s a call and 4 MiB an answer, which is room for some
    /// five thousand servers.
    ///
    /// # Errors
    ///
    /// [`SocketError::PathTooLong`].
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, SocketError> {
        let path = path.into();
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(SocketError::PathTooLong { path });
        }
        Ok(Self { path, timeout: Duration::from_secs(5), most_bytes: 4 * 1024 * 1024 })
    }

    /// The same socket, with another bound for one call.
    #[must_use]
    pub fn timeout(mut self, bound: Duration) -> Self {
        self.timeout = bound;
        self
    }

    /// The same socket, with another bound for one answer, in bytes.
    #[must_use]
    pub fn most_bytes(mut self, limit: usize) -> Self {
        self.most_bytes = limit;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks one command and gives its answer as it comes, without the empty line at its end.
    ///
    /// # Errors
    ///
    /// [`SocketError`], but never [`SocketError::Refused`]: whoever asks in plain text reads the answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; the command may have been carried out.
    pub async fn ask(&self, command: &str) -> Result<String, SocketError> {
        let answers = self.ask_all(&[command.to_owned()]).await?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    /// Asks several commands over one connection, each after the answer to the one before.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask); commands before the one that is named may have been carried out.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; commands may have been carried out.
    pub async fn ask_all(&self, commands: &[String]) -> Result<Vec<String>, SocketError> {
        if let Some(command) = commands.iter().find(|command| !is_one_command(command)) {
            return Err(SocketError::NotOneCommand { command: command.clone() });
        }
        let mut under_way = "prompt";
        let conversation = async {
            let stream = UnixStream::connect(&self.path).await;
            let mut stream = stream.map_err(|source| SocketError::NotThere { path: self.path.clone(), source })?;
            self.exchange(&mut stream, "prompt").await?;
            let mut answers = Vec::with_capacity(commands.len());
            for command in commands {
                under_way = command;
                answers.push(self.exchange(&mut stream, command).await?);
            }
            Ok(answers)
        };
        match tokio::time::timeout(self.timeout, conversation).await {
            Ok(answers) => answers,
            Err(_) => Err(SocketError::TimedOut { command: under_way.to_owned(), bound: self.timeout }),
        }
    }

    /// Carries out changes in order, over one connection, and reads the answer to each. The first one that is refused ends it;
    /// those before it are in force. Read the state back: an accepted change need not be one that had an effect.
    ///
    /// # Errors
    ///
    /// [`SocketError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; changes may have been carried out.
    pub async fn carry_out(&self, orders: &[Order]) -> Result<(), SocketError> {
        let commands: Vec<String> = orders.iter().map(ToString::to_string).collect();
        let answers = self.ask_all(&commands).await?;
        for ((order, command), answer) in orders.iter().zip(commands).zip(answers) {
            if !order.succeeded(&answer) {
                return Err(SocketError::Refused { command, answer });
            }
        }
        Ok(())
    }

    /// The servers of a backend, as they stand now.
    ///
    /// # Errors
    ///
    /// [`SocketError`]; [`SocketError::Refused`] where there is no such backend.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn servers(&self, backend: &str) -> Result<Vec<Server>, SocketError> {
        let command = format!("show servers state {backend}");
        if !is_name(backend) {
            return Err(SocketError::NotOneCommand { command });
        }
        let answer = self.ask(&command).await?;
        if answer.starts_with("Can't find backend") {
            return Err(SocketError::Refused { command, answer });
        }
        Server::read_all(&answer).map_err(|why| SocketError::Unreadable { command, why })
    }

    /// The counters of every frontend, backend and server, by HAProxy's own header.
    ///
    /// # Errors
    ///
    /// [`SocketError`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn statistics(&self) -> Result<Vec<ServerStatistics>, SocketError> {
        let command = "show stat".to_owned();
        let answer = self.ask(&command).await?;
        ServerStatistics::read_all(&answer).map_err(|why| SocketError::Unreadable { command, why })
    }

    /// Which process answers. Another one than before means that HAProxy was reloaded or started again, and that every change
    /// made at run time is lost.
    ///
    /// # Errors
    ///
    /// [`SocketError`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn worker(&self) -> Result<Worker, SocketError> {
        let command = "show info".to_owned();
        let answer = self.ask(&command).await?;
        let field = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.and_then(|value| value.trim().parse::<u64>().ok())
        };
        let pid = field("Pid").and_then(|pid| u32::try_from(pid).ok());
        // HAProxy before 2.5 does not say when it was started; the process id alone has to do there.
        let started = field("Start_time_sec").unwrap_or(0);
        match pid {
            Some(pid) => Ok(Worker { pid, started }),
            None => Err(SocketError::Unreadable { command, why: "it states no process id".to_owned() }),
        }
    }

    /// One command and its answer.
    async fn exchange(&self, stream: &mut UnixStream, command: &str) -> Result<String, SocketError> {
        let broken = |source| SocketError::Broken { command: command.to_owned(), source };
        stream.write_all(format!("{command}\n").as_bytes()).await.map_err(broken)?;
        let mut answer = Vec::new();
        let mut part = [0_u8; 16 * 1024];
        while !answer.ends_with(PROMPT) {
            let n = stream.read(&mut part).await.map_err(broken)?;
            if n == 0 {
                return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
            }
            answer.extend_from_slice(&part[..n]);
            if answer.len() > self.most_bytes {
                return Err(SocketError::TooLong { command: command.to_owned(), limit: self.most_bytes });
            }
        }
        answer.truncate(answer.len() - PROMPT.len());
        Ok(String::from_utf8_lossy(&answer).trim_end_matches('\n').to_owned())
    }
}

fn is_one_command(command: &str) -> bool {
    !command.is_empty() && !command.contains(['\n', '\r', ';', '\\']) && !command.starts_with('@')
}

#[cfg(test)]
mod tests {
    use super::{RuntimeSocket, SocketError};

    #[test]
    fn a_path_that_no_socket_can_have_is_refused_when_it_is_named() {
        assert!(RuntimeSocket::new(format!("/tmp/{}", "x".repeat(102))).is_ok());
        let error = RuntimeSocket::new(format!("/tmp/{}", "x".repeat(103))).expect_err("108 bytes");
        assert!(matches!(error, SocketError::PathTooLong { .. }) && error.is_not_sent());
    }

    #[tokio::test]
    async fn one_command_never_becomes_two() {
        let socket = RuntimeSocket::new("/nowhere").expect("short");
        for command in ["", "show info; shutdown sessions", "show info\nquit", "@1 show info"] {
            let error = socket.ask(command).await.expect_err("not one command");
            assert!(matches!(error, SocketError::NotOneCommand { .. }), "{error}");
        }
        let error = socket.servers("app; quit").await.expect_err("not a name");
        assert!(matches!(error, SocketError::NotOneCommand { .. }), "{error}");
        assert!(matches!(socket.ask("show info").await, Err(SocketError::NotThere { .. })));
    }
}
