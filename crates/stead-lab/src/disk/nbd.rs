//! Disks over the Network Block Device protocol: how QEMU reaches them.
//!
//! The part of the protocol that QEMU speaks: fixed newstyle negotiation, simple replies, one connection a disk, no
//! TLS (the socket is a file of the lab's folder). The numbers are those of the protocol's text,
//! <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>.
#![allow(clippy::cast_possible_truncation, reason = "lengths on the wire have 32 bits, and ours are far below that")]

use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::{BLOCK, Disk};

/// The disks that a server offers, by the name of the bay that they are in.
///
/// A bay stays the same when another disk is put into it: a connection is to the bay.
#[derive(Clone, Debug, Default)]
pub struct Bays(Arc<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    bays: Mutex<BTreeMap<String, Bay>>,
    left: Condvar,
}

#[derive(Debug)]
struct Bay {
    disk: Arc<Disk>,
    connections: usize,
}

/// How long requests that a dead node has left behind may take: the longest writes out a full cache.
const SETTLE: Duration = Duration::from_secs(30);

impl Bays {
    /// Puts a disk into a bay.
    pub fn put(&self, name: String, disk: Arc<Disk>) {
        let mut bays = self.lock();
        let connections = bays.get(&name).map_or(0, |bay| bay.connections);
        bays.insert(name, Bay { disk, connections });
    }

    /// The disk that is in a bay.
    pub fn get(&self, name: &str) -> Option<Arc<Disk>> {
        self.lock().get(name).map(|bay| Arc::clone(&bay.disk))
    }

    /// Waits until all that a dead node has sent to a bay is done: only then has its power gone.
    pub fn settle(&self, name: &str) {
        let busy = |bays: &mut BTreeMap<String, Bay>| bays.get(name).is_some_and(|bay| bay.connections > 0);
        // A poisoned lock is of a thread that has ended its connection too.
        drop(self.0.left.wait_timeout_while(self.lock(), SETTLE, busy));
    }

    fn count(&self, name: &str, change: impl Fn(usize) -> usize) {
        if let Some(bay) = self.lock().get_mut(name) {
            bay.connections = change(bay.connections);
        }
        self.0.left.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bay>> {
        self.0.bays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const INIT_MAGIC: u64 = u64::from_be_bytes(*b"NBDMAGIC");
const OPTION_MAGIC: u64 = u64::from_be_bytes(*b"IHAVEOPT");
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

const FLAG_FIXED_NEWSTYLE: u16 = 1 << 0;
const FLAG_NO_ZEROES: u16 = 1 << 1;

/// `HAS_FLAGS`, `SEND_FLUSH`, `SEND_TRIM`, `SEND_WRITE_ZEROES`. Not FUA: QEMU then sends a flush instead.
const TRANSMISSION_FLAGS: u16 = 1 << 0 | 1 << 2 | 1 << 5 | 1 << 6;

const OPT_EXPORT_NAME: u32 = 1;
const OPT_ABORT: u32 = 2;
const OPT_INFO: u32 = 6;
const OPT_GO: u32 = 7;

const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_ERR_UNSUP: u32 = 1 << 31 | 1;
const REP_ERR_INVALID: u32 = 1 << 31 | 3;
const REP_ERR_UNKNOWN: u32 = 1 << 31 | 6;

const INFO_EXPORT: u16 = 0;
const INFO_BLOCK_SIZE: u16 = 3;

const CMD_READ: u16 = 0;
const CMD_WRITE: u16 = 1;
const CMD_DISC: u16 = 2;
const CMD_FLUSH: u16 = 3;
const CMD_TRIM: u16 = 4;
const CMD_WRITE_ZEROES: u16 = 6;

/// The longest request, in bytes: what the protocol's text says that a server should take.
const MAX_REQUEST: u32 = 32 << 20;

/// How long to wait when no connection can be taken.
const RETRY: Duration = Duration::from_millis(100);

/// The longest option, in bytes: a name of 4096 bytes, and room around it.
const MAX_OPTION: u32 = 8192;

/// Serves connections to `listener` for as long as the process lives, each on a thread of its own: the work is
/// reading and writing files, which has no asynchronous form.
pub fn serve(listener: UnixListener, bays: Bays) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of file descriptors, for instance: it may pass.
                thread::sleep(RETRY);
                continue;
            };
            let bays = bays.clone();
            // A connection that ends badly is a node that lost its power: nobody is left to tell.
            thread::spawn(move || Connection::new(stream).and_then(|mut connection| connection.serve(&bays)));
        }
    });
}

