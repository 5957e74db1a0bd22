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
    #[cfg(feature = "bindgen")]
    bindings();
}

/// Makes what src/host/abi/bindings.rs has to be; a test compares the two.
#[cfg(feature = "bindgen")]
fn bindings() {
    const HEADER: &str = "include/fluent_bit_ai_host.h";
    println!("cargo::rerun-if-changed={HEADER}");
    let folder = std::env::var_os("OUT_DIR").expect("cargo names the output folder");
    let path = Path::new(&folder).join("bindings.rs");
    let format = std::fs::canonicalize("rustfmt.toml").expect("rustfmt.toml is in the root");
    bindgen::Builder::default()
        .header(HEADER)
        .allowlist_item("fb_.*")
        .layout_tests(false)
        .merge_extern_blocks(true)
        .disable_header_comment()
        .raw_line("//! `include/fluent_bit_ai_host.h` as Rust, made by bindgen; `make bindings` renews it.")
        .raw_line("#![expect(")
        .raw_line("    non_camel_case_types,")
        .raw_line("    unreachable_pub,")
        .raw_line("    reason = \"names and visibility are those of the C header\"")
        .raw_line(")]")
        .rustfmt_configuration_file(Some(format))
        .generate()
        .expect("bindgen reads the header")
        .write_to_file(&path)
        .expect("the output folder can be written to");
    println!("cargo::rustc-env=FLUENT_BIT_AI_BINDINGS={}", path.display());
}
