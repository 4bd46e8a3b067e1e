use crate::read::{List, Map, table};
use crate::units::{AlertName, Bytes, Email, NetworkName, NodeName, Period, SmtpServer, WebUrl};

table! {
    /// What is measured, for how long it is kept, and who is told when something is wrong.
    pub(crate) struct TelemetryTable {
        /// The nodes that keep the measurements, each all of them. Default: the first two.
        may nodes: List<NodeName>,
        /// For how long. Default: `90d`.
        may retention: Period,
        /// How much of a data disk they take at most. Default: `10GiB`.
        may size: Bytes,
        /// The networks from which dashboards can be opened. Default: those from which ssh is accepted.
        may networks: List<NetworkName>,
        /// Who is told.
        may alert: Map<AlertName, AlertTable>,
        /// Somebody outside who notices when nothing is heard any more: the whole house without power, or no stead.
        may dead_man: DeadManTable,
    }
}

table! {
    /// Somebody who is told when something is wrong: by mail, or by a call to a web address. `email` or `webhook`.
    pub(crate) struct AlertTable {
        /// A mail address.
        may email: Email,
        /// Who the mail is from. Default: `stead@` and the cluster's domain.
        may from: Email,
        /// The server that takes the mail, with its port if that isn't 587. Its password is the sealed secret
        /// `alert/NAME`.
        may server: SmtpServer,
        /// The name to give to that server. Default: as `from`.
        may user: String,
        /// A web address that is called with what is wrong, as Alertmanager does. If the address itself is a secret,
        /// leave it out and seal it as `alert/NAME`.
        may webhook: WebUrl,
    }
}

table! {
    /// Somebody outside who notices silence.
    pub(crate) struct DeadManTable {
        /// The address that is called while all is well.
        need url: WebUrl,
        /// How often. Default: `5m`.
        may every: Period,
    }
}
