//! What is set of a replicated volume.

use std::collections::BTreeMap;

use stead_spec::Spec;

use super::layout::members;

/// By which a volume says whose it is.
pub(super) const MARK: &str = "user.stead";

/// For disks of machines: the group `virt` of GlusterFS 10.3 and 11.1 (`/var/lib/glusterd/groups/virt`), which both
/// releases have word by word, and what comes after it.
const OPTIONS: [(&str, &str); 25] = [
    ("client.event-threads", "4"),
    ("server.event-threads", "4"),
    ("server.keepalive-count", "5"),
    ("server.keepalive-interval", "2"),
    ("server.keepalive-time", "10"),
    ("cluster.choose-local", "off"),
    ("cluster.data-self-heal-algorithm", "full"),
    ("cluster.eager-lock", "enable"),
    ("cluster.locking-scheme", "granular"),
    // With shards, images broke when a volume grew (GlusterFS issues 1918, 2246, 2253).
    ("cluster.lookup-optimize", "off"),
    ("cluster.quorum-type", "auto"),
    ("cluster.server-quorum-type", "server"),
    ("cluster.shd-max-threads", "8"),
    ("cluster.shd-wait-qlength", "10000"),
    // Never to be switched off again: what is in shards would be read as torn.
    ("features.shard", "on"),
    ("network.remote-dio", "disable"),
    ("performance.client-io-threads", "on"),
    ("performance.io-cache", "off"),
    ("performance.low-prio-threads", "32"),
    ("performance.quick-read", "off"),
    ("performance.read-ahead", "off"),
    ("performance.strict-o-direct", "on"),
    ("user.cifs", "off"),
    // Nobody reads or writes without a certificate, from the first start on: there is no way between with and without.
    ("client.ssl", "on"),
    ("server.ssl", "on"),
];

/// The group's too: how long a node may be silent, in seconds, before others go on without it; times the patience. So long
/// machines wait whose disks it has a copy of.
const SILENCE: u32 = 20;

/// libvirt-qemu's, which Debian gives the same number everywhere.
pub(super) const OWNER: &str = "64055";

/// All that is to be set, by name.
pub(super) fn asked(spec: &Spec) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> =
        OPTIONS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let silence = (SILENCE * u32::from(spec.host().patience.get())).to_string();
    all.insert("network.ping-timeout".to_owned(), silence.clone());
    all.insert("server.tcp-user-timeout".to_owned(), silence);
    let names: Vec<&str> = members(spec).iter().map(|node| node.name.as_ref()).collect();
    // The certificates' names. Those that heal and those that mount are on the nodes too.
    all.insert("auth.ssl-allow".to_owned(), names.join(","));
    all.insert("storage.owner-uid".to_owned(), OWNER.to_owned());
    all.insert("storage.owner-gid".to_owned(), OWNER.to_owned());
    all.insert(MARK.to_owned(), spec.cluster().id.to_string());
    all
}

/// What gluster sets by itself, of whatever version.
pub(super) const ITS_OWN: [&str; 5] = [
    "cluster.granular-entry-heal",
    "nfs.disable",
    "performance.client-io-threads",
    "storage.fips-mode-rchecksum",
    "transport.address-family",
];
