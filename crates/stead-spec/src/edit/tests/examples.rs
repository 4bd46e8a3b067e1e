//! Each detail in its smallest text, and once more with other line ends, a byte order mark, and without the last end.
use super::*;

fn check(before: &str, edit: &Edit, after: &str) {
    assert_eq!(edited(before, edit).text, after, "{edit:?}");
    let crlf = |text: &str| text.replace('\n', "\r\n");
    if before.contains('\n') {
        assert_eq!(edited(&crlf(before), edit).text, crlf(after), "{edit:?} with CRLF");
    }
    let marked = |text: &str| format!("\u{feff}{text}");
    assert_eq!(edited(&marked(before), edit).text, marked(after), "{edit:?} with a byte order mark");
    if let (Some(before), Some(after)) = (before.strip_suffix('\n'), after.strip_suffix('\n')) {
        assert_eq!(edited(before, edit).text, after, "{edit:?} without a newline at the end");
    }
}

/// As `check`, and the edit's opposite is one that says what it does.
fn check_both(before: &str, edit: &Edit, after: &str, opposite: &Edit) {
    check(before, edit, after);
    check(after, opposite, before);
    let restores = matches!(edited(before, edit).opposite, Edit::Restore(_));
    assert!(!restores, "{edit:?} has an opposite");
}

#[test]
fn a_value_is_replaced_where_it_stands() {
    check_both("a =  1   # one\nb=2\n", &set("a", "3"), "a =  3   # one\nb=2\n", &set("a", "1"));
    check_both("a = [ 1,  2 ]\n", &set("a[1]", "'x'"), "a = [ 1,  'x' ]\n", &set("a[1]", "2"));
    check_both("[t]\na.b = 0x1F\n", &set("t.a.b", "32"), "[t]\na.b = 32\n", &set("t.a.b", "0x1F"));
    check_both(
        "disks = [{ size = \"20GiB\", volume = 'a' }] # c\n",
        &set("disks[0].size", "\"30GiB\""),
        "disks = [{ size = \"30GiB\", volume = 'a' }] # c\n",
        &set("disks[0].size", "\"20GiB\""),
    );
    check_both("a = [\n 1, # x\n]\n", &set("a", "2"), "a = 2\n", &set("a", "[\n 1, # x\n]"));
}

#[test]
fn a_new_key_goes_to_the_end_of_its_table() {
    check_both("[a]\nx = 1 # c\n\n[b]\n", &set("a.y", "2"), "[a]\nx = 1 # c\ny = 2\n\n[b]\n", &remove("a.y"));
    check_both("[a]\n  x = 1\n# c\n\n[b]\n", &set("a.y", "2"), "[a]\n  x = 1\n  y = 2\n# c\n\n[b]\n", &remove("a.y"));
    check_both("[a]\n# none\n\n[b]\n", &set("a.y", "2"), "[a]\ny = 2\n# none\n\n[b]\n", &remove("a.y"));
    check_both("[a]\n", &set("a.'b c'", "2"), "[a]\n\"b c\" = 2\n", &remove("a.'b c'"));
    check_both("x = 1\n\n[b]\n", &set("y", "2"), "x = 1\ny = 2\n\n[b]\n", &remove("y"));
    check_both(
        "[[a]]\nx = 1\n\n[[a]]\nx = 2\n",
        &set("a[0].y", "2"),
        "[[a]]\nx = 1\ny = 2\n\n[[a]]\nx = 2\n",
        &remove("a[0].y"),
    );
}

#[test]
fn a_key_above_all_tables() {
    check_both("", &set("y", "2"), "y = 2\n", &remove("y"));
    check_both("# c\n", &set("y", "2"), "# c\n\ny = 2\n", &remove("y"));
    check_both("[b]\n", &set("y", "2"), "y = 2\n\n[b]\n", &remove("y"));
    check_both("# c\n\n# d\n[b]\n", &set("y", "2"), "# c\n\ny = 2\n\n# d\n[b]\n", &remove("y"));
    check("# c\n[b]\n", &set("y", "2"), "# c\n\ny = 2\n\n[b]\n");
}

