//! A stand-in for whatever is asked: a real server on the loopback interface, whose answers are a closure.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query, as they were sent.
    pub(crate) path: String,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The values of the query, or of the form.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let text = self.path.split_once('?').map_or(self.body.as_str(), |(_, query)| query);
        text.split('&').filter_map(|pair| pair.split_once('=')).find(|(own, _)| *own == name).map(|(_, v)| decoded(v))
    }
}

/// Ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Answers each request with a status and a body.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &answer, &seen).await;
            }
        });
        Self { address, asked, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one request, answers it, and closes.
async fn serve(mut stream: TcpStream, answer: &impl Fn(&Asked) -> (u16, String), seen: &Mutex<Vec<Asked>>) {
    let mut bytes = Vec::new();
    let (head, body_at) = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break (String::from_utf8(bytes[..at].to_vec()).expect("text"), at + 4);
        }
        let mut more = [0; 4_096];
        match stream.read(&mut more).await {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&more[..count]),
        }
    };
    let mut lines = head.lines();
    let mut first = lines.next().expect("a request line").split(' ').map(str::to_owned);
    let (method, path) = (first.next().expect("a method"), first.next().expect("a path"));
    let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()));
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().expect("a length"));
    while bytes.len() < body_at + length {
        let mut more = [0; 4_096];
        let count = stream.read(&mut more).await.expect("the body");
        bytes.extend_from_slice(&more[..count]);
    }
    let body = String::from_utf8(bytes[body_at..].to_vec()).expect("text");
    let asked = Asked { method, path, headers, body };
    let (status, text) = answer(&asked);
    seen.lock().expect("no panic").push(asked);
    let head = format!("HTTP/1.1 {status} It\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    // Whoever went away does not read it.
    let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
}

fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [a, b, tail @ ..]) => {
                let hex = String::from_utf8(vec![*a, *b]).expect("hex");
                out.push(u8::from_str_radix(&hex, 16).expect("hex"));
                tail
            }
            (byte, tail) => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                tail
            }
        };
    }
    String::from_utf8(out).expect("text")
}

/// What a Prometheus answers with these values.
pub(crate) fn vector(values: &[&str]) -> String {
    let series: Vec<_> = values.iter().map(|value| serde_json::json!({"metric": {}, "value": [0, value]})).collect();
    serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": series}}).to_string()
}
