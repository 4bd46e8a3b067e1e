//! The machines that a node has in its memory, as libvirt notes it for itself: a file each in `/run`, written whenever one
//! changes its state.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};
use stead_plan::machines::Running;

use crate::place::Place;
use crate::read::why;

const FOLDER: &str = "/run/libvirt/qemu";

const END: &str = ".xml";

pub(super) fn look(place: &Place) -> Result<BTreeMap<String, Running>, String> {
    let Ok(names) = place.names(FOLDER) else { return Ok(BTreeMap::new()) };
    let mut running = BTreeMap::new();
    for file in names.iter().filter(|file| file.ends_with(END)) {
        let path = format!("{FOLDER}/{file}");
        // One that isn't there any more has ended meanwhile.
        let Some(text) = place.text_if_there(&path).map_err(|error| why(&error))? else { continue };
        let (name, domain) = parse(&text).map_err(|reason| format!("{path}: {reason}"))?;
        running.insert(name, domain);
    }
    Ok(running)
}

/// A machine's name, and what it does.
fn parse(text: &str) -> Result<(String, Running), String> {
    let document = Document::parse(text).map_err(|error| format!("no XML: {error}"))?;
    let status = document.root_element();
    let within = |name: &str| {
        let domain = status.children().find(|child| child.has_tag_name("domain"))?;
        let part = domain.children().filter(Node::is_element).find(|part| part.has_tag_name(name))?;
        Some(part.text()?.trim().to_owned())
    };
    let says = |key: &str| status.attribute(key).unwrap_or_default().to_owned();
    let mut parts = status.descendants();
    let screen = parts.find(|part| part.has_tag_name("graphics") && part.attribute("type") == Some("vnc"));
    let running = Running {
        uuid: within("uuid").ok_or("it has no number")?,
        state: says("state"),
        reason: says("reason"),
        screen: screen.and_then(|screen| screen.attribute("port")?.parse().ok()),
    };
    Ok((within("name").ok_or("it has no name")?, running))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends there")]

    use super::*;
    use crate::testing::{Node, each};

    #[test]
    fn both_releases() {
        for (release, text) in each("libvirt-running.xml") {
            let node = Node::new();
            node.write("/run/libvirt/qemu/web1.xml", &text);
            // What else lies there.
            node.write("/run/libvirt/qemu/autostarted", "");
            let told = look(&node.place).unwrap();
            let web1 = &told["web1"];
            assert_eq!((web1.state.as_str(), web1.reason.as_str()), ("running", "booted"), "{release}");
            assert_eq!((web1.uuid.len(), web1.screen), (36, Some(5900)), "{release}");
        }
    }

    #[test]
    fn where_libvirt_never_ran_nothing_runs() {
        assert!(look(&Node::new().place).unwrap().is_empty());
    }

    #[test]
    fn something_else_is_said() {
        assert!(parse("<domstatus/>").is_err() && parse("").is_err());
    }
}
