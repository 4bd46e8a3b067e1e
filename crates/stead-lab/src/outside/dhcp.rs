//! A DHCP server (RFC 2131) whose leases follow from the clients' hardware addresses.
//!
//! A client gets the address that it asks for, if that is free, else one that its hardware address points at, and keeps
//! it for as long as the server runs. So the address survives a restart of either side, and no file is needed.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;

use smoltcp::wire::{
    DHCP_CLIENT_PORT, DhcpFlags, DhcpMessageType as Message, DhcpOpCode, DhcpOption, DhcpPacket, DhcpRepr, Ipv4Cidr,
};

use super::stream::UdpSocket;

/// The port of DHCP servers.
pub const PORT: u16 = smoltcp::wire::DHCP_SERVER_PORT;

/// How long a lease is.
const LEASE_SECONDS: u32 = 3600;
/// The shortest message that every client takes (RFC 1542: BOOTP's own size).
const SHORTEST: usize = 300;
/// What stands before the options.
const MAGIC: u32 = 0x6382_5363;

const OPTION_REQUESTED: u8 = 50;
const OPTION_TYPE: u8 = 53;
const OPTION_SERVER: u8 = 54;
const OPTION_CLIENT_ID: u8 = 61;

/// What the server gives away; it is the clients' router and DNS server too.
#[derive(Clone, Debug)]
pub struct DhcpConfig {
    /// The server's own address.
    pub server: Ipv4Addr,
    /// How many bits of it name the network.
    pub prefix: u8,
    /// The addresses for clients.
    pub pool: RangeInclusive<Ipv4Addr>,
}

/// The server.
pub struct DhcpServer {
    config: DhcpConfig,
    leases: HashMap<[u8; 6], Ipv4Addr>,
    /// Addresses that a client found in use by somebody else.
    declined: HashSet<Ipv4Addr>,
}

/// What matters of a client's message.
struct Request {
    message: Message,
    transaction: u32,
    client: [u8; 6],
    client_id: Option<Vec<u8>>,
    current: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    broadcast: bool,
}

impl DhcpServer {
    /// A server without leases.
    pub fn new(config: DhcpConfig) -> Self {
        Self { config, leases: HashMap::new(), declined: HashSet::new() }
    }

    /// Serves `socket` until the host's cable is gone.
    pub async fn serve(mut self, mut socket: UdpSocket) {
        while let Ok((message, _)) = socket.recv_from().await {
            if let Some((answer, to)) = self.answer(&message) {
                // Who can't be answered asks again.
                let _ = socket.send_to(&answer, to);
            }
        }
    }

    /// The answer to a client's message, if it has one, and where to send it.
    ///
    /// It is broadcast, which every client hears, except to clients that have an address already: those listen on it.
    pub fn answer(&mut self, message: &[u8]) -> Option<(Vec<u8>, SocketAddrV4)> {
        let request = Request::parse(message)?;
        let (message, address) = self.decide(&request)?;
        let network = Ipv4Cidr::new(self.config.server, self.config.prefix);
        let unicast = message == Message::Ack && network.contains_addr(&request.current);
        let to = if unicast { request.current } else { Ipv4Addr::BROADCAST };
        Some((self.reply(&request, message, address)?, SocketAddrV4::new(to, DHCP_CLIENT_PORT)))
    }

    /// What to say to a client, and about which address (none: it keeps its own).
    fn decide(&mut self, request: &Request) -> Option<(Message, Option<Ipv4Addr>)> {
        match request.message {
            Message::Discover => self.lease(request).map(|address| (Message::Offer, Some(address))),
            Message::Request => {
                // The client took another server's offer.
                if request.server.is_some_and(|server| server != self.config.server) {
                    return None;
                }
                // What a client that has an address (it renews) or remembers one (it reboots) is asking for.
                let wanted = request.requested.or(some_address(request.current))?;
                let granted = self.lease(request) == Some(wanted);
                Some(if granted { (Message::Ack, Some(wanted)) } else { (Message::Nak, None) })
            }
            Message::Inform => Some((Message::Ack, None)),
            Message::Decline => {
                let declined = self.leases.remove(&request.client)?;
                self.declined.insert(declined);
                None
            }
            // A client that gives its address back gets the same one again.
            _ => None,
        }
    }

    /// The client's address: the one it has, the one it wants, or the next free one from where its hash points.
    fn lease(&mut self, request: &Request) -> Option<Ipv4Addr> {
        if let Some(&address) = self.leases.get(&request.client) {
            return Some(address);
        }
        let (first, last) = (self.config.pool.start().to_bits(), self.config.pool.end().to_bits());
        let size = u64::from(last.checked_sub(first)?) + 1;
        let start = hash(request.client) % size;
        let probes = (0..size).filter_map(|i| u32::try_from((start + i) % size).ok()).map(|i| (first + i).into());
        let wanted = request.requested.or(some_address(request.current)).filter(|it| self.config.pool.contains(it));
        let taken: HashSet<_> = self.leases.values().chain(&self.declined).collect();
        let address = wanted.into_iter().chain(probes).find(|address| !taken.contains(address))?;
        self.leases.insert(request.client, address);
        Some(address)
    }

