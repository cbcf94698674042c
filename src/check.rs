//! `check`: is the configuration right, and do the sources answer.

use std::io::{self, Write};

use tokio::runtime::Builder;

use crate::{
    cli::{Exit, Options},
    collect::Engine,
    config::{Config, Loaded},
    metrics::own::Own,
    serve::fail,
    web,
};

/// Validates the configuration without asking any source.
pub fn offline(options: &Options) -> Exit {
    let path = &options.config_file;
    let Loaded { config, warnings } = match Config::load(path) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error.to_string(), Exit::Unusable),
    };
    if let Some(file) = &options.web_config_file.0
        && let Err(problems) = web::check_config(file)
    {
        return fail(&problems.to_string(), Exit::Unusable);
    }
    let sources = config.sources.len();
    // What serving would do with it, up to the first request.
    if let Err(problem) = apply(config) {
        return fail(&format!("{}: {problem}", path.display()), Exit::Unusable);
    }
    let mut stderr = io::stderr().lock();
    for warning in &warnings {
        let _ = writeln!(stderr, "warning: {warning}");
    }
    let plural = if sources == 1 { "source" } else { "sources" };
    let _ = writeln!(io::stdout(), "{}: {sources} {plural}, valid", path.display());
    Exit::Done
}

/// Also logs in to each source, or to those of `names`, and queries it once.
pub fn live(options: &Options, _names: &[String]) -> Exit {
    let exit = offline(options);
    if exit != Exit::Done {
        return exit;
    }
    fail("check --live is not available yet", Exit::Failed)
}

fn apply(config: Config) -> anyhow::Result<()> {
    let engine = Engine::new(Own::new()?);
    Builder::new_current_thread().enable_all().build()?.block_on(engine.apply(config))?;
    Ok(())
}
