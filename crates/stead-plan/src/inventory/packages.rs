use serde::{Deserialize, Serialize};

/// A package that dpkg knows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its version; empty where only its configuration is left.
    pub version: String,
    /// How far it is installed.
    pub state: PackageState,
}

/// How far a package is installed: dpkg's `Status-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageState {
    /// Whole.
    Installed,
    /// Removed, but for its configuration, or not there.
    Removed,
    /// Something between: an installation was cut, or a script failed.
    Broken,
}

/// A newer version that apt knows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// What is installed.
    pub from: String,
    /// What apt would install.
    pub to: String,
    /// Whether it comes from Debian's security archive.
    pub security: bool,
}
