use super::*;

fn error(text: &str, edit: &Edit) -> String {
    apply(text, edit).expect_err("an error").to_string()
}

#[test]
fn each_error_says_what_to_do() {
    let text = "a = 1\nl = [1]\ni = { x = 1 }\n[t.u]\nx = 1\n[[e]]\n[[e]]\n";
    let errors: Vec<_> = [
        set("a.b", "1"),
        set("l.x", "1"),
        set("e.x", "1"),
        set("t", "1"),
        set("t.u", "1"),
        set("e", "1"),
        set("l[3]", "1"),
        set("t[0]", "1"),
        remove("t.x"),
        remove("l[1]"),
        push("a", "1"),
        push("e", "1"),
        push("t", "1"),
        push("no", "1"),
        insert("l[2]", "1"),
        insert("l", "1"),
        table("t.u", &[]),
        table("t", &[]),
        table("t.v", &[("x", "1"), ("x", "2")]),
        table("a.b", &[]),
        table("e[1].b", &[]),
        rename("no", "x"),
        rename("a", "l"),
        rename("l[0]", "x"),
        Edit::Remove { path: KeyPath::default() },
    ]
    .iter()
    .map(|edit| error(text, edit))
    .collect();
    insta::assert_snapshot!(errors.join("\n"), @"
    `a` isn't a table, so there can be no keys in it: remove it first
    `l` isn't a table, so there can be no keys in it: remove it first
    `e` isn't a table, so there can be no keys in it: remove it first
    `t` is a table: set a key in it, or remove it first
    `t.u` is a table: set a key in it, or remove it first
    `e` is a table: set a key in it, or remove it first
    the file has no `l[3]`: check the name
    the file has no `t[0]`: check the name
    the file has no `t.x`: check the name
    the file has no `l[1]`: check the name
    `a` isn't an array in brackets: make it one first, as in `a = []`
    `e` isn't an array in brackets: make it one first, as in `e = []`
    `t` isn't an array in brackets: make it one first, as in `t = []`
    the file has no `no`: check the name
    the file has no `l[1]`: check the name
    `l` isn't an array in brackets: make it one first, as in `l = []`
    the file has `t.u` already: take another name, or remove that one first
    the file has `t` already: take another name, or remove that one first
    the file has `t.v.x` already: take another name, or remove that one first
    `a` isn't a table, so there can be no keys in it: remove it first
    `e[1].b` would be a table inside an element of `[[…]]`: write it by hand
    the file has no `no`: check the name
    the file has `l` already: take another name, or remove that one first
    the file has no `l[0]`: check the name
    the file has no ``: check the name
    ");
    insta::assert_snapshot!(error("a = ", &set("b", "1")), @"the file isn't valid TOML: correct it first");
}

#[test]
fn what_was_edited_since_is_not_taken_back() {
    let text = "# a\n[a]\nx = 1\n\n# b\n[b]\ny = 1\n";
    let applied = edited(text, &remove("b"));
    assert!(matches!(applied.opposite, Edit::Restore(_)));
    let elsewhere = applied.text.replace("x = 1", "x = 2");
    let back = apply(&elsewhere, &applied.opposite).expect("it is taken back");
    assert_eq!(back.text, text.replace("x = 1", "x = 2"));
    assert_eq!(error("[a]", &applied.opposite), EditError::Changed.to_string());
}

#[test]
fn paths_as_text() {
    for text in ["machine.web1.disks[0].size", "node.node1.wipe.\"ata-A B\"", "a[0][12]", "\"\".'x'"] {
        let read = path(text);
        assert_eq!(path(&read.to_string()), read);
    }
    assert_eq!(path("a.'b.c'[1]"), KeyPath::new(["a", "b.c"]).index(1));
    for text in ["", ".", "a.", "a..b", "a b", "a[", "a[x]", "[0]", "a]", "é", "\"\\é", "'", "a[0]b"] {
        assert_eq!(text.parse::<KeyPath>(), Err(BadKeyPath(text.to_owned())), "{text}");
    }
}
