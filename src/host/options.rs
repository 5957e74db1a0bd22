//! The host's properties -> [`Options`]: what the user gave, and what the host kept for itself.

use std::ffi::{c_int, c_void};
use std::fmt;

use super::abi::row::{Build, HostAbi};
use super::host_struct::HostStruct;
use super::kind::PluginKind;
use super::lend;
use crate::plugin::Options;

/// More properties than any instance has; a list that is longer is not a list.
const MAX_PROPERTIES: usize = 100_000;

/// The options of one instance, copied from the host.
#[derive(Default, Clone, PartialEq, Eq)]
pub(super) struct HostOptions {
    given: Vec<(String, String)>,
    kept: Vec<(&'static str, String)>,
}

/// Names only: values may be secrets.
impl fmt::Debug for HostOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.given.iter().map(|(name, _)| name.as_str());
        let kept = self.kept.iter().map(|(name, _)| *name);
        formatter.debug_list().entries(given).entries(kept).finish()
    }
}

impl Options for HostOptions {
    fn given(&self) -> &[(String, String)] {
        &self.given
    }

    fn host_value(&self, name: &str) -> Option<String> {
        self.kept.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
    }
}

impl HostOptions {
    /// Reads the options of the instance that `instance` looks at.
    ///
    /// # Safety
    /// `instance` looks at a live instance of that kind, laid out as `abi` says.
    pub(super) unsafe fn read(
        kind: PluginKind,
        abi: &HostAbi,
        build: Build,
        instance: HostStruct,
    ) -> Self {
        // SAFETY: the caller vouches for the instance.
        let mut given = unsafe { properties(abi, instance, kind.fields(abi).properties) };
        // What the host has lists of its own for.
        let lists = match kind {
            PluginKind::Input => [Some(abi.input_net_properties()), abi.input_oauth2_properties()],
            PluginKind::Output => {
                [Some(abi.output_net_properties()), abi.output_oauth2_properties()]
            }
            PluginKind::Filter => [None, None],
        };
        for list in lists.into_iter().flatten() {
            // SAFETY: the caller vouches for the instance.
            given.extend(unsafe { properties(abi, instance, list) });
        }
        let kept = match kind {
            // SAFETY: the caller vouches for the instance.
            PluginKind::Input => unsafe { kept_of_input(abi, instance) },
            // SAFETY: the caller vouches for the instance.
            PluginKind::Output => unsafe { kept_of_output(abi, build, instance) },
            // SAFETY: the caller vouches for the instance.
            PluginKind::Filter => unsafe { texts(instance, &[("match", abi.filter.match_rule)]) },
        };
        Self { given, kept }
    }
}

/// Walks the list of `struct flb_kv` whose head is at `offset`.
unsafe fn properties(abi: &HostAbi, instance: HostStruct, offset: usize) -> Vec<(String, String)> {
    let mut given = Vec::new();
    let head = instance.field(offset);
    // SAFETY: the head is inside the instance.
    let mut node = unsafe { HostStruct::new(head, abi.list.size) };
    for _ in 0..MAX_PROPERTIES {
        let next = node.get::<*mut c_void>(abi.list.next);
        if next.is_null() || next == head {
            break;
        }
        let entry = next.cast::<u8>().wrapping_sub(abi.kv.head).cast();
        // SAFETY: every node but the head is inside a property.
        let property = unsafe { HostStruct::new(entry, abi.kv.size) };
        // SAFETY: keys are strings of the host that live as long as the instance.
        let key = unsafe { lend::text(property.get::<*mut c_void>(abi.kv.key)) };
        // SAFETY: so are the values, which is all that the host accepts for our options.
        let value = unsafe { lend::text(property.get::<*mut c_void>(abi.kv.val)) };
        if let Some(key) = key {
            given.push((key.to_ascii_lowercase(), value.unwrap_or_default()));
        }
        // SAFETY: the node is part of the list.
        node = unsafe { HostStruct::new(next, abi.list.size) };
    }
    given
}

