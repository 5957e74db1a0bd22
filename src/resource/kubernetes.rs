//! `k8s` and `container`: the pod and the container that this process is in, without asking the cluster.
//!
//! From the downward API, as variables or files; from control groups and mounts; from the service account's
//! folder; and from the host name. Semantic conventions, "Kubernetes" and "Container", and for `service.*`
//! "Specify resource attributes using Kubernetes annotations".

use super::attribute::ResourceAttributes;
use super::cgroup::{self, Container};
use super::downward;
use super::facts::Facts;
use super::host;
use super::settings::DetectorSettings;

const CGROUP: &str = "/proc/self/cgroup";
const MOUNTS: &str = "/proc/self/mountinfo";
const HOSTS: &str = "/etc/hosts";
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

pub(super) const FILES: &[&str] =
    &[CGROUP, MOUNTS, HOSTS, NAMESPACE, host::HOSTNAME, "/etc/hostname"];

/// Attributes, the variables under which manifests commonly put them, and the files of the pod's folder.
const FIELDS: [(&str, &[&str], &[&str]); 6] = [
    (
        "k8s.pod.name",
        &["OTEL_RESOURCE_ATTRIBUTES_POD_NAME", "K8S_POD_NAME", "POD_NAME", "MY_POD_NAME"],
        &["name", "pod_name", "podname"],
    ),
    (
        "k8s.pod.uid",
        &["OTEL_RESOURCE_ATTRIBUTES_POD_UID", "K8S_POD_UID", "POD_UID", "MY_POD_UID"],
        &["uid", "pod_uid", "poduid"],
    ),
    ("k8s.pod.ip", &["K8S_POD_IP", "POD_IP", "MY_POD_IP"], &["ip", "pod_ip"]),
    (
        "k8s.namespace.name",
        &["K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "POD_NAMESPACE", "MY_POD_NAMESPACE"],
        &["namespace", "pod_namespace"],
    ),
    (
        "k8s.node.name",
        &["OTEL_RESOURCE_ATTRIBUTES_NODE_NAME", "K8S_NODE_NAME", "NODE_NAME", "MY_NODE_NAME"],
        &["node_name", "nodename"],
    ),
    ("k8s.cluster.name", &["K8S_CLUSTER_NAME", "CLUSTER_NAME"], &["cluster_name"]),
];

const ANNOTATION: &str = "resource.opentelemetry.io/";

/// Names of the files of the pod's folder that are read.
pub(super) fn pod_files(folder: &str) -> impl Iterator<Item = String> {
    let names = FIELDS.iter().flat_map(|(_, _, names)| *names);
    let names = names.chain(&["labels", "annotations"]);
    names.map(move |name| format!("{}/{name}", folder.trim_end_matches('/')))
}

fn container(facts: &Facts) -> Container<'_> {
    let file = |path: &str| facts.file(path).unwrap_or_default();
    cgroup::container(file(CGROUP), file(MOUNTS))
}

/// The container that this process is in, which in a sidecar is not the sender's.
pub(super) fn detect_container(facts: &Facts, found: &mut ResourceAttributes) {
    let container = container(facts);
    found.text("container.id", container.id.unwrap_or_default());
    let name = facts.first_variable(&["K8S_CONTAINER_NAME", "CONTAINER_NAME"]);
    found.text("k8s.container.name", name.or(container.name).unwrap_or_default());
}

pub(super) fn detect(facts: &Facts, settings: &DetectorSettings, found: &mut ResourceAttributes) {
    let folder = settings.podinfo.trim_end_matches('/');
    let pod_file = |name: &str| facts.file(&format!("{folder}/{name}"));
    for (key, variables, names) in FIELDS {
        let text = facts.first_variable(variables);
        let text = text.or_else(|| names.iter().find_map(|name| pod_file(name)));
        found.text(key, text.unwrap_or_default());
    }
    let container = container(facts);
    found.text("k8s.pod.uid", container.pod_uid.as_deref().unwrap_or_default());
    found.text("k8s.namespace.name", facts.file(NAMESPACE).unwrap_or_default());
    let in_pod = container.pod_uid.is_some()
        || facts.variable("KUBERNETES_SERVICE_HOST").is_some()
        || facts.file(NAMESPACE).is_some();
    if in_pod {
        of_host_name(facts, found);
    }
    let pairs = |name: &str| downward::pairs(pod_file(name).unwrap_or_default());
    let (labels, annotations) = (pairs("labels"), pairs("annotations"));
    for (key, value) in &annotations {
        if let Some(key) = key.strip_prefix(ANNOTATION).filter(|key| !key.is_empty()) {
            found.text(key, value);
        }
    }
    workload(&labels, found);
    for (prefix, pairs, chosen) in [
        ("k8s.pod.label.", &labels, &settings.labels),
        ("k8s.pod.annotation.", &annotations, &settings.annotations),
    ] {
        let is_chosen = |key: &str| chosen.iter().any(|name| name == "*" || name == key);
        for (key, value) in pairs.iter().filter(|(key, _)| is_chosen(key)) {
            found.text(&format!("{prefix}{key}"), value);
        }
    }
    service(&labels, settings.well_known_labels, found);
}

