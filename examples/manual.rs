//! Writes the manual page and the shell completions, from the definition of the command line:
//! `cargo run --example manual -- FOLDER`.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap_complete::Shell;
use conferencing_exporter::commands::command_line;

const NAME: &str = "conferencing_exporter";

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        println!("usage: manual FOLDER");
        return ExitCode::from(2);
    };
    match generate(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn generate(folder: &PathBuf) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command_line(), NAME, folder)?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command_line()).render(&mut page)?;
    fs::write(folder.join(format!("{NAME}.1")), page)
}