struct Connection {
    reader: BufReader<UnixStream>,
    writer: BufWriter<UnixStream>,
}

impl Connection {
    fn new(stream: UnixStream) -> io::Result<Self> {
        let writer = BufWriter::with_capacity(256 << 10, stream.try_clone()?);
        Ok(Self { reader: BufReader::with_capacity(256 << 10, stream), writer })
    }

    fn serve(&mut self, bays: &Bays) -> io::Result<()> {
        match self.negotiate(bays)? {
            Some(bay) => {
                bays.count(&bay, |connections| connections + 1);
                let ended = self.transmit(bays, &bay);
                bays.count(&bay, |connections| connections - 1);
                ended
            }
            None => Ok(()),
        }
    }

    /// Agrees on a bay; `None` when the client leaves.
    fn negotiate(&mut self, bays: &Bays) -> io::Result<Option<String>> {
        self.put_u64(INIT_MAGIC)?;
        self.put_u64(OPTION_MAGIC)?;
        self.put_u16(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES)?;
        self.writer.flush()?;
        let no_zeroes = self.get_u32()? & u32::from(FLAG_NO_ZEROES) != 0;
        loop {
            if self.get_u64()? != OPTION_MAGIC {
                return Err(violation("an option without its magic number"));
            }
            let option = self.get_u32()?;
            let len = self.get_u32()?;
            if len > MAX_OPTION {
                return Err(violation("an option that is too long"));
            }
            let data = self.get(len)?;
            match option {
                OPT_ABORT => {
                    self.option_reply(option, REP_ACK, &[])?;
                    return Ok(None);
                }
                OPT_EXPORT_NAME => {
                    let Some((bay, disk)) = find(bays, &data) else { return Ok(None) };
                    self.put_u64(disk.size().get())?;
                    self.put_u16(TRANSMISSION_FLAGS)?;
                    if !no_zeroes {
                        self.writer.write_all(&[0; 124])?;
                    }
                    self.writer.flush()?;
                    return Ok(Some(bay));
                }
                OPT_INFO | OPT_GO => {
                    let Some(name) = info_name(&data) else {
                        self.option_reply(option, REP_ERR_INVALID, &[])?;
                        continue;
                    };
                    let Some((bay, disk)) = find(bays, name) else {
                        self.option_reply(option, REP_ERR_UNKNOWN, &[])?;
                        continue;
                    };
                    self.describe(option, &disk)?;
                    if option == OPT_GO {
                        return Ok(Some(bay));
                    }
                }
                _ => self.option_reply(option, REP_ERR_UNSUP, &[])?,
            }
        }
    }

    fn describe(&mut self, option: u32, disk: &Disk) -> io::Result<()> {
        let mut export = INFO_EXPORT.to_be_bytes().to_vec();
        export.extend(disk.size().get().to_be_bytes());
        export.extend(TRANSMISSION_FLAGS.to_be_bytes());
        self.option_reply(option, REP_INFO, &export)?;
        let mut sizes = INFO_BLOCK_SIZE.to_be_bytes().to_vec();
        for size in [1, BLOCK as u32, MAX_REQUEST] {
            sizes.extend(size.to_be_bytes());
        }
        self.option_reply(option, REP_INFO, &sizes)?;
        self.option_reply(option, REP_ACK, &[])
    }

    fn option_reply(&mut self, option: u32, reply: u32, data: &[u8]) -> io::Result<()> {
        self.put_u64(OPTION_REPLY_MAGIC)?;
        self.put_u32(option)?;
        self.put_u32(reply)?;
        self.put_u32(data.len() as u32)?;
        self.writer.write_all(data)?;
        self.writer.flush()
    }

