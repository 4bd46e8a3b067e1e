//! Where commands that talk to nodes run: one thread, and all nodes at once on it.

use std::future::Future;

use anyhow::Context;

/// Runs a command's work to its end.
///
/// # Errors
/// Those of the work.
pub(crate) fn to_its_end<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not start tokio")?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// Who runs this, for leases and journals: `me@laptop`.
pub(crate) fn who() -> String {
    let user =
        ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{}@{host}", user.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string()))
}
