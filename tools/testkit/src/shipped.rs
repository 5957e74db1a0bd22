//! Configurations that are shipped inside a page or a manifest, made fit for a host here, and started.

use std::path::Path;

use crate::hosts::{Host, RunningHost, free_port};

/// The blocks of code of a page that are marked with a language.
pub fn blocks(page: &Path, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("the page");
    let begin = format!("```{language}\n");
    let blocks = text.split(&begin).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

/// The configurations of a page of `docs/recipes`: its blocks of YAML that have a pipeline.
pub fn recipe(page: &str) -> Vec<String> {
    let page = crate::root().join("docs/recipes").join(format!("{page}.md"));
    let blocks = blocks(&page, "yaml").into_iter();
    blocks.filter(|block| block.contains("pipeline:")).collect()
}

/// A YAML configuration with the values of its variables.
#[derive(Clone)]
pub struct Configuration {
    /// Where it is from.
    pub what: String,
    pub text: String,
}

impl Configuration {
    pub fn new(what: &str, text: &str, variables: &[(String, String)]) -> Self {
        let mut text = text.to_owned();
        for (name, value) in variables {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        Self { what: what.to_owned(), text }
    }

    /// Replaces what is there.
    #[must_use]
    pub fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "{} has no {from}", self.what);
        self.text = self.text.replace(from, to);
        self
    }

    /// A server on `port` of this machine for whatever host an endpoint has; paths stay.
    #[must_use]
    pub fn to(mut self, port: u16) -> Self {
        let lines = self.text.lines().map(|line| match line.split_once(".url: ") {
            Some((name, url)) => {
                let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
                let path =
                    rest.split_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
                format!("{name}.url: http://127.0.0.1:{port}{path}\n")
            }
            None => format!("{line}\n"),
        });
        self.text = lines.collect();
        self
    }

    /// The same with places of this machine: the plugins, free ports; and its port for OTLP over HTTP.
    #[must_use]
    pub fn here(mut self, plugins: &Path) -> (Self, u16) {
        let line = self.text.lines().find(|line| line.contains("plugins_file: ")).unwrap();
        let ours = format!("  plugins_file: {}/plugins.conf", plugins.display());
        self.text = self.text.replace(line, &ours);
        for port in ["grpc_port", "http_port"] {
            let lines: Vec<&str> = self.text.lines().filter(|line| !line.contains(port)).collect();
            // That of the host's own server stays out, as does the default of ours.
            self.text = lines.join("\n") + "\n";
        }
        let (http, grpc, own) = (free_port(), free_port(), free_port());
        let ports = format!("- name: ai_otlp\n      http_port: {http}\n      grpc_port: {grpc}\n");
        assert_eq!(self.text.matches("- name: ai_otlp").count(), 1, "{}", self.what);
        let at = self.text.find("- name: ai_otlp").unwrap();
        let end = at + self.text.get(at..).unwrap().find('\n').unwrap() + 1;
        self.text.replace_range(at..end, &ports);
        self.text = self.text.replacen("service:\n", &format!("service:\n  http_port: {own}\n"), 1);
        (self, http)
    }

    pub fn start(&self, host: &Host, port: u16, environment: &[(&str, String)]) -> RunningHost {
        RunningHost::start_with(host, &self.text, port, environment)
    }
}
