use std::str::FromStr;

use super::{Invalid, Text, label, string_type};

/// Words that the cluster file uses where a name could stand.
const WORDS: [&str; 6] = ["localhost", "all", "any", "none", "nodes", "internet"];
/// The network between the nodes: `NODE.core` is a node's name there.
const CORE: [&str; 1] = ["core"];

/// Defines names that are one label of a host name.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $example:literal, $longest:literal = $inner:literal + 2, $also:expr;)+) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("At most ", $longest, " lower-case letters, digits and inner dashes.")]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        const _: () = assert!($longest == $inner + 2);

        impl Text for $name {
            const WHAT: &'static str = $what;
            const SYNTAX: &'static str =
                concat!("At most ", $longest, " lower-case letters, digits and dashes, no dash first or last.");
            const EXAMPLE: &'static str = $example;
            const PATTERN: &'static str = concat!("^[a-z0-9]([a-z0-9-]{0,", $inner, "}[a-z0-9])?$");
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                label::check(text, $longest)?;
                not_one_of(text, &WORDS)?;
                let also: Also = $also;
                also(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        string_type!($name);
    )+};
}

fn not_one_of(text: &str, words: &[&str]) -> Result<(), Invalid> {
    if words.contains(&text) {
        return Err(Invalid::new(format!("`{text}` is a word of stead's own"), "write another name"));
    }
    Ok(())
}

/// What is refused beside what no name can be.
type Also = fn(&str) -> Result<(), Invalid>;

const NOTHING: Also = |_| Ok(());

fn not_core(text: &str) -> Result<(), Invalid> {
    not_one_of(text, &CORE)
}

/// Devices that are called otherwise than the file's networks: by the kernel, systemd, libvirt, Open vSwitch and stead.
const DEVICES: [&str; 4] = ["brcore", "default", "lo", "ovs-system"];
/// Those that are counted: `eth0`.
const COUNTED: [&str; 14] =
    ["bond", "br", "core", "dummy", "eth", "tap", "tun", "veth", "virbr", "vnet", "vxlan", "wg", "wlan", "eno"];
/// What systemd calls NICs, followed by digits: `enp1s0`.
const NICS: [&str; 4] = ["enp", "ens", "enx", "wlp"];

/// A network's name is that of a device on the nodes, where no other may have it.
fn no_device(text: &str) -> Result<(), Invalid> {
    let counted = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let taken = DEVICES.contains(&text)
        || (counted.len() < text.len() && COUNTED.contains(&counted))
        || NICS.iter().filter_map(|nic| text.strip_prefix(nic)).any(digit);
    if taken {
        return Err(Invalid::new(format!("`{text}` is a device's name on nodes"), "write another name"));
    }
    Ok(())
}

// Linux network devices carry the names of switches and networks. They have 15 characters (IFNAMSIZ in linux/if.h),
// and three of those are for a prefix.
names! {
    /// The cluster's name.
    ClusterName: "a cluster's name", "home", 63 = 61 + 2, NOTHING;
    /// A node's name, which is its host name too.
    NodeName: "a node's name", "node1", 63 = 61 + 2, not_core;
    /// A switch's name, which network devices carry.
    SwitchName: "a switch's name", "sw1", 12 = 10 + 2, NOTHING;
    /// A network's name, which network devices carry.
    NetworkName: "a network's name", "guests", 12 = 10 + 2, no_device;
    /// A volume's name.
    VolumeName: "a volume's name", "gv1", 32 = 30 + 2, NOTHING;
    /// The name of an image that machines start from.
    ImageName: "an image's name", "debian-13", 63 = 61 + 2, NOTHING;
    /// A virtual machine's name, which is its host name too.
    MachineName: "a machine's name", "mail", 63 = 61 + 2, not_core;
    /// The name of a machine's disk.
    DiskName: "a disk's name", "data", 20 = 18 + 2, NOTHING;
    /// The name of a host that is neither node nor machine and has a fixed address.
    HostName: "a host's name", "printer", 63 = 61 + 2, not_core;
    /// The name of a rule that lets packets through.
    RuleName: "a rule's name", "web", 63 = 61 + 2, NOTHING;
    /// The name of a backup.
    BackupName: "a backup's name", "nightly", 63 = 61 + 2, NOTHING;
    /// The name of who is told when something is wrong.
    AlertName: "an alert's name", "mail", 63 = 61 + 2, NOTHING;
}

/// The user name of somebody who administers the cluster, on each node.
///
/// As Debian's `adduser` takes them: lower-case letters, digits, `_` and `-`, no digit or dash first, at most 32,
/// the room that utmp has for one. Not a user or group that Debian or stead makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdminName(String);

const LONGEST_USER: usize = 32;

