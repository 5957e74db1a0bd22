//! Link arguments of the shared object. Nothing here depends on the machine that builds.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    // The host closes plugins while threads of ours may still be ending.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    // Copies of one build know each other by it.
    println!("cargo::rustc-link-arg-cdylib=-Wl,--build-id=sha1");
    #[cfg(feature = "bindgen")]
    bindings()?;
    Ok(())
}

/// Makes what src/host/abi/bindings.rs has to be, and writes it where `WRITE_BINDINGS` is set or
/// compares it.
#[cfg(feature = "bindgen")]
fn bindings() -> Result<(), Box<dyn std::error::Error>> {
    const HEADER: &str = "include/fluent_bit_ai_host.h";
    const COPY: &str = "src/host/abi/bindings.rs";
    println!("cargo::rerun-if-changed={HEADER}");
    println!("cargo::rerun-if-changed={COPY}");
    println!("cargo::rerun-if-env-changed=WRITE_BINDINGS");
    let made = bindgen::Builder::default()
        .header(HEADER)
        .allowlist_item("fb_.*")
        // Its size is the machine's, and `libc` knows it for each.
        .blocklist_type("pthread_mutex_t|__pthread.*")
        .layout_tests(false)
        .merge_extern_blocks(true)
        .disable_header_comment()
        .raw_line("//! `include/fluent_bit_ai_host.h` as Rust, made by bindgen; `make bindings` renews it.")
        .raw_line("#![expect(")
        .raw_line("    non_camel_case_types,")
        .raw_line("    unreachable_pub,")
        .raw_line("    reason = \"names and visibility are those of the C header\"")
        .raw_line(")]")
        .raw_line("use libc::pthread_mutex_t;")
        .rustfmt_configuration_file(Some(std::fs::canonicalize("rustfmt.toml")?))
        .generate()?
        .to_string();
    if std::env::var_os("WRITE_BINDINGS").is_some() {
        return Ok(std::fs::write(COPY, made)?);
    }
    if std::fs::read_to_string(COPY)? != made {
        return Err(format!("{COPY} is not what bindgen makes of {HEADER}: `make bindings`").into());
    }
    Ok(())
}
