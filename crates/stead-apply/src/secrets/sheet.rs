//! The recovery sheet: a key on paper that opens all secrets when no admin's key is left.

use std::fmt::Write as _;

use age::secrecy::ExposeSecret;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use stead_plan::inventory::Timestamp;
use stead_spec::host::Cluster;
use stead_spec::units::AgeRecipient;
use zeroize::Zeroizing;

use super::Secret;
use super::dates::date;

/// A recovery sheet as it is made. It is kept nowhere: once this is dropped, only paper has it.
pub struct Sheet {
    key: age::x25519::Identity,
    recipient: AgeRecipient,
}

/// How the sheet's text begins.
pub(super) const HEADING: &str = "RECOVERY SHEET";

/// How many of the key's last characters are typed back.
const TYPED: usize = 8;

impl Sheet {
    /// Makes one.
    ///
    /// # Panics
    /// If age printed recipients otherwise than the cluster file has them.
    pub fn make() -> Self {
        let key = age::x25519::Identity::generate();
        let recipient = key.to_public().to_string().parse().expect("a recipient as age prints it");
        Self { key, recipient }
    }

    /// What the cluster file says of it.
    pub fn recipient(&self) -> &AgeRecipient {
        &self.recipient
    }

    /// How many of the key's last characters [`Self::confirmed_by`] wants.
    pub const fn typed() -> usize {
        TYPED
    }

    /// Whether this is how the key ends, as somebody typed it who has read the sheet.
    pub fn confirmed_by(&self, typed: &str) -> bool {
        let typed = Zeroizing::new(typed.split_whitespace().collect::<String>().to_ascii_uppercase());
        typed.len() == TYPED && self.key.to_string().expose_secret().ends_with(typed.as_str())
    }

    /// The sheet, to be printed: for paper, or (`dark`) for a terminal that shows light letters on a dark ground.
    pub fn text(&self, cluster: &Cluster, now: Timestamp, dark: bool) -> Secret {
        let key = self.key.to_string();
        let key = key.expose_secret();
        let qr = Zeroizing::new(qr(key, dark));
        let mut text = Zeroizing::new(String::with_capacity(qr.len() + 4096));
        let _ = write!(
            text,
            "\
{HEADING} of the cluster `{name}`
cluster {id}
made on {date} by stead

This key opens every secret of the cluster: what opens its disks when nothing else does, its backups, its CAs. It is
for the day when no admin's key is left: a lost laptop, a fire, or whoever comes after you.

    {key}

{qr}

Print this sheet twice. Keep one where the nodes are not, and one where you would look for a will. Who finds it can
open the cluster's secrets if they have the file `stead.secrets` too, which each node keeps.

To use it, type or scan the line above into a file, and give a new key access:
    stead keys add ADMIN PUBLICKEY --identity FILE
Without stead, `age -d -i FILE` opens each record of stead.secrets.

Its public half, which the cluster file has as `cluster.recovery`:
    {recipient}
",
            name = cluster.name,
            id = cluster.id,
            date = date(now),
            qr = qr.as_str(),
            recipient = self.recipient,
        );
        Secret::from(text.as_str())
    }
}

impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sheet({})", self.recipient)
    }
}

/// In half blocks, with the margin that scanners want. On a dark ground what is light is drawn.
fn qr(text: &str, dark: bool) -> String {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).expect("a key is short enough for any QR code");
    let (black, white) = if dark { (Dense1x2::Light, Dense1x2::Dark) } else { (Dense1x2::Dark, Dense1x2::Light) };
    code.render().dark_color(black).light_color(white).build()
}
