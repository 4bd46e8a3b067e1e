use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file asks for what can't be.
    Error,
    /// It can be, and may not be what was meant.
    Warning,
}

macro_rules! codes {
    ($($severity:ident { $($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+ })+) => {
        /// Which mistake it is. Its name is the same for ever, so that scripts can count on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($($(#[doc = $doc])+ $variant,)+)+
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$($(Self::$variant),+),+];

            /// Its name: `address-twice`.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)+)+ }
            }

            /// How bad it is.
            pub const fn severity(self) -> Severity {
                match self { $($(Self::$variant => Severity::$severity,)+)+ }
            }
        }
    };
}

codes! {
    Error {
        // The text.
        /// The bytes are no UTF-8.
        NotUtf8 = "not-utf8",
        /// The file is larger than any cluster file.
        TooLarge = "too-large",
        /// The text is no TOML.
        Syntax = "syntax",
        /// `schema` says a version that this stead doesn't read.
        SchemaVersion = "schema-version",
        /// A key or table that means nothing.
        UnknownKey = "unknown-key",
        /// A key or table that has to be there.
        MissingKey = "missing-key",
        /// A text where a number belongs, and the like.
        WrongType = "wrong-type",
        /// A value that is not what its key takes.
        BadValue = "bad-value",
        /// A name for something that isn't in the file.
        UnknownName = "unknown-name",
        /// One name for two things.
        NameTwice = "name-twice",
        /// Two keys of a table that exclude each other, or none of which one is needed.
        OneOf = "one-of",
        /// A key that means nothing beside the others of its table.
        UselessKey = "useless-key",
        /// A list that names the same thing twice.
        ListedTwice = "listed-twice",
        /// `was` names what is still there, or what another table was.
        WasCollides = "was-collides",
        /// This is stead's own mistake.
        Internal = "internal",

        // host
        /// Fewer than three nodes.
        TooFewNodes = "too-few-nodes",
        /// An even number of nodes: neither half outvotes the other.
        EvenNodes = "even-nodes",
        /// One number for two nodes, or for two switches.
        NumberTwice = "number-twice",
        /// A new name that would be a new number.
        NumberChanges = "number-changes",
        /// Two nodes that ssh reaches at the same place.
        SshTwice = "ssh-twice",
        /// An admin that no key lets in.
        AdminWithoutLogin = "admin-without-login",

        // network
        /// One MAC address for two cards.
        MacTwice = "mac-twice",
        /// One address for two things.
        AddressTwice = "address-twice",
        /// An address that its network doesn't contain.
        AddressOutside = "address-outside",
        /// Two networks with the same addresses.
        SubnetsOverlap = "subnets-overlap",
        /// Two untagged networks on one NIC.
        UntaggedTwice = "untagged-twice",
        /// The core untagged, on a NIC that carries something else.
        CoreShared = "core-shared",
        /// One VLAN for two networks on a switch.
        VlanTwice = "vlan-twice",
        /// A network on a switch where a node has no NIC.
        NoNic = "no-nic",
        /// A network on switches that aren't linked with each other.
        SwitchesNotLinked = "switches-not-linked",
        /// Networks that share a switch and are not on the same ones.
        SwitchesDiffer = "switches-differ",
        /// Frames longer than what carries them.
        MtuTooLarge = "mtu-too-large",
        /// The core's pool has no room for one network a switch.
        PoolTooSmall = "pool-too-small",
        /// Two default routes for one node.
        TwoGateways = "two-gateways",
        /// A node with no address but the core's.
        NoWayIn = "no-way-in",

        // disks
        /// One disk of a node for two places.
        DiskTwice = "disk-twice",
        /// A node without a data disk.
        NoDataDisk = "no-data-disk",
        /// A part of the policy that names nobody.
        UnlockNobody = "unlock-nobody",
        /// Nothing that can happen at a boot opens the disks.
        UnlockNever = "unlock-never",
        /// Who steals one node has all that opens its disks.
        UnlockByOneNode = "unlock-by-one-node",
        /// A name where, before the first machine, nobody answers for names.
        NameBeforeBoot = "name-before-boot",
        /// A machine that would have to run before the first machine can.
        MachineBeforeBoot = "machine-before-boot",

        // volumes
        /// More copies than nodes to keep them.
        TooManyReplicas = "too-many-replicas",
        /// Disks that don't make whole sets of copies.
        BricksDontDivide = "bricks-dont-divide",
        /// Nodes that give different numbers of disks.
        BricksUnequal = "bricks-unequal",
        /// Two copies, and nobody who knows which one is right.
        TwoCopies = "two-copies",
        /// A volume that no node gives a disk to.
        NoDisks = "no-disks",

        // machines
        /// A machine on a network of the nodes alone.
        MachineOnCore = "machine-on-core",
        /// A machine whose disk lies on one node, and that doesn't say on which.
        LocalDiskElsewhere = "local-disk-elsewhere",
        /// Fail-over for a machine whose disk can't follow.
        HaOnLocalDisk = "ha-on-local-disk",
        /// A machine where none may run.
        MachineOnArbiter = "machine-on-arbiter",
        /// Machines that keep away from each other, on one node.
        ApartTogether = "apart-together",
        /// Machines that wait for each other.
        StartCycle = "start-cycle",

        // router, backup
        /// An address that DHCP hands out and that something has already.
        DhcpCollides = "dhcp-collides",
        /// A range that ends before it begins, or reaches beyond its network.
        BadRange = "bad-range",
        /// Not as many addresses as the router has members.
        RouterMembers = "router-members",
        /// Something of the router's on a network that it doesn't route for.
        NotRouted = "not-routed",
        /// Somebody on the network on which a pair of routers tell each other of connections.
        SyncShared = "sync-shared",
        /// Two forwards of the same port.
        ForwardTwice = "forward-twice",
        /// Packets for a machine whose address nobody knows.
        NoFixedAddress = "no-fixed-address",
    }
    Warning {
        /// Two nodes with a disk of one serial number.
        DiskAlike = "disk-alike",
        /// ssh goes to another address than the file gives the node.
        SshElsewhere = "ssh-elsewhere",
        /// Who takes enough PCs has all that opens their disks.
        UnlockByNodes = "unlock-by-nodes",
        /// One node that stays off keeps the others' disks closed.
        UnlockNeedsAllNodes = "unlock-needs-all-nodes",
        /// Something between power-on and the first machine goes through a gateway.
        UnlockBehindGateway = "unlock-behind-gateway",
        /// A backup on what it backs up.
        BackupOnItself = "backup-on-itself",
    }
}

impl Code {
    /// Whether it is of something that lacks, so that all places that miss it are mended at once.
    pub(crate) const fn merges(self) -> bool {
        matches!(self, Self::UnknownName | Self::NoNic | Self::TwoGateways)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
