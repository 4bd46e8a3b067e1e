//! The lab's DNS: it knows the package mirrors, while the mirror is open, and nothing else.

use std::net::Ipv4Addr;

use simple_dns::rdata::{A, OPT, RData};
use simple_dns::{CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE};
use tokio::sync::watch;

use super::mirror::HOSTS;
use super::stream::UdpSocket;

/// The port of DNS.
pub const PORT: u16 = 53;

/// How long an answer may be kept: as short as can be, since the mirror opens and closes.
const TTL: u32 = 1;
/// The longest datagram that we say to take.
const EDNS_SIZE: u16 = 1232;

/// Serves `socket` until the host's cable is gone: the mirrors are at `mirror` while it is open.
pub async fn serve(mut socket: UdpSocket, mirror: Ipv4Addr, open: watch::Receiver<bool>) {
    while let Ok((query, from)) = socket.recv_from().await {
        let known = open.borrow().then_some(mirror);
        if let Some(answer) = answer(&query, known) {
            // Who can't be answered asks again.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The answer to `query`, with the mirrors at `mirror`, if it is one that has an answer at all.
pub fn answer(query: &[u8], mirror: Option<Ipv4Addr>) -> Option<Vec<u8>> {
    let query = Packet::parse(query).ok().filter(|query| !query.has_flags(PacketFlag::RESPONSE))?;
    let wants_recursion = query.has_flags(PacketFlag::RECURSION_DESIRED);
    let edns = query.opt().is_some();
    let mut reply = query.into_reply();
    (reply.answers, reply.name_servers, reply.additional_records) = (Vec::new(), Vec::new(), Vec::new());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE | PacketFlag::AUTHORITATIVE_ANSWER);
    if wants_recursion {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    *reply.opt_mut() = edns.then(|| OPT { opt_codes: Vec::new(), udp_packet_size: EDNS_SIZE, version: 0 });
    *reply.rcode_mut() = match (reply.opcode(), &reply.questions[..]) {
        (OPCODE::StandardQuery, [question]) => {
            let name = question.qname.to_string();
            match mirror.filter(|_| HOSTS.iter().any(|host| host.eq_ignore_ascii_case(&name))) {
                None => RCODE::NameError,
                Some(address) => {
                    if is_address(question.qtype, question.qclass) {
                        let data = RData::A(A { address: address.to_bits() });
                        reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, TTL, data));
                    }
                    RCODE::NoError
                }
            }
        }
        (OPCODE::StandardQuery, _) => RCODE::FormatError,
        _ => RCODE::NotImplemented,
    };
    reply.build_bytes_vec_compressed().ok()
}

fn is_address(qtype: QTYPE, qclass: QCLASS) -> bool {
    matches!(qtype, QTYPE::TYPE(TYPE::A) | QTYPE::ANY) && matches!(qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY)
}

#[cfg(test)]
mod tests {
    use simple_dns::{Name, Question};

    use super::*;

    const MIRROR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

    fn ask(name: &str, qtype: TYPE, mirror: Option<Ipv4Addr>) -> (RCODE, Vec<Ipv4Addr>) {
        let mut query = Packet::new_query(7);
        query.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(name).expect("a valid name");
        query.questions.push(Question::new(name, QTYPE::TYPE(qtype), QCLASS::CLASS(CLASS::IN), false));
        *query.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: 4096, version: 0 });
        let bytes = answer(&query.build_bytes_vec().expect("a valid query"), mirror).expect("an answer");
        let reply = Packet::parse(&bytes).expect("a valid answer");
        assert!(reply.has_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_DESIRED));
        assert_eq!((reply.id(), reply.questions.len(), reply.opt().is_some()), (7, 1, true));
        let addresses = reply.answers.iter().map(|record| match &record.rdata {
            RData::A(a) => Ipv4Addr::from_bits(a.address),
            other => panic!("not an address: {other:?}"),
        });
        (reply.rcode(), addresses.collect())
    }

    #[test]
    fn the_mirrors_are_known_while_open() {
        assert_eq!(ask("deb.debian.org", TYPE::A, Some(MIRROR)), (RCODE::NoError, vec![MIRROR]));
        assert_eq!(ask("Security.Debian.ORG", TYPE::A, Some(MIRROR)), (RCODE::NoError, vec![MIRROR]));
        assert_eq!(ask("deb.debian.org", TYPE::A, None), (RCODE::NameError, vec![]));
    }

    #[test]
    fn nothing_else_is_known() {
        assert_eq!(ask("deb.debian.org", TYPE::AAAA, Some(MIRROR)), (RCODE::NoError, vec![]));
        assert_eq!(ask("_http._tcp.deb.debian.org", TYPE::SRV, Some(MIRROR)), (RCODE::NameError, vec![]));
        assert_eq!(ask("example.org", TYPE::A, Some(MIRROR)), (RCODE::NameError, vec![]));
    }

    #[test]
    fn noise_and_answers_are_not_answered() {
        assert_eq!(answer(b"noise", Some(MIRROR)), None);
        let reply = Packet::new_reply(1).build_bytes_vec().expect("a valid answer");
        assert_eq!(answer(&reply, Some(MIRROR)), None);
    }
}
