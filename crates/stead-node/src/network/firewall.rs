//! stead's own table of nftables.

use stead_plan::op::{Command, Program};

/// What prints it.
pub(crate) fn command() -> Command {
    Program::Nft.command().args(["-s", "list", "table", "inet", "stead"])
}

/// What its standard error says where there is no such table, or nothing of nftables in the kernel.
pub(crate) const NOT_THERE: &str = "No such file or directory";

#[cfg(test)]
mod tests {
    use crate::testing::each;

    #[test]
    fn both_releases_print_the_same() {
        let tables: Vec<String> = each("nft.txt").map(|(_, table)| table).collect();
        assert!(tables[0].starts_with("table inet stead {\n\tchain input {\n"), "{}", tables[0]);
        assert!(tables.iter().all(|table| *table == tables[0]));
    }
}
