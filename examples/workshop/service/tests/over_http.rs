//! The service as its users see it: a process that is asked over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
        let mut child = command.env("PORT", "0").stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where");
        let address = line.trim().rsplit(' ').next().expect("an address").to_owned();
        Self { child, address }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: orders\r\ncontent-length: {length}\r\n\r\n{body}").expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_is_healthy() {
    assert!(Service::start().ask("GET", "/healthz", "").ends_with("ok\n"));
}

#[test]
fn orders_are_placed_and_counted() {
    let service = Service::start();
    assert!(service.ask("POST", "/orders", "tea;2;250").ends_with("tea;2;500\n"));
    assert!(service.ask("GET", "/orders", "").ends_with("1 orders\n"));
}

#[test]
fn what_is_no_order_is_refused() {
    assert!(Service::start().ask("POST", "/orders", "tea").starts_with("HTTP/1.1 400"));
}
