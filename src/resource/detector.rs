//! Which detector reads what, and what comes of it.

use super::facts::{FactSource, Facts};
use super::settings::{Detected, DetectorSettings, ResourceDetector};
use super::{cloud, environment, gpu, host, kubernetes, process};

impl DetectorSettings {
    /// What has to be read for the detectors, beside the environment.
    #[must_use]
    pub fn sources(&self) -> Vec<FactSource> {
        let mut sources = Vec::new();
        let mut add = |source: FactSource| {
            if !sources.contains(&source) {
                sources.push(source);
            }
        };
        for detector in &self.detectors {
            let files: &[&str] = match detector {
                ResourceDetector::Environment => &[],
                ResourceDetector::Kubernetes | ResourceDetector::Container => kubernetes::FILES,
                ResourceDetector::Cloud => cloud::FILES,
                ResourceDetector::Host => host::FILES,
                ResourceDetector::Gpu => gpu::FILES,
                ResourceDetector::Process => {
                    process::files(&self.process)
                        .into_iter()
                        .for_each(|file| add(FactSource::File(file)));
                    add(FactSource::Link(process::link(&self.process)));
                    &[]
                }
            };
            files.iter().for_each(|file| add(FactSource::File((*file).to_owned())));
            if *detector == ResourceDetector::Kubernetes {
                kubernetes::pod_files(&self.podinfo).for_each(|file| add(FactSource::File(file)));
            }
        }
        sources
    }

    /// What the facts say. `architecture` is that of this build, as Rust names it.
    #[must_use]
    pub fn detect(&self, facts: &Facts, architecture: &str) -> Detected {
        let mut found = Detected::default();
        let Detected { attributes, notes } = &mut found;
        let chosen = |detector: &ResourceDetector| self.detectors.contains(detector);
        for detector in ResourceDetector::ALL.into_iter().filter(chosen) {
            match detector {
                ResourceDetector::Environment => environment::detect(facts, attributes, notes),
                ResourceDetector::Container => kubernetes::detect_container(facts, attributes),
                ResourceDetector::Kubernetes => kubernetes::detect(facts, self, attributes),
                ResourceDetector::Cloud => cloud::detect(facts, attributes),
                ResourceDetector::Host => host::detect(facts, architecture, attributes),
                ResourceDetector::Process => process::detect(facts, &self.process, attributes),
                ResourceDetector::Gpu => gpu::detect(facts, attributes),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_word_and_the_clouds_id_come_first() {
        let mut facts = Facts::default();
        for (name, value) in
            [("OTEL_RESOURCE_ATTRIBUTES", "host.name=mine,k8s.pod.name=p"), ("POD_NAME", "other")]
        {
            facts.variables.insert(name.to_owned(), value.to_owned());
        }
        for (path, text) in [
            (host::HOSTNAME, "machine\n"),
            ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            ("/sys/class/dmi/id/sys_vendor", "Amazon EC2"),
            ("/sys/class/dmi/id/board_asset_tag", "i-0a1"),
        ] {
            facts.files.insert(path.to_owned(), text.to_owned());
        }
        let settings = |detectors: &[ResourceDetector]| DetectorSettings {
            detectors: detectors.to_vec(),
            process: "self".to_owned(),
            ..DetectorSettings::default()
        };
        let found = settings(&ResourceDetector::ALL).detect(&facts, "x86_64").attributes;
        for (key, value) in [
            ("host.name", "mine"),
            ("k8s.pod.name", "p"),
            ("host.id", "i-0a1"),
            ("host.arch", "amd64"),
            ("service.name", "p"),
        ] {
            assert_eq!(found.text_of(key), Some(value), "{key}");
        }
        let host = settings(&[ResourceDetector::Host]).detect(&facts, "riscv64").attributes;
        assert_eq!(host.text_of("host.name"), Some("machine"));
        assert_eq!(host.text_of("host.id"), Some("0123456789abcdef0123456789abcdef"));
        assert_eq!(host.text_of("host.arch"), Some("riscv64"));
        assert_eq!(host.len(), 3);
        assert!(settings(&[]).detect(&facts, "x").attributes.is_empty());
    }

    #[test]
    fn what_is_read_is_what_is_needed() {
        let sources = |detectors: &[ResourceDetector]| {
            DetectorSettings {
                detectors: detectors.to_vec(),
                podinfo: "/pod/".to_owned(),
                process: "77".to_owned(),
                ..DetectorSettings::default()
            }
            .sources()
        };
        assert!(sources(&[ResourceDetector::Environment]).is_empty());
        let process = sources(&[ResourceDetector::Process]);
        assert!(process.contains(&FactSource::Link("/proc/77/exe".to_owned())));
        let pod = sources(&[ResourceDetector::Kubernetes]);
        assert!(pod.contains(&FactSource::File("/pod/labels".to_owned())));
        let all = sources(&ResourceDetector::ALL);
        let mut once = all.clone();
        once.dedup();
        assert_eq!(all, once);
        for detector in ResourceDetector::ALL {
            assert_eq!(ResourceDetector::named(detector.name()), Some(detector));
        }
    }
}
