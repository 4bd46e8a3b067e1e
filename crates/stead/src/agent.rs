//! `stead agent`: this program on a node, started by stead over ssh. Nobody types this.

use std::process::ExitCode;

use stead_node::agent::{Agent, End, told_to_stop};
use stead_node::place::Place;

use crate::print::Printer;
use crate::run;

pub(crate) fn run(printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let end = run::to_its_end(async {
        let agent = Agent {
            place: Place::node(),
            look: async |questions: &_, runner: &_| stead_node::observe::observe(questions, runner).await,
            probe: async |probe: &_| stead_node::network::probe::probe(probe).await,
        };
        Ok(Box::pin(agent.serve(tokio::io::stdin(), tokio::io::stdout(), told_to_stop())).await)
    })?;
    Ok(match end {
        End::Closed | End::Stopped => ExitCode::SUCCESS,
        End::Lost(why) => {
            printer.progress(why);
            ExitCode::FAILURE
        }
    })
}