#[test]
fn tables_that_lack_become_part_of_the_key_or_a_header() {
    check_both("[n.a]\nx = 1\n", &set("n.a.w.'s 1'", "2"), "[n.a]\nx = 1\nw.\"s 1\" = 2\n", &remove("n.a.w.'s 1'"));
    check_both("n.a.x = 1\nb = 1\n", &set("n.a.y", "2"), "n.a.x = 1\nn.a.y = 2\nb = 1\n", &remove("n.a.y"));
    check_both("'n' . a.x = 1\n", &set("n.b.y", "2"), "'n' . a.x = 1\n'n'.b.y = 2\n", &remove("n.b.y"));
    check_both("t = { a.x = 1 }\n", &set("t.a.y", "2"), "t = { a.x = 1, a.y = 2 }\n", &remove("t.a.y"));
    check_both("[n.a]\nx = 1\n\n[z]\n", &set("n.b.y", "2"), "[n.a]\nx = 1\n\n[n.b]\ny = 2\n\n[z]\n", &remove("n.b"));
    check("[n.a]\nx = 1\n", &set("n.y", "2"), "[n.a]\nx = 1\n\n[n]\ny = 2\n");
    check_both("[z]\n", &set("cluster.recovery", "'r'"), "[z]\n\n[cluster]\nrecovery = 'r'\n", &remove("cluster"));
}

#[test]
fn a_key_goes_with_its_comments() {
    check("[a]\n# x\nx = 1 # x\n# y\ny = 2\n", &remove("a.x"), "[a]\n# y\ny = 2\n");
    check("[a]\n# not x\n\nx = 1\ny = 2\n", &remove("a.x"), "[a]\n# not x\n\ny = 2\n");
    check("# file\nx = 1\ny = 2\n", &remove("x"), "# file\ny = 2\n");
    check("a = 1\nx = '''\n# in\n'''\ny = 2\n", &remove("y"), "a = 1\nx = '''\n# in\n'''\n");
    check("a = 1\n\nx = [\n1]\n\nb = 2\n", &remove("x"), "a = 1\n\nb = 2\n");
    check("a.x = 1\nb = 2\na.y = 3\nc = 3\n", &remove("a"), "b = 2\nc = 3\n");
}

#[test]
fn entries_of_inline_tables() {
    check_both("a = {}\n", &set("a.x", "1"), "a = { x = 1 }\n", &remove("a.x"));
    check("a = {  }\n", &set("a.x", "1"), "a = { x = 1 }\n");
    check_both("a = { x = 1 }\n", &set("a.y", "1"), "a = { x = 1, y = 1 }\n", &remove("a.y"));
    check_both("a = {x=1}\n", &set("a.y", "1"), "a = {x=1, y = 1}\n", &remove("a.y"));
    check_both("a = { x = 1, }\n", &set("a.y", "1"), "a = { x = 1, y = 1, }\n", &remove("a.y"));
    check_both("a = {\n  x = 1 # c\n}\n", &set("a.y", "1"), "a = {\n  x = 1, # c\n  y = 1\n}\n", &remove("a.y"));
    check_both("a = {\n  x = 1, # c\n}\n", &set("a.y", "1"), "a = {\n  x = 1, # c\n  y = 1,\n}\n", &remove("a.y"));
    check_both("a = {\n  # none\n}\n", &set("a.y", "1"), "a = {\n  y = 1,\n  # none\n}\n", &remove("a.y"));
    check("a = { x = 1, y = 2, z = 3 }\n", &remove("a.x"), "a = { y = 2, z = 3 }\n");
    check("a = { x = 1, y = 2, z = 3 }\n", &remove("a.y"), "a = { x = 1, z = 3 }\n");
    check("a = { x = 1, y = 2, z = 3 }\n", &remove("a.z"), "a = { x = 1, y = 2 }\n");
    check("a = { x.a = 1, y = 2, x.b = 3 }\n", &remove("a.x"), "a = { y = 2 }\n");
    check("a = { x.a = 1, x.b = 3 }\n", &remove("a.x"), "a = {}\n");
    check("a = {\n  x = 1,\n  # y\n  y = 2, # y\n  z = 3,\n}\n", &remove("a.y"), "a = {\n  x = 1,\n  z = 3,\n}\n");
}

