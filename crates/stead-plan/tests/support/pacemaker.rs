//! pacemaker's configuration as a model: what its programs make of commands. It knows nothing of steps.

use roxmltree::{Document, Node};
use stead_plan::machines::{Attributes, Membership};

/// What a constraint names that has to be there: pacemaker's schema wants it so.
const NAMES: [&str; 4] = ["rsc", "with-rsc", "first", "then"];

/// Runs `cibadmin …`; `None` if it doesn't know that.
pub(crate) fn cibadmin(cib: &mut Membership, words: &[&str], stdin: Option<&str>) -> Option<Result<(), String>> {
    match words {
        ["--modify", "--allow-create", "--xml-pipe"] => {
            let document = Document::parse(stdin?).ok()?;
            let mut after = cib.clone();
            let all = |tag: &'static str| {
                let section = document.descendants().filter(move |node| node.has_tag_name(tag));
                section.flat_map(|section| section.children()).filter(Node::is_element)
            };
            for of in all("resources") {
                let (name, resource) = resource(of)?;
                after.resources.entry(name).or_default().extend(resource);
            }
            for of in all("constraints") {
                let (name, mut constraint) = own(of)?;
                constraint.insert("element".to_owned(), of.tag_name().name().to_owned());
                let unknown =
                    NAMES.iter().filter_map(|key| constraint.get(*key)).find(|of| !after.resources.contains_key(*of));
                if let Some(unknown) = unknown {
                    return Some(Err(format!(
                        "Call cib_modify failed: Update does not conform to the schema: {unknown}"
                    )));
                }
                after.constraints.entry(name).or_default().extend(constraint);
            }
            *cib = after;
            Some(Ok(()))
        }
        ["--delete", "--xml-text", text] => {
            let document = Document::parse(text).ok()?;
            let (name, _) = own(document.root_element())?;
            // To delete what isn't there is no mistake.
            cib.constraints.remove(&name);
            cib.resources.remove(&name);
            Some(Ok(()))
        }
        _ => None,
    }
}

fn own(of: Node<'_, '_>) -> Option<(String, Attributes)> {
    let mut all: Attributes = of.attributes().map(|own| (own.name().to_owned(), own.value().to_owned())).collect();
    Some((all.remove("id")?, all))
}

fn resource(of: Node<'_, '_>) -> Option<(String, Attributes)> {
    let (name, mut all) = own(of)?;
    for part in of.children().filter(Node::is_element) {
        for within in part.children().filter(Node::is_element) {
            let (_, mut own) = own(within)?;
            let key = own.remove("name")?;
            match part.tag_name().name() {
                "meta_attributes" => drop(all.insert(format!("meta.{key}"), own.remove("value")?)),
                "operations" => all.extend(own.into_iter().map(|(name, value)| (format!("op.{key}.{name}"), value))),
                _ => return None,
            }
        }
    }
    Some((name, all))
}
