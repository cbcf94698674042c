//! `check`: whether the configuration is valid and the sources answer.

mod live;

use std::io::{self, Write};

use super::fail;
use crate::{
    cli::{Exit, Options},
    collect::Engine,
    config::{Config, LoadError, Loaded},
    metrics::own::Own,
    systems, web,
};

/// Validates the configuration without asking any source.
pub fn offline(options: &Options) -> Exit {
    let path = options.config_file.display();
    let config = match validated(options) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let sources = config.sources.len();
    // The same as `serve` does with it before the first request.
    if let Err(problem) = apply(config) {
        return fail(&format!("{path}: {problem}"), Exit::Unusable);
    }
    let plural = if sources == 1 { "source" } else { "sources" };
    let _ = writeln!(io::stdout(), "{path}: {sources} {plural}, valid");
    Exit::Done
}

/// Also logs in to each source, or to those of `names`, and queries it once.
pub fn live(options: &Options, names: &[String]) -> Exit {
    match validated(options) {
        Ok(config) => live::run(config, names),
        Err(exit) => exit,
    }
}

/// The configuration, its warnings printed; or its problems printed, and how to exit.
fn validated(options: &Options) -> Result<Config, Exit> {
    let unusable = |problem: &dyn std::fmt::Display| fail(&problem.to_string(), Exit::Unusable);
    let Loaded { config, warnings, unready } =
        Config::load(&options.config_file, systems::catalogue().profiles())
            .map_err(|problems| unusable(&problems))?;
    if let Some(file) = &options.web_config_file.0 {
        web::check_config(file).map_err(|problems| unusable(&problems))?;
    }
    let mut stderr = io::stderr().lock();
    for warning in &warnings {
        let _ = writeln!(stderr, "warning: {warning}");
    }
    if !unready.is_empty() {
        return Err(unusable(&LoadError { problems: unready }));
    }
    Ok(config)
}

fn apply(config: Config) -> anyhow::Result<()> {
    let engine = Engine::new(Own::new()?, systems::catalogue());
    Ok(engine.apply(config)?)
}
