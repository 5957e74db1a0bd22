//! A made-up host that starts an instance: its memory, and its functions that set options.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::os::fd::AsRawFd;

use super::super::super::abi::row::{Build, HostAbi};
use super::super::super::kind::PluginKind;
use super::super::image::Image;
use super::super::instance::Subject;
use super::super::memory::ProcessMemory;
use super::super::report::ProofReport;
use super::super::setters::Setters;
use super::memory::{Blocks, Rest, peek, put, put_int};
use super::truth::Truth;

/// An engine that runs.
pub(super) fn engine(truth: &Truth, blocks: &mut Blocks) -> usize {
    let config = blocks.block(truth.at("config.size"));
    put_int(config + truth.at("config.is_ingestion_active"), 1);
    put_int(config + truth.at("config.is_shutting_down"), 0);
    put_int(config + truth.at("config.is_running"), 1);
    super::memory::poke(config + truth.at("config.flush"), &1.0_f64.to_ne_bytes());
    put_int(config + truth.at("config.grace"), 5);
    config
}

fn word(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Input => "input",
        PluginKind::Filter => "filter",
        PluginKind::Output => "output",
    }
}

/// The host's functions, as they work where everything is laid out as the truth says.
struct Functions<'a> {
    truth: &'a Truth,
    blocks: RefCell<Blocks>,
    /// Whether one followed a pointer that is none.
    crashed: Cell<bool>,
}

impl Functions<'_> {
    fn field(&self, kind: PluginKind, key: &str) -> Option<usize> {
        let address = |field: &str| {
            Some(self.truth.at(&format!("{}.host", word(kind))) + self.truth.at(field))
        };
        let own = |field: &str| self.truth.find(&format!("{}.{field}", word(kind)));
        match (kind, key) {
            (PluginKind::Input | PluginKind::Output, "host") => address("net_host.name"),
            (PluginKind::Input | PluginKind::Output, "port") => address("net_host.port"),
            (PluginKind::Input, "listen") => address("net_host.listen"),
            (PluginKind::Filter | PluginKind::Output, "match") => own("match_rule"),
            (PluginKind::Input | PluginKind::Output, "tls") => own("use_tls"),
            (PluginKind::Input, "threaded") => own("is_threaded"),
            (PluginKind::Output, "workers") => own("tp_workers"),
            (PluginKind::Input, "tls.verify_client_cert") => own("tls_verify_client"),
            (PluginKind::Input, "tag" | "mem_buf_limit") | (PluginKind::Output, "retry_limit") => {
                own(key)
            }
            (_, "alias" | "log_level") => own(key),
            (PluginKind::Input, "storage.type") => own("storage_type"),
            (PluginKind::Input | PluginKind::Output, key) if key.starts_with("tls.") => {
                own(&key.replace('.', "_"))
            }
            _ => None,
        }
    }

    fn list(&self, kind: PluginKind, key: &str) -> usize {
        let own = |field: &str| self.truth.find(&format!("{}.{field}", word(kind)));
        let list = match (kind, key.split('.').next().unwrap()) {
            (PluginKind::Input | PluginKind::Output, "net") => own("net_properties"),
            (PluginKind::Input, "oauth2") => own("oauth2_jwt_properties"),
            (PluginKind::Output, "oauth2") => own("oauth2_properties"),
            _ => None,
        };
        list.or_else(|| own("properties")).unwrap()
    }

    fn add(&self, image: usize, list: usize, key: &str, value: &str) {
        let at = |field: &str| self.truth.at(field);
        let mut blocks = self.blocks.borrow_mut();
        let property = blocks.block(at("kv.size"));
        let (key, value) = (blocks.text(key), blocks.text(value));
        put(property + at("kv.key"), key);
        put(property + at("kv.val"), value);
        let (head, node) = (image + list, property + at("kv.head"));
        let before = peek(head + at("list.prev"));
        if !(image..image + 8192).contains(&before) {
            self.crashed.set(true);
            return;
        }
        put(head + at("list.prev"), node);
        put(node + at("list.next"), head);
        put(node + at("list.prev"), before);
        put(before + at("list.next"), node);
    }
}

