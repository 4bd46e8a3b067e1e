use super::table::AlertTable;
use crate::check::{Findings, listed_once, refer, useless};
use crate::diagnostic::{Code, Diagnostic};
use crate::file::File;
use crate::read::At;
use crate::units::AlertName;

pub(crate) fn check(file: &File, out: &mut Findings) {
    let Some(table) = file.telemetry.value() else { return };
    listed_once(&table.nodes, out);
    for node in table.nodes.items() {
        refer(node, "node", &file.node, out);
    }
    if let Some(none) = table.nodes.get().filter(|nodes| nodes.value.items.is_empty() && nodes.value.whole) {
        let remedy = "name a node, or leave `nodes` out";
        out.push(Diagnostic::new(Code::MissingKey, &none.span, "nobody keeps measurements", "an empty list", remedy));
    }
    listed_once(&table.networks, out);
    for network in table.networks.items() {
        refer(network, "network", &file.network, out);
    }
    for (name, alert) in table.alert.entries() {
        self::alert(name, alert, out);
    }
}

fn alert(name: &At<AlertName>, at: &At<AlertTable>, out: &mut Findings) {
    let table = &at.value;
    if let (Some(email), Some(webhook)) = (table.email.get(), table.webhook.get()) {
        let message = format!("alert `{}` has `email` and `webhook`", name.value);
        let remedy = "make two alerts of it";
        let both = Diagnostic::new(Code::OneOf, &webhook.span, message, "one excludes the other", remedy);
        out.push(both.and(&email.span, "`email` is here"));
    }
    if table.email.is_missing() {
        let (why, remedy) = ("it belongs to `email`", "add `email`, or take it out");
        useless(&table.from, "from", why, remedy, out);
        useless(&table.server, "server", why, remedy, out);
        useless(&table.user, "user", why, remedy, out);
    } else if table.server.is_missing() {
        let message = format!("alert `{}` has no `server`", name.value);
        let remedy = "add `server = \"smtp.example.net:587\"`, as your mail provider names it";
        out.push(Diagnostic::new(Code::MissingKey, &name.span, message, "nobody would take the mail", remedy));
    }
}
