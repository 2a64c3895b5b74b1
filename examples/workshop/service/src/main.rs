//! The service: `orders` serves, `orders --check-config FILE` looks at a configuration, `orders --price N` prices N baskets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The book of orders, and how many requests were answered.
struct Shop {
    revision: String,
    book: Mutex<Vec<String>>,
    answered: AtomicU64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--check-config", file] => check(file),
        ["--price", baskets] => price(baskets.parse().unwrap_or(0)),
        _ => serve(),
    }
}

/// A configuration is a JSON object with a currency of three letters.
fn check(file: &str) -> ExitCode {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let currency = text.split("\"currency\"").nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap_or_default();
    if text.trim_start().starts_with('{') && currency.len() == 3 {
        return ExitCode::SUCCESS;
    }
    eprintln!("{file}: this service cannot work with it");
    ExitCode::FAILURE
}

/// The work of pricing, for timing it.
fn price(baskets: u64) -> ExitCode {
    let mut sum = 0_u64;
    for basket in 0..baskets {
        for pieces in 1..12 {
            let line = orders::line("tea", pieces, 200 + basket % 100).unwrap_or_default();
            sum = sum.wrapping_add(line.len() as u64);
        }
    }
    println!("{sum}");
    ExitCode::SUCCESS
}

fn serve() -> ExitCode {
    let port: u16 = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(0);
    let revision = std::env::var("REVISION").unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned());
    let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) else {
        eprintln!("port {port} is taken");
        return ExitCode::FAILURE;
    };
    let shop = Arc::new(Shop { revision, book: Mutex::default(), answered: AtomicU64::new(0) });
    if let Ok(address) = listener.local_addr() {
        println!("listening at {address}");
    }
    // Whoever started it may be killed: nobody is left then who would end it.
    let parent = std::os::unix::process::parent_id();
    std::thread::spawn(move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(Duration::from_millis(500));
        }
        std::process::exit(0);
    });
    for stream in listener.incoming().flatten() {
        let shop = Arc::clone(&shop);
        std::thread::spawn(move || talk(stream, &shop));
    }
    ExitCode::SUCCESS
}

/// Answers on one connection until it is closed.
fn talk(mut stream: TcpStream, shop: &Shop) {
    let _ = stream.set_nodelay(true);
    let mut there = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let whole = match request.parse(&there) {
            Ok(httparse::Status::Complete(head)) => {
                let named = |name: &str| request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
                let length = named("content-length").and_then(|header| std::str::from_utf8(header.value).ok());
                let body = length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
                (there.len() >= head + body).then(|| {
                    let text = String::from_utf8_lossy(&there[head..head + body]).into_owned();
                    (head + body, request.method.unwrap_or("GET").to_owned(), request.path.unwrap_or("/").to_owned(), text)
                })
            }
            Ok(httparse::Status::Partial) => None,
            Err(_) => return,
        };
        if let Some((length, method, path, body)) = whole {
            let (status, answer) = shop.answer(&method, &path, &body);
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nx-orders-revision: {}\r\n\r\n",
                answer.len(),
                shop.revision
            );
            if stream.write_all(&[head.as_bytes(), answer.as_bytes()].concat()).is_err() {
                return;
            }
            there.drain(..length);
            continue;
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(read) => there.extend_from_slice(&chunk[..read]),
        }
    }
}

impl Shop {
    fn answer(&self, method: &str, path: &str, body: &str) -> (&'static str, String) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let mut book = self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match (method, path.split('?').next().unwrap_or(path)) {
            ("GET", "/healthz") => ("200 OK", "ok\n".to_owned()),
            ("GET", "/version") => ("200 OK", format!("{}\n", self.revision)),
            ("GET", "/orders") => ("200 OK", format!("{} orders\n", book.len())),
            ("GET", "/metrics") => {
                let answered = self.answered.load(Ordering::Relaxed);
                let revision = &self.revision;
                ("200 OK", format!("# TYPE orders_requests_total counter\norders_requests_total{{revision=\"{revision}\"}} {answered}\n"))
            }
            ("POST", "/orders") => {
                let mut words = body.trim().split(';');
                let (item, pieces, cents) = (words.next().unwrap_or(""), words.next(), words.next());
                let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
                let (Some(pieces), Some(cents)) = (number(pieces), number(cents)) else {
                    return ("400 Bad Request", "an order is item;pieces;cents\n".to_owned());
                };
                match orders::line(item, pieces, cents) {
                    Ok(line) => {
                        // A book without bounds would fill the memory.
                        if book.len() < 10_000 {
                            book.push(line.clone());
                        }
                        ("201 Created", format!("{line}\n"))
                    }
                    Err(refused) => ("422 Unprocessable Content", format!("{refused:?}\n")),
                }
            }
            _ => ("404 Not Found", "there is nothing here\n".to_owned()),
        }
    }
}
