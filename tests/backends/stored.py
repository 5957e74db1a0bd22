"""Prints the spans in a backend's database, one a line as JSON: stored.py mlflow|phoenix FILE."""
import datetime
import json
import sqlite3
import sys


def mlflow(database):
    for trace, span, parent, name, content in database.execute(
        "SELECT trace_id, span_id, parent_span_id, name, content FROM spans"
    ):
        kept = json.loads(content)
        yield {
            "trace": trace.removeprefix("tr-"),
            "span": span,
            "parent": parent or "",
            "name": name,
            "start": kept["start_time_unix_nano"],
            "end": kept["end_time_unix_nano"],
            "attributes": kept["attributes"],
        }


def phoenix(database):
    """Its times are microseconds."""

    def nanos(text):
        time = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
        since = time - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
        return since // datetime.timedelta(microseconds=1) * 1000

    for trace, span, parent, name, start, end, attributes, project, kind, prompt, completion in database.execute(
        "SELECT t.trace_id, s.span_id, s.parent_id, s.name, s.start_time, s.end_time, json(s.attributes),"
        " p.name, s.span_kind, s.llm_token_count_prompt, s.llm_token_count_completion FROM spans s"
        " JOIN traces t ON t.id = s.trace_rowid JOIN projects p ON p.id = t.project_rowid"
    ):
        yield {
            "trace": trace,
            "span": span,
            "parent": parent or "",
            "name": name,
            "start": nanos(start),
            "end": nanos(end),
            "attributes": json.loads(attributes),
            "project": project,
            "kind": kind,
            "input_tokens": prompt,
            "output_tokens": completion,
        }


database = sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True, timeout=20)
for span in {"mlflow": mlflow, "phoenix": phoenix}[sys.argv[1]](database):
    print(json.dumps(span))
