//! Accounts and groups, from the files themselves: a static binary can't ask the C library's name services.

use std::collections::{BTreeMap, BTreeSet};

use stead_plan::host::facts::User;

/// Debian's group of those who may become root.
const SUDO: &str = "sudo";

/// The node's accounts and groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    users: Vec<Account>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
    shell: String,
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// What `/etc/passwd` and `/etc/group` say. Lines that are none of theirs are skipped, as the C library does.
    pub(crate) fn parse(passwd: &str, group: &str) -> Self {
        Self {
            users: passwd.lines().filter_map(account).collect(),
            groups: group.lines().filter_map(group_line).collect(),
        }
    }

    /// The accounts that were asked for, as far as they are there, and those of the group `sudo`.
    pub(crate) fn users(&self, asked: &BTreeSet<String>) -> BTreeMap<String, User> {
        let users = self.users.iter().map(|account| (account, self.groups_of(account)));
        let wanted = users.filter(|(account, groups)| asked.contains(&account.name) || groups.contains(SUDO));
        let mut users = BTreeMap::new();
        for (account, groups) in wanted {
            let Account { name, uid, home, shell, .. } = account.clone();
            // Of two lines with one name, the first one counts.
            users.entry(name).or_insert(User { uid, home: home.into(), shell, groups });
        }
        users
    }

    /// `USER:GROUP`; numbers where they have no name.
    pub(crate) fn owner(&self, uid: u32, gid: u32) -> String {
        let user = self.users.iter().find(|account| account.uid == uid);
        let user = user.map_or_else(|| uid.to_string(), |account| account.name.clone());
        let group = self.group(gid).map_or_else(|| gid.to_string(), |group| group.name.clone());
        format!("{user}:{group}")
    }

    /// What a group is to the kernel.
    pub(crate) fn group_number(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|group| group.name == name).map(|group| group.gid)
    }

    fn group(&self, gid: u32) -> Option<&Group> {
        self.groups.iter().find(|group| group.gid == gid)
    }

    fn groups_of(&self, account: &Account) -> BTreeSet<String> {
        let own = self.group(account.gid);
        let others = self.groups.iter().filter(|group| group.members.contains(&account.name));
        own.into_iter().chain(others).map(|group| group.name.clone()).collect()
    }
}

/// `NAME:x:UID:GID:COMMENT:HOME:SHELL`.
fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
    Some(Account {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.to_owned(),
        // passwd(5): an empty field stands for that one.
        shell: if shell.is_empty() { "/bin/sh" } else { shell }.to_owned(),
    })
}

/// `NAME:x:GID:USER,USER,…`.
fn group_line(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields[..] else { return None };
    let members = members.split(',').filter(|member| !member.is_empty()).map(ToOwned::to_owned).collect();
    Some(Group { name: name.to_owned(), gid: gid.parse().ok()?, members })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each;

    fn names(users: &BTreeMap<String, User>) -> Vec<&str> {
        users.keys().map(String::as_str).collect()
    }

    #[test]
    fn both_releases() {
        for ((release, passwd), (_, group)) in each("passwd").zip(each("group")) {
            let accounts = Accounts::parse(&passwd, &group);
            let users = accounts.users(&["root", "nobody-such"].map(str::to_owned).into());
            assert_eq!(names(&users), ["me", "root"], "{release}");
            let groups = ["me", "sudo"].map(str::to_owned).into();
            let me = User { uid: 1000, home: "/srv/me".into(), shell: "/bin/bash".to_owned(), groups };
            assert_eq!(users["me"], me, "{release}");
            assert_eq!(accounts.owner(0, 42), "root:shadow", "{release}");
            assert_eq!((accounts.group_number("shadow"), accounts.group_number("nobody-such")), (Some(42), None));
            assert_eq!(accounts.owner(12345, 54321), "12345:54321", "{release}");
        }
    }

    #[test]
    fn who_has_sudo_as_the_own_group_is_in_it() {
        let passwd = "a:x:1:27::/:\nb:x:2:2::/:/bin/false\n# no account\nc:x:3\na:x:9:9::/:/bin/sh\n";
        let accounts = Accounts::parse(passwd, "sudo:x:27:\nb:x:2:\n");
        let users = accounts.users(&BTreeSet::new());
        assert_eq!(names(&users), ["a"]);
        assert_eq!((users["a"].uid, users["a"].shell.as_str()), (1, "/bin/sh"));
    }
}
