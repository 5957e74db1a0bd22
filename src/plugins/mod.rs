//! One file or folder for each plugin: wiring.

pub mod out_multi_otlp;
