//! Which addresses can be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use futures_util::future::try_join_all;
use stead_plan::op::{Command, Program};

use crate::exec::{RunError, Runner};

/// Pings all of them at once.
///
/// # Errors
/// There is no ping, or it can't be started.
pub(crate) async fn ping(
    addresses: &BTreeSet<Ipv4Addr>,
    runner: &Runner,
) -> Result<BTreeMap<Ipv4Addr, bool>, RunError> {
    let pings = addresses.iter().map(async |address| match runner.run(&command(*address)).await {
        Ok(output) => Ok((*address, output.status == Some(0))),
        Err(RunError::TimedOut { .. }) => Ok((*address, false)),
        Err(error) => Err(error),
    });
    Ok(try_join_all(pings).await?.into_iter().collect())
}

/// Ends with 0 if at least one of five was answered: the first may be lost while the address is being resolved.
fn command(address: Ipv4Addr) -> Command {
    Program::Ping.command().args(["-n", "-c", "5", "-i", "0.2", "-W", "2", &address.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Node;

    #[tokio::test]
    async fn one_that_answers_is_told_from_one_that_does_not() {
        let node = Node::new();
        let addresses = ["192.0.2.1", "192.0.2.2", "198.51.100.1"].map(|text| text.parse().unwrap());
        let asked = BTreeSet::from(addresses);
        let error = ping(&asked, &node.runner()).await.unwrap_err();
        assert!(error.to_string().contains("`iputils-ping`"), "{error}");
        let script = r#"for last in "$@"; do :; done; echo "$*" >>asked; case $last in 192.0.2.1) exit 0;; 192.0.2.2) exit 1;; *) exit 2;; esac"#;
        node.tool(Program::Ping, script);
        let pinged = ping(&asked, &node.runner()).await.unwrap();
        assert_eq!(pinged.into_values().collect::<Vec<_>>(), [true, false, false]);
        assert!(node.read("asked").contains("-n -c 5 -i 0.2 -W 2 198.51.100.1\n"));
    }
}
