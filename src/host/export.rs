//! The macros that make a plugin visible to the host.
//!
//! Each makes the symbol that the host looks for and an ELF constructor that fills it. There is
//! no list of plugins: the host finds symbols by the names of files.

/// Exports an [`Input`](crate::plugin::Input) under the host's name for it, for example
/// `in_ai_otlp`.
#[macro_export]
macro_rules! export_input {
    ($name:literal, $plugin:ty) => {
        $crate::export_plugin!($name, $plugin, fill_input);
    };
}

/// Exports a [`Filter`](crate::plugin::Filter) under the host's name for it, for example
/// `filter_ai_context`.
#[macro_export]
macro_rules! export_filter {
    ($name:literal, $plugin:ty) => {
        $crate::export_plugin!($name, $plugin, fill_filter);
    };
}

/// Exports an [`Output`](crate::plugin::Output) under the host's name for it, for example
/// `out_multi_otlp`.
#[macro_export]
macro_rules! export_output {
    ($name:literal, $plugin:ty) => {
        $crate::export_plugin!($name, $plugin, fill_output);
    };
}

/// What the three macros have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! export_plugin {
    ($name:literal, $plugin:ty, $fill:ident) => {
        // A fuzz target links this library but is no host, and its sanitizer objects to the search
        // of the program's constants.
        #[cfg(not(fuzzing))]
        #[expect(unsafe_code, reason = "the host finds plugins by the names of symbols")]
        const _: () = {
            #[unsafe(export_name = concat!($name, "_plugin"))]
            static DESCRIPTOR: $crate::host::Descriptor = $crate::host::Descriptor::new();

            extern "C" fn fill() {
                $crate::host::$fill::<$plugin>(concat!($name, "_plugin"), &DESCRIPTOR);
            }

            #[used]
            #[unsafe(link_section = ".init_array")]
            static FILL: extern "C" fn() = fill;
        };
    };
}
