//! A node's processor, as Linux tells it.

use std::fs;

use stead_plan::machines::Processor;

use crate::place::Place;

/// What is in `/proc/cpuinfo` of the first of them: those of one computer are alike.
pub(super) fn look(place: &Place) -> Result<Processor, String> {
    let text = fs::read_to_string(place.at("/proc/cpuinfo"));
    let text = text.map_err(|error| format!("could not read /proc/cpuinfo: {error}"))?;
    Ok(parse(&text, place.at("/dev/kvm").exists()))
}

fn parse(text: &str, accelerates: bool) -> Processor {
    let first = text.split("\n\n").next().unwrap_or_default();
    let pairs = || first.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key.trim(), value.trim()));
    let says = |wanted: &str| pairs().find(|(key, _)| *key == wanted).map(|(_, value)| value).unwrap_or_default();
    let model = format!(
        "{} {} {} {}, {}",
        says("vendor_id"),
        says("cpu family"),
        says("model"),
        says("stepping"),
        says("model name")
    );
    Processor { accelerates, model, flags: says("flags").split_whitespace().map(ToOwned::to_owned).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each;

    #[test]
    fn both_releases() {
        for (release, text) in each("cpuinfo") {
            let told = parse(&text, true);
            assert!(told.flags.contains("sse4_2") && !told.flags.contains("bugs"), "{release}: {told:?}");
            assert!(told.model.starts_with("AuthenticAMD 15 107 1, QEMU"), "{release}: {told:?}");
        }
    }
}
