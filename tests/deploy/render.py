"""Renders values with the chart fluent/fluent-bit, as `helm template` does, for tests/data/kubernetes/rendered.

usage: render.py CHART_FOLDER VALUES_FILE NAME > RENDERED

Needs `pip install helm-python-sdk` (Helm's own Go library) and a folder charts/fluent-bit of fluent/helm-charts.
"""

import hashlib
import sys

import helm_python

chart_folder, values_file, name = sys.argv[1:4]
with open(values_file, encoding="utf-8") as file:
    text = file.read()
chart = helm_python.Chart.load(chart_folder)
manifests = chart.render(
    values=helm_python.values_from_yaml(text), name=name, namespace="telemetry"
)
print(f"# chart: fluent-bit {chart.version}")
print(f"# values: sha256 {hashlib.sha256(text.encode()).hexdigest()}")
for path in sorted(manifests):
    document = manifests[path].strip()
    if document and not path.endswith("NOTES.txt"):
        print("---")
        print(document)
