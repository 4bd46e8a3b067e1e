//! What holds for each type: nothing panics, and what parses prints so that it can be read back.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// Each of the texts is read, and printed as the second of its pair, which is read as the same.
pub(super) fn prints<T: Text + PartialEq + Debug>(texts: &[(&str, &str)]) {
    for (text, canonical) in texts {
        let value: T = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(value.to_string(), *canonical);
        assert_eq!(canonical.parse(), Ok(value));
    }
}

/// The text is refused, and what is said of it has `why` in it.
pub(super) fn refuses<T: Text + Debug>(text: &str, why: &str) {
    let wrong = text.parse::<T>().expect_err(text);
    assert!(wrong.to_string().contains(why), "{text:?}: {wrong}");
}

fn read_back<T>(text: &str) -> Result<(), TestCaseError>
where
    T: Text + PartialEq + Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let Ok(value) = text.parse::<T>() else { return Ok(()) };
    let again = value.to_string().parse::<T>();
    prop_assert_eq!(again.as_ref(), Ok(&value));
    let json = serde_json::to_string(&value).expect("JSON");
    prop_assert_eq!(serde_json::from_str::<T>(&json).expect("the same"), value);
    Ok(())
}

/// Texts that match the pattern, which proptest makes without its anchors: of most of them, a good part is accepted.
fn like<T: Text>() -> impl Strategy<Value = String> {
    proptest::string::string_regex(&T::PATTERN.replace(['^', '$'], "")).expect("a pattern")
}

/// The example with one character replaced by something else.
fn broken<T: Text>() -> impl Strategy<Value = String> {
    (any::<prop::sample::Index>(), "\\PC{0,2}|[ -~]|\\PC*").prop_map(|(at, other)| {
        let mut parts: Vec<String> = T::EXAMPLE.chars().map(String::from).collect();
        let at = at.index(parts.len());
        parts[at] = other;
        parts.concat()
    })
}

/// A type's rules hold for its example, for any text, for texts that match its pattern, and for broken examples.
fn holds<T>()
where
    T: Text + PartialEq + Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    prints::<T>(&[(T::EXAMPLE, T::EXAMPLE)]);
    assert!(!T::WHAT.is_empty() && T::SYNTAX.ends_with('.'), "{}: {}", T::WHAT, T::SYNTAX);
    let texts = prop_oneof![any::<String>(), like::<T>(), broken::<T>()];
    let mut runner = TestRunner::new(ProptestConfig::with_source_file(file!()));
    runner.run(&texts, |text| read_back::<T>(&text)).unwrap_or_else(|why| panic!("{}: {why}", T::WHAT));
}

macro_rules! all_types {
    ($($name:ident)+) => {
        #[test]
        fn the_rules_hold() {
            $(holds::<$name>();)+
        }
    };
}

all_types! {
    Bytes Period TimeOfDay TimeZone Percent Ports Mac Address Subnet Interface Source DiskId ClusterName NodeName
    SwitchName NetworkName VolumeName ImageName MachineName DiskName HostName RuleName BackupName AlertName AdminName
    Domain DnsName Server SmtpServer Email ClusterId SshTarget PublicKey AgeRecipient Thumbprint TangUrl ImageUrl Sha256
    VolumePath Suite SysctlKey PackageName WipeToken
}