    fn reply(&self, request: &Request, message: Message, address: Option<Ipv4Addr>) -> Option<Vec<u8>> {
        let server = self.config.server;
        let positive = message != Message::Nak;
        // RFC 6842: a client that names itself wants to hear that name again.
        let client_id = request.client_id.as_deref().map(|data| DhcpOption { kind: OPTION_CLIENT_ID, data });
        let repr = DhcpRepr {
            message_type: message,
            transaction_id: request.transaction,
            secs: 0,
            client_hardware_address: smoltcp::wire::EthernetAddress(request.client),
            client_ip: if positive { request.current } else { Ipv4Addr::UNSPECIFIED },
            your_ip: address.unwrap_or(Ipv4Addr::UNSPECIFIED),
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: positive.then_some(server),
            subnet_mask: positive.then(|| Ipv4Cidr::new(server, self.config.prefix).netmask()),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: request.broadcast,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(server),
            parameter_request_list: None,
            dns_servers: positive.then(|| [server].into_iter().collect()),
            max_size: None,
            lease_duration: address.map(|_| LEASE_SECONDS),
            renew_duration: None,
            rebind_duration: None,
            additional_options: client_id.as_slice(),
        };
        let mut bytes = vec![0; repr.buffer_len().max(SHORTEST)];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).ok()?;
        Some(bytes)
    }
}

impl Request {
    /// Reads a message; by hand, because smoltcp's own reader takes only client names that are hardware addresses.
    fn parse(message: &[u8]) -> Option<Self> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let ethernet = packet.hardware_type() == smoltcp::wire::ArpHardware::Ethernet && packet.hardware_len() == 6;
        if packet.opcode() != DhcpOpCode::Request || packet.magic_number() != MAGIC || !ethernet {
            return None;
        }
        let option = |kind| packet.options().find(|option| option.kind == kind).map(|option| option.data.to_vec());
        let address = |kind| option(kind).and_then(|data| <[u8; 4]>::try_from(data).ok()).map(Ipv4Addr::from);
        Some(Self {
            message: option(OPTION_TYPE)?.first().copied()?.into(),
            transaction: packet.transaction_id(),
            client: packet.client_hardware_address().0,
            client_id: option(OPTION_CLIENT_ID),
            current: packet.client_ip(),
            requested: address(OPTION_REQUESTED),
            server: address(OPTION_SERVER),
            broadcast: packet.flags().contains(DhcpFlags::BROADCAST),
        })
    }
}

fn some_address(address: Ipv4Addr) -> Option<Ipv4Addr> {
    (!address.is_unspecified()).then_some(address)
}

