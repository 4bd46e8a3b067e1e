//! ifupdown's file: the NICs that systemd-networkd takes over are commented out there, and all else stays.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What ifupdown reads, and what cloud images put beside.
pub(super) const FILES: [&str; 2] = ["/etc/network/interfaces", "/etc/network/interfaces.d/50-cloud-init"];

/// What stands before lines that were taken over.
const SIGN: &str = "#stead: ";

/// The words that begin a stanza (interfaces(5)).
const KEYWORDS: [&str; 7] = ["iface", "mapping", "auto", "source", "source-directory", "no-auto-down", "no-scripts"];

/// A text without these interfaces; `None` if it has none of them. And those that it had.
pub(super) fn without<'n>(text: &str, names: &BTreeSet<&'n str>) -> Option<(String, Vec<&'n str>)> {
    let (mut out, mut found, mut ours) = (String::new(), BTreeSet::new(), false);
    for line in text.split_inclusive('\n') {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let group = first == "auto" || first.starts_with("allow-");
        if group || KEYWORDS.contains(&first) {
            let of: Vec<&str> = words.collect();
            ours = match first {
                "iface" => of.first().and_then(|name| names.get(*name)).map(|name| found.insert(*name)).is_some(),
                _ if group => of.iter().any(|name| names.contains(name)),
                _ => false,
            };
            if ours && group {
                found.extend(of.iter().filter_map(|name| names.get(*name).copied()));
                let rest: Vec<&str> = of.into_iter().filter(|name| !names.contains(name)).collect();
                out.push_str(SIGN);
                out.push_str(line);
                if !rest.is_empty() {
                    let _ = writeln!(out, "{first} {}", rest.join(" "));
                }
                ours = false;
                continue;
            }
        }
        // Comments inside of a stanza stay what they are.
        if ours && !first.is_empty() && !first.starts_with('#') {
            out.push_str(SIGN);
        }
        out.push_str(line);
    }
    (!found.is_empty()).then(|| (out, found.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "# The primary network interface\nallow-hotplug enp0s1\niface enp0s1 inet static\n\taddress \
                          192.168.0.50/24\n\t# mine\n\tgateway 192.168.0.1\n\nallow-hotplug enp0s2\niface enp0s2 inet \
                          dhcp\n";

    #[test]
    fn only_what_is_taken_over_is_commented_out() {
        let (text, found) = without(DEBIAN, &["enp0s1", "enp0s9"].into()).expect("it is there");
        assert_eq!(found, ["enp0s1"]);
        let expected = "# The primary network interface\n#stead: allow-hotplug enp0s1\n#stead: iface enp0s1 inet static\n\
                        #stead: \taddress 192.168.0.50/24\n\t# mine\n#stead: \tgateway 192.168.0.1\n\nallow-hotplug \
                        enp0s2\niface enp0s2 inet dhcp\n";
        assert_eq!(text, expected);
        assert_eq!(without(&text, &["enp0s1"].into()), None);
    }

    #[test]
    fn the_others_of_a_line_stay() {
        let text = "auto lo eth0 eth1\niface lo inet loopback\niface eth0 inet dhcp\n    mtu 9000\niface eth0 inet6 auto\n\
                    source /etc/network/interfaces.d/*\n";
        let (text, found) = without(text, &["eth0"].into()).expect("it is there");
        assert_eq!(found, ["eth0"]);
        let expected = "#stead: auto lo eth0 eth1\nauto lo eth1\niface lo inet loopback\n#stead: iface eth0 inet dhcp\n\
                        #stead:     mtu 9000\n#stead: iface eth0 inet6 auto\nsource /etc/network/interfaces.d/*\n";
        assert_eq!(text, expected);
    }
}
