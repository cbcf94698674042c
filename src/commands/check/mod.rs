// SPDX-License-Identifier: Apache-2.0
//! `check`: whether the configuration is valid and the sources answer.

mod live;
mod progress;
mod record;
mod replay;
mod table;

use std::io::{self, Write};

use super::{fail, print};
use crate::{
    cli::{Check, Exit, Options},
    collect::Engine,
    config::{Config, LoadError, Loaded},
    metrics::own::Own,
    systems, web,
};

/// Checks what `check` asks for.
pub fn run(options: &Options, check: &Check) -> Exit {
    if !check.replay.is_empty() {
        return replay::run(&check.replay);
    }
    match validated(options) {
        Ok(config) if check.live => live::run(config, &check.names, check.record.as_deref()),
        Ok(config) => offline(options, config, &check.names),
        Err(exit) => exit,
    }
}

/// Does with the configuration what `serve` does with it before the first request.
fn offline(options: &Options, config: Config, names: &[String]) -> Exit {
    let path = options.config_names();
    let sources = config.sources.len();
    let is_known = |name: &&String| config.sources.iter().any(|source| source.name == **name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        return fail(&format!("{path}: no source is named {unknown}"), Exit::Unusable);
    }
    if let Err(problem) = apply(config) {
        return fail(&format!("{path}: {problem}"), Exit::Unusable);
    }
    let plural = if sources == 1 { "source" } else { "sources" };
    print(format!("{path}: {sources} {plural}, valid\n").as_bytes())
}

/// The configuration, its warnings printed; or its problems printed, and how to exit.
fn validated(options: &Options) -> Result<Config, Exit> {
    let unusable = |problem: &dyn std::fmt::Display| fail(&problem.to_string(), Exit::Unusable);
    let Loaded { config, warnings, unready } =
        Config::load_all(&options.config_files, systems::catalogue().profiles())
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
