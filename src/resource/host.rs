//! `host`: the machine. Semantic conventions, "Host".

use super::attribute::ResourceAttributes;
use super::facts::Facts;

pub(super) const HOSTNAME: &str = "/proc/sys/kernel/hostname";
const ETC_HOSTNAME: &str = "/etc/hostname";
/// The machine's id, of which the conventions name both places.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

pub(super) const FILES: &[&str] =
    &[HOSTNAME, ETC_HOSTNAME, "/etc/machine-id", "/var/lib/dbus/machine-id"];

/// The name that the host, or the pod that shares it, has.
pub(super) fn name(facts: &Facts) -> Option<&str> {
    facts.first_file(&[HOSTNAME, ETC_HOSTNAME]).or_else(|| facts.variable("HOSTNAME"))
}

pub(super) fn detect(facts: &Facts, architecture: &str, found: &mut ResourceAttributes) {
    found.text("host.name", name(facts).unwrap_or_default());
    let id = facts.first_file(&MACHINE_IDS).filter(|id| *id != "uninitialized");
    found.text("host.id", id.unwrap_or_default());
    // The values of the conventions for what Rust calls otherwise.
    let architecture = match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc64" => "ppc64",
        other => other,
    };
    found.text("host.arch", architecture);
}
