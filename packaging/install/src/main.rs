//! Copies the plugins of fluent-bit-ai out of their image, which has no shell, into a volume that the
//! Fluent Bit container mounts too.

mod copy;

use std::path::Path;
use std::process::ExitCode;

/// Where the image has the plugins, and what the `plugins.conf` in it names.
const FROM: &str = "/opt/fluent-bit-ai";

const HELP: &str = "usage: install FOLDER [MOUNTED_AT]

Copies the plugins, their plugins.conf, and the configurations into FOLDER. MOUNTED_AT is the path
under which Fluent Bit's container sees FOLDER, for plugins.conf; without it, FOLDER itself.";

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (folder, mounted_at) = match *words.as_slice() {
        ["-h" | "--help"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        [folder] => (folder, folder),
        [folder, mounted_at] => (folder, mounted_at),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match copy::tree(Path::new(FROM), Path::new(folder), FROM, mounted_at) {
        Ok(files) => {
            println!("{files} files are in {folder}; use {mounted_at}/plugins.conf");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("install: {error}");
            ExitCode::FAILURE
        }
    }
}
