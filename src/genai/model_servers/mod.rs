//! Metrics of model servers and GPU exporters, as they are scraped from them: their names, units and labels become
//! those of the conventions. Works on the encoded request, so that it is the same for every kind of chunk.

mod table;

use self::table::{
    GPU_LABELS, LITELLM_LABELS, SERVER_LABELS, ServerEngine, ServerMeasurement, find,
};
use crate::codec::wire::{self, NestedMessage, WireError, WireFields, WireValue, nested};

/// The attribute that says who made a metric.
const ENGINE: &str = "fluentbit.ai.server.engine";

/// The request with the metrics of model servers under the names of the conventions; `None` if it has none, or cannot
/// be read.
#[must_use]
pub fn map_server_metrics(request: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(request.len().saturating_add(request.len() / 4));
    let mut is_mapped = false;
    let metrics = &mut |number: u32, metric: &[u8], out: &mut Vec<u8>| {
        let mapping = MetricMapping::of(metric).filter(|_| number == 2)?;
        is_mapped = true;
        Some(mapping.write(metric, out))
    };
    nested(&mut out, request, &mut |number, resource, out| {
        (number == 1).then(|| {
            nested(out, resource, &mut |number, scope, out| {
                (number == 2).then(|| nested(out, scope, metrics))
            })
        })
    })
    .ok()?;
    is_mapped.then_some(out)
}

/// What becomes of a metric.
#[derive(Debug, Clone, Copy)]
struct MetricMapping {
    measurement: ServerMeasurement,
    engine: ServerEngine,
    /// What values are multiplied by.
    factor: f64,
    /// The field that has its data.
    kind: u32,
}

impl MetricMapping {
    /// That of an encoded metric, if it is one of a model server.
    fn of(metric: &[u8]) -> Option<Self> {
        let (mut name, mut data) = (None, None);
        let mut fields = WireFields::new(metric);
        while let Some(field) = fields.read().ok()? {
            match (field.number, field.value) {
                (1, WireValue::Bytes(bytes)) => name = std::str::from_utf8(bytes).ok(),
                (5 | 7 | 9..=11, WireValue::Bytes(bytes)) => data = Some((field.number, bytes)),
                _ => {}
            }
        }
        let (kind, data) = data?;
        let (_, measurement, factor, engine) = *find(name?)?;
        let mapping = Self { measurement, engine, factor, kind };
        // The buckets of these cannot be multiplied.
        let is_possible = !mapping.is_scaled() || matches!(kind, 5 | 7 | 9);
        let is_theirs = !engine.has_common_names() || mapping.names_model(data);
        (is_possible && is_theirs).then_some(mapping)
    }

    fn is_scaled(&self) -> bool {
        self.factor.to_bits() != 1.0_f64.to_bits()
    }

    /// The field of a point's attributes.
    const fn attributes_field(&self) -> u32 {
        match self.kind {
            9 => 9,
            10 => 1,
            _ => 7,
        }
    }

    /// Whether the first point has the name of a model.
    fn names_model(&self, data: &[u8]) -> bool {
        let mut fields = WireFields::new(data);
        while let Ok(Some(field)) = fields.read() {
            if let (1, WireValue::Bytes(point)) = (field.number, field.value) {
                return self.keys(point).any(|key| key == b"model_name");
            }
        }
        false
    }

