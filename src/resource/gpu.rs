//! `gpu`: the devices that the container sees, where NVIDIA's driver is there.
//!
//! Which ones those are say the variables of the container runtime and of CUDA; what they are says the driver
//! below `/proc/driver/nvidia`. One device is described by the names of the semantic conventions, "Hardware";
//! for several devices the conventions have no resource attributes, so that their ids and models are lists of our
//! own names.

use super::attribute::{AttributeValue, ResourceAttributes};
use super::facts::Facts;

const FOLDER: &str = "/proc/driver/nvidia/gpus/";
const VERSION: &str = "/proc/driver/nvidia/version";

/// The UUIDs of the devices, or of the parts of devices (MIG), that are visible.
pub(super) const IDS: &str = "fluentbit.ai.gpu.ids";
/// The models of the devices.
const MODELS: &str = "fluentbit.ai.gpu.models";

pub(super) const FILES: &[&str] = &["/proc/driver/nvidia/gpus/*/information", VERSION];

/// A device as the driver describes it.
#[derive(Debug, Clone, Copy, Default)]
struct Device<'a> {
    uuid: &'a str,
    model: &'a str,
    minor: &'a str,
}

pub(super) fn detect(facts: &Facts, found: &mut ResourceAttributes) {
    let mut devices: Vec<Device<'_>> = facts
        .below(FOLDER)
        .filter(|(path, _)| path.ends_with("/information"))
        .map(|(_, text)| device(text))
        .collect();
    if devices.is_empty() {
        return;
    }
    devices.sort_unstable_by_key(|device| device.minor.parse::<u32>().unwrap_or(u32::MAX));
    let chosen =
        facts.first_variable(&["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"]).unwrap_or("all");
    let (mut ids, mut models) = (Vec::new(), Vec::new());
    for part in chosen.split(',').map(str::trim) {
        let seen: Vec<(&str, Device<'_>)> = match part {
            "all" => devices.iter().map(|device| (device.uuid, *device)).collect(),
            "" | "none" | "void" | "-1" | "NoDevFiles" => Vec::new(),
            part if part.starts_with("MIG-") => {
                vec![(part, parent(part, &devices).unwrap_or_default())]
            }
            part if part.starts_with("GPU-") => devices
                .iter()
                .filter(|device| device.uuid.starts_with(part))
                .map(|device| (device.uuid, *device))
                .collect(),
            // The runtime and CUDA count the devices from 0.
            part => {
                let device = part.parse().ok().and_then(|index: usize| devices.get(index));
                device.map(|device| (device.uuid, *device)).into_iter().collect()
            }
        };
        for (id, device) in seen {
            if !id.is_empty() && !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
                models.push(device.model.to_owned());
            }
        }
    }
    write(facts, ids, models, found);
}

fn write(facts: &Facts, ids: Vec<String>, models: Vec<String>, found: &mut ResourceAttributes) {
    if let ([id], [model]) = (ids.as_slice(), models.as_slice()) {
        found.text("hw.type", "gpu");
        found.text("hw.id", id);
        found.text("hw.model", model);
        found.text("hw.vendor", "NVIDIA");
        let version = facts.file(VERSION).and_then(driver_version);
        found.text("hw.driver_version", version.unwrap_or_default());
    }
    if !ids.is_empty() {
        found.add(IDS, AttributeValue::List(ids));
        if models.iter().any(|model| !model.is_empty()) {
            found.add(MODELS, AttributeValue::List(models));
        }
    }
}

/// The device that a part is of: by its old name `MIG-GPU-UUID/INSTANCE/COMPUTE`; a part's own UUID does not
/// say it, where there is more than one device.
fn parent<'a>(part: &str, devices: &[Device<'a>]) -> Option<Device<'a>> {
    let of = part.strip_prefix("MIG-").and_then(|rest| rest.split('/').next());
    let named = devices.iter().find(|device| of.is_some_and(|uuid| device.uuid == uuid));
    match (named, devices) {
        (Some(device), _) | (None, [device]) => Some(*device),
        _ => None,
    }
}