/// FNV-1a: spreads hardware addresses that count up.
fn hash(mac: [u8; 6]) -> u64 {
    mac.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
    const FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 100);
    const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

    fn server(last: u8) -> DhcpServer {
        let pool = FIRST..=Ipv4Addr::new(203, 0, 113, last);
        DhcpServer::new(DhcpConfig { server: SERVER, prefix: 24, pool })
    }

    /// A client's message: with a name that is no hardware address, as systemd-networkd and dhcpcd send it.
    fn message(mac: u8, message_type: Message, current: Ipv4Addr, options: [Option<Ipv4Addr>; 2]) -> Vec<u8> {
        let id = DhcpOption { kind: OPTION_CLIENT_ID, data: &[0xff, 1, 2, 3, 4, 5, mac] };
        let repr = DhcpRepr {
            message_type,
            transaction_id: 0x1234,
            secs: 1,
            client_hardware_address: smoltcp::wire::EthernetAddress([2, 0, 0, 0, 0, mac]),
            client_ip: current,
            your_ip: NONE,
            server_ip: NONE,
            router: None,
            subnet_mask: None,
            relay_agent_ip: NONE,
            broadcast: false,
            requested_ip: options[0],
            client_identifier: None,
            server_identifier: options[1],
            parameter_request_list: Some(&[1, 3, 6, 15]),
            dns_servers: None,
            max_size: Some(1472),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[id],
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).expect("room for the message");
        bytes
    }

    /// The answer's kind, address and receiver, after a look at what every answer has.
    fn heard(answer: Option<(Vec<u8>, SocketAddrV4)>) -> Option<(Message, Ipv4Addr, SocketAddrV4)> {
        let (bytes, to) = answer?;
        assert!(bytes.len() >= SHORTEST);
        let packet = DhcpPacket::new_checked(&bytes[..]).expect("a whole message");
        assert!(packet.options().any(|it| it.kind == OPTION_CLIENT_ID && it.data[..2] == [0xff, 1]));
        // smoltcp reads no names that are not hardware addresses: hide it.
        let mut plain = bytes.clone();
        let at = bytes.windows(4).position(|it| it == [OPTION_CLIENT_ID, 7, 0xff, 1]).expect("the name");
        plain[at] = 224;
        let packet = DhcpPacket::new_checked(&plain[..]).expect("a whole message");
        let repr = DhcpRepr::parse(&packet).expect("a valid message");
        assert_eq!((repr.transaction_id, repr.server_identifier), (0x1234, Some(SERVER)));
        if repr.message_type != Message::Nak {
            assert_eq!((repr.router, repr.subnet_mask), (Some(SERVER), Some(Ipv4Addr::new(255, 255, 255, 0))));
            assert_eq!(repr.dns_servers.map(|it| it.to_vec()), Some(vec![SERVER]));
            assert_eq!(repr.lease_duration, (repr.your_ip != NONE).then_some(LEASE_SECONDS));
        }
        Some((repr.message_type, repr.your_ip, to))
    }

    const ALL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 68);

    #[test]
    fn a_client_gets_keeps_and_renews_its_address() {
        let mut server = server(199);
        let mut say = |kind, current, options| heard(server.answer(&message(1, kind, current, options)));
        let (offer, address, to) = say(Message::Discover, NONE, [None, None]).expect("an offer");
        assert_eq!((offer, to), (Message::Offer, ALL));
        let ack = Some((Message::Ack, address, ALL));
        assert_eq!(say(Message::Request, NONE, [Some(address), Some(SERVER)]), ack, "it takes the offer");
        assert_eq!(say(Message::Request, NONE, [Some(address), None]), ack, "it reboots");
        let renewed = Some((Message::Ack, address, SocketAddrV4::new(address, 68)));
        assert_eq!(say(Message::Request, address, [None, None]), renewed);
        let informed = Some((Message::Ack, NONE, SocketAddrV4::new(address, 68)));
        assert_eq!(say(Message::Inform, address, [None, None]), informed);
        assert_eq!(say(Message::Release, address, [None, Some(SERVER)]), None);
        assert_eq!(say(Message::Discover, NONE, [None, None]), Some((Message::Offer, address, ALL)), "the same again");
    }

    #[test]
    fn an_address_is_the_clients_own() {
        let (mut one, mut two) = (server(199), server(199));
        let discover = |mac| message(mac, Message::Discover, NONE, [None, None]);
        let offers: Vec<_> = (1..=20).filter_map(|mac| heard(one.answer(&discover(mac)))).collect();
        let others: Vec<_> = (1..=20).rev().filter_map(|mac| heard(two.answer(&discover(mac)))).collect();
        assert_eq!(offers.iter().map(|it| it.1).collect::<HashSet<_>>().len(), 20);
        let same = offers.iter().zip(others.iter().rev()).filter(|(a, b)| a.1 == b.1).count();
        assert!(same > 10, "the order of the clients matters little: {same} of 20");
        let reboots = message(1, Message::Request, NONE, [Some(offers[0].1), None]);
        assert_eq!(heard(server(199).answer(&reboots)), Some((Message::Ack, offers[0].1, ALL)), "a new server agrees");
    }

    #[test]
    fn foreign_addresses_are_refused() {
        let mut server = server(101);
        let foreign = Ipv4Addr::new(192, 168, 7, 7);
        let nak = Some((Message::Nak, NONE, ALL));
        let mut say = |mac, kind, current, options| heard(server.answer(&message(mac, kind, current, options)));
        assert_eq!(say(1, Message::Request, NONE, [Some(foreign), None]), nak, "INIT-REBOOT");
        assert_eq!(say(1, Message::Request, NONE, [Some(foreign), Some(SERVER)]), nak, "SELECTING");
        assert_eq!(say(1, Message::Request, foreign, [None, None]), nak, "REBINDING");
        assert_eq!(say(1, Message::Request, NONE, [Some(foreign), Some(foreign)]), None, "another server's client");
        let (_, own, _) = say(1, Message::Discover, NONE, [Some(foreign), None]).expect("an offer");
        assert_eq!(say(2, Message::Request, NONE, [Some(own), None]), nak, "another client's address");
        assert_eq!(say(2, Message::Decline, NONE, [None, Some(SERVER)]), None);
        assert_eq!(say(3, Message::Discover, NONE, [None, None]), None, "the pool is empty");
    }

    #[test]
    fn noise_is_not_answered() {
        assert!(server(199).answer(b"noise").is_none());
        assert!(server(199).answer(&[1; 300]).is_none());
    }
}
