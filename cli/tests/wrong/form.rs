//! The form of a wrong configuration.

/// A pipeline with one mistake. Each list has the lines of a section of that kind beside its usual ones.
pub(crate) struct Wrong {
    /// The kind of mistake.
    pub(crate) kind: &'static str,
    /// Of the first input, `ai_otlp`; none is a pipeline with the input `dummy` instead.
    pub(crate) input: Option<&'static [&'static str]>,
    /// Of a second input, `ai_emitter`, if there is one.
    pub(crate) emitter: &'static [&'static str],
    /// Of the filters, each with its name first.
    pub(crate) filters: &'static [&'static [&'static str]],
    /// Of the output `multi_otlp`.
    pub(crate) output: &'static [&'static str],
    /// The text of the file that `@FILE@` stands for.
    pub(crate) file: &'static str,
    /// What the start says.
    pub(crate) says: &'static str,
    /// The first line of the configuration that has this is the one that is wrong; empty is the file.
    pub(crate) at: &'static str,
    /// Whether it only warns.
    pub(crate) is_warning: bool,
}

pub(super) const RIGHT: Wrong = Wrong {
    kind: "",
    input: Some(&[]),
    emitter: &[],
    filters: &[],
    output: &["endpoint.a.url: http://127.0.0.1:9"],
    file: "",
    says: "",
    at: "",
    is_warning: false,
};

pub(super) const fn input(
    kind: &'static str,
    lines: &'static [&'static str],
    says: &'static str,
    at: &'static str,
) -> Wrong {
    Wrong { kind, input: Some(lines), says, at, ..RIGHT }
}

pub(super) const fn emitter(
    kind: &'static str,
    lines: &'static [&'static str],
    says: &'static str,
    at: &'static str,
) -> Wrong {
    Wrong { kind, emitter: lines, says, at, ..RIGHT }
}

pub(super) const fn filter(
    kind: &'static str,
    filters: &'static [&'static [&'static str]],
    says: &'static str,
    at: &'static str,
) -> Wrong {
    Wrong { kind, filters, says, at, ..RIGHT }
}

pub(super) const fn output(
    kind: &'static str,
    lines: &'static [&'static str],
    says: &'static str,
    at: &'static str,
) -> Wrong {
    Wrong { kind, output: lines, says, at, ..RIGHT }
}

impl Wrong {
    pub(super) const fn file(self, file: &'static str) -> Self {
        Self { file, ..self }
    }

    pub(super) const fn warns(self) -> Self {
        Self { is_warning: true, ..self }
    }

    pub(super) const fn without_emitter(self) -> Self {
        Self { input: None, ..self }
    }

    /// The configuration, in YAML. Ports are those that the system chooses.
    pub(crate) fn yaml(&self, plugins: &str, file: &str) -> String {
        let mut text = format!("service:\n  plugins_file: {plugins}\npipeline:\n  inputs:\n");
        let mut section = |name: &str, lines: &[&str], usual: &[&str]| {
            text.push_str(&format!("    - name: {name}\n"));
            let ours = |line: &&&str| {
                let key = line.split(':').next();
                !lines.iter().any(|own| own.split(':').next() == key)
            };
            for line in usual.iter().filter(ours).chain(lines) {
                text.push_str(&format!("      {line}\n"));
            }
        };
        match self.input {
            Some(lines) => section("ai_otlp", lines, &["tag: ai", "grpc_port: 0", "http_port: 0"]),
            None => section("dummy", &[], &["tag: ai"]),
        }
        if !self.emitter.is_empty() {
            section("ai_emitter", self.emitter, &["tag: scraped"]);
        }
        if !self.filters.is_empty() {
            text.push_str("  filters:\n");
        }
        for filter in self.filters {
            let (name, lines) = filter.split_first().unwrap_or((&"", &[]));
            let mut section = |line: String| text.push_str(&line);
            section(format!("    - name: {name}\n      match: 'ai*'\n"));
            lines.iter().for_each(|line| section(format!("      {line}\n")));
        }
        text.push_str("  outputs:\n    - name: multi_otlp\n      match: 'ai*'\n");
        self.output.iter().for_each(|line| text.push_str(&format!("      {line}\n")));
        text.replace("@FILE@", file)
    }
}
