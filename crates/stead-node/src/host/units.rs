//! Units of systemd's.

use std::collections::{BTreeMap, BTreeSet};

use stead_plan::inventory::{Activity, Enablement, Unit};
use stead_plan::op::{Command, Program};

/// What asks for these units; `None` for none, since systemctl would tell of itself.
pub(crate) fn command(asked: &BTreeSet<String>) -> Option<Command> {
    let properties = "--property=Id,Names,LoadState,ActiveState,UnitFileState";
    let show = Program::Systemctl.command().args(["show", properties, "--"]);
    (!asked.is_empty()).then(|| show.args(asked))
}

/// What [`command`] printed: a paragraph a unit, lines of `NAME=VALUE`. Under the names that were asked for.
pub(crate) fn parse(text: &str, asked: &BTreeSet<String>) -> Result<BTreeMap<String, Unit>, String> {
    let shown: Vec<Shown<'_>> = text.split("\n\n").filter(|part| !part.trim().is_empty()).map(shown).collect();
    let unit = |name: &String| {
        let found = shown.iter().find(|shown| shown.is(name));
        let found = found.ok_or_else(|| format!("systemctl says nothing about {name}"))?;
        Ok((name.clone(), found.unit()))
    };
    asked.iter().map(unit).collect()
}

/// A unit's paragraph.
#[derive(Default)]
struct Shown<'a> {
    id: &'a str,
    names: &'a str,
    load: &'a str,
    active: &'a str,
    file: &'a str,
}

fn shown(paragraph: &str) -> Shown<'_> {
    let mut shown = Shown::default();
    for (name, value) in paragraph.lines().filter_map(|line| line.split_once('=')) {
        match name {
            "Id" => shown.id = value,
            "Names" => shown.names = value,
            "LoadState" => shown.load = value,
            "ActiveState" => shown.active = value,
            "UnitFileState" => shown.file = value,
            _ => {}
        }
    }
    shown
}

impl Shown<'_> {
    /// Whether it is the unit of that name, which may be an alias; systemctl takes a name without ending for a service.
    fn is(&self, name: &str) -> bool {
        let same = |own: &str| own == name || own.strip_suffix(".service") == Some(name);
        same(self.id) || self.names.split(' ').any(same)
    }

    fn unit(&self) -> Unit {
        let enablement = match (self.load, self.file) {
            ("not-found", _) => Enablement::Absent,
            ("masked", _) => Enablement::Masked,
            (_, "enabled") => Enablement::Enabled,
            // What is enabled until the next boot only is not at that boot.
            (_, "disabled" | "enabled-runtime") => Enablement::Disabled,
            _ => Enablement::Other,
        };
        let activity = match self.active {
            "active" | "reloading" | "refreshing" => Activity::Active,
            "inactive" => Activity::Inactive,
            "failed" => Activity::Failed,
            _ => Activity::Changing,
        };
        Unit { enablement, activity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each;

    fn asked(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn both_releases() {
        use Activity::{Active, Failed, Inactive};
        use Enablement::{Absent, Enabled, Masked, Other};
        let expected = [
            ("apt-daily.timer", Masked, Inactive),
            ("broken.service", Other, Failed),
            ("nothing.service", Absent, Inactive),
            ("ssh", Enabled, Active),
            ("ssh.service", Enabled, Active),
            // An alias.
            ("sshd.service", Enabled, Active),
            ("systemd-journald.service", Other, Active),
        ];
        for (release, text) in each("systemctl.txt") {
            let units = parse(&text, &asked(&expected.map(|(name, ..)| name))).unwrap();
            for (name, enablement, activity) in expected {
                assert_eq!(units[name], Unit { enablement, activity }, "{name} on {release}");
            }
        }
    }

    #[test]
    fn on_its_way_and_until_the_next_boot() {
        let text =
            "Id=a.service\nNames=a.service\nLoadState=loaded\nActiveState=activating\nUnitFileState=enabled-runtime\n";
        let unit = Unit { enablement: Enablement::Disabled, activity: Activity::Changing };
        assert_eq!(parse(text, &asked(&["a.service"])).unwrap()["a.service"], unit);
    }

    #[test]
    fn silence_about_a_unit_is_an_error() {
        let error = parse("\n", &asked(&["a.service"])).unwrap_err();
        assert_eq!(error, "systemctl says nothing about a.service");
    }

    #[test]
    fn nothing_is_asked_about_nothing() {
        assert_eq!(command(&asked(&[])), None);
        let shown = command(&asked(&["b.timer", "a.service"])).unwrap().to_string();
        assert!(shown.ends_with(" -- a.service b.timer"), "{shown}");
    }
}
