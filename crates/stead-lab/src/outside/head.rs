//! The head of an HTTP request, as strictly as the mirror takes it.
//!
//! What passes here is sent to the mirror byte by byte. So a head that two programs could read differently does not
//! pass, nor one that is followed by anything other than the next request: no body, no change of protocol.

use tokio::io::{AsyncRead, AsyncReadExt};

/// The names of the only hosts that a lab reaches.
pub const HOSTS: [&str; 2] = ["deb.debian.org", "security.debian.org"];

/// The longest head.
const HEAD_MAX: usize = 16 * 1024;
/// How much is read at once.
const READ: usize = 4096;
/// What ends a head.
const END: &[u8] = b"\r\n\r\n";

/// Why the mirror does not serve a request: the sentence that the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The lab's mirror was not opened.
    #[error("This lab's mirror is closed.")]
    Closed,
    /// Another method than those that only read.
    #[error("This lab's mirror only takes GET and HEAD.")]
    Method,
    /// A host that is not one of [`HOSTS`].
    #[error("This lab reaches only deb.debian.org and security.debian.org.")]
    Host,
    /// Another host than in the connection's first request.
    #[error("This connection is for another host; open a new one.")]
    OtherHost,
    /// A request with a body, or that wants to speak something else than HTTP.
    #[error("This lab's mirror takes requests without a body and without an upgrade.")]
    Body,
    /// Not a request that everybody reads in the same way.
    #[error("This is not a plain HTTP/1 request.")]
    Malformed,
    /// A head without end.
    #[error("The head of this request is longer than 16 KiB.")]
    TooLong,
}

/// The heads of the requests that come in on one connection.
pub(super) struct Heads<R> {
    from: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Heads<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: Vec::new() }
    }

    /// Waits for the next head, and gives it with the host that it names; nothing at the end of the connection.
    pub(super) async fn next(&mut self) -> Result<Option<(Vec<u8>, &'static str)>, Refusal> {
        loop {
            if let Some(at) = self.buffer.windows(END.len()).position(|it| it == END) {
                let head: Vec<u8> = self.buffer.drain(..at + END.len()).collect();
                let host = check(&head)?;
                return Ok(Some((head, host)));
            }
            if self.buffer.len() > HEAD_MAX {
                return Err(Refusal::TooLong);
            }
            let mut piece = [0; READ];
            match self.from.read(&mut piece).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(n) => self.buffer.extend_from_slice(&piece[..n]),
            }
        }
    }
}

/// Says which of the [`HOSTS`] a head asks for, if it asks for nothing else.
fn check(head: &[u8]) -> Result<&'static str, Refusal> {
    let text = head.strip_suffix(END).and_then(|head| str::from_utf8(head).ok()).ok_or(Refusal::Malformed)?;
    // A line that ends with a line feed alone is one more line to some, and part of this one to others.
    if text.replace("\r\n", "").contains(|c: char| c.is_control() && c != '\t') {
        return Err(Refusal::Malformed);
    }
    let mut lines = text.split("\r\n");
    check_request_line(lines.next().unwrap_or_default())?;
    let mut hosts = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Refusal::Malformed)?;
        // This also refuses lines that continue the one before, and spaces before the colon.
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
            return Err(Refusal::Malformed);
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts.push(value.trim_matches([' ', '\t'])),
            "content-length" | "transfer-encoding" | "upgrade" => return Err(Refusal::Body),
            _ => {}
        }
    }
    let [host] = hosts[..] else { return Err(Refusal::Malformed) };
    let host = host.strip_suffix(":80").unwrap_or(host);
    HOSTS.into_iter().find(|known| known.eq_ignore_ascii_case(host)).ok_or(Refusal::Host)
}

fn check_request_line(line: &str) -> Result<(), Refusal> {
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = words[..] else { return Err(Refusal::Malformed) };
    if !["HTTP/1.1", "HTTP/1.0"].contains(&version) {
        return Err(Refusal::Malformed);
    }
    if !["GET", "HEAD"].contains(&method) {
        return Err(Refusal::Method);
    }
    // A target with a host in it, as for a proxy, would outrank the header.
    let plain = target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic());
    if plain { Ok(()) } else { Err(Refusal::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APT: &str = "GET /debian/dists/trixie/InRelease HTTP/1.1\r\nHost: deb.debian.org\r\n\
        Cache-Control: max-age=0\r\nAccept: text/*\r\nUser-Agent: Debian APT-HTTP/1.3 (3.0.3)\r\n\r\n";

    async fn all(text: &str) -> Vec<Result<&'static str, Refusal>> {
        let mut heads = Heads::new(text.as_bytes());
        let mut seen = Vec::new();
        while let Some(head) = heads.next().await.transpose() {
            seen.push(head.map(|(_, host)| host));
            if seen.last().is_some_and(Result::is_err) {
                break;
            }
        }
        seen
    }

    #[tokio::test]
    async fn requests_of_apt_pass_one_by_one() {
        let other = APT.replace("Host: deb.debian.org", "host:\tSECURITY.debian.org:80");
        assert_eq!(all(&format!("{APT}{other}")).await, [Ok("deb.debian.org"), Ok("security.debian.org")]);
    }

    #[tokio::test]
    async fn everything_else_is_refused() {
        let host = "Host: deb.debian.org";
        for (from, to, why) in [
            ("GET ", "POST ", Refusal::Method),
            ("GET ", "CONNECT ", Refusal::Method),
            ("deb.debian.org", "deb.debian.org.example", Refusal::Host),
            ("deb.debian.org", "deb.debian.org:443", Refusal::Host),
            ("deb.debian.org", "127.0.0.1", Refusal::Host),
            (host, "X: y", Refusal::Malformed),
            (host, "Host: deb.debian.org\r\nHost: deb.debian.org", Refusal::Malformed),
            (host, "Host: deb.debian.org\r\n next: line", Refusal::Malformed),
            (host, "Host: deb.debian.org\r\nA : b", Refusal::Malformed),
            (host, "Host: deb.debian.org\nHost: example.org", Refusal::Malformed),
            (host, "Host: deb.debian.org\0", Refusal::Malformed),
            (host, "Host: deb.debian.org\r\nContent-Length: 5", Refusal::Body),
            (host, "Host: deb.debian.org\r\ntransfer-encoding: chunked", Refusal::Body),
            (host, "Host: deb.debian.org\r\nUpgrade: h2c", Refusal::Body),
            ("/debian", "http://example.org/debian", Refusal::Malformed),
            ("/debian", "/a b", Refusal::Malformed),
            ("HTTP/1.1", "HTTP/2.0", Refusal::Malformed),
        ] {
            assert_eq!(all(&APT.replacen(from, to, 1)).await, [Err(why)], "{from:?} replaced by {to:?}");
        }
        assert_eq!(all(&APT.replace("text/*", &"x".repeat(32 * 1024))).await, [Err(Refusal::TooLong)]);
    }
}
