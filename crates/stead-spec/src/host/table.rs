use super::Patience;
use crate::network::Origin;
use crate::read::{List, Map, table};
use crate::units::{
    AgeRecipient, Bytes, ClusterId, ClusterName, DiskId, Domain, Mac, NodeName, Number, PackageName, PublicKey, Server,
    SshTarget, SwitchName, SysctlKey, TimeOfDay, TimeZone, VolumeName, WipeToken,
};

table! {
    /// The cluster itself.
    pub(crate) struct ClusterTable {
        /// Who this cluster is. `stead init` makes it, every node and disk carries it, and it never changes: stead
        /// touches nothing that carries another one.
        need id: ClusterId,
        /// What people call it.
        need name: ClusterName,
        /// The DNS domain of its nodes and machines. Default: `home.arpa`, which is meant for homes (RFC 8375).
        may domain: Domain,
        /// The time zone of its nodes, and of every time of day in this file. Default: `Etc/UTC`.
        may timezone: TimeZone,
        /// Who can open the sealed secrets besides the admins: the age recipient of the recovery sheet, which stead
        /// prints and writes here when the first secret is made.
        may recovery: AgeRecipient,
    }
}

table! {
    /// A person who may do everything. The name is the user's name on the nodes.
    pub(crate) struct AdminTable {
        /// The public keys of this person. ssh keys let in, and all of them open the sealed secrets.
        need keys: List<PublicKey>,
    }
}

table! {
    /// What all nodes have in common.
    pub(crate) struct HostTable {
        /// From where ssh to the nodes is accepted: networks of this file, subnets or addresses. Default: every network
        /// on which nodes have addresses, but the core.
        may ssh_from: List<Origin>,
        /// Where the nodes get the time from. They always get it from each other too, so none of these has to answer.
        /// Default: Debian's own, `2.debian.pool.ntp.org`.
        may ntp: List<Server>,
        /// When the nodes install Debian's security updates, all but those of the engines, which stead updates one node
        /// at a time. Default: `04:00`.
        may updates: TimeOfDay,
        /// How many times longer than on ordinary PCs nodes wait for each other before one is called dead: for slow
        /// computers, and for a lab. Default: 1.
        may patience: Patience,
        /// Swap of each node: a file on its OS disk, encrypted with a key that nobody knows, new at each boot. Default:
        /// none.
        may swap: Bytes,
        /// More packages of Debian's for every node.
        may packages: List<PackageName>,
        /// More settings of the kernel: `{ "vm.swappiness" = "10" }`.
        may sysctl: Map<SysctlKey, String>,
    }
}

table! {
    /// A PC of the cluster. The name is its hostname.
    pub(crate) struct NodeTable {
        /// Where ssh reaches it: `USER@ADDRESS`, or what your ssh configuration calls it.
        need ssh: SshTarget,
        /// The last part of its addresses in the core, and what corosync calls it. Never changes. Default: the number
        /// that its name ends in.
        may number: Number,
        /// The MAC address of its NIC on each switch.
        need nics: Map<SwitchName, Mac>,
        /// Its data disks, by the volume that they are for; `vault` for those that are for no volume and only for what is
        /// the node's own. All of them are encrypted. Not the OS disk.
        may disks: Map<VolumeName, List<DiskId>>,
        /// Disks that may be wiped though they aren't blank, each with the token that `stead plan` printed for exactly
        /// what is on it now.
        may wipe: Map<DiskId, WipeToken>,
        /// A small node that votes and knows which copy is right, but keeps no copy itself and runs no machines.
        /// Default: `false`.
        may arbiter: bool,
        /// It was stolen, or others had it in their hands. stead doesn't speak to it, and no disk of the other nodes is
        /// opened by its tang. `stead keys revoke NODE` writes this and changes what it may have told; take it out when
        /// another PC has taken its place. Default: `false`.
        may revoked: bool,
        /// The name it had before, when it is given another one.
        may was: NodeName,
    }
}
