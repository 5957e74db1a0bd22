//! `cloud`: the provider, by what the machine's firmware, cloud-init and the platform's variables say.
//! Semantic conventions, "Cloud". Nothing is asked over the network.

use serde_json::Value;

use super::attribute::ResourceAttributes;
use super::facts::Facts;

const VENDOR: &str = "/sys/class/dmi/id/sys_vendor";
const PRODUCT: &str = "/sys/class/dmi/id/product_name";
const BIOS_VENDOR: &str = "/sys/class/dmi/id/bios_vendor";
const BOARD_TAG: &str = "/sys/class/dmi/id/board_asset_tag";
const CHASSIS_TAG: &str = "/sys/class/dmi/id/chassis_asset_tag";
/// What cloud-init has found out at the machine's start; all may read it.
const CLOUD_INIT: &str = "/run/cloud-init/instance-data.json";

pub(super) const FILES: &[&str] =
    &[VENDOR, PRODUCT, BIOS_VENDOR, BOARD_TAG, CHASSIS_TAG, CLOUD_INIT];

/// The chassis of a machine of Azure, which other Hyper-V machines do not have.
const AZURE_CHASSIS: &str = "7783-7084-3265-9085-8269-3286-77";

/// A provider, by the values of `cloud.provider` and, for its machines, `cloud.platform`.
struct Provider {
    name: &'static str,
    machines: &'static str,
}

const AWS: Provider = Provider { name: "aws", machines: "aws_ec2" };
const GCP: Provider = Provider { name: "gcp", machines: "gcp_compute_engine" };
const AZURE: Provider = Provider { name: "azure", machines: "azure.vm" };
const ALIBABA: Provider = Provider { name: "alibaba_cloud", machines: "alibaba_cloud_ecs" };
const TENCENT: Provider = Provider { name: "tencent_cloud", machines: "tencent_cloud_cvm" };
const ORACLE: Provider = Provider { name: "oracle_cloud", machines: "oracle_cloud_compute" };

pub(super) fn detect(facts: &Facts, found: &mut ResourceAttributes) {
    platform_of_variables(facts, found);
    let init: Value =
        facts.file(CLOUD_INIT).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let init = |key: &str| init.pointer(&format!("/v1/{key}")).and_then(Value::as_str);
    let Some(provider) = by_firmware(facts).or_else(|| by_name(init("cloud_name")?)) else {
        return;
    };
    if found.text_of("cloud.provider").is_some_and(|name| name != provider.name) {
        return;
    }
    found.text("cloud.provider", provider.name);
    // In a pod the platform may be the provider's Kubernetes or one of the user's own.
    if facts.variable("KUBERNETES_SERVICE_HOST").is_none() {
        found.text("cloud.platform", provider.machines);
    }
    let real = |text: &&str| !text.is_empty() && *text != "unknown" && *text != "n/a";
    found.text("cloud.region", init("region").filter(real).unwrap_or_default());
    found.text(
        "cloud.availability_zone",
        init("availability_zone").filter(real).unwrap_or_default(),
    );
    let tag = facts.file(BOARD_TAG).filter(|tag| tag.starts_with("i-"));
    found.text("host.id", init("instance_id").filter(real).or(tag).unwrap_or_default());
    // EC2's Nitro machines have their type as product name; `HVM domU` and its like are none.
    let product = facts.file(PRODUCT).filter(|product| product.contains('.'));
    found.text("host.type", product.filter(|_| provider.name == "aws").unwrap_or_default());
}

