//! What stead does on a node, told to systemd's journal: `journalctl -t stead`.

use std::os::unix::net::UnixDatagram;

use crate::place::Place;

const SOCKET: &str = "/run/systemd/journal/socket";

/// systemd's journal, where there is one.
#[derive(Debug)]
pub struct Journal {
    socket: Option<UnixDatagram>,
    by: String,
}

/// How much attention an entry wants, as syslog counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Something could not be done.
    Error = 3,
    /// Something is not as it should be.
    Warning = 4,
    /// As meant.
    Info = 6,
}

impl Journal {
    /// The node's journal, for what is done at the wish of this person (`me@laptop`).
    pub fn open(place: &Place, by: &str) -> Self {
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect(place.at(SOCKET))?;
            // A journal that hangs holds nothing up.
            socket.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(socket)
        };
        Self { socket: connect().ok(), by: by.to_owned() }
    }

    /// Tells of something, and of the step that it belongs to. Without a journal it is told to nobody.
    pub fn tell(&self, priority: Priority, message: &str, step: Option<&str>) {
        let priority = (priority as u8).to_string();
        let mut fields =
            vec![("MESSAGE", message), ("PRIORITY", &priority), ("SYSLOG_IDENTIFIER", "stead"), ("STEAD_BY", &self.by)];
        fields.extend(step.map(|step| ("STEAD_STEP", step)));
        if let Some(socket) = &self.socket {
            let _ = socket.send(&entry(&fields));
        }
    }
}

/// In the journal's own format: a value of several lines has its length before it.
fn entry(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut entry = Vec::new();
    for (name, value) in fields {
        entry.extend(name.as_bytes());
        if value.contains('\n') {
            entry.push(b'\n');
            entry.extend((value.len() as u64).to_le_bytes());
        } else {
            entry.push(b'=');
        }
        entry.extend(value.as_bytes());
        entry.push(b'\n');
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Node;

    #[test]
    fn entries_have_fields() {
        assert_eq!(entry(&[("A", "x=y"), ("B", "")]), b"A=x=y\nB=\n");
        assert_eq!(entry(&[("A", "x\ny")]), b"A\n\x03\0\0\0\0\0\0\0x\ny\n");
    }

    #[test]
    fn the_journal_hears_who_did_what() {
        let node = Node::new();
        Journal::open(&node.place, "me@laptop").tell(Priority::Info, "nobody hears this", None);
        let journal = node.journal();
        Journal::open(&node.place, "me@laptop").tell(Priority::Error, "it broke", Some("host/node1/packages"));
        let heard = "MESSAGE=it broke\nPRIORITY=3\nSYSLOG_IDENTIFIER=stead\nSTEAD_BY=me@laptop\n\
                     STEAD_STEP=host/node1/packages\n";
        assert_eq!(journal.heard(), [heard]);
    }
}
