//! One host layout: every offset that the host layer uses, as data.

pub use super::moves::Build;
pub use crate::model::Release;

use super::structs::{
    Config, ConfigMap, Coro, EventChunk, FilterInstance, FilterPlugin, InputInstance, InputPlugin,
    Kv, Log, MkList, NetHost, OutThread, OutputFlush, OutputInstance, OutputPlugin, Task,
    TaskRoute,
};

/// Bytes of the symbols that the host copies plugins from: more than any release's structure has.
pub const MAX_PLUGIN_SIZE: usize = 512;

/// Where a range of releases keeps what we read and fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostAbi {
    /// The first release with this layout, which also names the row.
    pub since: &'static str,
    /// The first release with this layout.
    pub first: Release,
    /// The last release known to have it. What came after is not guessed at.
    pub last: Release,
    /// `struct flb_input_plugin`.
    pub input_plugin: InputPlugin,
    /// `struct flb_filter_plugin`.
    pub filter_plugin: FilterPlugin,
    /// `struct flb_output_plugin`.
    pub output_plugin: OutputPlugin,
    /// `struct flb_config_map`.
    pub config_map: ConfigMap,
    /// `struct flb_input_instance`.
    pub input: InputInstance,
    /// `struct flb_filter_instance`.
    pub filter: FilterInstance,
    /// `struct flb_output_instance`.
    pub output: OutputInstance,
    /// `struct flb_config`.
    pub config: Config,
    /// `struct flb_log`.
    pub log: Log,
    /// `struct flb_task`.
    pub task: Task,
    /// `struct flb_task_route`.
    pub route: TaskRoute,
    /// `struct flb_event_chunk`.
    pub event_chunk: EventChunk,
    /// `struct flb_output_flush`.
    pub flush: OutputFlush,
    /// `struct flb_coro`.
    pub coro: Coro,
    /// `struct flb_out_thread_instance`.
    pub out_thread: OutThread,
    /// `struct flb_kv`.
    pub kv: Kv,
    /// `struct flb_net_host`.
    pub net_host: NetHost,
    /// `struct mk_list`.
    pub list: MkList,
}

impl HostAbi {
    /// Where an input has `tls_verify_client`, which releases from 5.0.0 on have.
    #[must_use]
    pub const fn input_tls_verify_client(&self) -> Option<usize> {
        self.input.tls_verify_client
    }

    /// Where an input has `tls_min_version`, `tls_max_version` and `tls_ciphers`, which releases
    /// from 4.0.0 on have.
    #[must_use]
    pub const fn input_tls_versions(&self) -> Option<[usize; 3]> {
        let row = &self.input;
        together(row.tls_min_version, row.tls_max_version, row.tls_ciphers)
    }

    /// Where an input has `tls_vhost` and `tls_ca_path`.
    #[must_use]
    pub const fn input_tls_paths(&self) -> [usize; 2] {
        [self.input.tls_vhost, self.input.tls_ca_path]
    }

    /// Where an input has `tls_debug` and, from 3.1.0 on, `tls_verify_hostname`.
    #[must_use]
    pub const fn input_tls_details(&self) -> (usize, Option<usize>) {
        (self.input.tls_debug, self.input.tls_verify_hostname)
    }

    /// Where an input has `storage_type`, `mem_chunks_size` and `mem_buf_limit`.
    #[must_use]
    pub const fn input_memory(&self) -> InputMemory {
        let row = &self.input;
        InputMemory {
            storage_type: row.storage_type,
            chunks: row.mem_chunks_size,
            limit: row.mem_buf_limit,
        }
    }

    /// Where an input has the list `net_properties`.
    #[must_use]
    pub const fn input_net_properties(&self) -> usize {
        self.input.net_properties
    }

    /// Where an input has the list `oauth2_jwt_properties`, which releases from 5.0.0 on have.
    #[must_use]
    pub const fn input_oauth2_properties(&self) -> Option<usize> {
        self.input.oauth2_jwt_properties
    }

