//! The box at the end of the lab's WAN cable: router, DHCP, DNS and the package mirror.

use std::io;
use std::net::Ipv4Addr;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::dhcp::{self, DhcpConfig, DhcpServer};
use super::dns;
use super::host::{Host, HostConfig};
use super::mirror::{self, MirrorConfig};
use crate::switch::Plug;

/// The box's address, in a network that is for examples only (RFC 5737).
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// How many bits of it name the network.
pub const PREFIX: u8 = 24;
/// The first address that DHCP gives away.
pub const POOL_FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 100);
/// The last one.
pub const POOL_LAST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 199);
/// The box's hardware address.
pub const MAC: [u8; 6] = [0x02, 0x6c, 0x61, 0x62, 0x00, 0x01];
/// The longest IP packet on the WAN.
pub const MTU: usize = 1500;

/// The running box, which stops when this is dropped.
pub struct Wan {
    _host: Host,
    _services: JoinSet<()>,
}

impl Wan {
    /// Starts the box on `plug`; its mirror serves while `open` is true.
    pub fn attach(plug: Plug, mirror: MirrorConfig, open: watch::Receiver<bool>) -> io::Result<Self> {
        let host = Host::attach(plug, HostConfig { mac: MAC, address: ADDRESS, prefix: PREFIX, mtu: MTU });
        let dhcp = DhcpServer::new(DhcpConfig { server: ADDRESS, prefix: PREFIX, pool: POOL_FIRST..=POOL_LAST });
        let mut services = JoinSet::new();
        services.spawn(dhcp.serve(host.udp(dhcp::PORT)?));
        services.spawn(dns::serve(host.udp(dns::PORT)?, ADDRESS, open.clone()));
        services.spawn(mirror::serve(host.listen(mirror::PORT)?, mirror, open));
        Ok(Self { _host: host, _services: services })
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::iface::{Config, Interface, SocketSet};
    use smoltcp::socket::dhcpv4;
    use smoltcp::time::Instant;
    use smoltcp::wire::EthernetAddress;

    use super::super::nic::Nic;
    use super::super::tests::{cable, within};
    use super::*;

    #[tokio::test]
    async fn a_dhcp_client_is_configured() {
        let (mut plug, box_plug) = cable(64);
        let (_open, closed) = watch::channel(false);
        let _wan = Wan::attach(box_plug, MirrorConfig::default(), closed).expect("nothing else is on this host");
        let mut nic = Nic::new(plug.tx.clone(), MTU);
        let mut iface =
            Interface::new(Config::new(EthernetAddress([2, 0, 0, 0, 0, 9]).into()), &mut nic, Instant::ZERO);
        let mut sockets = SocketSet::new(Vec::new());
        let client = sockets.add(dhcpv4::Socket::new());
        let start = tokio::time::Instant::now();
        let config = within(async {
            loop {
                let now = Instant::from_micros(i64::try_from(start.elapsed().as_micros()).expect("a short test"));
                iface.poll(now, &mut nic, &mut sockets);
                if let Some(dhcpv4::Event::Configured(config)) = sockets.get_mut::<dhcpv4::Socket>(client).poll() {
                    return (config.address, config.router, config.dns_servers.to_vec());
                }
                let due = iface.poll_delay(now, &sockets).map_or(std::time::Duration::MAX, Into::into);
                if let Ok(frame) = tokio::time::timeout(due, plug.rx.recv()).await {
                    nic.incoming = Some(frame.expect("the box is there"));
                }
            }
        })
        .await;
        assert!((POOL_FIRST..=POOL_LAST).contains(&config.0.address()), "{config:?}");
        assert_eq!((config.0.prefix_len(), config.1, config.2), (PREFIX, Some(ADDRESS), vec![ADDRESS]));
    }
}
