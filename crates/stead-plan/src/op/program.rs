use serde::{Deserialize, Serialize};

/// Declares every program that stead runs on a node: its variant, its absolute path and the Debian package that has it.
macro_rules! programs {
    ($($variant:ident $path:literal of $package:literal),+ $(,)?) => {
        /// A program of a node's. Nothing else is run there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "their paths say it")]
        pub enum Program {
            $($variant),+
        }

        impl Program {
            /// Where it lies on Debian 12 and 13.
            pub fn path(self) -> &'static str {
                match self { $(Self::$variant => $path),+ }
            }

            /// The Debian package that has it.
            pub fn package(self) -> &'static str {
                match self { $(Self::$variant => $package),+ }
            }
        }
    };
}

programs! {
    AptGet "/usr/bin/apt-get" of "apt",
    Blkid "/usr/sbin/blkid" of "util-linux",
    Chronyd "/usr/sbin/chronyd" of "chrony",
    Dpkg "/usr/bin/dpkg" of "dpkg",
    DpkgQuery "/usr/bin/dpkg-query" of "dpkg",
    Fallocate "/usr/bin/fallocate" of "util-linux",
    Hostnamectl "/usr/bin/hostnamectl" of "systemd",
    Ifdown "/usr/sbin/ifdown" of "ifupdown",
    Ifup "/usr/sbin/ifup" of "ifupdown",
    Ip "/usr/bin/ip" of "iproute2",
    Lsblk "/usr/bin/lsblk" of "util-linux",
    Networkctl "/usr/bin/networkctl" of "systemd",
    NetworkdWaitOnline "/usr/lib/systemd/systemd-networkd-wait-online" of "systemd",
    Nft "/usr/sbin/nft" of "nftables",
    OvsVsctl "/usr/bin/ovs-vsctl" of "openvswitch-switch",
    Ping "/usr/bin/ping" of "iputils-ping",
    Sshd "/usr/sbin/sshd" of "openssh-server",
    Sysctl "/usr/sbin/sysctl" of "procps",
    Systemctl "/usr/bin/systemctl" of "systemd",
    SystemdRun "/usr/bin/systemd-run" of "systemd",
    Timedatectl "/usr/bin/timedatectl" of "systemd",
    Truncate "/usr/bin/truncate" of "coreutils",
    Useradd "/usr/sbin/useradd" of "passwd",
    Usermod "/usr/sbin/usermod" of "passwd",
    Visudo "/usr/sbin/visudo" of "sudo",
    Vtysh "/usr/bin/vtysh" of "frr",
    Wipefs "/usr/sbin/wipefs" of "util-linux",
}

impl Program {
    /// Its name, as one would type it.
    pub fn name(self) -> &'static str {
        let path = self.path();
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }
}
