"""Takes the definitions that the manifests of deploy/kubernetes need out of the published schemas of Kubernetes.

usage: schemas.py _definitions.json > tests/data/kubernetes/schemas.json

The file is that of the package kubernetes-validate on PyPI (v1.37.0-local-strict), made of Kubernetes' OpenAPI
documents. Descriptions are left out.
"""

import json
import sys

KINDS = {
    "Namespace": "io.k8s.api.core.v1.Namespace",
    "ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "Service": "io.k8s.api.core.v1.Service",
    "ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "DaemonSet": "io.k8s.api.apps.v1.DaemonSet",
    "PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
    "NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "ClusterRole": "io.k8s.api.rbac.v1.ClusterRole",
    "ClusterRoleBinding": "io.k8s.api.rbac.v1.ClusterRoleBinding",
}


def bare(value):
    """The same without descriptions of what is described."""
    if isinstance(value, list):
        return [bare(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, one in value.items():
        if key == "properties":
            kept[key] = {name: bare(schema) for name, schema in one.items()}
        elif key == "$ref":
            kept[key] = one.rsplit("/", 1)[1]
        elif key != "description" and not key.startswith("x-kubernetes"):
            kept[key] = bare(one)
    return kept


def references(value, found):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            found.append(value["$ref"])
        for one in value.values():
            references(one, found)
    elif isinstance(value, list):
        for one in value:
            references(one, found)


with open(sys.argv[1], encoding="utf-8") as file:
    everything = json.load(file)["$defs"]
definitions, waiting = {}, list(KINDS.values())
while waiting:
    name = waiting.pop()
    if name not in definitions:
        definitions[name] = bare(everything[name])
        references(definitions[name], waiting)
json.dump({"kinds": KINDS, "definitions": definitions}, sys.stdout, sort_keys=True, separators=(",", ":"))
print()
