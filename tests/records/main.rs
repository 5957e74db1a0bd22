//! Differential tests: OTLP -> telemetry records -> OTLP, against prost's decoding of the same
//! bytes.

#[cfg(test)]
mod body_key;
#[cfg(test)]
mod captures;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod histograms;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod json;
#[cfg(test)]
mod raw_values;
#[cfg(test)]
mod regrouped;
#[cfg(test)]
mod rewritten;
#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod support;
#[cfg(test)]
mod unknown;
