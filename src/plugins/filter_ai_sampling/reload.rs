//! The `config_file` of a tail sampler, looked at again for changes.
//!
//! It is read as at the start, options and all, with what was given in the pipeline.

use std::path::PathBuf;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::clock::Tick;
use crate::config::{CONFIG_FILE, FileOptions};
use crate::files::FileVersion;
use crate::model::Position;
use crate::plugin::{GivenOptions, OpenError, Options};
use crate::sampling::TailConfig;

/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How the start reads options and their file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Reads the file.
    pub(super) open: for<'o> fn(&'o dyn Options) -> FileOptions<'o>,
    /// Makes a configuration of it for each of so many shards, or says what is wrong.
    pub(super) configure:
        fn(&FileOptions<'_>, Position, usize) -> Result<Vec<TailConfig>, OpenError>,
}

/// The file, and what was given beside it.
#[derive(Debug)]
pub(super) struct ConfigFile {
    reading: Reading,
    options: GivenOptions,
    position: Position,
    shards: usize,
    path: PathBuf,
    /// The hash of what it said.
    text: u64,
    seen: Option<FileVersion>,
    looked: Tick,
}

impl ConfigFile {
    /// The file that the options name, as it was read; `None` if they name none.
    pub(super) fn new(
        options: &dyn Options,
        (file, reading): (&FileOptions<'_>, Reading),
        (position, shards): (Position, usize),
        now: Tick,
    ) -> Option<Self> {
        options.get(CONFIG_FILE)?;
        Some(Self {
            reading,
            options: GivenOptions::kept(options),
            position,
            shards,
            path: file.path().to_owned(),
            text: xxh3_64(file.text().as_bytes()),
            // It may have changed since it was read, so that it is read once more.
            seen: None,
            looked: now,
        })
    }

    /// The configuration of each shard anew if the file says something else, or what is wrong with it now.
    pub(super) fn changed(&mut self, now: Tick) -> Option<Result<Vec<TailConfig>, Vec<String>>> {
        if now.since(self.looked) < LOOK_AGAIN {
            return None;
        }
        self.looked = now;
        // Its version comes first, so that a change in between is seen the next time.
        let version = FileVersion::of(&self.path);
        if version == self.seen && version.is_some() {
            return None;
        }
        self.seen = version;
        let file = (self.reading.open)(&self.options);
        let text = xxh3_64(file.text().as_bytes());
        if text == self.text {
            return None;
        }
        self.text = text;
        let read = (self.reading.configure)(&file, self.position, self.shards);
        Some(read.map_err(|OpenError(problems)| problems))
    }

    /// The file's name.
    pub(super) fn name(&self) -> String {
        format!("{CONFIG_FILE} '{}'", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::super::AiSampling;
    use crate::clock;
    use crate::codec::records::testing::{SpanRecord, chunk};
    use crate::hub::Drain;
    use crate::plugin::{Filter, GivenOptions};
    use crate::plugins::testing::{counter, environment, pass};
    use std::time::Duration;

    /// Scenario: a file whose policies change while traces wait, to what is wrong, to another mode and to what is
    /// right. Guarantees: what is right decides about what waits too and is told of once, what is wrong is refused
    /// in words with its line and changes nothing, and a file that says the same is no change.
    #[test]
    fn a_changed_file_decides_and_a_wrong_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policies.yaml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let attribute = |name: &str, key: &str| {
            format!(
                "policies:\n  - {{name: {name}, type: string_attribute, key: k, values: [{key}]}}\n"
            )
        };
        write(&attribute("one", "a"));
        let environment = environment(true);
        let file = path.display().to_string();
        let options = [("mode", "tail"), ("decision_wait", "30s"), ("config_file", &file)];
        let mut filter =
            AiSampling::open(&GivenOptions::of(&options), environment.clone()).unwrap();
        let source = environment.hub.sources().pop().unwrap();
        let start = clock::now();
        let take = |seconds| {
            let emissions = source.take(Drain::Due, start.after(Duration::from_secs(seconds)), 0);
            emissions.iter().map(|emission| emission.records).sum::<usize>()
        };
        let count = |name: &str, label: &str| counter(&environment, name, label);
        let said = || {
            let lines: Vec<String> = environment.log.take().into_iter().map(|it| it.text).collect();
            lines.join("\n")
        };
        let b = SpanRecord::new(1, 1).with("k", "b");
        assert_eq!(pass(&mut filter, &chunk(&[b, SpanRecord::new(2, 2)])), b"");
        assert_eq!((take(3), said()), (0, String::new()), "nothing has changed");
        write("policies:\n  - {name: one, type: latencies}\n");
        assert_eq!(take(6), 0);
        let text = said();
        assert!(text.contains("line 2: policies[0].type: \"latencies\""), "{text}");
        assert!(text.contains("what it said before holds"), "{text}");
        write("mode: head\nsampling_percentage: 50\n");
        take(9);
        let text = said();
        assert!(text.contains("'mode'") || text.contains("mode: "), "{text}");
        assert_eq!(count("config_file_changes_total", "refused"), 2);
        write(&attribute("two", "b"));
        assert_eq!(take(10), 0, "not so often");
        assert_eq!((take(12), take(15)), (0, 0));
        let text = said();
        assert_eq!(text.matches("its 1 policies decide from now on").count(), 1, "{text}");
        assert_eq!(count("config_file_changes_total", "taken"), 1);
        assert_eq!(take(32), 1);
        assert_eq!(count("kept_spans_total", "two"), 1);
        assert_eq!(count("kept_spans_total", "one"), 0);
        assert_eq!(count("dropped_spans_total", "not_sampled"), 1);
        // With a comparison first.
        write(&format!("{}reload_compare_for: 20s\n", attribute("three", "c")));
        take(35);
        assert!(said().contains("are compared for 20 s before they decide"));
        take(60);
        let text = said();
        assert!(text.is_empty(), "nothing was compared: {text}");
        assert_eq!(count("kept_spans_total", "three"), 0);
        std::fs::remove_file(&path).unwrap();
        take(63);
        assert!(said().contains("cannot be read"));
    }

    /// Scenario: a Collector's configuration and rules of Refinery that change while a trace waits. Guarantees:
    /// they decide about it by what they say then, a mistake is refused, and a policy that went has no keys.
    #[test]
    fn files_of_other_samplers_change_as_ours_do() {
        let collector = |name: &str, value: &str| {
            format!(
                "processors:\n  tail_sampling:\n    policies:\n      - name: {name}\n        \
                 type: string_attribute\n        string_attribute: {{key: k, values: [{value}]}}\n"
            )
        };
        let refinery = |name: &str, value: &str| {
            format!(
                "RulesVersion: 2\nSamplers:\n  __default__:\n    RulesBasedSampler:\n      Rules:\n        \
                 - Name: {name}\n          Conditions: [{{Field: k, Operator: =, Value: {value}}}]\n          \
                 Sampler: {{EMADynamicSampler: {{GoalSampleRate: 1, FieldList: [k]}}}}\n        \
                 - {{Name: rest, Drop: true}}\n"
            )
        };
        let folder = tempfile::tempdir().unwrap();
        for (is_adaptive, text, mistake) in [
            (false, &collector as &dyn Fn(&str, &str) -> String, "processors: {tail_sampling: 5}"),
            (true, &refinery, "RulesVersion: 3\nSamplers: {}\n"),
        ] {
            let path = folder.path().join(format!("{is_adaptive}.yaml"));
            std::fs::write(&path, text("one", "a")).unwrap();
            let environment = environment(true);
            let file = path.display().to_string();
            let options = [("mode", "tail"), ("config_file", &file)];
            let mut filter =
                AiSampling::open(&GivenOptions::of(&options), environment.clone()).unwrap();
            let source = environment.hub.sources().pop().unwrap();
            let start = clock::now();
            let take = |seconds| {
                let now = start.after(Duration::from_secs(seconds));
                source.take(Drain::Due, now, 0).iter().map(|it| it.records).sum::<usize>()
            };
            let count = |name: &str, label: &str| counter(&environment, name, label);
            let b = [SpanRecord::new(2, 2).with("k", "b")];
            drop(pass(&mut filter, &chunk(&[SpanRecord::new(1, 1).with("k", "a")])));
            std::fs::write(&path, mistake).unwrap();
            take(32);
            assert_eq!(count("config_file_changes_total", "refused"), 1);
            assert_eq!(count("kept_spans_total", "one"), 1);
            assert!(!is_adaptive || count("adaptive_keys", "one") == 1);
            assert_eq!(pass(&mut filter, &chunk(&b)), b"");
            std::fs::write(&path, text("two", "b")).unwrap();
            assert_eq!(take(35), 1);
            assert_eq!(count("config_file_changes_total", "taken"), 1);
            assert_eq!(count("kept_spans_total", "two"), 1);
            if is_adaptive {
                assert_eq!((count("adaptive_keys", "one"), count("adaptive_keys", "two")), (0, 1));
            }
        }
    }

    /// Guarantees: limits and waits that cannot be are refused with the option's name and value, and what is for
    /// tail sampling is refused in head mode.
    #[test]
    fn options_of_the_run_are_checked() {
        let problems = |pairs: &[(&str, &str)]| {
            crate::plugins::testing::problems::<AiSampling>(pairs, true).join("\n")
        };
        let tail = [("mode", "tail"), ("keep_errors", "on")];
        let with = |name, value| problems(&[&tail[..], &[(name, value)]].concat());
        for (name, value, allowed) in [
            ("decision_wait_max", "30s", "allowed: longer than decision_wait"),
            ("shed_sampling_percentage", "0", "allowed: above 0, up to 100"),
            ("max_spans_per_trace", "-1", "allowed: "),
            ("max_trace_size", "many", ""),
            ("reload_compare_for", "soon", ""),
        ] {
            let text = with(name, value);
            assert!(
                text.contains(&format!("'{name}'")) && text.contains(allowed),
                "{name}: {text}"
            );
            assert!(text.contains(value), "{text}");
        }
        assert_eq!(with("decision_wait_max", "31s"), "");
        for (name, value) in [
            ("dry_run", "on"),
            ("decision_wait_max", "1h"),
            ("shed_sampling_percentage", "10"),
            ("max_spans_per_trace", "10"),
        ] {
            let text = problems(&[("sampling_percentage", "10"), (name, value)]);
            assert!(text.contains(name) && text.contains("it needs 'mode: tail'"), "{text}");
        }
    }
}