/// A pod's host name is its name, unless it has the node's, or is too long for one.
fn of_host_name(facts: &Facts, found: &mut ResourceAttributes) {
    let hosts = facts.file(HOSTS).unwrap_or_default();
    let Some(name) = host::name(facts).filter(|name| name.len() < 63) else { return };
    let of_node = hosts.lines().next().is_some_and(|line| line.contains("(host network)"))
        || found.text_of("k8s.node.name") == Some(name);
    if of_node {
        return;
    }
    found.text("k8s.pod.name", name);
    // The kubelet writes the pod's address beside its name.
    let address = hosts.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut text = line.split_whitespace();
        let address = text.next()?;
        text.any(|word| word == name).then_some(address)
    });
    let address = address.filter(|address| !address.starts_with("127.") && *address != "::1");
    found.text("k8s.pod.ip", address.unwrap_or_default());
}

/// The workload of the pod, by the labels that its controller sets, which say it for certain.
fn workload(labels: &[(String, String)], found: &mut ResourceAttributes) {
    let label =
        |name: &str| labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let pod = found.text_of("k8s.pod.name").unwrap_or_default().to_owned();
    if let Some(job) = label("batch.kubernetes.io/job-name").or_else(|| label("job-name")) {
        found.text("k8s.job.name", job);
    } else if let Some(hash) = label("pod-template-hash") {
        // NAME-HASH-SUFFIX of the ReplicaSet NAME-HASH.
        let deployment = pod
            .rsplit_once('-')
            .and_then(|(replica_set, _)| replica_set.strip_suffix(hash)?.strip_suffix('-'));
        if let Some(deployment) = deployment {
            found.text("k8s.deployment.name", deployment);
            found.text("k8s.replicaset.name", &format!("{deployment}-{hash}"));
        }
    } else if label("statefulset.kubernetes.io/pod-name") == Some(&pod) {
        let name = pod.rsplit_once('-').map(|(name, _)| name);
        found.text("k8s.statefulset.name", name.unwrap_or_default());
    } else if label("controller-revision-hash").is_some() {
        let name = pod.rsplit_once('-').map(|(name, _)| name);
        found.text("k8s.daemonset.name", name.unwrap_or_default());
    }
}

