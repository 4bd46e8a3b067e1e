//! `stead schema`: the shape of the cluster file, for editors and for people.

use clap::Args;

use crate::print::Printer;

/// Which of the two.
#[derive(Debug, Args)]
#[command(after_help = "An editor with a TOML language server completes and checks a file that begins with\n\n    \
                        #:schema ./stead.schema.json\n\n\
                        Example: stead schema > stead.schema.json")]
pub(crate) struct Arguments {
    /// Every key in words, as Markdown, instead of the JSON Schema.
    #[arg(long)]
    reference: bool,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<()> {
    if arguments.reference {
        printer.line(stead_spec::schema::reference().trim_end());
    } else {
        printer.line(serde_json::to_string_pretty(&stead_spec::schema::json_schema())?);
    }
    Ok(())
}