    fn transmit(&mut self, bays: &Bays, bay: &str) -> io::Result<()> {
        let mut buf = Vec::new();
        loop {
            if self.get_u32()? != REQUEST_MAGIC {
                return Err(violation("a request without its magic number"));
            }
            let _flags = self.get_u16()?;
            let command = self.get_u16()?;
            let cookie = self.get_u64()?;
            let offset = self.get_u64()?;
            let len = self.get_u32()?;
            let carries_data = matches!(command, CMD_READ | CMD_WRITE);
            if carries_data && len > MAX_REQUEST {
                return Err(violation("a request that is too long"));
            }
            if command == CMD_DISC {
                return Ok(());
            }
            if carries_data {
                buf.resize(len as usize, 0);
            }
            if command == CMD_WRITE {
                self.reader.read_exact(&mut buf)?;
            }
            // Looked up for each request: another disk may be in the bay by now.
            let disk = bays.get(bay).ok_or_else(|| violation("the bay is gone"))?;
            let done = match command {
                CMD_READ => disk.read(offset, &mut buf),
                CMD_WRITE => disk.write(offset, &buf),
                CMD_FLUSH => disk.flush(),
                CMD_TRIM | CMD_WRITE_ZEROES => disk.zero(offset, u64::from(len)),
                _ => Err(io::ErrorKind::InvalidInput.into()),
            };
            self.put_u32(REPLY_MAGIC)?;
            self.put_u32(done.as_ref().err().map_or(0, errno))?;
            self.put_u64(cookie)?;
            if command == CMD_READ && done.is_ok() {
                self.writer.write_all(&buf)?;
            }
            self.writer.flush()?;
        }
    }

    fn get(&mut self, len: u32) -> io::Result<Vec<u8>> {
        let mut data = vec![0; len as usize];
        self.reader.read_exact(&mut data)?;
        Ok(data)
    }

    fn get_u16(&mut self) -> io::Result<u16> {
        self.get_array().map(u16::from_be_bytes)
    }

    fn get_u32(&mut self) -> io::Result<u32> {
        self.get_array().map(u32::from_be_bytes)
    }

    fn get_u64(&mut self) -> io::Result<u64> {
        self.get_array().map(u64::from_be_bytes)
    }

    fn get_array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut raw = [0; N];
        self.reader.read_exact(&mut raw)?;
        Ok(raw)
    }

    fn put_u16(&mut self, n: u16) -> io::Result<()> {
        self.writer.write_all(&n.to_be_bytes())
    }

    fn put_u32(&mut self, n: u32) -> io::Result<()> {
        self.writer.write_all(&n.to_be_bytes())
    }

    fn put_u64(&mut self, n: u64) -> io::Result<()> {
        self.writer.write_all(&n.to_be_bytes())
    }
}

fn find(bays: &Bays, name: &[u8]) -> Option<(String, Arc<Disk>)> {
    let bay = std::str::from_utf8(name).ok()?;
    Some((bay.to_owned(), bays.get(bay)?))
}

/// The name in the data of `OPT_INFO` and `OPT_GO`: its length, itself, then what else the client would like to know.
fn info_name(data: &[u8]) -> Option<&[u8]> {
    let (len, rest) = data.split_first_chunk()?;
    rest.get(..u32::from_be_bytes(*len) as usize)
}

/// The protocol's error numbers are Linux's.
fn errno(error: &io::Error) -> u32 {
    let fallback = match error.kind() {
        io::ErrorKind::InvalidInput => rustix::io::Errno::INVAL,
        _ => rustix::io::Errno::IO,
    };
    error.raw_os_error().unwrap_or(fallback.raw_os_error()).unsigned_abs()
}

