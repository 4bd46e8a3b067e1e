//! The keys were made for these tests, and their private halves thrown away.

use super::super::tests::{prints, refuses};
use super::*;

const ED25519: &str = PublicKey::EXAMPLE;
const RSA2048: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDEZ7P6+kkAeF8RXHdaaY38tzWUP6jcrwgrwGHVH7By1hO+StcRXQRtPwVdR60ZtF3OEjARsf4nWTtVC1sSOB6b5h7w4QkRsrK4s7YLblkS/RawTySh1izy+ZQbOWvMsyYF6nbj0BG2U1Rs1ip2Fw1+x6hZC4XrATh9V54hGjry/lqyCCZvwGY2DcmttIKz23gpi+Ic1LCWOiOFD+sQfUDU39dnCs6MjUz6Jvie2eTCeBLmt/6L/bc18v8WMuBsgEjQcVKr7ourYb5Y+FdplJ6ozDEBlR5JWbFbPAvxLO6OKJM/SK1lZinkJHskCBNp0YDSMpfmOohOU8GnBI6QHOup me@laptop";
const RSA1024: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDBQVFtQqdqzN8PRhemf8GzDUkY77wAe1hs4d3ohJZ4W4y26jUAie8q6k9nnEFUmfaxy8xq1omosujIUXi0ndN3IzqsKzwuXEQRxv0xnKdLq+wcT2dga4AzjBDV0BlieA7n8VXP9CPhTjgge6pgsFwUP7bYVSOo9K3I1rpAm5nckQ== me@laptop";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGIAephvOj/QBmbTCGGEChTGZfTUzeZvbfsUapaFZKc98M6IY/QGpUHzDY5IR91wV0Ycp4jcpNabyk/SbrfPwa4= me@laptop";
const RECIPIENT: &str = AgeRecipient::EXAMPLE;

fn key(text: &str) -> PublicKey {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

#[test]
fn keys() {
    for text in [ED25519, RSA2048, RECIPIENT, &ED25519.replace(" me@laptop", ""), &format!("{ED25519} – mine")] {
        prints::<PublicKey>(&[(text, text)]);
    }
    prints::<PublicKey>(&[(&format!("\n{}  \r\n", ED25519.replace(' ', " \t")), ED25519)]);
    assert_eq!((key(ED25519).kind(), key(RSA2048).kind()), (KeyKind::SshEd25519, KeyKind::SshRsa));
    assert!(key(ED25519).logs_in() && !key(RECIPIENT).logs_in());
    assert_eq!(key(&format!("{ED25519} – mine")).comment(), "me@laptop – mine");
    assert_eq!(key(RECIPIENT).comment(), "");
}

#[test]
fn a_comment_is_not_the_key() {
    assert!(key(ED25519).same_key(&key(&ED25519.replace("me@laptop", "work"))));
    assert!(key(ED25519).same_key(&key(&ED25519.replace(" me@laptop", ""))));
    assert!(!key(ED25519).same_key(&key(RSA2048)));
}

#[test]
fn keys_that_age_or_openssh_do_not_take() {
    for (text, why) in [
        (ECDSA, "age can't encrypt to ECDSA keys"),
        ("sk-ssh-ed25519@openssh.com AAAA me@laptop", "security token"),
        ("sk-ecdsa-sha2-nistp256@openssh.com AAAA", "security token"),
        ("ssh-dss AAAA me@laptop", "DSA"),
        (RSA1024, "1024 bits"),
        ("ssh-ed448 AAAA", "that kind"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificate"),
        ("age1yubikey1qwerty", "plugin"),
        ("age1pq1qwerty", "post-quantum"),
    ] {
        refuses::<PublicKey>(text, why);
    }
}

#[test]
fn an_rsa_key_has_as_many_bits_as_age_seals_to() {
    let of_bits = |bits: usize| {
        let n = ssh_key::Mpint::from_positive_bytes(&vec![0xff; bits / 8]).unwrap();
        let e = ssh_key::Mpint::from_positive_bytes(&[1, 0, 1]).unwrap();
        ssh_key::PublicKey::from(ssh_key::public::RsaPublicKey { e, n }).to_openssh().unwrap()
    };
    assert_eq!(key(&of_bits(4096)).kind(), KeyKind::SshRsa);
    refuses::<PublicKey>(&of_bits(4104), "4104 bits, more than 4096");
}

#[test]
fn private_keys_are_not_repeated() {
    for text in [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN OPENSSH",
        "# created: today\nAGE-SECRET-KEY-1ABC",
        "age-secret-key-1abc",
        "PuTTY-User-Key-File-3: ssh-ed25519",
    ] {
        refuses::<PublicKey>(text, "that is a PRIVATE key");
        refuses::<PublicKey>(text, "treat the key as stolen");
        let why = text.parse::<PublicKey>().expect_err(text).to_string().to_lowercase();
        assert!(!why.contains("abc"), "{why}");
    }
    refuses::<AgeRecipient>("AGE-SECRET-KEY-1ABC", "PRIVATE");
}

#[test]
fn what_is_around_keys_or_leads_to_them() {
    let bare = ED25519.split(' ').nth(1).expect("base64");
    for (text, why) in [
        ("~/.ssh/id_ed25519.pub", "paste what is in the file"),
        ("keys/me.pub", "paste what is in the file"),
        ("", "empty"),
        ("ssh-ed25519", "itself is missing"),
        ("me", "no public key"),
        (bare, "kind of key is missing"),
        (&format!("command=\"echo hi\" {ED25519}"), "leave out what is before ssh-ed25519"),
        (&format!("no-pty {ED25519}"), "options before the key"),
        (&format!("{ED25519}\n{RSA2048}"), "more than one line"),
        (&format!("{ED25519}\u{1b}[2J"), "control characters"),
        (&ED25519.replace("AAAAI", "AAAA"), "damaged"),
        (&ED25519.replace("ssh-ed25519", "ssh-rsa"), "damaged"),
        ("-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----", "another format"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nabc", "another format"),
    ] {
        refuses::<PublicKey>(text, why);
    }
}

#[test]
fn recipients() {
    prints::<AgeRecipient>(&[(RECIPIENT, RECIPIENT)]);
    refuses::<AgeRecipient>(&RECIPIENT.to_uppercase(), &format!("write {RECIPIENT}"));
    refuses::<AgeRecipient>(&format!("{RECIPIENT} me"), "by itself");
    refuses::<AgeRecipient>(&RECIPIENT[..61], "checksum");
    refuses::<AgeRecipient>(ED25519, "by itself");
    refuses::<AgeRecipient>("", "no age recipient");
    // A key of another length, and of another kind, with checksums that are right.
    let encoded = |hrp: &str, key: &[u8]| bech32::encode::<Bech32>(Hrp::parse(hrp).expect(hrp), key).expect("Bech32");
    refuses::<AgeRecipient>(&encoded("age", &[7; 31]), "checksum");
    refuses::<AgeRecipient>(&encoded("bc", &[7; 32]), "no age recipient");
}
