//! The proof of an instance, before anything of it is used.
//!
//! What the host passed tells where its configuration and our plugin are; the host's own functions,
//! run on an [`Image`], tell where every option is kept; the rest leads back to the instance.

use std::ffi::CStr;

use super::super::abi::row::{Build, HostAbi};
use super::super::kind::PluginKind;
use super::image::{Fill, Image};
use super::memory::{ProcessMemory, holds_word, int_in, word_in};
use super::report::ProofReport;
use super::setters::Setters;
use super::wanted::{INT, OptionForm, Wanted, wanted};
use super::{descriptors, service};

/// The value that is looked for. It is no regular expression and has nothing to be replaced.
const VALUE: &CStr = c"fluent-bit-ai.proof";
/// An option of ours, which the host puts into the list of properties.
const OWN_OPTION: &CStr = c"fluent_bit_ai_proof";
/// A structure that points back to an instance, or to what it belongs to, does so within this.
const NEAR: usize = 320;

/// What is to be proved, by what.
pub(in crate::host) struct Subject<'a> {
    pub(in crate::host) memory: &'a ProcessMemory,
    pub(in crate::host) abi: &'a HostAbi,
    pub(in crate::host) build: Build,
    pub(in crate::host) kind: PluginKind,
    /// What our descriptor says that the plugin is called.
    pub(in crate::host) plugin: &'a str,
    /// Addresses of what the host passed to `cb_init`.
    pub(in crate::host) instance: usize,
    pub(in crate::host) config: usize,
    /// The host's functions, if it exports them all.
    pub(in crate::host) setters: Option<&'a dyn Setters>,
    /// The address of the host's table of service options, if it exports that.
    pub(in crate::host) service: Option<usize>,
}

