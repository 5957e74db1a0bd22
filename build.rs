//! Link arguments. Nothing here depends on the machine that builds.

use std::path::Path;

/// The C side of the bundled test host.
const SHIM: &str = "src/bin/flb-host/shim.c";

fn main() {
    // The host closes plugins while threads of ours may still be ending.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    // Copies of one build know each other by it.
    println!("cargo::rustc-link-arg-cdylib=-Wl,--build-id=sha1");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SHIM}");
    if Path::new(SHIM).exists() {
        // Plugins find the host's functions by name among the program's symbols.
        println!("cargo::rustc-link-arg-bin=flb-host=-rdynamic");
        cc::Build::new().file(SHIM).warnings(true).compile("flb_host_shim");
    }
}