/// The strings that an instance points to, under the names that users know.
unsafe fn texts(
    instance: HostStruct,
    fields: &[(&'static str, usize)],
) -> Vec<(&'static str, String)> {
    fields
        .iter()
        .filter_map(|(name, offset)| {
            // SAFETY: the fields are strings of the host, or null.
            let value = unsafe { lend::text(instance.get::<*mut c_void>(*offset)) };
            Some((*name, value?))
        })
        .collect()
}

fn switch(on: c_int) -> String {
    if on == 0 { "off" } else { "on" }.to_owned()
}

/// `host`, `listen` and `port` of the address that starts at `offset`.
unsafe fn address(
    abi: &HostAbi,
    instance: HostStruct,
    offset: usize,
) -> Vec<(&'static str, String)> {
    let at = instance.field(offset);
    // SAFETY: the address is inside the instance.
    let address = unsafe { HostStruct::new(at, abi.net_host.size) };
    let fields = [("host", abi.net_host.name), ("listen", abi.net_host.listen)];
    // SAFETY: both are strings of the host, or null.
    let mut kept = unsafe { texts(address, &fields) };
    let port = address.get::<c_int>(abi.net_host.port);
    if port != 0 {
        kept.push(("port", port.to_string()));
    }
    kept
}

unsafe fn kept_of_input(abi: &HostAbi, instance: HostStruct) -> Vec<(&'static str, String)> {
    let row = &abi.input;
    let fields = [
        ("tag", row.tag),
        ("tls.ca_file", row.tls_ca_file),
        ("tls.crt_file", row.tls_crt_file),
        ("tls.key_file", row.tls_key_file),
        ("tls.key_passwd", row.tls_key_passwd),
    ];
    // SAFETY: all of them are strings of the host, or null.
    let mut kept = unsafe { texts(instance, &fields) };
    let [vhost, ca_path] = abi.input_tls_paths();
    // SAFETY: both are strings of the host, or null.
    kept.extend(unsafe { texts(instance, &[("tls.vhost", vhost), ("tls.ca_path", ca_path)]) });
    // SAFETY: the caller vouches for the instance.
    kept.extend(unsafe { address(abi, instance, row.host) });
    kept.push(("tls", switch(instance.get(row.use_tls))));
    kept.push(("tls.verify", switch(instance.get(row.tls_verify))));
    let (debug, hostname) = abi.input_tls_details();
    if instance.get::<c_int>(debug) > 0 {
        kept.push(("tls.debug", instance.get::<c_int>(debug).to_string()));
    }
    if hostname.is_some_and(|hostname| instance.get::<c_int>(hostname) > 0) {
        kept.push(("tls.verify_hostname", "on".to_owned()));
    }
    if let Some(client) = abi.input_tls_verify_client() {
        kept.push(("tls.verify_client_cert", switch(instance.get(client))));
    }
    if let Some(offsets) = abi.input_tls_versions() {
        let names = ["tls.min_version", "tls.max_version", "tls.ciphers"];
        for field in names.into_iter().zip(offsets) {
            // SAFETY: all of them are strings of the host, or null.
            kept.extend(unsafe { texts(instance, &[field]) });
        }
    }
    kept.push(("threaded", switch(instance.get(row.is_threaded))));
    kept
}

unsafe fn kept_of_output(
    abi: &HostAbi,
    build: Build,
    instance: HostStruct,
) -> Vec<(&'static str, String)> {
    let row = &abi.output;
    // SAFETY: the field is a string of the host, or null.
    let mut kept = unsafe { texts(instance, &[("match", row.match_rule)]) };
    // SAFETY: the caller vouches for the instance.
    kept.extend(unsafe { address(abi, instance, row.host) });
    kept.push(("workers", instance.get::<c_int>(row.tp_workers).max(0).to_string()));
    kept.push(("tls", switch(instance.get(row.use_tls))));
    if build.tls {
        let tls = abi.output_tls();
        let fields = [
            ("tls.vhost", tls.vhost),
            ("tls.ca_path", tls.ca_path),
            ("tls.ca_file", row.tls_ca_file),
            ("tls.crt_file", row.tls_crt_file),
            ("tls.key_file", row.tls_key_file),
            ("tls.key_passwd", row.tls_key_passwd),
        ];
        // SAFETY: all of them are strings of the host, or null.
        kept.extend(unsafe { texts(instance, &fields) });
        let names = ["tls.min_version", "tls.max_version", "tls.ciphers"];
        for field in names.into_iter().zip(tls.versions.into_iter().flatten()) {
            // SAFETY: all of them are strings of the host, or null.
            kept.extend(unsafe { texts(instance, &[field]) });
        }
        kept.push(("tls.verify", switch(instance.get(row.tls_verify))));
        kept.push(("tls.debug", instance.get::<c_int>(tls.debug).to_string()));
        if let Some(offset) = tls.verify_hostname {
            kept.push(("tls.verify_hostname", switch(instance.get(offset))));
        }
        if let Some([verify, hostname, path, file]) = tls.proxy {
            kept.push(("tls.proxy.verify", switch(instance.get(verify))));
            kept.push(("tls.proxy.verify_hostname", switch(instance.get(hostname))));
            let fields = [("tls.proxy.ca_path", path), ("tls.proxy.ca_file", file)];
            // SAFETY: both are strings of the host, or null.
            kept.extend(unsafe { texts(instance, &fields) });
        }
    }
    kept
}
