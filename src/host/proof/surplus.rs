//! Inputs that are not configured.
//!
//! The host starts one input for each plugin of the wanted name, and gives the options to the last.
//! A file that is named twice, in `plugins.conf` and by `-e` for example, is two plugins.

use super::super::abi::row::HostAbi;
use super::memory::ProcessMemory;

/// More plugins than any host has.
const MAX_INPUTS: usize = 1000;
/// What a user is told of an instance too many.
pub(in crate::host) const MESSAGE: &str = "the file of this plugin was loaded more than once: it is \
     named twice, perhaps in a plugins file and by '-e'. Fluent Bit then starts an instance too many, \
     which is not configured; it stays without a listener. Name the file once";

/// Whether a plugin of the same name was loaded after the one that an input belongs to.
pub(in crate::host) fn is_surplus(
    memory: &ProcessMemory,
    abi: &HostAbi,
    plugin: &str,
    instance: usize,
    config: usize,
) -> bool {
    let engine = config..config.saturating_add(abi.config.size);
    // The link to the next plugin is the last field.
    let link = abi.input_plugin.size.saturating_sub(abi.list.size);
    let follow = |at: usize| memory.word(at.checked_add(link)?.checked_add(abi.list.next)?);
    let next = |at: usize| follow(at).filter(|node| !engine.contains(node))?.checked_sub(link);
    let own = instance.checked_add(abi.input.p).and_then(|at| memory.word(at));
    std::iter::successors(own.and_then(next), |at| next(*at))
        .take(MAX_INPUTS)
        .take_while(|at| Some(*at) != own)
        .filter_map(|at| memory.word(at.checked_add(abi.input_plugin.name)?))
        .any(|name| memory.says(name, plugin.as_bytes()))
}
