//! Has nodes call each other over their NICs.

use stead_apply::reach::Link as _;
use stead_apply::ssh::SshLink;
use stead_node::protocol::{Answer, Probe, Request};
use stead_plan::init::Probed;
use stead_plan::inventory::Known;
use stead_plan::network::probe::Calls;
use stead_spec::units::NodeName;

/// How long nodes call each other, in milliseconds: a NIC that was off takes two or three seconds to find its switch.
const LISTEN: u32 = 6_000;

/// One node's part: it calls this, and listens. Calls of one token belong together.
pub(crate) async fn probe(node: &NodeName, link: &mut SshLink, token: &str, calls: Calls) -> Known<Probed> {
    let probe = Probe { token: token.to_owned(), node: node.to_string(), calls, listen: LISTEN };
    match link.ask(Request::Probe(probe), &mut |_| ()).await {
        Ok(Answer::Heard(probed)) => Known::Is(probed),
        Ok(Answer::Refused(why)) => Known::Unknown(why),
        Ok(answer) => Known::Unknown(format!("the agent answered something else: {answer:?}")),
        Err(lost) => Known::Unknown(lost.why),
    }
}