#[test]
fn elements_of_arrays() {
    check_both("a = []\n", &push("a", "1"), "a = [1]\n", &remove("a[0]"));
    check_both("a = [1] # c\n", &push("a", "2"), "a = [1, 2] # c\n", &remove("a[1]"));
    check_both("a = [ 1, ]\n", &push("a", "2"), "a = [ 1, 2, ]\n", &remove("a[1]"));
    check_both("a = [\n 1\n]\n", &push("a", "2"), "a = [\n 1,\n 2\n]\n", &remove("a[1]"));
    check_both("a = [\n\t1, # one\n]\n", &push("a", "2"), "a = [\n\t1, # one\n\t2,\n]\n", &remove("a[1]"));
    check_both("a = [\n 1, 2,\n 3, 4\n]\n", &push("a", "5"), "a = [\n 1, 2,\n 3, 4, 5\n]\n", &remove("a[4]"));
    check_both("a = [1 # one\n]\n", &push("a", "2"), "a = [1, 2 # one\n]\n", &remove("a[1]"));
    check_both("a = [\n]\n", &push("a", "2"), "a = [\n  2,\n]\n", &remove("a[0]"));
    check_both("a = [{ x = 1 }]\n", &set("a[0].y", "2"), "a = [{ x = 1, y = 2 }]\n", &remove("a[0].y"));
    check_both("a = [1, 2]\n", &insert("a[0]", "0"), "a = [0, 1, 2]\n", &remove("a[0]"));
    check_both("a = [\n  # one\n  1,\n]\n", &insert("a[0]", "0"), "a = [\n  0,\n  # one\n  1,\n]\n", &remove("a[0]"));
    check_both("a = [1, 2]\n", &insert("a[2]", "3"), "a = [1, 2, 3]\n", &remove("a[2]"));
    check("a = [\n  # one\n  1, # one\n  # two\n  2\n]\n", &remove("a[1]"), "a = [\n  # one\n  1 # one\n]\n");
    check("a = [\n  # one\n  1, # one\n  # two\n  2\n]\n", &remove("a[0]"), "a = [\n  # two\n  2\n]\n");
    check("a = [1, # one\n 2]\n", &remove("a[1]"), "a = [1 # one\n ]\n");
    check("a = [1 # one\n , 2]\n", &remove("a[0]"), "a = [ # one\n 2]\n");
    check("a = [1,\n 2]\n", &remove("a[1]"), "a = [1]\n");
}

#[test]
fn tables_with_headers() {
    let two = &[("cpus", "2"), ("disks", "[{ size = \"20GiB\" }]")];
    let written = "[m.c]\ncpus = 2\ndisks = [{ size = \"20GiB\" }]\n";
    check_both("", &table("m.c", two), written, &remove("m.c"));
    check_both("x = 1\n", &table("m.c", two), &format!("x = 1\n\n{written}"), &remove("m.c"));
    check_both("x = 1\n\n\n", &table("m.c", two), &format!("x = 1\n\n{written}\n\n"), &remove("m.c"));
    let (a, b) = ("[m.a]\nx = 1\n# y = 2\n", "\n# about b\n[b]\nx = 1\n");
    check_both(&format!("{a}{b}"), &table("m.c", two), &format!("{a}\n{written}{b}"), &remove("m.c"));
    let (a, b) = ("[m.a]\nx = 1\n", "# about b\n[b]\nx = 1\n");
    check_both(&format!("{a}{b}"), &table("m.c", two), &format!("{a}\n{written}{b}"), &remove("m.c"));
    let (a, b) = ("[m.a]\nx = 1\n\n[m.a.b]\n", "[b]\nx = 1\n");
    check_both(&format!("{a}{b}"), &table("m.c", two), &format!("{a}\n{written}{b}"), &remove("m.c"));
    let a = "[m]\n  [m.a]\n    x = 1\n";
    check_both(a, &table("m.c", &[("y", "2")]), &format!("{a}\n  [m.c]\n    y = 2\n"), &remove("m.c"));
    check_both("m = { a = {} }\n", &table("m.c", &[("x", "1")]), "m = { a = {}, c = { x = 1 } }\n", &remove("m.c"));
    check_both("m.a.x = 1\n", &table("m.c", &[]), "m.a.x = 1\n\n[m.c]\n", &remove("m.c"));
}

