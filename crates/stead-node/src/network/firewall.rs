//! stead's own table of nftables.

use stead_plan::op::{Command, Program};

/// What prints it.
pub(crate) fn command() -> Command {
    Program::Nft.command().args(["-s", "list", "table", "inet", "stead"])
}

/// What its standard error says where there is no such table, or nothing of nftables in the kernel.
pub(crate) const NOT_THERE: &str = "No such file or directory";

/// What [`command`] printed: the table as it is.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    if text.starts_with("table ") { Ok(text.to_owned()) } else { Err("nft printed no table".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::testing::each;

    #[test]
    fn both_releases_print_the_same() {
        let tables: Vec<String> = each("nft.txt").map(|(_, table)| table).collect();
        assert!(tables[0].starts_with("table inet stead {\n\tchain input {\n"), "{}", tables[0]);
        assert!(tables.iter().all(|table| *table == tables[0]));
        assert_eq!(parse(&tables[0]).as_ref(), Ok(&tables[0]));
        assert!(parse("").is_err());
    }
}