/// Users and groups of Debian's base system (`base-passwd`: /usr/share/doc/base-passwd/users-and-groups.html), and of
/// the packages on a node.
const TAKEN: [&str; 74] = [
    "adm",
    "audio",
    "backup",
    "bin",
    "cdrom",
    "chrony",
    "clevis",
    "crontab",
    "daemon",
    "dialout",
    "dip",
    "disk",
    "dnsmasq",
    "fax",
    "floppy",
    "frr",
    "frrvty",
    "games",
    "gnats",
    "groups",
    "haclient",
    "hacluster",
    "input",
    "irc",
    "kmem",
    "kvm",
    "libvirt",
    "libvirt-dnsmasq",
    "libvirt-qemu",
    "list",
    "lp",
    "mail",
    "man",
    "messagebus",
    "netdev",
    "news",
    "nobody",
    "nogroup",
    "ntp",
    "ntpsec",
    "openvswitch",
    "operator",
    "plugdev",
    "polkitd",
    "prometheus",
    "proxy",
    "qemu",
    "render",
    "root",
    "sasl",
    "sgx",
    "shadow",
    "src",
    "sshd",
    "ssl-cert",
    "staff",
    "statd",
    "stead",
    "sudo",
    "swtpm",
    "sync",
    "sys",
    "tang",
    "tape",
    "tcpdump",
    "tss",
    "tty",
    "users",
    "utmp",
    "uucp",
    "uuidd",
    "video",
    "voice",
    "www-data",
];
/// How Debian's other users and groups begin: `systemd-network`, `_chrony` (policy 9.2.1).
const TAKEN_PREFIXES: [&str; 3] = ["systemd-", "_", "debian-"];

impl Text for AdminName {
    const WHAT: &'static str = "a user name";
    const SYNTAX: &'static str = "At most 32 lower-case letters, digits, `_` and `-`; the first is a letter.";
    const EXAMPLE: &'static str = "alice";
    const PATTERN: &'static str = "^[a-z_][a-z0-9_-]{0,31}$";
}

impl FromStr for AdminName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write at most 32 letters a to z, digits, `_` and `-`, a letter first";
        if text.is_empty() {
            return Err(Invalid::new("it is empty", how));
        }
        if text.contains(|c: char| c.is_ascii_uppercase()) {
            let lower = text.to_ascii_lowercase();
            let remedy = if lower.parse::<Self>().is_ok() { format!("write {lower}") } else { how.to_owned() };
            return Err(Invalid::new("it has upper case letters", remedy));
        }
        if text.contains(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_' && c != '-') {
            return Err(Invalid::new("it has characters that a user name can't have", how));
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') {
            return Err(Invalid::new("it begins with a digit or a dash", how));
        }
        if text.len() > LONGEST_USER {
            let reason = format!("it has {} characters, and {LONGEST_USER} is the most", text.len());
            return Err(Invalid::new(reason, how));
        }
        if TAKEN.contains(&text) || TAKEN_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            let reason = "that is a user or a group of Debian's or stead's own, or may become one";
            return Err(Invalid::new(reason, "write another name"));
        }
        Ok(Self(text.to_owned()))
    }
}

string_type!(AdminName);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn labels() {
        for text in ["n", "node1", "1a", "a-b", "a--b", &"a".repeat(63)] {
            prints::<NodeName>(&[(text, text)]);
        }
        for (text, why) in [
            ("", "it is empty"),
            ("Node1", "write node1"),
            ("My_Node", "write my-node"),
            ("my_node", "write my-node"),
            ("my node", "write my-node"),
            ("node1.lan", "no dot"),
            ("-node", "write node"),
            ("node-", "write node"),
            ("---", "begins or ends"),
            ("nöde", "aren't ASCII"),
            ("node\n", "other than letters"),
            ("1234", "digits only"),
            ("xn--nde-sna", "xn--"),
            ("localhost", "stead's own"),
            ("core", "stead's own"),
        ] {
            refuses::<NodeName>(text, why);
        }
        refuses::<NodeName>(&"a".repeat(64), "64 characters, and 63 is the most");
    }

    #[test]
    fn devices_have_short_names() {
        prints::<NetworkName>(&[("core", "core"), ("abcdefghijkl", "abcdefghijkl"), ("lan2", "lan2"), ("ens", "ens")]);
        for device in ["core1", "br12", "brcore", "eth0", "enp3s0", "lo"] {
            refuses::<NetworkName>(device, "a device's name");
        }
        prints::<SwitchName>(&[("core1", "core1")]);
        refuses::<NetworkName>("abcdefghijklm", "12 is the most");
        refuses::<SwitchName>("internet", "stead's own");
    }

    #[test]
    fn admins() {
        for text in ["alice", "a1", "a_b-c", &"a".repeat(32)] {
            prints::<AdminName>(&[(text, text)]);
        }
        for (text, why) in [
            ("", "empty"),
            ("Alice", "write alice"),
            ("Root", "upper case"),
            ("root", "Debian's"),
            ("libvirt-qemu", "Debian's"),
            ("systemd-network", "Debian's"),
            ("_chrony", "Debian's"),
            ("1a", "digit or a dash"),
            ("-a", "digit or a dash"),
            ("a.b", "can't have"),
            ("a:b", "can't have"),
            ("a\n", "can't have"),
        ] {
            refuses::<AdminName>(text, why);
        }
        refuses::<AdminName>(&"a".repeat(33), "33 characters");
    }
}
