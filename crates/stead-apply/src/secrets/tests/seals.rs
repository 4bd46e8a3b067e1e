use super::*;

fn open(sealed: &Sealed, text: &str, identities: &Identities) -> Result<String, SecretsError> {
    sealed.open(&name(text), identities).map(|secret| secret.expose_secret().to_owned())
}

/// The line of a sheet that is its key.
fn key_of(sheet: &Sheet, dark: bool) -> String {
    let (spec, _) =
        stead_spec::parse("minimal.toml", include_bytes!("../../../../../examples/minimal.toml")).expect("good");
    let text = sheet.text(spec.cluster(), NOW, dark);
    let mut keys = text.expose_secret().lines().map(str::trim).filter(|line| line.starts_with("AGE-SECRET-KEY-1"));
    keys.next().expect("a key").to_owned()
}

#[test]
fn each_key_opens_and_others_do_not() {
    let (mine, other, sheet) = (ssh(), ssh(), Sheet::make());
    let sealed = some(&recipients(&[&mine], &sheet));
    assert_eq!(open(&sealed, "disk/node1/a", &identities(&private(&mine))).expect("opens"), "one");
    assert_eq!(open(&sealed, "disk/node2/b", &identities(&key_of(&sheet, false))).expect("opens"), "two");
    let error = open(&sealed, "disk/node1/a", &identities(&private(&other))).expect_err("not this one");
    let said = error.to_string();
    let wants = sealed.records()[0].sealed_for().iter().all(|key| said.contains(key.as_str()));
    assert!(matches!(error, SecretsError::NoneOpens { .. }) && wants, "{said}");
    let none = Identities::new(Box::new(|_| None));
    assert!(open(&sealed, "disk/node1/a", &none).expect_err("no key").to_string().ends_with("you have none"));
    assert!(matches!(open(&sealed, "disk/node1/z", &none), Err(SecretsError::NotThere { .. })));
}

#[test]
fn a_passphrase_is_asked_for_once_and_only_when_needed() {
    let (mine, sheet) = (ssh(), Sheet::make());
    let locked = private(&mine.encrypt(&mut OsRng, "correct horse").expect("encrypted"));
    let asked = std::rc::Rc::new(std::cell::Cell::new(0));
    let with = |answer: Option<&'static str>| {
        let asked = asked.clone();
        asked.set(0);
        let unlock = move |_: &Utf8Path| {
            asked.set(asked.get() + 1);
            answer.map(Secret::from)
        };
        let mut identities = Identities::new(Box::new(unlock));
        identities.add_text(Utf8Path::new("id"), &locked).expect("a key");
        identities
    };
    let sealed = some(&recipients(&[&mine], &sheet));
    let right = with(Some("correct horse"));
    assert_eq!(asked.get(), 0);
    assert_eq!(open(&sealed, "disk/node1/a", &right).expect("opens"), "one");
    assert_eq!(open(&sealed, "disk/node2/b", &right).expect("opens"), "two");
    assert_eq!(asked.get(), 1);
    let error = open(&sealed, "disk/node1/a", &with(Some("wrong"))).expect_err("not the passphrase");
    assert!(matches!(error, SecretsError::Passphrase { .. }) && !format!("{error:?}").contains("wrong"), "{error:?}");
    assert!(matches!(open(&sealed, "disk/node1/a", &with(None)), Err(SecretsError::NobodyToAsk { .. })));
    let of_others = some(&recipients(&[&ssh()], &sheet));
    assert!(matches!(open(&of_others, "disk/node1/a", &with(None)), Err(SecretsError::NoneOpens { .. })));
}

#[test]
fn what_is_no_private_key() {
    let mut identities = Identities::new(Box::new(|_| None));
    let key = ssh();
    let mut why = |text: &str| {
        let error = identities.add_text(Utf8Path::new("id"), text).expect_err("no private key");
        error.to_string()
    };
    assert!(why(public(&key).as_str()).contains("public key"));
    assert!(why("").contains("no key is in it"));
    assert!(why("AGE-SECRET-KEY-1QQQQ").contains("mistyped"));
    assert!(!why("AGE-SECRET-KEY-1QQQQ").contains("QQQQ"));
    assert!(why(&private(&key)[..200]).contains("damaged"));
    assert!(why("-----BEGIN AGE ENCRYPTED FILE-----").contains("age -d"));
}

