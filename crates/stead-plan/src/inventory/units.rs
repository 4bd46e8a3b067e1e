use serde::{Deserialize, Serialize};

/// A unit of systemd's, as `systemctl show` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// What happens to it at boot.
    pub enablement: Enablement,
    /// What it does now.
    pub activity: Activity,
}

/// What happens to a unit at boot: systemd's `UnitFileState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enablement {
    /// There is no such unit.
    Absent,
    /// It starts.
    Enabled,
    /// It doesn't.
    Disabled,
    /// Nothing can start it.
    Masked,
    /// Others start it (`static`, `indirect`, `generated`, …).
    Other,
}

/// What a unit does: systemd's `ActiveState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// It runs, or has done what it is for.
    Active,
    /// It doesn't.
    Inactive,
    /// It broke.
    Failed,
    /// It is on its way from one to another.
    Changing,
}
