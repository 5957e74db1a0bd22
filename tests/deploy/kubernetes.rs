//! `deploy/kubernetes`: manifests, and values of the official chart with what the chart makes of them.
//!
//! Helm is not needed: what it rendered lies in `tests/data/kubernetes/rendered`, with the checksum of the values
//! that it was rendered from. `render.py` does it anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::shipped::Configuration;
use testkit::support::{linked, together};

use crate::configuration::{findings, hosts, stop};
use crate::init_container::{Image, named};
use crate::schema::{Schemas, documents};
use crate::{files, read};

const FOLDER: &str = "deploy/kubernetes";
const RENDERED: &str = "tests/data/kubernetes/rendered";

/// Values of the chart, which are no manifests.
fn is_values(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-values.yaml")
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Every file of manifests: those that are shipped, and those that the chart makes of the values.
fn manifests() -> Vec<PathBuf> {
    let shipped = files(FOLDER, "yaml").into_iter().filter(|path| !is_values(path));
    shipped.chain(files(RENDERED, "yaml")).collect()
}

/// The pods of a file: of each its specification.
fn pods(documents: &[Value]) -> Vec<&Value> {
    let specs = documents.iter().map(|document| &document["spec"]["template"]["spec"]);
    specs.filter(|spec| !spec.is_null()).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The container of a pod that runs Fluent Bit.
fn fluent_bit(pod: &Value) -> Option<&Value> {
    let all = list(&pod["initContainers"]).chain(list(&pod["containers"]));
    all.into_iter().find(|container| text(&container["name"]) == "fluent-bit")
}

/// Scenario: each manifest, and each that the chart makes of the values. Guarantees: Kubernetes' schemas
/// take them, and no field is unknown.
#[test]
fn manifests_are_those_of_kubernetes() {
    let schemas = Schemas::read();
    let mut checked = 0;
    for path in manifests() {
        for document in documents(&path) {
            let wrong = schemas.check(&document);
            assert!(wrong.is_empty(), "{}: {}", path.display(), wrong.join("\n"));
            checked += 1;
        }
    }
    println!("{checked} documents are valid");
    assert!(checked > 15, "{checked}");
}

/// Scenario: values were changed. Guarantees: what is checked in their place was rendered from them.
#[test]
fn what_is_checked_was_rendered_from_the_values() {
    for values in files(FOLDER, "yaml").into_iter().filter(|path| is_values(path)) {
        let output = Command::new("sha256sum").arg(&values).output().unwrap();
        let digest = String::from_utf8(output.stdout).unwrap();
        let digest = digest.split(' ').next().unwrap();
        let rendered = name(&values).replace("-values", "");
        let text = read(&testkit::root().join(RENDERED).join(&rendered));
        assert!(
            text.contains(&format!("# values: sha256 {digest}\n")),
            "{rendered} was rendered from other values: see tests/deploy/render.py"
        );
    }
}

/// Scenario: the pods with Fluent Bit. Guarantees: the plugins are copied by our image of this version
/// into a volume that Fluent Bit sees where plugins.conf says; volumes that are mounted are there, and each name that is used is given.
#[test]
fn pods_have_what_they_use() {
    let image = format!("/fluent-bit-ai:{}", env!("CARGO_PKG_VERSION"));
    let mut seen = 0;
    for path in manifests() {
        let documents = documents(&path);
        for pod in pods(&documents) {
            let what = path.display();
            let main = fluent_bit(pod).unwrap_or_else(|| panic!("{what}: no Fluent Bit"));
            let copies =
                list(&pod["initContainers"]).find(|one| text(&one["image"]).ends_with(&image));
            let copies = copies.unwrap_or_else(|| panic!("{what}: nothing copies the plugins"));
            let args: Vec<&str> = list(&copies["args"]).map(text).collect();
            let mount = |container: &Value, at: &str| {
                let found =
                    list(&container["volumeMounts"]).find(|one| text(&one["mountPath"]) == at);
                found.map(|one| text(&one["name"]).to_owned())
            };
            assert!(mount(copies, args[0]).is_some(), "{what}: {args:?}");
            assert_eq!(mount(copies, args[0]), mount(main, args[1]), "{what}");
            let volumes: BTreeSet<&str> =
                list(&pod["volumes"]).map(|one| text(&one["name"])).collect();
            let all = list(&pod["initContainers"]).chain(list(&pod["containers"]));
            for mounted in all.flat_map(|container| list(&container["volumeMounts"])) {
                assert!(volumes.contains(text(&mounted["name"])), "{what}: {mounted}");
            }
            let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
            let (configuration, _) = configuration(&path, &documents);
            let own =
                configuration.text.lines().find_map(|line| line.trim().strip_prefix("grace: "));
            let own = own.unwrap().split_whitespace().next().unwrap().parse::<u64>().unwrap();
            assert!(own + 10 < grace, "{what}: grace {own} does not fit into {grace}");
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

/// Scenario: the init container of each pod, run with its arguments and as its user in a root that has the image's files and its
/// volume, and nothing else. Guarantees: it copies all six plugins, `plugins.conf` names them where Fluent Bit's container has the
/// volume, and that is the `plugins_file` of its configuration.
#[test]
fn init_containers_copy_the_plugins() {
    let image = match Image::build() {
        Ok(image) => image,
        Err(why) => panic!("the image's program cannot be built: {why}"),
    };
    let is_root = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
    if is_root.trim() != "0" {
        println!("init containers were not run: that needs root, for chroot");
        return;
    }
    let mut ran = 0;
    for path in manifests() {
        let documents = documents(&path);
        for pod in pods(&documents) {
            let what = path.display();
            let copies =
                list(&pod["initContainers"]).find(|one| text(&one["name"]) == "fluent-bit-ai");
            let copies = copies.unwrap_or_else(|| panic!("{what}: nothing copies the plugins"));
            let copied = image.start(copies).unwrap_or_else(|why| panic!("{what}: {why}"));
            let seen_at = PathBuf::from(text(&copies["args"][1]));
            let named = named(&copied.volume.join("plugins.conf"));
            assert_eq!(named.len(), 6, "{what}");
            for plugin in named {
                let within = plugin.strip_prefix(&seen_at).unwrap();
                let link = std::fs::read_link(copied.volume.join(within)).unwrap();
                assert_eq!(read(&copied.volume.join(link)), "no code", "{what}");
            }
            let (configuration, _) = configuration(&path, &documents);
            let line = format!("plugins_file: {}/plugins.conf", seen_at.display());
            assert!(configuration.text.contains(&line), "{what}: {line}");
            ran += 1;
        }
    }
    println!("{ran} init containers copied the plugins");
    assert_eq!(ran, 4);
}

/// The configuration of the Fluent Bit in a file, with the variables of its container; and the ports that
/// the container shows.
fn configuration(path: &Path, documents: &[Value]) -> (Configuration, Vec<u64>) {
    let maps = documents.iter().filter(|document| document["kind"] == "ConfigMap");
    let texts: Vec<&str> = maps.filter_map(|map| map["data"]["fluent-bit.yaml"].as_str()).collect();
    let [one] = texts.as_slice() else { panic!("{}: {}", path.display(), texts.len()) };
    let container = fluent_bit(pods(documents)[0]).unwrap();
    let variables: Vec<(String, String)> = list(&container["env"])
        .map(|it| (text(&it["name"]).to_owned(), it["value"].as_str().unwrap_or("here").to_owned()))
        .collect();
    let ports = list(&container["ports"]).filter_map(|port| port["containerPort"].as_u64());
    (Configuration::new(&name(path), one, &variables), ports.collect())
}

/// Scenario: the configuration of Fluent Bit in each pod. Guarantees: the check finds nothing wrong with it, nor a
/// variable that the container has not.
#[test]
fn configurations_in_pods_are_right() {
    let plugins = linked();
    let mut checked = 0;
    for path in manifests() {
        let documents = documents(&path);
        if pods(&documents).is_empty() {
            continue;
        }
        let (configuration, ports) = configuration(&path, &documents);
        let mut found = findings(&configuration, plugins.path());
        // This is no pod.
        found.retain(|it| !it.contains("warning") || !it.contains("identify: nothing was found"));
        assert!(found.is_empty(), "{}: {}", path.display(), found.join("\n"));
        assert!(ports.contains(&2020), "{}: probes have no port", path.display());
        let mut lines = configuration.text.lines();
        let listens = lines.any(|line| line.trim().starts_with("listen: 0.0.0.0"));
        assert_eq!(listens, ports.contains(&4318), "{}", path.display());
        checked += 1;
    }
    assert_eq!(checked, 4);
}

/// Scenario: the same configurations on hosts, with this machine's folders and ports. Guarantees: a real Fluent
/// Bit starts with each and ends in order; the bundled host, which has not all inputs of Fluent Bit, with the gateway's.
#[test]
fn configurations_in_pods_start() {
    let _together = together();
    let plugins = linked();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("parsers.conf"), "").unwrap();
    for host in hosts() {
        let mut started = 0;
        for path in manifests() {
            let documents = documents(&path);
            if pods(&documents).is_empty() {
                continue;
            }
            let (configuration, _) = configuration(&path, &documents);
            let foreign = ["tail", "kubernetes"];
            let is_foreign =
                foreign.iter().any(|it| configuration.text.contains(&format!("- name: {it}")));
            if is_foreign && !host.is_real() {
                continue;
            }
            let (mut here, port) = configuration.here(plugins.path());
            for (from, to) in [
                ("/fluent-bit/data", at("data")),
                ("/fluent-bit/etc/parsers.conf", at("parsers.conf")),
                ("/var/log/containers", at("logs")),
            ] {
                here.text = here.text.replace(from, &to);
            }
            if !host.is_real() {
                // The bundled host ends ill with what no backend took, as is what a scrape tells of a server that
                // is not there.
                let lines = here.text.lines().filter(|line| !line.contains(" scrape."));
                here.text = lines.map(|line| format!("{line}\n")).collect();
            }
            std::fs::create_dir_all(at("data")).unwrap();
            let what = format!("{} {}", host.title(), here.what);
            let environment = [
                ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
                ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ];
            let running = here.start(&host, port, &environment);
            stop(running, &what);
            std::fs::remove_dir_all(at("data")).unwrap();
            started += 1;
        }
        println!("{}: {started} configurations of pods started", host.title());
        assert!(started > 0);
    }
}
