//! LVM's volume groups, as `lvm fullreport` tells.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use stead_plan::disks::{LogicalVolume, Pool, Used};
use stead_plan::op::{Command, Program};
use stead_spec::Bytes;

/// What tells of all of them at once; each part of the report with the columns that are of interest.
pub(crate) fn command() -> Command {
    let parts = [
        ("vg", "vg_name,vg_tags,vg_size,vg_free"),
        ("pv", "pv_name"),
        ("lv", "lv_name,lv_tags,lv_size,data_percent,metadata_percent"),
        ("pvseg", "pvseg_start"),
        ("seg", "segtype"),
    ];
    let parts = parts.into_iter().flat_map(|(part, columns)| ["--configreport", part, "-o", columns]);
    Program::Lvm.command().args(["fullreport", "--reportformat", "json", "--units", "b", "--nosuffix"]).args(parts)
}

#[derive(Deserialize)]
struct Printed {
    report: Vec<Report>,
}

/// One volume group, and what is in it; of devices that are in none, the first part is empty.
#[derive(Deserialize)]
struct Report {
    vg: Vec<Group>,
    pv: Vec<Device>,
    lv: Vec<Volume>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "vg_name")]
    name: String,
    #[serde(rename = "vg_tags")]
    tags: String,
    #[serde(rename = "vg_size")]
    size: String,
    #[serde(rename = "vg_free")]
    free: String,
}

#[derive(Deserialize)]
struct Device {
    pv_name: String,
}

#[derive(Deserialize)]
struct Volume {
    #[serde(rename = "lv_name")]
    name: String,
    #[serde(rename = "lv_tags")]
    tags: String,
    #[serde(rename = "lv_size")]
    size: String,
    #[serde(default)]
    data_percent: String,
    #[serde(default)]
    metadata_percent: String,
}

/// What [`command`] printed.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Pool>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("lvm printed something else: {error}");
    let printed: Printed = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let bytes = |text: &str| text.parse().map(Bytes::new).map_err(|error| wrong(&error));
    let mut pools = BTreeMap::new();
    for report in printed.report {
        let Some(group) = report.vg.into_iter().find(|group| !group.name.is_empty()) else { continue };
        let volume = |of: Volume| {
            let volume = LogicalVolume { tags: tags(&of.tags), size: bytes(&of.size)?, used: used(&of) };
            Ok((of.name, volume))
        };
        let pool = Pool {
            tags: tags(&group.tags),
            size: bytes(&group.size)?,
            free: bytes(&group.free)?,
            devices: report.pv.into_iter().map(|device| device.pv_name).collect(),
            volumes: report.lv.into_iter().map(volume).collect::<Result<_, String>>()?,
        };
        pools.insert(group.name, pool);
    }
    Ok(pools)
}

/// A thin volume has a part for data only.
fn used(of: &Volume) -> Option<Used> {
    // Rounded up: what is nearly full is full.
    let percent = |text: &str| {
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        let more = u8::from(rest.bytes().any(|digit| digit != b'0'));
        Some(whole.parse::<u8>().ok()?.saturating_add(more).min(100))
    };
    Some(Used { data: percent(&of.data_percent)?, metadata: percent(&of.metadata_percent)? })
}

fn tags(text: &str) -> BTreeSet<String> {
    text.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each;

    #[test]
    fn groups_of_both_releases() {
        for (release, text) in each("lvm.json") {
            let pools = parse(&text).unwrap();
            let [(name, pool)] = &pools.iter().collect::<Vec<_>>()[..] else { panic!("{release}: {pools:?}") };
            assert!(name.starts_with("stead_") && pool.tags.contains("stead"), "{release}");
            assert_eq!(pool.devices, [format!("/dev/mapper/{name}")].into(), "{release}");
            let vault = &pool.volumes["vault"];
            assert_eq!((vault.size, pool.size.get() - pool.free.get()), (Bytes::mib(256), 256 << 20), "{release}");
        }
        assert_eq!(parse(r#"{"report":[{"vg":[],"pv":[{"pv_name":"/dev/sdx"}],"lv":[]}]}"#), Ok(BTreeMap::new()));
        assert!(parse("lvm: error").unwrap_err().starts_with("lvm printed something else"));
    }
}