#[test]
fn a_table_goes_with_all_that_is_its_own() {
    let b = "[b]\nx = 1\n";
    check(&format!("# file\n[a]\nx = 1\n\n{b}"), &remove("a"), &format!("# file\n\n{b}"));
    check(&format!("# file\n\n# a\n[a]\nx = 1\n\n{b}"), &remove("a"), &format!("# file\n\n{b}"));
    check(&format!("[a]\nx = 1\n\n\n{b}"), &remove("a"), b);
    check(&format!("{b}\n\n# a\n[a] # a\n# a\n\nx = 1\n# a\n"), &remove("a"), b);
    check(&format!("[a]\nx = 1\n# b\n{b}"), &remove("a"), &format!("# b\n{b}"));
    let split = format!("[m.a]\nx = 1\n\n# free\n\n[m.a.c]\n\n{b}\n# late\n[\"m\".'a'.d]\ny = 1\n\n[z]\n");
    check(&split, &remove("m.a"), &format!("# free\n\n{b}\n[z]\n"));
    check("[[a]]\nx = 1\n\n[[a]]\nx = 2\n\n[a.c]\n", &remove("a[1]"), "[[a]]\nx = 1\n");
    check("[[a]]\nx = 1\n\n[[a]]\nx = 2\n\n[b]\n", &remove("a"), "[b]\n");
    check(&format!("[a]\n{b}"), &remove("a"), b);
}

#[test]
fn a_name_changes_wherever_it_is_written() {
    let text = |name: &str| format!("[m.{name}]\nx = \"a\"\n\n[ m . {name} . a ]\n\n[o.a]\n\n[m.{name}.d]\nm.a = 1\n");
    check_both(&text("a"), &rename("m.a", "b"), &text("b"), &rename("m.b", "a"));
    check_both(&text("'a'"), &rename("m.a", "b"), &text("'b'"), &rename("m.b", "a"));
    check_both(&text("\"a\""), &rename("m.a", "b"), &text("\"b\""), &rename("m.b", "a"));
    check(&text("a"), &rename("m.a", "b c"), &text("\"b c\""));
    check("n.a.x = 1\nn.a.y = 1\na = 1\n", &rename("n.a", "b"), "n.b.x = 1\nn.b.y = 1\na = 1\n");
    check("n = { a.x = 1, a.y = { a = 2 } }\n", &rename("n.a", "b"), "n = { b.x = 1, b.y = { a = 2 } }\n");
    check("[[a]]\n[a.x]\n[[a]]\n[a.x]\n", &rename("a[1].x", "y"), "[[a]]\n[a.x]\n[[a]]\n[a.y]\n");
}

#[test]
fn line_ends_inside_of_values() {
    let crlf = "a = 1\r\n";
    let long = edited(crlf, &set("b", "[\n  1, # it's\n]")).text;
    assert_eq!(long, "a = 1\r\nb = [\r\n  1, # it's\r\n]\r\n");
    // What a string says isn't changed.
    let text = edited(crlf, &set("b", "'''\nx\ny'''")).text;
    assert_eq!(text, "a = 1\r\nb = '''\nx\ny'''\r\n");
}

#[test]
fn strings_that_look_like_something_else() {
    let text = "a = \"\"\"# [x]\n\\\"\"\" \"\"\"\"\"\nb = ''''it's''''\nc = \"]\\\\\"\nd = 'x # y'\n";
    check_both(text, &set("e", "1"), &format!("{text}e = 1\n"), &remove("e"));
    check_both("a = 1979-05-27 07:32:00Z # c\n", &set("a", "1"), "a = 1 # c\n", &set("a", "1979-05-27 07:32:00Z"));
}
