//! Which row is running. Asked once, when the library is loaded.

use std::ffi::{CStr, c_char};
use std::sync::OnceLock;

use super::super::lend;
use super::super::symbols::{self, Symbols};
use super::markers;
use super::program;
use super::row::{Build, HostAbi, Release};
use super::rows::ROWS;

/// The host that runs, as far as we know it.
#[derive(Debug)]
pub(in crate::host) struct Host {
    /// Where it keeps things.
    pub(in crate::host) abi: HostAbi,
    /// The release as it names itself.
    pub(in crate::host) release: String,
    /// What it was built with.
    pub(in crate::host) build: Build,
    /// Its functions.
    pub(in crate::host) symbols: Symbols,
}

impl Host {
    /// Whether its readers know log group markers.
    pub(in crate::host) fn has_log_groups(&self) -> bool {
        self.abi.first >= Release::new(3, 1, 0)
    }
}

/// The host of this process, or in words why it is not known.
pub(in crate::host) fn host() -> Result<&'static Host, &'static str> {
    static HOST: OnceLock<Result<Host, String>> = OnceLock::new();
    HOST.get_or_init(detect).as_ref().map_err(String::as_str)
}

fn detect() -> Result<Host, String> {
    if let Some(release) = bundled_row() {
        let row = row_of(&release)?;
        return Ok(known(*row, release, Build::OFFICIAL));
    }
    let (row, release) = match program::release() {
        Some(release) => (*row_of(&release)?, release),
        None => by_markers()?,
    };
    check_sizes(&row, &release)?;
    let has = |symbol: &CStr| symbols::address(symbol).is_some();
    let build = Build {
        tls: has(c"flb_tls_create"),
        chunk_trace: has(c"flb_chunk_trace_output"),
        regex: has(c"flb_regex_create"),
    };
    Ok(known(row.built_with(build), release, build))
}

fn known(abi: HostAbi, release: String, build: Build) -> Host {
    Host { abi, release, build, symbols: Symbols::load() }
}

/// What our own test host says that it imitates.
fn bundled_row() -> Option<String> {
    let function = symbols::address(c"fluent_bit_ai_bundled_host_row")?;
    // SAFETY: only our own test host exports this name, with this prototype.
    let function = unsafe {
        std::mem::transmute::<*mut std::ffi::c_void, unsafe extern "C" fn() -> *const c_char>(
            function,
        )
    };
    // SAFETY: the function takes nothing and returns a constant string.
    let name = unsafe { function() };
    // SAFETY: the string is constant and ends with a zero.
    unsafe { lend::text(name.cast()) }
}

/// The releases that have a row, in words: a range for each pair of first numbers.
pub(in crate::host) fn supported() -> String {
    let mut ranges: Vec<(Release, Release)> = Vec::new();
    for row in ROWS {
        match ranges.last_mut() {
            Some((first, last))
                if (first.major, first.minor) == (row.first.major, row.first.minor) =>
            {
                *last = row.last;
            }
            _ => ranges.push((row.first, row.last)),
        }
    }
    let words: Vec<String> =
        ranges.iter().map(|(first, last)| format!("{first} to {last}")).collect();
    words.join(", ")
}

fn row_of(release: &str) -> Result<&'static HostAbi, String> {
    Release::parse(release)
        .and_then(|release| ROWS.iter().find(|row| row.covers(release)))
        .ok_or_else(|| {
            format!(
                "this is Fluent Bit {release}, whose structures this build does not know; \
                 supported are {}",
                supported()
            )
        })
}

fn by_markers() -> Result<(HostAbi, String), String> {
    let candidates = markers::candidates(ROWS, |symbol| symbols::address(symbol).is_some());
    match candidates.as_slice() {
        [row] => Ok((**row, row.since.to_owned())),
        _ => Err(format!(
            "this host does not say which release it is, and its symbols fit {} layouts; \
             supported are Fluent Bit {}",
            candidates.len(),
            supported()
        )),
    }
}

/// Compares the row with the sizes of the host's own plugins, which nothing but the host's headers
/// decides.
fn check_sizes(row: &HostAbi, release: &str) -> Result<(), String> {
    let own = [
        (c"in_lib_plugin", row.input_plugin.size),
        (c"out_null_plugin", row.output_plugin.size),
        (c"out_stdout_plugin", row.output_plugin.size),
        (c"filter_grep_plugin", row.filter_plugin.size),
    ];
    for (symbol, expected) in own {
        let Some(found) = program::size_of_symbol(symbol) else { continue };
        if found != expected {
            return Err(format!(
                "this host says it is Fluent Bit {release}, but its '{}' has {found} bytes \
                 instead of {expected}; supported are unmodified releases {}",
                symbol.to_string_lossy(),
                supported()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_release_has_its_row() {
        assert_eq!(row_of("3.0.7").unwrap().since, "3.0.0");
        assert_eq!(row_of("4.2.3.1").unwrap().since, "4.2.0");
        assert_eq!(row_of("4.2.8").unwrap().since, "4.2.4");
        assert_eq!(row_of("5.1.1").unwrap().since, "5.1.0");
    }

    #[test]
    fn other_releases_are_refused_in_words() {
        for release in ["2.2.3", "4.2.9", "5.1.2", "6.0.0", "nonsense"] {
            let refusal = row_of(release).unwrap_err();
            assert!(refusal.contains(release), "{refusal}");
            assert!(
                refusal.contains("4.2.0 to 4.2.8, 5.0.0 to 5.0.9, 5.1.0 to 5.1.1"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_process_without_fluent_bit_is_unknown() {
        let refusal = host().unwrap_err();
        assert!(refusal.contains("supported are"), "{refusal}");
    }
}