/// What the conventions calculate of the pod, where nothing says it.
fn service(labels: &[(String, String)], well_known: bool, found: &mut ResourceAttributes) {
    let label = |name: &str| labels.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let mut of_label = |key: &str, name: &str| {
        if well_known && let Some(value) = label(name) {
            found.text(key, value);
        }
    };
    of_label("service.name", "app.kubernetes.io/instance");
    of_label("service.name", "app.kubernetes.io/name");
    of_label("service.version", "app.kubernetes.io/version");
    let text = |found: &ResourceAttributes, key: &str| found.text_of(key).map(str::to_owned);
    for workload in
        ["deployment", "replicaset", "statefulset", "daemonset", "job", "pod", "container"]
    {
        if let Some(name) = text(found, &format!("k8s.{workload}.name")) {
            found.text("service.name", &name);
        }
    }
    let parts = ["k8s.namespace.name", "k8s.pod.name", "k8s.container.name"];
    if let [Some(namespace), pod, container] = parts.map(|key| text(found, key)) {
        found.text("service.namespace", &namespace);
        if let (Some(pod), Some(container)) = (pod, container) {
            found.text("service.instance.id", &format!("{namespace}.{pod}.{container}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0a9d2f4e-6b1c-4d3a-9e57-2f8c1b7d6e50";

    fn facts(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Facts {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        Facts { variables: owned(variables), files: owned(files) }
    }

    fn detected(facts: &Facts, settings: &DetectorSettings) -> Vec<(String, String)> {
        let mut found = ResourceAttributes::default();
        detect(facts, settings, &mut found);
        let text = |key: &str| found.text_of(key).unwrap_or_default().to_owned();
        found.iter().map(|one| (one.key.clone(), text(&one.key))).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn settings() -> DetectorSettings {
        DetectorSettings { podinfo: "/etc/podinfo/".to_owned(), ..DetectorSettings::default() }
    }

    #[test]
    fn a_pod_without_the_downward_api_knows_its_name_and_uid() {
        let mount =
            format!("9 8 0:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 d rw");
        let hosts = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n10.1.2.3\tshop-0";
        let files = [
            (MOUNTS, mount.as_str()),
            (CGROUP, "0::/"),
            (host::HOSTNAME, "shop-0\n"),
            (HOSTS, hosts),
            (NAMESPACE, "store"),
        ];
        let expected = owned(&[
            ("k8s.pod.uid", UID),
            ("k8s.namespace.name", "store"),
            ("k8s.pod.name", "shop-0"),
            ("k8s.pod.ip", "10.1.2.3"),
            ("service.name", "shop-0"),
            ("service.namespace", "store"),
        ]);
        assert_eq!(detected(&facts(&[], &files), &settings()), expected);
        // With the node's network the host name is the node's.
        let node = "# Kubernetes-managed hosts file (host network).\n10.0.0.9\tshop-0";
        let mut on_node = files;
        on_node[3].1 = node;
        let found = detected(&facts(&[], &on_node), &settings());
        assert!(!found.iter().any(|(key, _)| key == "k8s.pod.name"), "{found:?}");
        let named = facts(&[("NODE_NAME", "shop-0")], &files);
        let found = detected(&named, &settings());
        assert!(!found.iter().any(|(key, _)| key == "k8s.pod.name"), "{found:?}");
    }

    #[test]
    fn no_pod_is_nothing() {
        let files =
            [(host::HOSTNAME, "laptop"), (CGROUP, "0::/user.slice"), (HOSTS, "127.0.0.1 x")];
        assert!(detected(&facts(&[], &files), &settings()).is_empty());
    }

    #[test]
    fn variables_files_labels_and_annotations() {
        let labels = "app.kubernetes.io/instance=\"shop-prod\"\npod-template-hash=\"7d9c5b6f4\"\nteam=\"a \\\"b\\\"\"";
        let annotations =
            "big=\"canary\"\nresource.opentelemetry.io/deployment.environment.name=\"prod\"";
        let files = [
            ("/etc/podinfo/labels", labels),
            ("/etc/podinfo/annotations", annotations),
            ("/etc/podinfo/namespace", "store"),
        ];
        let variables = [("POD_NAME", "shop-7d9c5b6f4-x2x9z"), ("K8S_NODE_NAME", "node-1")];
        let facts = facts(&variables, &files);
        let chosen = DetectorSettings { labels: vec!["team".to_owned()], ..settings() };
        let mut expected = owned(&[
            ("k8s.pod.name", "shop-7d9c5b6f4-x2x9z"),
            ("k8s.namespace.name", "store"),
            ("k8s.node.name", "node-1"),
            ("deployment.environment.name", "prod"),
            ("k8s.deployment.name", "shop"),
            ("k8s.replicaset.name", "shop-7d9c5b6f4"),
            ("k8s.pod.label.team", "a \"b\""),
            ("service.name", "shop"),
            ("service.namespace", "store"),
        ]);
        assert_eq!(detected(&facts, &chosen), expected);
        expected[7].1 = "shop-prod".to_owned();
        let well_known = DetectorSettings { well_known_labels: true, ..chosen };
        assert_eq!(detected(&facts, &well_known), expected);
    }

    #[test]
    fn controllers_are_known_by_their_labels() {
        for (pod, labels, key, name) in [
            (
                "db-2",
                "statefulset.kubernetes.io/pod-name=\"db-2\"\ncontroller-revision-hash=\"db-1\"",
                "k8s.statefulset.name",
                "db",
            ),
            ("agent-x2x9z", "controller-revision-hash=\"6b7\"", "k8s.daemonset.name", "agent"),
            (
                "train-28-abcde",
                "batch.kubernetes.io/job-name=\"train-28\"",
                "k8s.job.name",
                "train-28",
            ),
            ("train-abcde", "job-name=\"train\"", "k8s.job.name", "train"),
        ] {
            let facts = facts(&[("POD_NAME", pod)], &[("/etc/podinfo/labels", labels)]);
            let found = detected(&facts, &settings());
            let expected = owned(&[("k8s.pod.name", pod), (key, name), ("service.name", name)]);
            assert_eq!(found, expected);
        }
        // Without labels nobody knows which part of the name is whose.
        let facts = facts(&[("POD_NAME", "shop-7d9c5b6f4-x2x9z")], &[]);
        assert_eq!(detected(&facts, &settings()).len(), 2);
    }

    #[test]
    fn the_container_is_a_detector_of_its_own() {
        let mount = format!(
            "9 8 0:1 /var/lib/kubelet/pods/{UID}/containers/agent/5a1c /dev/termination-log rw - ext4 d rw"
        );
        let facts =
            facts(&[("POD_NAME", "shop-0"), ("POD_NAMESPACE", "store")], &[(MOUNTS, &mount)]);
        assert!(!detected(&facts, &settings()).iter().any(|(key, _)| key.contains("container")));
        let mut found = ResourceAttributes::default();
        detect_container(&facts, &mut found);
        detect(&facts, &settings(), &mut found);
        assert_eq!(found.text_of("k8s.container.name"), Some("agent"));
        assert_eq!(found.text_of("service.instance.id"), Some("store.shop-0.agent"));
    }
}