    /// The names of a point's attributes.
    fn keys<'a>(&self, point: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let list = self.attributes_field();
        let mut fields = WireFields::new(point);
        std::iter::from_fn(move || {
            loop {
                let field = fields.read().ok()??;
                if let (true, WireValue::Bytes(pair)) = (field.number == list, field.value) {
                    return Some(key_of(pair));
                }
            }
        })
    }

    /// Writes the fields of the metric.
    fn write(&self, metric: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        let (name, unit, _) = self.measurement.name();
        wire::text(out, 1, name.as_bytes());
        wire::text(out, 3, unit.as_bytes());
        let mut fields = WireFields::new(metric);
        while let Some(field) = fields.read()? {
            match (field.number, field.value) {
                (1 | 3, _) => {}
                (number, WireValue::Bytes(data)) if number == self.kind => {
                    let open = NestedMessage::open(out, number, data.len());
                    nested(out, data, &mut |number, point, out| {
                        (number == 1).then(|| self.point(point, out))
                    })?;
                    open.close(out);
                }
                _ => out.extend_from_slice(field.raw),
            }
        }
        Ok(())
    }

    /// Writes a point.
    fn point(&self, point: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        let list = self.attributes_field();
        let labels = match self.engine {
            _ if self.measurement.is_of_gpu() => GPU_LABELS,
            ServerEngine::LiteLlm => LITELLM_LABELS,
            _ => SERVER_LABELS,
        };
        let has = |key: &str| self.keys(point).any(|known| known == key.as_bytes());
        // A label that would be said twice keeps its name.
        let mut free: Vec<&str> = labels.iter().map(|(_, ours)| *ours).collect();
        free.retain(|ours| !has(ours));
        let mut fields = WireFields::new(point);
        while let Some(field) = fields.read()? {
            match field.value {
                WireValue::Bytes(pair) if field.number == list => {
                    let ours = labels.iter().find(|(theirs, _)| theirs.as_bytes() == key_of(pair));
                    match ours.filter(|(_, ours)| free.contains(ours)) {
                        Some((_, ours)) => {
                            free.retain(|it| it != ours);
                            renamed(out, list, ours, pair)?;
                        }
                        None => out.extend_from_slice(field.raw),
                    }
                }
                value if self.is_scaled() => self.scaled(field.number, value, field.raw, out)?,
                _ => out.extend_from_slice(field.raw),
            }
        }
        let (_, _, own) = self.measurement.name();
        let engine = (!self.measurement.is_of_gpu()).then_some((ENGINE, self.engine.name()));
        let vendor = self.measurement.is_of_gpu().then_some(("hw.vendor", "NVIDIA"));
        for (key, value) in [own, engine, vendor].into_iter().flatten() {
            if !has(key) {
                wire::message(out, list, |out| {
                    wire::text(out, 1, key.as_bytes());
                    wire::message(out, 2, |out| wire::text(out, 1, value.as_bytes()));
                });
            }
        }
        Ok(())
    }

    /// Writes a field of a point whose values are multiplied.
    fn scaled(
        &self,
        number: u32,
        value: WireValue<'_>,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let is_histogram = self.kind == 9;
        match (number, value) {
            (4, WireValue::Fixed64(bits)) if !is_histogram => self.double(out, 4, bits),
            // A whole number is no longer one.
            (6, WireValue::Fixed64(bits)) if !is_histogram => {
                wire::double(out, 4, bits.cast_signed() as f64 * self.factor);
            }
            (5 | 7 | 11 | 12, WireValue::Fixed64(bits)) if is_histogram => {
                self.double(out, number, bits);
            }
            (7, WireValue::Bytes(bounds)) if is_histogram => {
                let (bounds, _) = bounds.as_chunks::<8>();
                let scaled = bounds.iter().map(|bound| self.times(u64::from_le_bytes(*bound)));
                wire::packed64(out, 7, scaled.map(f64::to_bits));
            }
            (5 | 8, WireValue::Bytes(exemplar)) if is_histogram == (number == 8) => {
                let open = NestedMessage::open(out, number, exemplar.len());
                self.exemplar(exemplar, out)?;
                open.close(out);
            }
            _ => out.extend_from_slice(raw),
        }
        Ok(())
    }

    fn exemplar(&self, exemplar: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        let mut fields = WireFields::new(exemplar);
        while let Some(field) = fields.read()? {
            match (field.number, field.value) {
                (3, WireValue::Fixed64(bits)) => self.double(out, 3, bits),
                (6, WireValue::Fixed64(bits)) => {
                    wire::double(out, 3, bits.cast_signed() as f64 * self.factor);
                }
                _ => out.extend_from_slice(field.raw),
            }
        }
        Ok(())
    }

    fn times(&self, bits: u64) -> f64 {
        f64::from_bits(bits) * self.factor
    }

    fn double(&self, out: &mut Vec<u8>, number: u32, bits: u64) {
        wire::double(out, number, self.times(bits));
    }
}

/// The name of an encoded attribute.
fn key_of(pair: &[u8]) -> &[u8] {
    let mut fields = WireFields::new(pair);
    while let Ok(Some(field)) = fields.read() {
        if let (1, WireValue::Bytes(key)) = (field.number, field.value) {
            return key;
        }
    }
    &[]
}

/// Writes an attribute under another name.
fn renamed(out: &mut Vec<u8>, list: u32, key: &str, pair: &[u8]) -> Result<(), WireError> {
    let open = NestedMessage::open(out, list, pair.len().saturating_add(key.len()));
    wire::text(out, 1, key.as_bytes());
    let mut fields = WireFields::new(pair);
    while let Some(field) = fields.read()? {
        if field.number != 1 {
            out.extend_from_slice(field.raw);
        }
    }
    open.close(out);
    Ok(())
}

#[cfg(test)]
mod tests;
