//! A fresh Debian, made ready: whoever has these keys gets in, and becomes root without a password.

use stead_spec::units::{PublicKey, SshTarget};
use stead_spec::words::quote;

use crate::reach::Lost;
use crate::ssh::Ssh;

/// What is done beside the keys, for a person.
pub const SUDO: &str = "let that user become root without a password, by /etc/sudoers.d/stead-enrolled";

/// Runs on the new node as the user, with the keys as its arguments. It only adds, and does nothing twice.
const SCRIPT: &str = r##"set -eu
umask 077
mkdir -p "$HOME/.ssh"
touch "$HOME/.ssh/authorized_keys"
for key; do
    grep -qxF -- "$key" "$HOME/.ssh/authorized_keys" || printf '%s\n' "$key" >>"$HOME/.ssh/authorized_keys"
done
[ "$(id -u)" != 0 ] || exit 0
# su keeps the user's PATH, in which visudo is not.
rule='set -eu
PATH=$PATH:/usr/sbin:/sbin
export PATH
command -v sudo >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends sudo; }
new=/etc/sudoers.d/.stead-enrolled
printf "# Managed by stead: made by stead node enroll\n%s ALL=(ALL:ALL) NOPASSWD: ALL\n" "$1" >"$new"
chmod 0440 "$new"
visudo -cqf "$new"
mv "$new" /etc/sudoers.d/stead-enrolled'
user=$(id -un)
if sudo -n true 2>/dev/null; then
    sudo sh -c "$rule" sh "$user"
elif command -v sudo >/dev/null && id -nG | grep -qw sudo; then
    echo "sudo wants the password of $user:"
    sudo sh -c "$rule" sh "$user"
else
    echo "$user may not use sudo yet; su wants the password of root:"
    su -c "$rule" root sh "$user"
fi
"##;

/// Lets `keys` in at `target`, with ssh's and sudo's own prompts on this terminal.
///
/// # Errors
/// It was not done: why, and what to do.
pub async fn enroll(ssh: &Ssh, target: &SshTarget, keys: &[PublicKey]) -> Result<(), Lost> {
    // The comment is whatever its owner liked; the key itself is two words of letters, digits and `+/=@.-`.
    let words = keys.iter().map(|key| quote(key.as_str()));
    let words = words.collect::<Vec<_>>().join(" ");
    ssh.interactive(target, &format!("sh -c {} sh {words}", quote(SCRIPT))).await
}