/// Lines of the form `Model: \t\t NVIDIA H200`.
fn device(text: &str) -> Device<'_> {
    let mut device = Device::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        match key.trim() {
            "Model" => device.model = value.trim(),
            "GPU UUID" => device.uuid = value.trim(),
            "Device Minor" => device.minor = value.trim(),
            _ => {}
        }
    }
    device
}

/// The version in the first line, `NVRM version: NVIDIA UNIX ... Module  575.57.08  ...`.
fn driver_version(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    line.split_whitespace().find(|word| {
        word.contains('.') && word.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(devices: usize, variables: &[(&str, &str)]) -> Facts {
        let mut facts = Facts::default();
        for (name, value) in variables {
            facts.variables.insert((*name).to_owned(), (*value).to_owned());
        }
        for index in 0..devices {
            // Buses are not in the order of the devices.
            let path = format!("{FOLDER}0000:{:02x}:00.0/information", 0xd0 - index);
            let text = format!(
                "Model: \t\t NVIDIA H200\nIRQ:   \t\t 20{index}\nGPU UUID: \t GPU-0000000{index}-aaaa\n\
                 Video BIOS: \t 96.00\nBus Location: \t 0000:d0:00.0\nDevice Minor: \t {index}\n"
            );
            facts.files.insert(path, text);
        }
        if devices > 0 {
            let version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build\nGCC";
            facts.files.insert(VERSION.to_owned(), version.to_owned());
        }
        facts
    }

    fn ids(facts: &Facts) -> Vec<String> {
        let mut found = ResourceAttributes::default();
        detect(facts, &mut found);
        match found.get(IDS) {
            Some(AttributeValue::List(ids)) => ids.clone(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn one_device_is_described() {
        let mut found = ResourceAttributes::default();
        detect(&facts(2, &[("NVIDIA_VISIBLE_DEVICES", "GPU-00000001-aaaa")]), &mut found);
        for (key, value) in [
            ("hw.type", "gpu"),
            ("hw.id", "GPU-00000001-aaaa"),
            ("hw.model", "NVIDIA H200"),
            ("hw.vendor", "NVIDIA"),
            ("hw.driver_version", "575.57.08"),
        ] {
            assert_eq!(found.text_of(key), Some(value));
        }
    }

    #[test]
    fn the_visible_devices_count() {
        let (first, second) = ("GPU-00000000-aaaa", "GPU-00000001-aaaa");
        for (variables, expected) in [
            (&[][..], &[first, second][..]),
            (&[("NVIDIA_VISIBLE_DEVICES", "all")], &[first, second]),
            (&[("NVIDIA_VISIBLE_DEVICES", "all"), ("CUDA_VISIBLE_DEVICES", "1")], &[second]),
            (&[("NVIDIA_VISIBLE_DEVICES", "1,0,1")], &[second, first]),
            (&[("NVIDIA_VISIBLE_DEVICES", "MIG-9c2e")], &["MIG-9c2e"]),
            (&[("NVIDIA_VISIBLE_DEVICES", "void")], &[]),
            (&[("NVIDIA_VISIBLE_DEVICES", "none")], &[]),
            (&[("NVIDIA_VISIBLE_DEVICES", "7")], &[]),
        ] {
            assert_eq!(ids(&facts(2, variables)), expected, "{variables:?}");
        }
        // Without a driver a variable says nothing: images set it for every container.
        assert_eq!(ids(&facts(0, &[("NVIDIA_VISIBLE_DEVICES", "GPU-1")])), [""; 0]);
    }

    #[test]
    fn a_part_has_the_model_of_its_device() {
        for (devices, part, model) in [
            (1, "MIG-9c2e", Some("NVIDIA H200")),
            (2, "MIG-GPU-00000001-aaaa/1/0", Some("NVIDIA H200")),
            (2, "MIG-9c2e", None),
        ] {
            let mut found = ResourceAttributes::default();
            detect(&facts(devices, &[("NVIDIA_VISIBLE_DEVICES", part)]), &mut found);
            assert_eq!(found.text_of("hw.id"), Some(part));
            assert_eq!(found.text_of("hw.model"), model, "{part}");
        }
    }
}