    /// Where an output has what it keeps of `tls.*` beside files.
    #[must_use]
    pub const fn output_tls(&self) -> OutputTls {
        let row = &self.output;
        OutputTls {
            verify_hostname: row.tls_verify_hostname,
            debug: row.tls_debug,
            vhost: row.tls_vhost,
            ca_path: row.tls_ca_path,
            versions: together(row.tls_min_version, row.tls_max_version, row.tls_ciphers),
            proxy: match (
                row.tls_proxy_verify,
                row.tls_proxy_verify_hostname,
                row.tls_proxy_ca_path,
                row.tls_proxy_ca_file,
            ) {
                (Some(verify), Some(hostname), Some(path), Some(file)) => {
                    Some([verify, hostname, path, file])
                }
                _ => None,
            },
        }
    }

    /// Where an output has the list `net_properties`.
    #[must_use]
    pub const fn output_net_properties(&self) -> usize {
        self.output.net_properties
    }

    /// Where an output has the list `oauth2_properties`, which releases from 5.0.0 on have.
    #[must_use]
    pub const fn output_oauth2_properties(&self) -> Option<usize> {
        self.output.oauth2_properties
    }
}

/// All three, of fields that came together.
const fn together(
    first: Option<usize>,
    second: Option<usize>,
    third: Option<usize>,
) -> Option<[usize; 3]> {
    match (first, second, third) {
        (Some(first), Some(second), Some(third)) => Some([first, second, third]),
        _ => None,
    }
}

/// Where an input says what its chunks hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputMemory {
    /// Offset of `storage_type`.
    pub storage_type: usize,
    /// Offset of `mem_chunks_size`.
    pub chunks: usize,
    /// Offset of `mem_buf_limit`.
    pub limit: usize,
}

/// Where an output has what the host keeps of `tls.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputTls {
    /// Offset of `tls_verify_hostname`, which releases from 3.1.0 on have.
    pub verify_hostname: Option<usize>,
    /// Offset of `tls_debug`.
    pub debug: usize,
    /// Offset of `tls_vhost`.
    pub vhost: usize,
    /// Offset of `tls_ca_path`.
    pub ca_path: usize,
    /// Offsets of `tls_min_version`, `tls_max_version` and `tls_ciphers`, which releases from 4.0.0
    /// on have.
    pub versions: Option<[usize; 3]>,
    /// Offsets of `tls_proxy_verify`, `tls_proxy_verify_hostname`, `tls_proxy_ca_path` and
    /// `tls_proxy_ca_file`, which releases from 5.1.0 on have.
    pub proxy: Option<[usize; 4]>,
}

impl HostAbi {
    /// Whether every field is where `other` has it.
    #[must_use]
    pub fn is_laid_out_as(&self, other: &Self) -> bool {
        let Self { since, first, last, .. } = *other;
        Self { since, first, last, ..*self } == *other
    }

    /// Whether `release` has this layout.
    #[must_use]
    pub fn covers(&self, release: Release) -> bool {
        self.first <= release && release <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    #[test]
    fn releases_are_read_and_ordered() {
        assert_eq!(Release::parse("4.2.8"), Some(Release::new(4, 2, 8)));
        assert_eq!(Release::parse("4.2.3.1"), Some(Release::new(4, 2, 3)));
        assert_eq!(Release::parse("4.2"), None);
        assert_eq!(Release::parse("4.2.x"), None);
        assert!(Release::new(3, 2, 10) > Release::new(3, 2, 9));
        assert_eq!(Release::new(5, 1, 1).to_string(), "5.1.1");
    }

    #[test]
    fn rows_are_in_order_and_do_not_overlap() {
        for row in ROWS {
            assert_eq!(Release::parse(row.since), Some(row.first));
            assert!(row.first <= row.last);
        }
        for pair in ROWS.windows(2) {
            assert!(pair[0].last < pair[1].first, "{} and {}", pair[0].since, pair[1].since);
        }
    }
}
