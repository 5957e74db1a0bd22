"""Sends numbered spans, data points and log records with the OpenTelemetry SDK of Python.

Prints "ready", waits for a line, prints "again" when an exporter is told to send again for the first
time, and one line of JSON at the end: how often that was, and what else the exporters complained
about.
"""

import json
import logging
import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

AN_HOUR_MILLIS = 3_600_000


class Complaints(logging.Handler):
    """Collects what is logged at WARNING and above; a new attempt is no complaint."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.retries = 0
        self.others = []

    def emit(self, record):
        message = record.getMessage()
        if message.startswith("Transient error"):
            self.retries += 1
            if self.retries == 1:
                print("again", flush=True)
        else:
            self.others.append(f"{record.levelname} {record.name}: {message}")


def exporters(protocol, endpoint, gzip, timeout):
    """The exporters for spans, metrics and logs."""
    if protocol == "grpc":
        from grpc import Compression
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        compression = Compression.Gzip if gzip else Compression.NoCompression
        options = {"compression": compression, "timeout": timeout, "insecure": True}
        kinds = [OTLPSpanExporter, OTLPMetricExporter, OTLPLogExporter]
        return [kind(endpoint=endpoint, **options) for kind in kinds]

    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    compression = Compression.Gzip if gzip else Compression.NoCompression
    options = {"compression": compression, "timeout": timeout}
    kinds = [
        (OTLPSpanExporter, "traces"),
        (OTLPMetricExporter, "metrics"),
        (OTLPLogExporter, "logs"),
    ]
    return [kind(endpoint=f"{endpoint}/v1/{path}", **options) for kind, path in kinds]


def main(protocol, endpoint, compression, name, items, timeout):
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    items, timeout = int(items), int(timeout)
    spans, metrics, logs = exporters(protocol, endpoint, compression == "gzip", timeout)
    resource = Resource.create({"service.name": name})
    batches = {"max_queue_size": 10 * items, "max_export_batch_size": 100}
    millis = timeout * 1000

    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(
        BatchSpanProcessor(spans, schedule_delay_millis=200, **batches)
    )
    reader = PeriodicExportingMetricReader(
        metrics, export_interval_millis=AN_HOUR_MILLIS, export_timeout_millis=millis
    )
    metering = MeterProvider(resource=resource, metric_readers=[reader])
    logging_provider = LoggerProvider(resource=resource)
    logging_provider.add_log_record_processor(
        BatchLogRecordProcessor(logs, schedule_delay_millis=200, **batches)
    )

    # All processes begin at the same moment.
    print("ready", flush=True)
    sys.stdin.readline()

    tracer = tracing.get_tracer("emit")
    counter = metering.get_meter("emit").create_counter("emitted", unit="1")
    logger = logging_provider.get_logger("emit")
    for number in range(items):
        with tracer.start_as_current_span(f"span {number}") as span:
            span.set_attribute("n", number)
            span.add_event("half way", {"number": number})
            logger.emit(
                LogRecord(
                    severity_number=SeverityNumber.INFO,
                    body={"text": "hello", "numbers": [1, 2.5, True]},
                    attributes={"n": number},
                )
            )
        counter.add(1, {"n": number})

    flushed = [
        provider.force_flush(2 * millis) for provider in (tracing, metering, logging_provider)
    ]
    tracing.shutdown()
    logging_provider.shutdown()
    # The reader would collect the same cumulative data once more.
    metrics.shutdown()
    others = complaints.others + ([] if all(flushed) else [f"not flushed: {flushed}"])
    print(json.dumps({"retries": complaints.retries, "complaints": others}), flush=True)


main(*sys.argv[1:])
