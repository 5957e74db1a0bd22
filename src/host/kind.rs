//! Kinds of plugins: all three, and what is the same about them under different offsets.

use super::abi::row::HostAbi;

/// A kind of plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PluginKind {
    Input,
    Filter,
    Output,
}

/// Where an instance keeps what every kind has, and where its plugin keeps its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct InstanceFields {
    pub(super) size: usize,
    pub(super) log_level: usize,
    pub(super) name: usize,
    pub(super) alias: usize,
    pub(super) p: usize,
    pub(super) properties: usize,
    pub(super) cmt: usize,
    pub(super) config: usize,
    pub(super) plugin_size: usize,
    pub(super) plugin_name: usize,
}

impl PluginKind {
    /// The word in log lines, as the host writes it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Filter => "filter",
            Self::Output => "output",
        }
    }

    /// Where this kind keeps the common fields.
    pub(super) const fn fields(self, abi: &HostAbi) -> InstanceFields {
        match self {
            Self::Input => InstanceFields {
                size: abi.input.size,
                log_level: abi.input.log_level,
                name: abi.input.name,
                alias: abi.input.alias,
                p: abi.input.p,
                properties: abi.input.properties,
                cmt: abi.input.cmt,
                config: abi.input.config,
                plugin_size: abi.input_plugin.size,
                plugin_name: abi.input_plugin.name,
            },
            Self::Filter => InstanceFields {
                size: abi.filter.size,
                log_level: abi.filter.log_level,
                name: abi.filter.name,
                alias: abi.filter.alias,
                p: abi.filter.p,
                properties: abi.filter.properties,
                cmt: abi.filter.cmt,
                config: abi.filter.config,
                plugin_size: abi.filter_plugin.size,
                plugin_name: abi.filter_plugin.name,
            },
            Self::Output => InstanceFields {
                size: abi.output.size,
                log_level: abi.output.log_level,
                name: abi.output.name,
                alias: abi.output.alias,
                p: abi.output.p,
                properties: abi.output.properties,
                cmt: abi.output.cmt,
                config: abi.output.config,
                plugin_size: abi.output_plugin.size,
                plugin_name: abi.output_plugin.name,
            },
        }
    }
}