#[test]
fn resealing() {
    let (old, new, sheet) = (ssh(), ssh(), Sheet::make());
    let mut sealed = some(&recipients(&[&old], &sheet));
    let both = recipients(&[&old, &new], &sheet);
    assert_eq!(sealed.stale(&both).len(), 2);
    let before = sealed.clone();
    let stranger = identities(&private(&ssh()));
    assert!(sealed.reseal(&stranger, &both).is_err() && sealed == before);
    assert_eq!(sealed.reseal(&identities(&private(&old)), &both).expect("resealed").len(), 2);
    assert_eq!(open(&sealed, "disk/node1/a", &identities(&private(&new))).expect("opens"), "one");
    assert!(sealed.reseal(&stranger, &both).expect("nothing to do").is_empty());
    sealed.reseal(&identities(&private(&new)), &recipients(&[&new], &sheet)).expect("resealed");
    assert!(open(&sealed, "disk/node1/a", &identities(&private(&old))).is_err());
}

#[test]
fn words_in_clear_that_are_wrong() {
    let (mine, sheet) = (ssh(), Sheet::make());
    let others = Fingerprint::of(public(&ssh()).as_str()).expect("a fingerprint");
    let right = Fingerprint::of(public(&mine).as_str()).expect("a fingerprint");
    let text = some(&recipients(&[&mine], &sheet)).text().replace(right.as_str(), others.as_str());
    let sealed = Sealed::parse(&text, &cluster()).expect("a good file");
    assert_eq!(open(&sealed, "disk/node1/a", &identities(&private(&mine))).expect("opens"), "one");
}

#[test]
fn the_sheet() {
    let sheet = Sheet::make();
    let key = key_of(&sheet, true);
    let end = &key[key.len() - Sheet::typed()..];
    assert!(sheet.confirmed_by(end) && sheet.confirmed_by(&format!(" {} {}\n", &end[..4].to_lowercase(), &end[4..])));
    assert!(!sheet.confirmed_by("") && !sheet.confirmed_by(&end[1..]) && !sheet.confirmed_by(&key));
    assert!(!format!("{sheet:?}").contains(end));
    let (spec, _) =
        stead_spec::parse("minimal.toml", include_bytes!("../../../../../examples/minimal.toml")).expect("good");
    for dark in [true, false] {
        let text = sheet.text(spec.cluster(), NOW, dark);
        let drawn: Vec<_> = text.expose_secret().lines().filter(|line| line.contains(['█', '▀', '▄'])).collect();
        let width = drawn.iter().map(|line| line.chars().count()).max().expect("a QR code");
        // Rows come in pairs, and the margin that shows on paper is empty.
        assert!((41..=79).contains(&width) && drawn.len() * 2 >= width - 8, "{width} by {}", drawn.len());
        assert!(text.expose_secret().lines().all(|line| line.chars().count() <= 120));
        // Who kept a file of it, against what it says, has a key that works.
        let mut identities = Identities::new(Box::new(|_: &Utf8Path| None));
        identities.add_text(Utf8Path::new("sheet.txt"), text.expose_secret()).expect("a key");
        let sealed = some(&recipients(&[&ssh()], &sheet));
        assert_eq!(open(&sealed, "disk/node1/a", &identities).expect("opens"), "one");
    }
}

#[test]
fn a_word_is_made_once_and_its_sum_stands_in_clear() {
    let (mine, sheet) = (ssh(), Sheet::make());
    let recipients = recipients(&[&mine], &sheet);
    let mut sealed = Sealed::new(cluster());
    assert_eq!(ensure_passwords(&mut sealed, &["core/ospf"], &recipients, NOW).expect("made"), [name("core/ospf")]);
    assert_eq!(ensure_passwords(&mut sealed, &["core/ospf"], &recipients, NOW).expect("there"), []);
    let text = sealed.text();
    let mut sealed = Sealed::parse(&text, &cluster()).expect("read back");
    assert_eq!(sealed.text(), text);
    let identities = identities(&private(&mine));
    let word = sealed.open(&name("core/ospf"), &identities).expect("opened");
    assert_eq!(word.expose_secret().len(), 16);
    assert!(!text.contains(word.expose_secret()), "it is sealed");
    let sum = stead_plan::inventory::sha256(word.expose_secret());
    assert_eq!(sealed.sums(), [("core/ospf".to_owned(), sum.clone())].into());
    // A sum that somebody changed would have nodes get another word than was looked for.
    let other = stead_plan::inventory::sha256("other");
    sealed = Sealed::parse(&text.replace(sum.as_ref(), other.as_ref()), &cluster()).expect("read back");
    let error = sealed.open(&name("core/ospf"), &identities).expect_err("another sum");
    assert!(matches!(error, SecretsError::Damaged { .. }), "{error}");
}
