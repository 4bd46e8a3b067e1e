//! sshd: that it reads the admins' keys.

use super::admins::KEYS;
use crate::inventory::{Activity, Questions};
use crate::op::Program;
use crate::plan::planner::{Hidden, Managed, NodePlan, header, look};
use crate::step::About;

const MAIN: &str = "/etc/ssh/sshd_config";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/10-stead.conf";
const UNIT: &str = "ssh.service";

/// sshd's default.
const USUAL: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([MAIN, DROP_IN].map(Into::into));
    out.folders.insert("/etc/ssh/sshd_config.d".into());
    out.units.insert(UNIT.to_owned());
}

pub(super) fn ssh(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let main = plan.users_file(MAIN)?.text;
    if !settings(&main).any(|(key, value)| key.eq_ignore_ascii_case("Include") && value.contains("sshd_config.d/")) {
        plan.note(format!("{MAIN} doesn't include /etc/ssh/sshd_config.d/*.conf, so sshd won't read the admins' keys"));
    }
    // sshd takes the first word on this: whoever comes in by files that the node names itself still has to.
    let own = settings(&main).find(|(key, _)| key.eq_ignore_ascii_case("AuthorizedKeysFile"));
    let own = own.map(|(_, value)| value.split_whitespace().filter(|file| *file != "none" && !USUAL.contains(file)));
    let admins = format!("{KEYS}/%u");
    let mut files = USUAL.to_vec();
    files.extend(own.into_iter().flatten().filter(|file| *file != admins));
    files.push(&admins);
    let text = format!("{}AuthorizedKeysFile {}\n", header("#"), files.join(" "));
    let mut step = plan.draft("sshd", "let sshd read the admins' keys");
    let checked_by = Some(Program::Sshd.command().args(["-t", "-f"]));
    if step.file(&Managed { checked_by, ..Managed::new(DROP_IN, text) })? {
        let unit = look(plan.seen, UNIT)?;
        step.rests_on(About::Unit(UNIT.to_owned()))?;
        // One that starts with each connection reads it then.
        if unit.activity == Activity::Active {
            step.run(Program::Systemctl.command().args(["reload", UNIT]));
        }
    }
    plan.add(step);
    Ok(())
}

/// What a configuration of sshd's sets for everybody, in its order.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once([' ', '\t', '=']).unwrap_or((line, "")));
    pairs.take_while(|(key, _)| !key.eq_ignore_ascii_case("Match")).map(|(key, value)| (key, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_for_everybody_counts() {
        let text = "# A\n#PermitRootLogin no\nInclude /etc/ssh/sshd_config.d/*.conf\nUsePAM=yes\nMatch User x\n  A b\n";
        let found: Vec<_> = settings(text).collect();
        assert_eq!(found, [("Include", "/etc/ssh/sshd_config.d/*.conf"), ("UsePAM", "yes")]);
    }
}
