// Sends numbered spans, data points and log records with the OpenTelemetry SDK of JavaScript, whose
// packages are below the working directory.
//
// Prints "ready", waits for a line, prints "again" when an exporter is told to send again for the
// first time, and one line of JSON at the end: how often that was, and what else the exporters
// complained about.

import { createRequire } from 'node:module';
import process from 'node:process';

const require = createRequire(`${process.cwd()}/package.json`);
const { diag, DiagLogLevel } = require('@opentelemetry/api');
const { SeverityNumber } = require('@opentelemetry/api-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');

const AN_HOUR_MILLIS = 3_600_000;
const [protocol, endpoint, compression, name, itemsText, timeoutText] = process.argv.slice(2);
const items = Number(itemsText);
const timeoutMillis = Number(timeoutText) * 1000;

let retries = 0;
const complaints = [];
const complain = (level) => (...words) => complaints.push(`${level} ${words.join(' ')}`);
const watch = (message) => {
  if (!String(message).startsWith('Scheduling export retry')) return;
  retries += 1;
  if (retries === 1) console.log('again');
};
diag.setLogger(
  { error: complain('error'), warn: complain('warn'), info: watch, debug: watch, verbose: watch },
  { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true },
);

const PACKAGES = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' };
const [spans, metrics, logs] = [
  ['trace', 'traces', 'OTLPTraceExporter'],
  ['metrics', 'metrics', 'OTLPMetricExporter'],
  ['logs', 'logs', 'OTLPLogExporter'],
].map(([signal, path, exporter]) => {
  const kind = require(`@opentelemetry/exporter-${signal}-otlp-${PACKAGES[protocol]}`)[exporter];
  const url = protocol === 'grpc' ? endpoint : `${endpoint}/v1/${path}`;
  return new kind({ url, compression, timeoutMillis });
});

const resource = resourceFromAttributes({ 'service.name': name });
const batches = {
  maxQueueSize: 10 * items,
  maxExportBatchSize: 100,
  scheduledDelayMillis: 200,
  exportTimeoutMillis: timeoutMillis,
};
const tracing = new BasicTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(spans, batches)],
});
const reader = new PeriodicExportingMetricReader({
  exporter: metrics,
  exportIntervalMillis: AN_HOUR_MILLIS,
  exportTimeoutMillis: timeoutMillis,
});
const metering = new MeterProvider({ resource, readers: [reader] });
const logging = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: logs, ...batches })],
});

// All processes begin at the same moment.
console.log('ready');
await new Promise((resolve) => process.stdin.once('data', resolve));

const tracer = tracing.getTracer('emit');
const counter = metering.getMeter('emit').createCounter('emitted', { unit: '1' });
const logger = logging.getLogger('emit');
for (let n = 0; n < items; n += 1) {
  const span = tracer.startSpan(`span ${n}`, { attributes: { n } });
  span.addEvent('half way', { number: n });
  logger.emit({
    severityNumber: SeverityNumber.INFO,
    body: { text: 'hello', numbers: [1, 2.5, true] },
    attributes: { n },
  });
  span.end();
  counter.add(1, { n });
}

for (const provider of [tracing, metering, logging]) {
  await provider.forceFlush().catch((error) => complaints.push(`not flushed: ${error}`));
}
await tracing.shutdown();
await logging.shutdown();
// The reader would collect the same cumulative data once more.
await metrics.shutdown();
console.log(JSON.stringify({ retries, complaints }));
process.exit(0);
