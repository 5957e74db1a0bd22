//! Control groups and mounts: the id of a container, its name, and the pod that it is in.
//!
//! `/proc/self/cgroup` has a path for each hierarchy (version 1), or one (version 2), which is `/` where the
//! container has a namespace of its own. Then mounts say it: those that the kubelet makes in the pod's
//! folder, and those that Docker and Podman make in the container's.

/// What control groups and mounts say of the process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Container<'a> {
    /// The container's id.
    pub(super) id: Option<&'a str>,
    /// The name that Kubernetes knows it by.
    pub(super) name: Option<&'a str>,
    /// The pod's UID.
    pub(super) pod_uid: Option<String>,
}

/// Reads `/proc/PID/cgroup` and `/proc/PID/mountinfo`.
pub(super) fn container<'a>(cgroup: &'a str, mountinfo: &'a str) -> Container<'a> {
    let mut found = Container::default();
    let paths = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.for_each(|path| found.read_cgroup(path));
    let mut of_host_name = None;
    for line in mountinfo.lines() {
        // mount id, parent, major:minor, root, mount point, ... : proc(5).
        let mut fields = line.split(' ').skip(3);
        let (Some(root), Some(point)) = (fields.next(), fields.next()) else { continue };
        if point.starts_with("/sys/fs/cgroup") {
            found.read_cgroup(root);
        } else if point == "/etc/hostname" {
            of_host_name = folder_id(root);
        } else {
            found.read_pod(root);
        }
    }
    // In a pod it is the sandbox whose files all of its containers have.
    if found.pod_uid.is_none() {
        found.id = found.id.or(of_host_name);
    }
    found
}

impl<'a> Container<'a> {
    fn read_cgroup(&mut self, path: &'a str) {
        for segment in path.split(['/', ':']) {
            if self.pod_uid.is_none() {
                self.pod_uid = pod_uid(segment);
            }
        }
        if self.id.is_none() {
            self.id = path.rsplit(['/', ':']).find_map(container_id);
        }
    }

    fn read_pod(&mut self, root: &'a str) {
        let Some((_, rest)) = root.split_once("/pods/") else { return };
        let mut parts = rest.split('/');
        let Some(uid) = parts.next().filter(|uid| is_uid(uid)) else { return };
        if self.pod_uid.is_none() {
            self.pod_uid = Some(uid.to_owned());
        }
        // The kubelet mounts .../pods/UID/containers/NAME/ID to /dev/termination-log.
        if parts.next() == Some("containers") && self.name.is_none() {
            self.name = parts.next().filter(|name| !name.is_empty());
        }
    }
}

/// The container in whose folder Docker or Podman keeps the file that it mounts.
fn folder_id(root: &str) -> Option<&str> {
    let of = |folder: &str| root.split_once(folder).map(|(_, rest)| rest);
    let rest = of("/docker/containers/").or_else(|| of("/overlay-containers/"))?;
    rest.split('/').next().filter(|id| is_id(id))
}

/// The id of a part of a cgroup's path: bare, or between the name of a runtime and `.scope`.
fn container_id(segment: &str) -> Option<&str> {
    let segment = segment.strip_suffix(".scope").unwrap_or(segment);
    let bare = ["docker-", "crio-", "cri-containerd-", "containerd-", "libpod-"]
        .iter()
        .find_map(|runtime| segment.strip_prefix(runtime))
        .unwrap_or(segment);
    (is_id(bare) || is_fargate_id(bare)).then_some(bare)
}

