//! Start-up check: what a filter does when no input of ours is there to emit what it makes.

use crate::config::{ConfigurationFormat, configuration_file, format_of};

/// The advice in the form of the configuration that the host was started with, for its release.
pub(in crate::plugins) fn missing_emitter(release: &str) -> String {
    let format = configuration_file().map(|file| format_of(&file));
    advice(format, release)
}

fn advice(format: Option<ConfigurationFormat>, release: &str) -> String {
    let classic = "the line 'Path /PATH/TO/flb-in_ai_emitter.so' in [PLUGINS] of the file that \
                   'plugins_file' names, and in the configuration a section [INPUT] with the lines \
                   'Name ai_emitter' and 'Tag ai_emitter'";
    let input = "'- name: ai_emitter' and, below it, '  tag: ai_emitter' under 'pipeline.inputs'";
    let yaml = if has_yaml_plugins(release) {
        format!("'- /PATH/TO/flb-in_ai_emitter.so' under 'plugins', and {input}")
    } else {
        format!(
            "the line 'Path /PATH/TO/flb-in_ai_emitter.so' in [PLUGINS] of the file that \
             'service.plugins_file' names (Fluent Bit {release} reads no list of plugins in YAML), \
             and {input}"
        )
    };
    let add = match format {
        Some(ConfigurationFormat::Classic) => classic.to_owned(),
        Some(ConfigurationFormat::Yaml) => yaml,
        None => format!("{classic}; or in YAML: {yaml}"),
    };
    format!(
        "there is no input that emits what this filter makes; use the input ai_otlp, or add: {add}"
    )
}

/// Whether the host reads `plugins` in YAML, which came with 3.2.
fn has_yaml_plugins(release: &str) -> bool {
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (3, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_is_in_the_form_that_the_host_reads() {
        let yaml = Some(ConfigurationFormat::Yaml);
        let new = advice(yaml, "3.2.10");
        assert!(new.contains("under 'plugins'") && new.contains("'- name: ai_emitter'"), "{new}");
        assert!(!new.contains("[INPUT]"), "{new}");
        let old = advice(yaml, "3.0.7");
        assert!(
            old.contains("'service.plugins_file'") && !old.contains("under 'plugins'"),
            "{old}"
        );
        let classic = advice(Some(ConfigurationFormat::Classic), "5.1.1");
        assert!(classic.contains("'Name ai_emitter'") && !classic.contains("YAML"), "{classic}");
        let unknown = advice(None, "5.1.1");
        let (first, second) = (unknown.find("[INPUT]"), unknown.find("pipeline.inputs"));
        assert!(first.is_some() && first < second, "{unknown}");
    }
}