fn violation(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, LayerId};
    use super::*;
    use stead_spec::Bytes;

    /// A client that sends what QEMU sends: `OPT_GO` with a request for the block sizes.
    fn client(bays: &Bays, bay: &str) -> Connection {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let bays = bays.clone();
        thread::spawn(move || Connection::new(theirs).and_then(|mut connection| connection.serve(&bays)));
        let mut client = Connection::new(ours).expect("client");
        assert_eq!(client.get_u64().expect("magic"), INIT_MAGIC);
        assert_eq!(client.get_u64().expect("magic"), OPTION_MAGIC);
        assert_eq!(client.get_u16().expect("flags"), 3);
        client.put_u32(3).expect("flags");
        client.put_u64(OPTION_MAGIC).expect("option");
        client.put_u32(OPT_GO).expect("option");
        client.put_u32(bay.len() as u32 + 8).expect("length");
        client.put_u32(bay.len() as u32).expect("length");
        client.writer.write_all(bay.as_bytes()).expect("name");
        client.put_u16(1).expect("one request");
        client.put_u16(INFO_BLOCK_SIZE).expect("request");
        client.writer.flush().expect("flush");
        client
    }

    fn option_reply(client: &mut Connection) -> (u32, Vec<u8>) {
        assert_eq!(client.get_u64().expect("magic"), OPTION_REPLY_MAGIC);
        assert_eq!(client.get_u32().expect("option"), OPT_GO);
        let reply = client.get_u32().expect("reply");
        let len = client.get_u32().expect("length");
        (reply, client.get(len).expect("data"))
    }

    fn request(client: &mut Connection, command: u16, offset: u64, len: u32, data: &[u8]) -> u32 {
        client.put_u32(REQUEST_MAGIC).expect("magic");
        client.put_u16(0).expect("flags");
        client.put_u16(command).expect("command");
        client.put_u64(77).expect("cookie");
        client.put_u64(offset).expect("offset");
        client.put_u32(len).expect("length");
        client.writer.write_all(data).expect("data");
        client.writer.flush().expect("flush");
        assert_eq!(client.get_u32().expect("magic"), REPLY_MAGIC);
        let error = client.get_u32().expect("error");
        assert_eq!(client.get_u64().expect("cookie"), 77);
        error
    }

    fn bays(dir: &std::path::Path) -> Bays {
        let bays = Bays::default();
        let size = Bytes::mib(1);
        let disk = Disk::new(size, Layer::create(dir, LayerId(1), size).expect("layer"), Vec::new());
        bays.put("node1-disk1".into(), Arc::new(disk));
        bays
    }

    #[test]
    fn a_client_reads_what_it_wrote_until_the_power_goes() {
        let dir = tempfile::tempdir().expect("dir");
        let bays = bays(dir.path());
        let mut client = client(&bays, "node1-disk1");
        assert_eq!(option_reply(&mut client).1[2..10], (1_u64 << 20).to_be_bytes());
        assert_eq!(option_reply(&mut client).1[..2], INFO_BLOCK_SIZE.to_be_bytes());
        assert_eq!(option_reply(&mut client).0, REP_ACK);

        assert_eq!(request(&mut client, CMD_WRITE, 512, 4, b"kept"), 0);
        assert_eq!(request(&mut client, CMD_FLUSH, 0, 0, &[]), 0);
        assert_eq!(request(&mut client, CMD_WRITE, 512, 4, b"lost"), 0);
        assert_eq!(request(&mut client, CMD_READ, 512, 4, &[]), 0);
        assert_eq!(client.get(4).expect("data"), b"lost");
        bays.get("node1-disk1").expect("disk").cut_power();
        assert_eq!(request(&mut client, CMD_READ, 512, 4, &[]), 0);
        assert_eq!(client.get(4).expect("data"), b"kept");
    }

    #[test]
    fn errors_reach_the_client() {
        let dir = tempfile::tempdir().expect("dir");
        let bays = bays(dir.path());
        let mut client = client(&bays, "node1-disk1");
        for _ in 0..3 {
            option_reply(&mut client);
        }
        assert_eq!(request(&mut client, CMD_READ, 1 << 20, 1, &[]), 22, "EINVAL past the end");
        assert_eq!(request(&mut client, 99, 0, 0, &[]), 22, "EINVAL for an unknown command");
        bays.get("node1-disk1").expect("disk").set_failing(true);
        assert_eq!(request(&mut client, CMD_READ, 0, 1, &[]), 5, "EIO");
    }

    #[test]
    fn an_unknown_bay_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let mut client = client(&bays(dir.path()), "node9-os");
        assert_eq!(option_reply(&mut client).0, REP_ERR_UNKNOWN);
    }
}
