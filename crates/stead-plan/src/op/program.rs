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
    Blkdiscard "/usr/sbin/blkdiscard" of "util-linux",
    Blkid "/usr/sbin/blkid" of "util-linux",
    Chronyd "/usr/sbin/chronyd" of "chrony",
    Cibadmin "/usr/sbin/cibadmin" of "pacemaker-cli-utils",
    Clevis "/usr/bin/clevis" of "clevis",
    CorosyncCfgtool "/usr/sbin/corosync-cfgtool" of "corosync",
    CorosyncQuorumtool "/usr/sbin/corosync-quorumtool" of "corosync",
    CrmAttribute "/usr/sbin/crm_attribute" of "pacemaker-cli-utils",
    CrmResource "/usr/sbin/crm_resource" of "pacemaker-cli-utils",
    Cryptsetup "/usr/sbin/cryptsetup" of "cryptsetup-bin",
    Curl "/usr/bin/curl" of "curl",
    Dpkg "/usr/bin/dpkg" of "dpkg",
    DpkgQuery "/usr/bin/dpkg-query" of "dpkg",
    Fallocate "/usr/bin/fallocate" of "util-linux",
    Gluster "/usr/sbin/gluster" of "glusterfs-cli",
    Hostnamectl "/usr/bin/hostnamectl" of "systemd",
    Ifdown "/usr/sbin/ifdown" of "ifupdown",
    Ifup "/usr/sbin/ifup" of "ifupdown",
    Install "/usr/bin/install" of "coreutils",
    Ip "/usr/bin/ip" of "iproute2",
    Jose "/usr/bin/jose" of "jose",
    Lsblk "/usr/bin/lsblk" of "util-linux",
    Lvchange "/usr/sbin/lvchange" of "lvm2",
    Lvcreate "/usr/sbin/lvcreate" of "lvm2",
    Lvm "/usr/sbin/lvm" of "lvm2",
    Mkdir "/usr/bin/mkdir" of "coreutils",
    MkfsExt4 "/usr/sbin/mkfs.ext4" of "e2fsprogs",
    MkfsXfs "/usr/sbin/mkfs.xfs" of "xfsprogs",
    Modprobe "/usr/sbin/modprobe" of "kmod",
    Mv "/usr/bin/mv" of "coreutils",
    Networkctl "/usr/bin/networkctl" of "systemd",
    NetworkdWaitOnline "/usr/lib/systemd/systemd-networkd-wait-online" of "systemd",
    Nft "/usr/sbin/nft" of "nftables",
    OvsVsctl "/usr/bin/ovs-vsctl" of "openvswitch-switch",
    Ping "/usr/bin/ping" of "iputils-ping",
    QemuImg "/usr/bin/qemu-img" of "qemu-utils",
    Rm "/usr/bin/rm" of "coreutils",
    Sshd "/usr/sbin/sshd" of "openssh-server",
    Sed "/usr/bin/sed" of "sed",
    Sha256sum "/usr/bin/sha256sum" of "coreutils",
    Sync "/usr/bin/sync" of "coreutils",
    Sysctl "/usr/sbin/sysctl" of "procps",
    Systemctl "/usr/bin/systemctl" of "systemd",
    SystemdRun "/usr/bin/systemd-run" of "systemd",
    TangdKeygen "/usr/libexec/tangd-keygen" of "tang-common",
    Timedatectl "/usr/bin/timedatectl" of "systemd",
    Truncate "/usr/bin/truncate" of "coreutils",
    Udevadm "/usr/bin/udevadm" of "udev",
    Useradd "/usr/sbin/useradd" of "passwd",
    Usermod "/usr/sbin/usermod" of "passwd",
    Vgchange "/usr/sbin/vgchange" of "lvm2",
    Vgcreate "/usr/sbin/vgcreate" of "lvm2",
    Virsh "/usr/bin/virsh" of "libvirt-clients",
    Visudo "/usr/sbin/visudo" of "sudo",
    Vtysh "/usr/bin/vtysh" of "frr",
    Wipefs "/usr/sbin/wipefs" of "util-linux",
    Xorrisofs "/usr/bin/xorrisofs" of "xorriso",
}

impl Program {
    /// Its name, as one would type it.
    pub fn name(self) -> &'static str {
        let path = self.path();
        path.rsplit_once('/').map_or(path, |(_, name)| name)
    }
}