/// Platforms that tell their processes where they run.
fn platform_of_variables(facts: &Facts, found: &mut ResourceAttributes) {
    let variable = |name: &str| facts.variable(name);
    let mut platform = |provider: &str, platform: &str| {
        found.text("cloud.provider", provider);
        found.text("cloud.platform", platform);
    };
    let eks = |path: &str| path.contains("eks.amazonaws.com") || path.contains("eks-pod-identity");
    let token = facts
        .first_variable(&["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]);
    if variable("AWS_LAMBDA_FUNCTION_NAME").is_some() {
        platform("aws", "aws_lambda");
    } else if facts
        .first_variable(&["ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"])
        .is_some()
    {
        platform("aws", "aws_ecs");
    } else if token.is_some_and(eks) {
        platform("aws", "aws_eks");
    } else if variable("K_SERVICE").is_some() && variable("K_REVISION").is_some() {
        platform("gcp", "gcp_cloud_run");
    } else if variable("CONTAINER_APP_NAME").is_some() {
        platform("azure", "azure.container_apps");
    } else if variable("WEBSITE_SITE_NAME").is_some() {
        platform("azure", "azure.app_service");
    } else {
        return;
    }
    let region = match found.text_of("cloud.provider") {
        Some("aws") => facts.first_variable(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
        Some("azure") => variable("REGION_NAME"),
        _ => None,
    };
    found.text("cloud.region", region.unwrap_or_default());
    for (key, name) in [
        ("faas.name", "AWS_LAMBDA_FUNCTION_NAME"),
        ("faas.version", "AWS_LAMBDA_FUNCTION_VERSION"),
        ("faas.name", "K_SERVICE"),
        ("faas.version", "K_REVISION"),
        ("service.name", "CONTAINER_APP_NAME"),
        ("service.name", "WEBSITE_SITE_NAME"),
        ("cloud.account.id", "GOOGLE_CLOUD_PROJECT"),
    ] {
        found.text(key, variable(name).unwrap_or_default());
    }
}

fn by_firmware(facts: &Facts) -> Option<&'static Provider> {
    let vendor = facts.file(VENDOR).unwrap_or_default();
    let bios = facts.file(BIOS_VENDOR).unwrap_or_default();
    Some(match vendor {
        "Amazon EC2" => &AWS,
        _ if bios == "Amazon EC2" => &AWS,
        "Google" if facts.file(PRODUCT)?.starts_with("Google Compute Engine") => &GCP,
        "Microsoft Corporation" if facts.file(CHASSIS_TAG)? == AZURE_CHASSIS => &AZURE,
        "Alibaba Cloud" => &ALIBABA,
        "Tencent Cloud" => &TENCENT,
        _ if facts.file(CHASSIS_TAG)? == "OracleCloud.com" => &ORACLE,
        _ => return None,
    })
}

/// The provider by cloud-init's name for it.
fn by_name(name: &str) -> Option<&'static Provider> {
    Some(match name {
        "aws" => &AWS,
        "gce" => &GCP,
        "azure" => &AZURE,
        "aliyun" => &ALIBABA,
        "oracle" => &ORACLE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<String> {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let facts = Facts { variables: owned(variables), files: owned(files) };
        let mut found = ResourceAttributes::default();
        detect(&facts, &mut found);
        found.iter().map(|found| format!("{}={:?}", found.key, found.value)).collect()
    }

    fn texts(pairs: &[(&str, &str)]) -> Vec<String> {
        pairs.iter().map(|(key, value)| format!("{key}=Text({value:?})")).collect()
    }

    #[test]
    fn firmware_names_the_provider() {
        let found = detected(
            &[],
            &[
                (VENDOR, "Amazon EC2\n"),
                (PRODUCT, "g5.xlarge\n"),
                (BOARD_TAG, "i-0fedcba9876543210\n"),
            ],
        );
        let expected = [
            ("cloud.provider", "aws"),
            ("cloud.platform", "aws_ec2"),
            ("host.id", "i-0fedcba9876543210"),
            ("host.type", "g5.xlarge"),
        ];
        assert_eq!(found, texts(&expected));
        for (files, provider, platform) in [
            (
                &[(VENDOR, "Google"), (PRODUCT, "Google Compute Engine")][..],
                "gcp",
                "gcp_compute_engine",
            ),
            (
                &[(VENDOR, "Microsoft Corporation"), (CHASSIS_TAG, AZURE_CHASSIS)],
                "azure",
                "azure.vm",
            ),
            (&[(VENDOR, "Alibaba Cloud")], "alibaba_cloud", "alibaba_cloud_ecs"),
            (&[(VENDOR, "Tencent Cloud")], "tencent_cloud", "tencent_cloud_cvm"),
            (
                &[(VENDOR, "QEMU"), (CHASSIS_TAG, "OracleCloud.com")],
                "oracle_cloud",
                "oracle_cloud_compute",
            ),
            (&[(VENDOR, "Xen"), (BIOS_VENDOR, "Amazon EC2")], "aws", "aws_ec2"),
        ] {
            let expected = [("cloud.provider", provider), ("cloud.platform", platform)];
            assert_eq!(detected(&[], files), texts(&expected), "{files:?}");
        }
        for files in [
            &[(VENDOR, "QEMU")][..],
            &[(VENDOR, "Microsoft Corporation"), (CHASSIS_TAG, "0000")],
            &[(VENDOR, "Google"), (PRODUCT, "Chromebook")],
            &[(CLOUD_INIT, "not json")],
        ] {
            assert_eq!(detected(&[], files), [""; 0], "{files:?}");
        }
    }

    #[test]
    fn cloud_init_knows_region_and_zone() {
        let init = r#"{"v1": {"cloud_name": "aws", "region": "eu-central-1", "instance_id": "i-0a1",
            "availability_zone": "eu-central-1b"}}"#;
        let found = detected(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], &[(CLOUD_INIT, init)]);
        let expected = [
            ("cloud.provider", "aws"),
            ("cloud.region", "eu-central-1"),
            ("cloud.availability_zone", "eu-central-1b"),
            ("host.id", "i-0a1"),
        ];
        assert_eq!(found, texts(&expected), "in a pod the platform is not told by the machine");
    }

    #[test]
    fn platforms_are_known_by_their_variables() {
        let token = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
        for (variables, expected) in [
            (
                &[("AWS_WEB_IDENTITY_TOKEN_FILE", token), ("AWS_REGION", "us-east-1")][..],
                &[
                    ("cloud.provider", "aws"),
                    ("cloud.platform", "aws_eks"),
                    ("cloud.region", "us-east-1"),
                ][..],
            ),
            (
                &[("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/x")],
                &[("cloud.provider", "aws"), ("cloud.platform", "aws_ecs")],
            ),
            (
                &[("K_SERVICE", "shop"), ("K_REVISION", "shop-00003")],
                &[
                    ("cloud.provider", "gcp"),
                    ("cloud.platform", "gcp_cloud_run"),
                    ("faas.name", "shop"),
                    ("faas.version", "shop-00003"),
                ],
            ),
            (
                &[("WEBSITE_SITE_NAME", "shop"), ("REGION_NAME", "West Europe")],
                &[
                    ("cloud.provider", "azure"),
                    ("cloud.platform", "azure.app_service"),
                    ("cloud.region", "West Europe"),
                    ("service.name", "shop"),
                ],
            ),
            // A region for another plugin of the host says nothing of where this is.
            (&[("AWS_REGION", "us-east-1")], &[]),
        ] {
            assert_eq!(detected(variables, &[]), texts(expected), "{variables:?}");
        }
    }
}