/// 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The id of a container on AWS Fargate: 32 hexadecimal digits, a hyphen, digits.
fn is_fargate_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(task, number)| {
        task.len() == 32
            && task.bytes().all(|byte| byte.is_ascii_hexdigit())
            && number.len() >= 5
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The UID in `podUID`, or in `kubepods-CLASS-podUID.slice`, where systemd wants `_` for `-`. The 32
/// digits of a static pod are the hash of its file and not the UID that Kubernetes shows.
fn pod_uid(segment: &str) -> Option<String> {
    let segment = segment.strip_suffix(".slice").unwrap_or(segment);
    let uid = match segment.strip_prefix("pod") {
        Some(uid) => uid,
        None if segment.starts_with("kubepods") => segment.rsplit_once("-pod")?.1,
        None => return None,
    };
    let uid = uid.replace('_', "-");
    is_uid(&uid).then_some(uid)
}

fn is_uid(text: &str) -> bool {
    let mut lengths = text.split('-').map(str::len);
    [8, 4, 4, 4, 12].iter().all(|length| lengths.next() == Some(*length))
        && lengths.next().is_none()
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";
    const UID: &str = "0a9d2f4e-6b1c-4d3a-9e57-2f8c1b7d6e50";

    fn of_cgroup(path: &str) -> (Option<String>, Option<String>) {
        let found = container(path, "");
        (found.id.map(str::to_owned), found.pod_uid)
    }

    #[test]
    fn paths_of_every_runtime() {
        let systemd = UID.replace('-', "_");
        for (cgroup, in_pod) in [
            // Version 1, cgroupfs driver.
            (format!("12:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}"), false),
            (format!("11:cpuset:/kubepods/burstable/pod{UID}/{ID}"), true),
            (format!("11:cpuset:/kubepods/pod{UID}/crio-{ID}"), true),
            // Version 1, systemd driver.
            (
                format!(
                    "5:pids:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{systemd}.slice/docker-{ID}.scope"
                ),
                true,
            ),
            (format!("5:pids:/kubepods.slice/kubepods-pod{systemd}.slice/crio-{ID}.scope"), true),
            (
                format!(
                    "3:cpu,cpuacct:/system.slice/containerd.service/kubepods-besteffort-pod{systemd}.slice:cri-containerd:{ID}"
                ),
                true,
            ),
            // Version 2 without a namespace of its own.
            (
                format!(
                    "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{systemd}.slice/cri-containerd-{ID}.scope"
                ),
                true,
            ),
            (format!("0::/../../kubepods-pod{systemd}.slice/cri-containerd-{ID}.scope"), true),
            (format!("0::/machine.slice/libpod-{ID}.scope/container"), false),
        ] {
            let pod = in_pod.then(|| UID.to_owned());
            assert_eq!(of_cgroup(&cgroup), (Some(ID.to_owned()), pod), "{cgroup}");
        }
        let fargate = "f9c2d8b7a61e4f0b8d3c5a7e9b1d2f40-2531612879";
        let cgroup = format!("9:perf_event:/ecs/f9c2d8b7a61e4f0b8d3c5a7e9b1d2f40/{fargate}");
        assert_eq!(of_cgroup(&cgroup), (Some(fargate.to_owned()), None));
    }

    #[test]
    fn what_is_no_container_has_no_id() {
        for cgroup in [
            "0::/user.slice/user-1000.slice/session-3.scope",
            "0::/system.slice/fluent-bit.service",
            "0::/",
            "1:cpu:/init.scope",
            "garbage",
            "",
            // A static pod, whose UID in the path is another one than Kubernetes shows.
            "0::/kubepods.slice/kubepods-burstable-pod3f2504e04f8911d39a0c0305e82c3301.slice",
        ] {
            assert_eq!(of_cgroup(cgroup), (None, None), "{cgroup}");
        }
    }

    #[test]
    fn mounts_tell_it_where_the_path_is_hidden() {
        let kubelet = format!(
            "1573 1553 0:135 / / rw,relatime master:467 - overlay overlay rw,lowerdir=/x\n\
             1580 1573 0:30 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n\
             1581 1573 259:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 /dev/root rw\n\
             1582 1573 259:1 /var/lib/kubelet/pods/{UID}/containers/fluent-bit/5a1c02bd /dev/termination-log rw - ext4 /dev/root rw\n\
             1583 1573 259:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname /etc/hostname rw - ext4 /dev/root rw"
        );
        let found = container("0::/", &kubelet);
        assert_eq!(found.name, Some("fluent-bit"));
        assert_eq!(
            (found.id, found.pod_uid.as_deref()),
            (None, Some(UID)),
            "a sandbox is no container"
        );
        let docker = format!(
            "912 890 8:1 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n\
             913 890 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw"
        );
        let found = container("0::/", &docker);
        assert_eq!((found.id, found.pod_uid, found.name), (Some(ID), None, None));
        let podman = format!(
            "700 650 0:44 /containers/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw"
        );
        assert_eq!(container("0::/", &podman).id, Some(ID));
        let crio = format!("{podman}\n{}", kubelet.lines().nth(2).unwrap());
        assert_eq!(container("0::/", &crio).id, None, "the sandbox's of a pod");
        let nested = format!(
            "40 32 0:27 /kubepods.slice/kubepods-pod{}.slice/cri-containerd-{ID}.scope /sys/fs/cgroup ro - cgroup2 cgroup rw",
            UID.replace('-', "_")
        );
        let found = container("0::/", &nested);
        assert_eq!((found.id, found.pod_uid.as_deref()), (Some(ID), Some(UID)));
    }
}
