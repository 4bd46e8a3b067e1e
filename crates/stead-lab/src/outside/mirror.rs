//! The only way out of a lab: plain HTTP to Debian's package mirrors, while it is open.
//!
//! A connection is for one host. Requests pass as they come, each one checked, and without waiting for the answer to
//! the one before: apt pipelines. This is sound without looking at the answers, because the request side carries
//! nothing other than whole heads that were checked: a request with a body, an upgrade or another host ends it. The
//! answers pass unseen.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream as Outbound;
use tokio::sync::watch;
use tokio::time::timeout;

use super::head::Heads;
pub use super::head::{HOSTS, Refusal};
use super::stream::{TcpListener, TcpStream};

/// The port of the mirror.
pub const PORT: u16 = 80;

/// How many connections are served at a time.
const AT_ONCE: usize = 64;
/// How long a client may take for its first head, and how long answers may pause.
const IDLE: Duration = Duration::from_mins(1);
/// How long connecting to the mirror may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long what is left over may take when a connection ends with a refusal.
const DRAIN: Duration = Duration::from_secs(5);
/// How much is relayed at once.
const PIECE: usize = 64 * 1024;

/// Where the packages come from.
#[derive(Clone, Debug, Default)]
pub struct MirrorConfig {
    /// The host and port that all requests go to, instead of the one that they name.
    pub upstream: Option<(String, u16)>,
}

/// Serves `listener` until the host's cable is gone. What runs when the mirror closes is cut.
pub async fn serve(listener: TcpListener, config: MirrorConfig, open: watch::Receiver<bool>) {
    let config = Arc::new(config);
    listener.for_each(AT_ONCE, |stream| connection(stream, Arc::clone(&config), open.clone())).await;
}

async fn connection(mut stream: TcpStream, config: Arc<MirrorConfig>, mut open: watch::Receiver<bool>) {
    let is_open = *open.borrow_and_update();
    let closed = async {
        // An error says that nobody can open the mirror any more.
        let _ = if is_open { open.wait_for(|open| !open).await.map(drop) } else { std::future::pending().await };
    };
    // An error is the client's or the mirror's end of the connection, which there is nothing to do about.
    tokio::select! {
        _ = relay(&mut stream, &config, is_open) => {}
        () = closed => stream.reset(),
    }
}

async fn relay(stream: &mut TcpStream, config: &MirrorConfig, is_open: bool) -> io::Result<()> {
    let (read, mut write) = tokio::io::split(&mut *stream);
    let mut heads = Heads::new(read);
    let refusal = match timeout(IDLE, heads.next()).await? {
        Ok(None) => return Ok(()),
        Ok(Some(_)) if !is_open => Refusal::Closed,
        Err(refusal) => refusal,
        Ok(Some((head, host))) => match converse(&mut heads, &mut write, &head, host, config).await? {
            None => return write.shutdown().await,
            Some(refusal) => refusal,
        },
    };
    drop((heads, write));
    answer(stream, "403 Forbidden", &refusal.to_string()).await?;
    // A connection that is closed with requests unread is reset, and the client may never see the answer.
    timeout(DRAIN, tokio::io::copy(stream, &mut tokio::io::sink())).await?.map(drop)
}

/// Relays requests and answers until one side ends, which may be with a refusal.
async fn converse<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    heads: &mut Heads<R>,
    write: &mut W,
    first: &[u8],
    host: &'static str,
    config: &MirrorConfig,
) -> io::Result<Option<Refusal>> {
    let upstream = match &config.upstream {
        Some((name, port)) => timeout(CONNECT, Outbound::connect((name.as_str(), *port))).await,
        None => timeout(CONNECT, Outbound::connect((host, PORT))).await,
    };
    let Ok(Ok(upstream)) = upstream else {
        answer(write, "502 Bad Gateway", "The package mirror can't be reached.").await?;
        return Ok(None);
    };
    upstream.set_nodelay(true)?;
    let (mut answers, mut requests) = upstream.into_split();
    requests.write_all(first).await?;
    let forward = async {
        loop {
            match heads.next().await {
                Ok(Some((head, same))) if same == host => requests.write_all(&head).await?,
                Ok(Some(_)) => return Ok(Some(Refusal::OtherHost)),
                Err(refusal) => return Ok(Some(refusal)),
                Ok(None) => return Ok(None),
            }
        }
    };
    let back = copy(&mut answers, write);
    tokio::pin!(back);
    let refusal: io::Result<Option<Refusal>> = tokio::select! {
        ended = &mut back => return ended.map(|()| None),
        refusal = forward => refusal,
    };
    // The mirror ends the connection once it has answered what it got before.
    requests.shutdown().await?;
    match refusal? {
        None => back.await.map(|()| None),
        refusal => timeout(DRAIN, back).await?.map(|()| refusal),
    }
}

