//! Command line parser.

use std::path::PathBuf;
use std::time::Duration;

use crate::faults::Faults;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Args {
    /// The row, by its release; the newest one when not given.
    pub(crate) row: Option<String>,
    /// The configuration.
    pub(crate) config: Option<PathBuf>,
    /// Plugins to load beside those that the configuration names.
    pub(crate) plugins: Vec<PathBuf>,
    /// A plugin whose help is asked for, or nothing for our own.
    pub(crate) help: Option<Option<String>>,
    /// The plugin named last by `-i`, `-F` or `-o`.
    named: Option<String>,
    /// Print the rows and stop.
    pub(crate) list_rows: bool,
    /// What goes wrong on purpose.
    pub(crate) faults: Faults,
    /// Functions that plugins are not to find.
    pub(crate) lacks: Vec<String>,
    /// Stop after this long.
    pub(crate) run_for: Option<Duration>,
    /// Whether the overuse of a stack makes the run unclean.
    pub(crate) check_stacks: bool,
    /// Whether coroutines have the layout of hosts built without Valgrind's header.
    pub(crate) without_valgrind: bool,
}

/// The help of the host itself.
pub(crate) const HELP: &str = "\
flb-host: fluent-bit-ai's bundled test host, not Fluent Bit

It loads plugins the way Fluent Bit does, with the structure layouts of one release, runs a small
pipeline from the same YAML, and makes things go wrong on request.

usage: flb-host [options] -c CONFIG.yaml
       flb-host -e PLUGIN.so (-i|-F|-o) NAME -h

  -c, --config FILE     the configuration (YAML)
  -e, --plugin FILE     load a plugin; may be repeated
  -h, --help            this text, or a plugin's options after -i, -F or -o
  --row RELEASE         structure layouts of this release (default: the newest)
  --list-rows           print the layouts that there are
  --run-for TIME        stop after a time, as on SIGTERM (2, 500ms, 1m)
  --check-stacks        exit with 2 if a callback uses more than 16 KiB of a coroutine's stack
  --without-valgrind    the coroutine's layout of hosts built without Valgrind's header
  --lacks FUNCTION      hide a function of the host from plugins; may be repeated
  --fault SPEC          may be repeated:
      coro-filters        filters run on a coroutine's stack
      coro-collectors     collectors run on a coroutine's stack
      small-stacks        every callback of inputs and filters does, pause and resume too
      append-refused:N    every Nth append is refused
      pause-at:N          inputs are paused after every N appends, for 300 ms
      retry:N             every Nth successful flush counts as a retry

SIGHUP reloads the configuration, SIGTERM and SIGINT stop, SIGUSR1 prints counters.
Exit codes: 0 clean, 1 configuration error, 2 something was left undone or misused.
";

impl Args {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn parse(given: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            row: None,
            config: None,
            plugins: Vec::new(),
            help: None,
            named: None,
            list_rows: false,
            faults: Faults::default(),
            lacks: Vec::new(),
            run_for: None,
            check_stacks: false,
            without_valgrind: false,
        };
        let mut given = given.into_iter();
        while let Some(name) = given.next() {
            args.one(&name, &mut given)?;
        }
        Ok(args)
    }

    fn one(&mut self, name: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), String> {
        let mut value = || rest.next().ok_or_else(|| format!("{name} needs a value"));
        match name {
            "-c" | "--config" => self.config = Some(value()?.into()),
            "-e" | "--plugin" => self.plugins.push(value()?.into()),
            "-i" | "-F" | "-o" => self.named = Some(value()?),
            "-h" | "--help" => self.help = Some(self.named.clone()),
            "--row" => self.row = Some(value()?),
            "--list-rows" => self.list_rows = true,
            "--run-for" => self.run_for = Some(duration(&value()?)?),
            "--check-stacks" => self.check_stacks = true,
            "--without-valgrind" => self.without_valgrind = true,
            "--lacks" => self.lacks.push(value()?),
            "--fault" => self.faults.add(&value()?)?,
            _ => return Err(format!("unknown argument '{name}'; -h shows what there is")),
        }
        Ok(())
    }
}

/// Reads `500ms`, `2s`, `1m`, or seconds without a unit.
///
/// # Errors
/// One line that says what is allowed.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("'{text}' is no duration: use ms, s, m or h")),
    };
    let number: f64 =
        number.parse().map_err(|_| format!("'{text}' is no duration, as in 500ms, 2s or 1m"))?;
    Duration::try_from_secs_f64(number * scale)
        .map_err(|_| format!("'{text}' is out of range for a duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Args, String> {
        Args::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read() {
        let args = parse("--row 4.0.4 -c a.yaml -e x.so -e y.so --run-for 250ms").unwrap();
        assert_eq!(args.row.as_deref(), Some("4.0.4"));
        assert_eq!(args.plugins.len(), 2);
        assert_eq!(args.run_for, Some(Duration::from_millis(250)));
        assert_eq!(
            parse("-e x.so -F ai_context -h").unwrap().help,
            Some(Some("ai_context".into()))
        );
        assert_eq!(parse("-h").unwrap().help, Some(None));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parse("--rows").unwrap_err().contains("--rows"));
        assert!(parse("-c").unwrap_err().contains("-c needs a value"));
        assert!(parse("--run-for 3x").unwrap_err().contains("3x"));
        assert!(parse("--fault sleep").unwrap_err().contains("sleep"));
    }
}
