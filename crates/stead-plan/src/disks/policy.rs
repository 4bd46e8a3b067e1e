//! Who must answer before a disk opens, as clevis is told and as a header tells.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stead_spec::Spec;
use stead_spec::disks::{Lock, Unlocker};
use stead_spec::host::Node;
use stead_spec::units::{NodeName, Thumbprint};

use crate::op::{Filled, OutputKind, OutputRef};
use crate::step::StepId;

/// Where a node's tang listens, in the core only. Not tang's usual one, so that nothing else is taken for it.
pub(crate) const PORT: u16 = 7500;

/// What a keyslot is bound to, as its token in the header tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// So many of these must answer.
    Some {
        /// How many.
        of: u64,
        /// Which, sorted.
        pins: Vec<Self>,
    },
    /// A tang.
    Tang {
        /// Where, as it was told to clevis.
        url: String,
        /// The thumbprints, by SHA-256, of the keys that signed its advertisement then.
        signed_by: BTreeSet<Thumbprint>,
    },
    /// Another pin of clevis': its name.
    Other(String),
}

/// What a keyslot should be bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pin {
    /// So many of these must answer.
    Some { of: usize, pins: Vec<Self> },
    /// A tang.
    Tang { url: String, thumbprint: Print },
}

/// A thumbprint that is known, or will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Print {
    Is(Thumbprint),
    Comes(OutputRef),
}

impl Print {
    /// What the step that makes a key will tell.
    pub(crate) fn of(step: StepId) -> Self {
        Self::Comes(OutputRef { step, kind: OutputKind::Thumbprint })
    }
}

impl fmt::Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(thumbprint) => thumbprint.fmt(f),
            Self::Comes(output) => output.fmt(f),
        }
    }
}

/// Where a node's tang answers.
pub(crate) fn url(node: &Node) -> String {
    format!("http://{}:{PORT}", node.core)
}

/// What the file's policy means for the disks of a node. `print` tells the thumbprint of another node's tang.
///
/// # Errors
/// A thumbprint that is not known.
pub(crate) fn pin<E>(spec: &Spec, node: &NodeName, print: &mut dyn FnMut(&Node) -> Result<Print, E>) -> Result<Pin, E> {
    // clevis takes a single tang too; that it is always a share of something makes all bindings alike.
    let lock = match spec.lock(node) {
        one @ Lock::By(_) => Lock::All(vec![one]),
        group => group,
    };
    of_lock(spec, &lock, print)
}

fn of_lock<E>(spec: &Spec, lock: &Lock, print: &mut dyn FnMut(&Node) -> Result<Print, E>) -> Result<Pin, E> {
    let mut all = |locks: &[Lock]| locks.iter().map(|lock| of_lock(spec, lock, print)).collect::<Result<Vec<_>, E>>();
    Ok(match lock {
        Lock::All(locks) => Pin::Some { of: locks.len(), pins: all(locks)? },
        Lock::Any(locks) => Pin::Some { of: 1, pins: all(locks)? },
        Lock::By(Unlocker::Outside(tang)) => {
            Pin::Tang { url: tang.url.to_string(), thumbprint: Print::Is(tang.thumbprint.clone()) }
        }
        Lock::By(Unlocker::Node(name)) => match spec.nodes().get(name) {
            Some(node) => Pin::Tang { url: url(node), thumbprint: print(node)? },
            // The file's parser has let no such name through; nobody is asked who isn't there.
            None => Pin::Some { of: 1, pins: Vec::new() },
        },
    })
}

impl Pin {
    /// The configuration of clevis' pin `sss`, with marks for what isn't known yet.
    pub(crate) fn configuration(&self) -> Filled {
        let mut outputs = BTreeSet::new();
        let text = self.value(&mut outputs).to_string();
        Filled { text, outputs, ..Filled::default() }
    }

    /// As [`configuration`](Self::configuration), as JSON.
    pub(crate) fn value(&self, outputs: &mut BTreeSet<OutputRef>) -> Value {
        match self {
            Self::Tang { url, thumbprint } => {
                if let Print::Comes(output) = thumbprint {
                    outputs.insert(output.clone());
                }
                json!({ "url": url, "thp": thumbprint.to_string() })
            }
            Self::Some { of, pins } => {
                let (mut tang, mut sss) = (Vec::new(), Vec::new());
                for pin in pins {
                    let list = if matches!(pin, Self::Tang { .. }) { &mut tang } else { &mut sss };
                    list.push(pin.value(outputs));
                }
                let kinds = [("sss", sss), ("tang", tang)].into_iter().filter(|(_, pins)| !pins.is_empty());
                let pins: serde_json::Map<_, _> =
                    kinds.map(|(kind, pins)| (kind.to_owned(), Value::Array(pins))).collect();
                json!({ "t": of, "pins": pins })
            }
        }
    }

