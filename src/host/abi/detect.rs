//! Which row is running. Asked once, when the library is loaded.

use std::ffi::{CStr, c_char};
use std::sync::OnceLock;

use super::super::lend;
use super::super::symbols::{self, Symbols};
use super::markers;
use super::policy::{self, Chosen, ReleasePolicy};
use super::program;
use super::row::{Build, HostAbi, Release};
use super::rows::{ROWS, known as known_rows};

/// The host that runs, as far as we know it.
#[derive(Debug)]
pub(in crate::host) struct RunningHost {
    /// Where it keeps things.
    pub(in crate::host) abi: HostAbi,
    /// The release as it names itself.
    pub(in crate::host) release: String,
    /// What it was built with.
    pub(in crate::host) build: Build,
    /// Why that row stands for it.
    pub(in crate::host) chosen: Chosen,
    /// Its functions.
    pub(in crate::host) symbols: Symbols,
}

impl RunningHost {
    /// Whether its readers know log group markers.
    pub(in crate::host) fn has_log_groups(&self) -> bool {
        skips_markers(Release::parse(&self.release).unwrap_or(self.abi.first))
    }
}

/// Whether the readers of a release leave out group markers unless they ask for them. From 3.1.0 to
/// 3.2.8 every filter and output takes them for records, some of which end the process.
fn skips_markers(release: Release) -> bool {
    release >= Release::new(3, 2, 9)
}

/// The host of this process, or in words why it is not known.
pub(in crate::host) fn host() -> Result<&'static RunningHost, &'static str> {
    static HOST: OnceLock<Result<RunningHost, String>> = OnceLock::new();
    HOST.get_or_init(detect).as_ref().map_err(String::as_str)
}

fn detect() -> Result<RunningHost, String> {
    if let Some(release) = bundled_row() {
        let release = release.ok_or("the test host has not said yet which release it imitates")?;
        let (row, _) = policy::choose(known_rows()?, &release, ReleasePolicy::Known)?;
        return Ok(known(*row, release, Build::OFFICIAL, Chosen::Stated));
    }
    let policy = ReleasePolicy::from_environment()?;
    let exported = |symbol: &CStr| symbols::address(symbol).is_some();
    let named = || program::release(|release| markers::distance(release, exported));
    // Any program that links this library asks at its start: one that is no host is not searched.
    let (row, release, chosen) = match exported(c"flb_log_print").then(named).flatten() {
        Some(release) => {
            let (row, chosen) = policy::choose(known_rows()?, &release, policy)?;
            (*row, release, chosen)
        }
        None => by_markers()?,
    };
    let build = Build {
        tls: exported(c"flb_tls_create"),
        chunk_trace: exported(c"flb_chunk_trace_output"),
        regex: exported(c"flb_regex_create"),
    };
    let host = known(row.built_with(build), release, build, chosen);
    host.prove_plugins()?;
    Ok(host)
}

fn known(abi: HostAbi, release: String, build: Build, chosen: Chosen) -> RunningHost {
    RunningHost { abi, release, build, chosen, symbols: Symbols::load() }
}

/// What our own test host says that it imitates, once it knows; `None` in any other program.
fn bundled_row() -> Option<Option<String>> {
    let function = symbols::address(c"fluent_bit_ai_bundled_host_row")?;
    // SAFETY: only our own test host exports this name, with this prototype.
    let function = unsafe {
        std::mem::transmute::<*mut std::ffi::c_void, unsafe extern "C" fn() -> *const c_char>(
            function,
        )
    };
    // SAFETY: the function takes nothing and returns a constant string.
    let name = unsafe { function() };
    // SAFETY: the string is constant and ends with a zero, or null.
    Some(unsafe { lend::text(name.cast()) })
}

/// The releases that have a row, in words.
pub(in crate::host) fn supported() -> String {
    policy::supported(known_rows().unwrap_or(ROWS))
}

fn by_markers() -> Result<(HostAbi, String, Chosen), String> {
    let candidates =
        markers::candidates(known_rows()?, |symbol| symbols::address(symbol).is_some());
    match candidates.as_slice() {
        [row] => Ok((**row, row.since.to_owned(), Chosen::Table)),
        // Which of them it is shows where they differ, or does not matter.
        [.., row] => Ok((**row, row.since.to_owned(), Chosen::Symbols)),
        _ => Err(format!(
            "this host does not say which release it is, and its symbols fit {} layouts; \
             supported are Fluent Bit {}",
            candidates.len(),
            supported()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_for_releases_that_skip_them() {
        let skips = |text| skips_markers(Release::parse(text).unwrap());
        assert!(["3.2.9", "3.2.10", "5.1.1"].map(skips).iter().all(|skips| *skips));
        assert!(!["3.0.7", "3.1.10", "3.2.8"].map(skips).iter().any(|skips| *skips));
    }

    #[test]
    fn a_process_without_fluent_bit_is_unknown() {
        let refusal = host().unwrap_err();
        assert!(refusal.contains("supported are"), "{refusal}");
    }
}
