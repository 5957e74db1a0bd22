"""Prints the spans in MLflow's database, one a line as JSON; $1 is the file."""
import json
import sqlite3
import sys

database = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=20)
for trace, span, parent, name, content in database.execute(
    "SELECT trace_id, span_id, parent_span_id, name, content FROM spans"
):
    kept = json.loads(content)
    print(
        json.dumps(
            {
                "trace": trace.removeprefix("tr-"),
                "span": span,
                "parent": parent or "",
                "name": name,
                "start": kept["start_time_unix_nano"],
                "end": kept["end_time_unix_nano"],
                "attributes": kept["attributes"],
            }
        )
    )
