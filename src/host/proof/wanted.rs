//! Which option shows which field.

use std::ffi::CStr;

use super::super::abi::row::{Build, HostAbi};
use super::super::kind::PluginKind;

/// What sets an `int` or a `size_t`.
pub(super) const INT: usize = 4;
const SIZE: usize = 8;

/// An option that the host keeps in a field of its own, and where the row says that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The option, as users know it, which stands for the field in messages.
    pub(super) key: &'static CStr,
    pub(super) form: OptionForm,
}

/// What becomes of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OptionForm {
    /// A pointer to a text.
    Text(usize),
    /// This value becomes numbers: offsets and lengths, in order.
    Numbers(&'static CStr, Vec<(usize, usize)>),
    /// A property in the list whose head is there.
    List(usize),
}

fn text(key: &'static CStr, offset: usize) -> Wanted {
    Wanted { key, form: OptionForm::Text(offset) }
}

fn int(key: &'static CStr, value: &'static CStr, offset: usize) -> Wanted {
    Wanted { key, form: OptionForm::Numbers(value, vec![(offset, INT)]) }
}

fn switch(key: &'static CStr, offset: usize) -> Wanted {
    int(key, c"off", offset)
}

fn list(key: &'static CStr, offset: usize) -> Wanted {
    Wanted { key, form: OptionForm::List(offset) }
}

/// Every option of an instance of this kind whose field is used.
pub(super) fn wanted(kind: PluginKind, abi: &HostAbi, build: Build) -> Vec<Wanted> {
    match kind {
        PluginKind::Input => input(abi, build),
        PluginKind::Filter => vec![
            text(c"match", abi.filter.match_rule),
            text(c"alias", abi.filter.alias),
            int(c"log_level", c"debug", abi.filter.log_level),
        ],
        PluginKind::Output => output(abi, build),
    }
}

fn input(abi: &HostAbi, build: Build) -> Vec<Wanted> {
    let (row, address, memory) = (&abi.input, &abi.net_host, abi.input_memory());
    let mut all = vec![
        text(c"tag", row.tag),
        text(c"alias", row.alias),
        text(c"listen", row.host.saturating_add(address.listen)),
        text(c"host", row.host.saturating_add(address.name)),
        int(c"port", c"7", row.host.saturating_add(address.port)),
        int(c"log_level", c"debug", row.log_level),
        switch(c"threaded", row.is_threaded),
        int(c"storage.type", c"filesystem", memory.storage_type),
        Wanted {
            key: c"mem_buf_limit",
            form: OptionForm::Numbers(c"7M", vec![(memory.limit, SIZE)]),
        },
        list(c"net.keepalive", abi.input_net_properties()),
    ];
    all.extend(abi.input_oauth2_properties().map(|offset| list(c"oauth2.issuer", offset)));
    if !build.tls {
        return all;
    }
    let [vhost, ca_path] = abi.input_tls_paths();
    let (debug, hostname) = abi.input_tls_details();
    all.extend([
        switch(c"tls", row.use_tls),
        switch(c"tls.verify", row.tls_verify),
        int(c"tls.debug", c"7", debug),
        text(c"tls.vhost", vhost),
        text(c"tls.ca_path", ca_path),
        text(c"tls.ca_file", row.tls_ca_file),
        text(c"tls.crt_file", row.tls_crt_file),
        text(c"tls.key_file", row.tls_key_file),
        text(c"tls.key_passwd", row.tls_key_passwd),
    ]);
    all.extend(hostname.map(|offset| switch(c"tls.verify_hostname", offset)));
    let client = abi.input_tls_verify_client();
    all.extend(client.map(|offset| switch(c"tls.verify_client_cert", offset)));
    all.extend(versions(abi.input_tls_versions()));
    all
}

fn output(abi: &HostAbi, build: Build) -> Vec<Wanted> {
    let (row, address) = (&abi.output, &abi.net_host);
    let mut retries = vec![(row.retry_limit, INT)];
    retries.extend(row.retry_limit_is_set.map(|offset| (offset, INT)));
    let mut all = vec![
        text(c"match", row.match_rule),
        text(c"alias", row.alias),
        text(c"host", row.host.saturating_add(address.name)),
        int(c"port", c"7", row.host.saturating_add(address.port)),
        int(c"log_level", c"debug", row.log_level),
        int(c"workers", c"7", row.tp_workers),
        Wanted { key: c"retry_limit", form: OptionForm::Numbers(c"7", retries) },
        list(c"net.keepalive", abi.output_net_properties()),
    ];
    all.extend(abi.output_oauth2_properties().map(|offset| list(c"oauth2.scope", offset)));
    if !build.tls {
        return all;
    }
    let tls = abi.output_tls();
    all.extend([
        switch(c"tls", row.use_tls),
        switch(c"tls.verify", row.tls_verify),
        int(c"tls.debug", c"7", tls.debug),
        text(c"tls.vhost", tls.vhost),
        text(c"tls.ca_path", tls.ca_path),
        text(c"tls.ca_file", row.tls_ca_file),
        text(c"tls.crt_file", row.tls_crt_file),
        text(c"tls.key_file", row.tls_key_file),
        text(c"tls.key_passwd", row.tls_key_passwd),
    ]);
    all.extend(tls.verify_hostname.map(|offset| switch(c"tls.verify_hostname", offset)));
    all.extend(versions(tls.versions));
    if let Some([verify, hostname, path, file]) = tls.proxy {
        all.extend([
            switch(c"tls.proxy.verify", verify),
            switch(c"tls.proxy.verify_hostname", hostname),
            text(c"tls.proxy.ca_path", path),
            text(c"tls.proxy.ca_file", file),
        ]);
    }
    all
}

fn versions(offsets: Option<[usize; 3]>) -> impl Iterator<Item = Wanted> {
    let keys = [c"tls.min_version", c"tls.max_version", c"tls.ciphers"];
    keys.into_iter().zip(offsets.into_iter().flatten()).map(|(key, offset)| text(key, offset))
}
