use crate::read::{List, Map, table, words};
use crate::units::{Address, Mtu, NetworkName, NodeName, Number, Subnet, SwitchName, Vlan};

table! {
    /// A switch. What it is set to, stead only needs to know; `stead network explain` says what it should be.
    pub(crate) struct SwitchTable {
        /// Which of the core's networks is this switch's. Never changes. Default: the number that its name ends in.
        may number: Number,
        /// The largest packet that it passes, in bytes, without the Ethernet header. Default: `1500`.
        may mtu: Mtu,
        /// Switches that a cable connects with this one. Needs saying on one side only.
        may linked_to: List<SwitchName>,
        /// The name it had before, when it is given another one.
        may was: SwitchName,
    }
}

words! {
    /// What carries a network, if no switch does.
    pub(crate) enum Over: "what carries a network" {
        /// The core: the network reaches every node as long as the core does, whatever switch dies.
        Core = "core",
    }
}

table! {
    /// A network. The one named `core` is the nodes' own, for storage, heartbeats and migration: stead routes it over
    /// all switches that it names, so that any of them may die. Every other one is for machines, and for the nodes that
    /// have addresses in it.
    pub(crate) struct NetworkTable {
        /// The switches that carry it. Several only for the core, or where the switches are linked.
        may switches: List<SwitchName>,
        /// Instead of switches: `"core"` carries it between the nodes, whatever switch dies.
        may over: Over,
        /// Its VLAN tag on those switches. Without one its packets are untagged. A network over the core needs one.
        may vlan: Vlan,
        /// The largest packet in it, in bytes, without the Ethernet header. Default: for the core, the most that all of
        /// its switches pass; over the core, 50 less than the core, at most 1500; else 1500.
        may mtu: Mtu,
        /// For the core: addresses that nothing else uses. The first 256 are the nodes' own, the next 256 are for the
        /// NICs on switch number 1, and so on. Where it
        /// begins never changes; beginning at a multiple of a larger size (`10.10.0.0`), it can grow.
        may pool: Subnet,
        /// Its addresses.
        may subnet: Subnet,
        /// The address of its router: the default route of the nodes that have addresses here, and of its machines.
        may gateway: Address,
        /// Who answers names, for the nodes that have addresses here and for machines with a fixed one.
        may dns: List<Address>,
        /// The nodes' addresses in it. A node without one still carries it for its machines.
        may addresses: Map<NodeName, Address>,
        /// The name it had before, when it is given another one.
        may was: NetworkName,
    }
}
