use toml::de::DeValue;

use crate::read::{Field, FromToml, List, Reader, Shape, Value, table};
use crate::units::{Invalid, TangUrl, Thumbprint};

table! {
    /// Who must answer before a data disk opens: `all` of a list, `any` of a list, or one tang. Lists hold such tables
    /// again. `"nodes"` in place of a list is the tang of each other node.
    pub(crate) struct UnlockTable {
        /// Each of these.
        may all: Group,
        /// At least one of these.
        may any: Group,
        /// A tang outside of the cluster: its address, and its port if that isn't 80. An address, because at power-on
        /// nobody answers for names.
        may tang: TangUrl,
        /// The thumbprint of that tang's signing key, as `tang-show-keys` prints it there.
        may thumbprint: Thumbprint,
    }
}

/// What `all` and `any` are about.
#[derive(Clone, Debug)]
pub(crate) enum Group {
    /// The tang of each other node.
    Nodes,
    /// These.
    Of(List<UnlockTable>),
}

/// The word for the tangs of all other nodes.
const NODES: &str = "nodes";

impl FromToml for Group {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(word) if word == NODES => Some(Self::Nodes),
            DeValue::String(_) => {
                let invalid = Invalid::new("the only word for a group is \"nodes\"", "write \"nodes\", or a list");
                reader.bad_value(value, "a group of tangs", invalid);
                None
            }
            _ => List::from_toml(value, reader).map(Self::Of),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![
            Shape::Words(&[(NODES, "The tang of each other node.")]),
            Shape::List(Box::new(UnlockTable::shape())),
        ])
    }
}

impl UnlockTable {
    /// Every tang that is named in it.
    pub(crate) fn tangs(&self) -> Vec<&Field<TangUrl>> {
        let groups = [&self.all, &self.any].into_iter().filter_map(Field::value);
        let below = groups.flat_map(|group| match group {
            Group::Nodes => Vec::new(),
            Group::Of(list) => list.items.iter().flat_map(|item| item.value.tangs()).collect(),
        });
        std::iter::once(&self.tang).chain(below).collect()
    }
}