    /// Whether a slot is bound to just that. A thumbprint that is yet to come is nobody's.
    pub(crate) fn is(&self, bound: &Bound) -> bool {
        match (self, bound) {
            (Self::Tang { url, thumbprint: Print::Is(asked) }, Bound::Tang { url: at, signed_by }) => {
                // A thumbprint by SHA-1 was compared by clevis when it bound the slot.
                url == at && (!asked.is_sha256() || signed_by.contains(asked))
            }
            (Self::Some { of, pins }, Bound::Some { of: number, pins: bound }) => {
                let mut left: Vec<&Bound> = bound.iter().collect();
                let finds = |pin: &Self| {
                    let at = left.iter().position(|bound| pin.is(bound));
                    at.map(|at| left.swap_remove(at)).is_some()
                };
                usize::try_from(*number) == Ok(*of) && bound.len() == pins.len() && pins.iter().all(finds)
            }
            _ => false,
        }
    }
}

/// For a person: `1 of (http://10.10.0.2:7500, http://10.10.0.3:7500)`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Some { of, pins } => {
                let pins: Vec<_> = pins.iter().map(ToString::to_string).collect();
                write!(f, "{of} of ({})", pins.join(", "))
            }
            Self::Tang { url, .. } => f.write_str(url),
            Self::Other(pin) => write!(f, "the pin {pin}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tang(url: &str, print: char) -> (Pin, Bound) {
        let thumbprint: Thumbprint = format!("{}A", print.to_string().repeat(42)).parse().expect("a thumbprint");
        let signed_by = [thumbprint.clone()].into();
        let pin = Pin::Tang { url: url.to_owned(), thumbprint: Print::Is(thumbprint) };
        (pin, Bound::Tang { url: url.to_owned(), signed_by })
    }

    #[test]
    fn a_policy_is_the_same_in_any_order_and_another_with_any_other_part() {
        let ((a, a_is), (b, b_is)) = (tang("http://10.10.0.2:7500", 'a'), tang("http://10.10.0.3:7500", 'b'));
        let both = |of| Pin::Some { of, pins: vec![a.clone(), b.clone()] };
        let is = |of, pins: &[&Bound]| Bound::Some { of, pins: pins.iter().map(|bound| (*bound).clone()).collect() };
        assert!(both(1).is(&is(1, &[&b_is, &a_is])));
        for other in [is(2, &[&a_is, &b_is]), is(1, &[&a_is]), is(1, &[&a_is, &a_is]), is(1, &[&a_is, &b_is, &b_is])] {
            assert!(!both(1).is(&other), "{other}");
        }
        let (_, elsewhere) = tang("http://10.10.0.2:80", 'a');
        let (_, other_key) = tang("http://10.10.0.2:7500", 'c');
        assert!(a.is(&a_is) && !a.is(&elsewhere) && !a.is(&other_key) && !a.is(&Bound::Other("tpm2".to_owned())));
    }

    #[test]
    fn what_clevis_is_told() {
        let (a, _) = tang("http://192.168.0.2:7500", 'a');
        let output = OutputRef { step: "disks/node2/tang".parse().expect("a step"), kind: OutputKind::Thumbprint };
        let b = Pin::Tang { url: "http://10.10.0.2:7500".to_owned(), thumbprint: Print::Comes(output.clone()) };
        let pin = Pin::Some { of: 2, pins: vec![a, Pin::Some { of: 1, pins: vec![b.clone()] }] };
        let mut told = pin.configuration();
        assert_eq!(told.outputs, [output.clone()].into());
        told.fill(&output, "thumb");
        let nested = json!({ "t": 1, "pins": { "tang": [{ "url": "http://10.10.0.2:7500", "thp": "thumb" }] } });
        let outside = json!({ "url": "http://192.168.0.2:7500", "thp": "a".repeat(42) + "A" });
        assert_eq!(
            serde_json::from_str::<Value>(&told.text).expect("JSON"),
            json!({ "t": 2, "pins": { "tang": [outside], "sss": [nested] } })
        );
        assert!(!b.is(&Bound::Tang { url: "http://10.10.0.2:7500".to_owned(), signed_by: BTreeSet::new() }));
    }
}
