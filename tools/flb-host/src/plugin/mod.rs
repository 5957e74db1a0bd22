//! A plugin that was loaded as Fluent Bit loads one.

mod options;

use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

use fluent_bit_ai::host::abi::row::HostAbi;

use crate::memory::{Addr, Block};
pub(crate) use options::{OptionEntry, check};

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PluginKind {
    /// It brings data in.
    Input,
    /// It changes data.
    Filter,
    /// It sends data away.
    Output,
}

impl PluginKind {
    /// The word in configurations.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Filter => "filter",
            Self::Output => "output",
        }
    }
}

/// A loaded plugin; the file is closed when the last instance is gone.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// What it is for.
    pub(crate) kind: PluginKind,
    /// What configurations call it.
    pub(crate) name: String,
    /// The options that it declares; nothing is checked of a plugin without a table.
    pub(crate) options: Option<Vec<OptionEntry>>,
    description: String,
    descriptor: Block,
    handle: Addr,
}

/// The symbol of the structure that a file of this name has to export.
///
/// # Errors
/// The name does not say which kind of plugin it is.
fn symbol_of(path: &Path) -> Result<(PluginKind, String), String> {
    let base = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = base.strip_prefix("flb-").and_then(|rest| rest.strip_suffix(".so"));
    let Some(stem) = stem else {
        return Err(format!("'{base}' is not named flb-KIND_NAME.so"));
    };
    let kind = match stem.split_once('_').map(|(kind, _)| kind) {
        Some("in") => PluginKind::Input,
        Some("filter") => PluginKind::Filter,
        Some("out") => PluginKind::Output,
        _ => return Err(format!("'{base}' does not start with flb-in_, flb-filter_ or flb-out_")),
    };
    Ok((kind, format!("{stem}_plugin")))
}

fn loader_error() -> String {
    // SAFETY: dlerror has no precondition.
    let message = unsafe { libc::dlerror() };
    Addr::of(message).text().unwrap_or_else(|| "unknown error".to_owned())
}

fn open(path: &Path) -> Result<Addr, String> {
    let name = CString::new(path.as_os_str().as_encoded_bytes())
        .map_err(|_| "the path has a zero byte".to_owned())?;
    // SAFETY: the name ends with a zero byte; what the file's constructors do is the plugin's part.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
    if handle.is_null() { Err(loader_error()) } else { Ok(Addr::of(handle)) }
}

fn symbol(handle: Addr, name: &str) -> Addr {
    let Ok(name) = CString::new(name) else { return Addr::NULL };
    // SAFETY: the handle comes from dlopen and the name ends with a zero byte.
    Addr::of(unsafe { libc::dlsym(handle.pointer(), name.as_ptr()) })
}

/// Closes a handle of dlopen when dropped, unless it was kept.
struct Opened(Addr);

impl Opened {
    fn keep(mut self) -> Addr {
        let handle = self.0;
        self.0 = Addr::NULL;
        handle
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the handle comes from dlopen and is closed once.
            unsafe { libc::dlclose(self.0.pointer()) };
        }
    }
}

impl Plugin {
    /// Loads a file and copies the structure that its name promises.
    ///
    /// # Errors
    /// One line that says what is missing.
    pub(crate) fn load(path: &Path, row: &HostAbi) -> Result<Arc<Self>, String> {
        let at = |problem: String| format!("plugin {}: {problem}", path.display());
        let (kind, wanted) = symbol_of(path).map_err(at)?;
        let opened = Opened(open(path).map_err(at)?);
        let exported = symbol(opened.0, &wanted);
        if exported.is_null() {
            return Err(at(format!("registration structure is missing '{wanted}'")));
        }
        let (size, name, description, map) = match kind {
            PluginKind::Input => {
                let at = &row.input_plugin;
                (at.size, at.name, at.description, at.config_map)
            }
            PluginKind::Filter => {
                let at = &row.filter_plugin;
                (at.size, at.name, at.description, at.config_map)
            }
            PluginKind::Output => {
                let at = &row.output_plugin;
                (at.size, at.name, at.description, at.config_map)
            }
        };
        let descriptor = Block::copy_of(exported, size);
        let text = |offset| descriptor.get::<Addr>(offset).text();
        let name = text(name).ok_or_else(|| at("the structure has no name".to_owned()))?;
        Ok(Arc::new(Self {
            kind,
            name,
            options: options::read(descriptor.get(map), &row.config_map),
            description: text(description).unwrap_or_default(),
            descriptor,
            handle: opened.keep(),
        }))
    }

    /// Where the copy of its structure lies.
    pub(crate) const fn addr(&self) -> Addr {
        self.descriptor.addr()
    }

    /// A callback of its structure, if it has set it.
    pub(crate) fn callback(&self, offset: usize) -> Option<Addr> {
        Some(self.descriptor.get::<Addr>(offset)).filter(|function| !function.is_null())
    }

    /// A number of its structure.
    pub(crate) fn number(&self, offset: usize) -> i32 {
        self.descriptor.get(offset)
    }

    /// What `-h` prints.
    pub(crate) fn help(&self) -> String {
        let options: String = self.options.iter().flatten().map(OptionEntry::help).collect();
        format!(
            "HELP\n{} {} plugin\n\nDESCRIPTION\n{}\n\nOPTIONS\n{options}",
            self.name,
            self.kind.name(),
            self.description,
        )
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        drop(Opened(self.handle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbol_comes_from_the_file_name() {
        let of = |name: &str| symbol_of(Path::new(name));
        assert_eq!(of("/a/flb-in_x.so").unwrap(), (PluginKind::Input, "in_x_plugin".into()));
        assert_eq!(of("flb-out_a_b.so").unwrap(), (PluginKind::Output, "out_a_b_plugin".into()));
        assert!(of("libx.so").unwrap_err().contains("flb-KIND_NAME.so"));
        assert!(of("flb-custom_x.so").unwrap_err().contains("flb-in_"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let row = fluent_bit_ai::host::abi::rows::ROWS.last().unwrap();
        let error = Plugin::load(Path::new("/nowhere/flb-in_x.so"), row).unwrap_err();
        assert!(error.contains("/nowhere/flb-in_x.so"), "{error}");
    }
}