impl Setters for Functions<'_> {
    fn set(&self, kind: PluginKind, image: &mut Image, key: &CStr, value: &CStr) {
        let image = image.pointer().expose_provenance();
        let (key, value) = (key.to_str().unwrap(), value.to_str().unwrap());
        let Some(offset) = self.field(kind, key) else {
            return self.add(image, self.list(kind, key), key, value);
        };
        let at = image + offset;
        match (key, value) {
            ("mem_buf_limit", _) => put(at, 7_000_000),
            ("storage.type", _) => put_int(at, 1),
            ("log_level", "debug") => put_int(at, 4),
            ("retry_limit", _) => {
                put_int(at, 7);
                if let Some(is_set) = self.truth.find("output.retry_limit_is_set") {
                    put_int(image + is_set, 1);
                }
            }
            (_, "7") => put_int(at, 7),
            (_, "off") => put_int(at, 0),
            _ => {
                let text = self.blocks.borrow_mut().text(value);
                put(at, text);
                if key == "tag" {
                    put_int(image + self.truth.at("input.tag_len"), 7);
                }
            }
        }
    }

    fn name(&self, kind: PluginKind, image: &mut Image) -> usize {
        image.address() + self.truth.at(&format!("{}.name", word(kind)))
    }

    fn free_text(&self, _text: usize) {}

    fn free_property(&self, _property: usize) {}
}

/// The table of service options.
fn service(truth: &Truth, blocks: &mut Blocks) -> usize {
    let table = blocks.block(24 * 4);
    for (index, (option, field)) in
        [("Flush", "config.flush"), ("Grace", "config.grace")].iter().enumerate()
    {
        let key = blocks.text(option);
        put(table + index * 24, key);
        put(table + index * 24 + 16, truth.at(field));
    }
    put(table + 48, 0);
    table
}

/// What a row is found to be in a host that is laid out as the truth says.
pub(super) fn prove(truth: &Truth, row: &HostAbi, kind: PluginKind, rest: Rest) -> ProofReport {
    let mut blocks = Blocks::new(rest);
    let config = engine(truth, &mut blocks);
    let own = |field: &str| truth.at(&format!("{}.{field}", word(kind)));
    let instance = blocks.block(own("size"));
    let plugin = blocks.block(truth.at(&format!("{}_plugin.size", word(kind))));
    let name = blocks.text("ai_fake");
    put(plugin + truth.at(&format!("{}_plugin.name", word(kind))), name);
    put(instance + own("config"), config);
    put(instance + own("p"), plugin);
    super::memory::poke(instance + own("name"), b"ai_fake.3\0");
    let store = blocks.block(128);
    put(instance + own("cmt"), store);
    for behind in [8, 16] {
        let metric = blocks.block(128);
        put(metric + 72, store);
        put(instance + own("cmt") + behind, metric);
    }
    let (reader, writer) = std::io::pipe().unwrap();
    match kind {
        PluginKind::Input => {
            let processor = blocks.block(truth.at("processor.size"));
            put(processor + truth.at("processor.data"), instance);
            put(processor + truth.at("processor.config"), config);
            put(instance + own("processor"), processor);
            put_int(instance + own("mem_buf_status"), 1);
            put_int(instance + own("storage_buf_status"), 1);
            let options = blocks.block(16);
            put(options + truth.at("list.next"), options);
            put(options + truth.at("list.prev"), options);
            put(instance + own("config_map"), options);
        }
        PluginKind::Filter => {}
        PluginKind::Output => {
            put_int(instance, reader.as_raw_fd());
            put_int(instance + own("ch_events"), reader.as_raw_fd());
            put_int(instance + own("ch_events") + 4, writer.as_raw_fd());
            put_int(instance + own("id"), 3);
        }
    }
    let table = service(truth, &mut blocks);
    let functions = Functions { truth, blocks: RefCell::new(blocks), crashed: Cell::new(false) };
    let memory = ProcessMemory::own().unwrap();
    let subject = Subject {
        memory: &memory,
        abi: row,
        build: Build::OFFICIAL,
        kind,
        plugin: "ai_fake",
        instance,
        config,
        setters: Some(&functions),
        service: Some(table),
    };
    let report = subject.prove();
    assert!(!functions.crashed.get(), "{} under {} would crash", truth.since, row.since);
    report
}
