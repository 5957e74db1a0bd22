//! The bundled host.

fn main() {}