/// Copies until the end or a long pause of either side.
async fn copy<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(from: &mut R, to: &mut W) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match timeout(IDLE, from.read(&mut piece)).await?? {
            0 => return Ok(()),
            n => timeout(IDLE, to.write_all(&piece[..n])).await??,
        }
    }
}

/// Sends an answer of the mirror's own, the last one of its connection.
async fn answer<W: AsyncWrite + Unpin>(to: &mut W, status: &str, sentence: &str) -> io::Result<()> {
    let length = sentence.len() + 1;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    timeout(DRAIN, to.write_all(format!("{head}{sentence}\n").as_bytes())).await??;
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use super::super::host::Host;
    use super::super::tests::{cable, host, within};
    use super::*;

    const WAN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

    struct Lab {
        node: Host,
        _wan: Host,
        open: watch::Sender<bool>,
    }

    /// A node and a mirror, whose upstream is a server of our own on the loopback.
    async fn lab(open: bool) -> Lab {
        let upstream = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback");
        let port = upstream.local_addr().expect("it is bound").port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = upstream.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        let (node, wan) = cable(256);
        let (node, wan) = (host(node, Ipv4Addr::new(203, 0, 113, 100)), host(wan, WAN));
        let (open, opened) = watch::channel(open);
        let config = MirrorConfig { upstream: Some(("127.0.0.1".to_owned(), port)) };
        tokio::spawn(serve(wan.listen(PORT).expect("the port is free"), config, opened));
        Lab { node, _wan: wan, open }
    }

    /// Answers each request with its target, as a mirror that keeps connections alive.
    async fn echo(stream: Outbound) {
        let (read, mut write) = stream.into_split();
        let mut heads = Heads::new(read);
        while let Ok(Some((head, _))) = heads.next().await {
            let head = String::from_utf8(head).expect("a head is text");
            let target = head.split(' ').nth(1).expect("a target").to_owned();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len());
            write.write_all(answer.as_bytes()).await.expect("the mirror reads");
        }
    }

    impl Lab {
        async fn connect(&self) -> TcpStream {
            within(self.node.connect(SocketAddrV4::new(WAN, PORT))).await.expect("the mirror listens")
        }

        /// What comes back for `requests`, until the end.
        async fn ask(&self, requests: &str) -> String {
            let mut stream = self.connect().await;
            stream.write_all(requests.as_bytes()).await.expect("the mirror reads");
            let mut answer = String::new();
            within(stream.read_to_string(&mut answer)).await.expect("a clean end");
            answer
        }
    }

    fn get(host: &str, target: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    }

    async fn expect(stream: &mut TcpStream, text: &str) {
        let mut seen = String::new();
        while !seen.contains(text) {
            let byte = within(stream.read_u8()).await.unwrap_or_else(|error| panic!("{error} after {seen:?}"));
            seen.push(char::from(byte));
        }
    }

    #[tokio::test]
    async fn requests_to_debian_pass_on_one_connection() {
        let lab = lab(true).await;
        let mut stream = lab.connect().await;
        let host = HOSTS[0];
        stream.write_all(get(host, "/one").as_bytes()).await.expect("the mirror reads");
        expect(&mut stream, "/one").await;
        let two = get(host, "/two") + &get(host, "/three");
        stream.write_all(two.as_bytes()).await.expect("the mirror reads");
        stream.shutdown().await.expect("it is connected");
        expect(&mut stream, "/two").await;
        expect(&mut stream, "/three").await;
        assert_eq!(within(stream.read(&mut [0])).await.expect("a clean end"), 0);
    }

    #[tokio::test]
    async fn others_are_refused_also_later_on_a_connection() {
        let lab = lab(true).await;
        let first = lab.ask(&get("example.org", "/")).await;
        assert!(first.starts_with("HTTP/1.1 403 ") && first.contains(&Refusal::Host.to_string()), "{first}");
        let later = lab.ask(&(get(HOSTS[0], "/one") + &get("example.org", "/two"))).await;
        assert!(later.starts_with("HTTP/1.1 200 ") && later.contains("/one"), "{later}");
        assert!(later.contains(&Refusal::Host.to_string()) && !later.contains("/two"), "{later}");
        let other = lab.ask(&(get(HOSTS[0], "/one") + &get(HOSTS[1], "/two"))).await;
        assert!(other.contains(&Refusal::OtherHost.to_string()) && !other.contains("/two"), "{other}");
    }

    #[tokio::test]
    async fn a_closed_mirror_refuses_and_cuts() {
        let lab = lab(false).await;
        let refused = lab.ask(&get(HOSTS[0], "/one")).await;
        assert!(refused.contains(&Refusal::Closed.to_string()), "{refused}");
        lab.open.send_replace(true);
        let mut stream = lab.connect().await;
        stream.write_all(get(HOSTS[0], "/one").as_bytes()).await.expect("the mirror reads");
        expect(&mut stream, "/one").await;
        lab.open.send_replace(false);
        assert!(within(stream.read_u8()).await.is_err(), "it is cut");
        drop(lab.open);
    }
}