impl Subject<'_> {
    /// Compares what the row says with the instance.
    pub(in crate::host) fn prove(&self) -> ProofReport {
        let mut report = ProofReport::default();
        let fields = self.kind.fields(self.abi);
        let instance = self.memory.window(self.instance, fields.size);
        let at = |offset| word_in(&instance, offset);
        // Without these two the host's functions are not called.
        let belongs =
            report.note("config", self.config != 0 && at(fields.config) == Some(self.config));
        let is_ours = at(fields.p)
            .and_then(|plugin| self.memory.word(plugin.checked_add(fields.plugin_name)?));
        let is_ours = is_ours.is_some_and(|name| self.memory.says(name, self.plugin.as_bytes()));
        if !report.note("p", is_ours) || !belongs {
            return report;
        }
        match self.setters {
            Some(setters) => self.options(setters, &mut report),
            None => report.leave("options"),
        }
        self.metrics(&instance, &mut report);
        match self.kind {
            PluginKind::Input => self.input(&instance, &mut report),
            PluginKind::Filter => {}
            PluginKind::Output => self.output(&instance, &mut report),
        }
        service::prove(self.memory, self.abi, self.config, self.service, &mut report);
        report
    }

    /// Has the host set every option, and looks where.
    fn options(&self, setters: &dyn Setters, report: &mut ProofReport) {
        let fields = self.kind.fields(self.abi);
        let Some(plugin) = self.instance.checked_add(fields.p).and_then(|at| self.memory.word(at))
        else {
            return;
        };
        let known = [(fields.config, self.config), (fields.p, plugin)];
        let mut image = Image::new(Fill::Zeros, &known, &[]);
        let name = setters.name(self.kind, &mut image);
        report.note("name", name.checked_sub(image.address()) == Some(fields.name));
        // Only in an image that has lists everywhere may an option go where it is not expected.
        let mut image = Image::new(Fill::Selves, &known, &[]);
        setters.set(self.kind, &mut image, OWN_OPTION, VALUE);
        if !report.note("properties", self.took(setters, &image, OWN_OPTION, fields.properties)) {
            return;
        }
        for wanted in wanted(self.kind, self.abi, self.build) {
            let holds = self.option(setters, &wanted, &known, fields.properties);
            report.note(wanted.key.to_str().unwrap_or("an option"), holds);
        }
    }

    /// Whether the host keeps an option where the row says.
    fn option(
        &self,
        setters: &dyn Setters,
        wanted: &Wanted,
        known: &[(usize, usize)],
        properties: usize,
    ) -> bool {
        let (fill, value) = match &wanted.form {
            OptionForm::Text(_) => (Fill::Zeros, VALUE),
            OptionForm::Numbers(value, _) => (Fill::Ones, *value),
            OptionForm::List(_) => (Fill::Selves, VALUE),
        };
        let mut image = Image::new(fill, known, &[properties]);
        setters.set(self.kind, &mut image, wanted.key, value);
        match &wanted.form {
            OptionForm::Text(offset) => {
                let is_ours = |text: usize| self.memory.says(text, VALUE.to_bytes());
                let changed = image.changed_words();
                let texts: Vec<_> = changed.iter().filter(|(_, word)| is_ours(*word)).collect();
                texts.iter().for_each(|(_, text)| setters.free_text(*text));
                texts.iter().map(|(at, _)| *at).eq([*offset])
            }
            OptionForm::Numbers(_, offsets) => {
                let mut bytes: Vec<usize> = offsets
                    .iter()
                    .flat_map(|(offset, length)| *offset..offset.saturating_add(*length))
                    .collect();
                bytes.sort_unstable();
                image.changed_bytes() == bytes
            }
            OptionForm::List(offset) => self.took(setters, &image, wanted.key, *offset),
        }
    }

    /// Whether the list at `offset` of the image, and nothing else, has got the property.
    fn took(&self, setters: &dyn Setters, image: &Image, key: &CStr, offset: usize) -> bool {
        let (kv, list) = (&self.abi.kv, &self.abi.list);
        let Some(node) = image.word(offset.saturating_add(list.next)) else { return false };
        let changed = image.changed_words();
        if image.word(offset.saturating_add(list.prev)) != Some(node)
            || !changed.iter().all(|(_, word)| *word == node)
        {
            return false;
        }
        let Some(property) = node.checked_sub(kv.head) else { return false };
        let field = |offset: usize| self.memory.word(property.checked_add(offset)?);
        let says = |offset, text: &CStr| {
            field(offset).is_some_and(|at| self.memory.says(at, text.to_bytes()))
        };
        let is_alone = [list.next, list.prev]
            .into_iter()
            .all(|link| field(kv.head.saturating_add(link)) == image.address().checked_add(offset));
        let holds = says(kv.key, key) && says(kv.val, VALUE) && is_alone;
        if holds {
            setters.free_property(property);
        }
        holds
    }

    /// The store of an instance's metrics comes before metrics in it, which point back to it.
    fn metrics(&self, instance: &[u8], report: &mut ProofReport) {
        let offset = self.kind.fields(self.abi).cmt;
        let store = word_in(instance, offset).filter(|store| *store != 0);
        let leads_back = |number: usize| {
            let behind = offset.checked_add(number.checked_mul(size_of::<usize>())?)?;
            let metric = word_in(instance, behind).filter(|metric| Some(*metric) != store)?;
            Some(holds_word(&self.memory.window(metric, NEAR), store?))
        };
        let holds = [1, 2].into_iter().all(|number| leads_back(number) == Some(true));
        report.note("cmt", holds);
    }

    /// A processor points back to its instance and its configuration.
    fn processor(&self, instance: &[u8], offset: usize, report: &mut ProofReport) {
        let processor = word_in(instance, offset).unwrap_or(0);
        let content = self.memory.window(processor, NEAR);
        let holds = holds_word(&content, self.instance) && holds_word(&content, self.config);
        report.note("processor", holds);
    }

    fn input(&self, instance: &[u8], report: &mut ProofReport) {
        let row = &self.abi.input;
        self.processor(instance, row.processor, report);
        // An instance that starts runs, and says so right behind its limit. So far before the list of
        // its options as the row says.
        let options = word_in(instance, row.config_map).filter(|options| *options != 0);
        report.note("config_map", options.is_some_and(|options| self.closes(options)));
        let memory = self.abi.input_memory();
        let follows = memory.limit.checked_add(size_of::<usize>()) == Some(row.mem_buf_status)
            && row.mem_buf_status.checked_add(INT) == Some(row.storage_buf_status);
        let runs = |offset| int_in(instance, offset) == Some(1);
        report.note("mem_buf_status", follows && runs(row.mem_buf_status));
        report.note("storage_buf_status", follows && runs(row.storage_buf_status));
    }

    /// Whether a list leads back to its head.
    fn closes(&self, head: usize) -> bool {
        let list = &self.abi.list;
        let follow = |from: usize, link: usize| self.memory.word(from.checked_add(link)?);
        let there = follow(head, list.next).and_then(|first| follow(first, list.prev));
        let back = follow(head, list.prev).and_then(|last| follow(last, list.next));
        there == Some(head) && back == Some(head)
    }

    fn output(&self, instance: &[u8], report: &mut ProofReport) {
        let row = &self.abi.output;
        let id = int_in(instance, row.id);
        let name = self.instance.checked_add(row.name).and_then(|at| self.memory.text(at));
        let named = name.as_deref().and_then(|name| name.rsplit_once('.')?.1.parse().ok());
        report.note("id", id.is_some() && id == named);
        // The event at the start of the instance waits for the end that is read.
        let ends = descriptors::ends(instance, row.ch_events);
        let waits = ends.is_some_and(|[read, _]| int_in(instance, 0) == Some(read));
        report.note("ch_events", waits && ends.is_some_and(descriptors::are_a_pipe));
    }
}
