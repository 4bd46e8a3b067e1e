//! The planner itself, for its layer `host`.

use stead_plan::inventory::{Inventory, Questions, sha256};
use stead_plan::plan::{Asked, Plan, plan, questions};
use stead_spec::Spec;
use stead_spec::units::{ClusterId, NodeName};

use crate::scenario::{Planner, SECRETS, Texts};

/// Two cluster files that ask for different things.
pub(crate) struct Host {
    restarts_always: bool,
    files: [(String, Spec); 2],
}

const BASE: &str = include_str!("../../../../examples/minimal.toml");

const FIRST: &str = r#"
[host]
swap = "1GiB"
packages = ["htop"]
sysctl = { "vm.swappiness" = "10" }
"#;

const SECOND: &str = r#"
[host]
swap = "512MiB"
ntp = ["192.0.2.123"]
sysctl = { "vm.swappiness" = "20", "kernel.panic_on_oops" = "1" }
"#;

impl Host {
    pub(crate) fn new(restarts_always: bool) -> Self {
        let file = |more: &str| {
            let text = format!("{BASE}{more}");
            let (spec, _) =
                stead_spec::parse("stead.toml", text.as_bytes()).unwrap_or_else(|report| panic!("{report:?}"));
            (text, spec)
        };
        Self { restarts_always, files: [FIRST, SECOND].map(file) }
    }
}

impl Planner for Host {
    fn cluster(&self) -> ClusterId {
        self.files[0].1.cluster().id
    }

    fn encrypts(&self) -> bool {
        true
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.files[0].1.nodes().keys().cloned().collect()
    }

    fn restarts_always(&self) -> bool {
        self.restarts_always
    }

    fn text(&self, variant: usize) -> String {
        self.files[variant].0.clone()
    }

    fn questions(&self, node: &NodeName, variant: usize) -> Questions {
        questions(&self.files[variant].1, node)
    }

    fn plan(&self, texts: &Texts, inventory: &Inventory) -> Plan {
        let sums = SECRETS.map(|(name, secret)| (name.to_owned(), sha256(secret))).into();
        let Texts { variant, digest, ancestors, .. } = texts;
        let trusted =
            ["storage", "machines", "migration"].map(|of| (of.to_owned(), "a certificate\n".to_owned())).into();
        let asked = Asked { spec: &self.files[*variant].1, digest, ancestors, sums: &sums, trusted: &trusted };
        plan(&asked, inventory)
    }
}
