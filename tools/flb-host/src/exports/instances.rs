//! What plugins ask of their own instances.

use std::sync::Arc;

use crate::instance::{self, Instance};
use crate::memory::Addr;
use crate::plugin::PluginKind;
use crate::report;

fn known(kind: PluginKind, address: Addr) -> Option<Arc<Instance>> {
    let found = instance::find(address).filter(|instance| instance.kind == kind);
    if found.is_none() {
        report::problem(&format!("a function of {}s was called with none", kind.name()));
    }
    found
}

fn set_context(kind: PluginKind, instance: Addr, context: Addr) {
    if let Some(instance) = known(kind, instance) {
        instance.set_context(context);
    }
}

fn get_property(kind: PluginKind, key: Addr, instance: Addr) -> Addr {
    let (Some(instance), Some(key)) = (known(kind, instance), key.text()) else {
        return Addr::NULL;
    };
    instance.property(&key)
}

fn set_property(kind: PluginKind, instance: Addr, key: Addr, value: Addr) -> i32 {
    let (Some(instance), Some(key)) = (known(kind, instance), key.text()) else { return -1 };
    instance.set_property(&key, &value.text().unwrap_or_default())
}

fn name(kind: PluginKind, instance: Addr) -> Addr {
    known(kind, instance).map_or(Addr::NULL, |instance| instance.shown_name())
}

macro_rules! of_kind {
    ($kind:expr, $context:ident, $get:ident, $set:ident, $name:ident) => {
        #[unsafe(no_mangle)]
        extern "C" fn $context(instance: Addr, context: Addr) {
            set_context($kind, instance, context);
        }

        #[unsafe(no_mangle)]
        extern "C" fn $get(key: Addr, instance: Addr) -> Addr {
            get_property($kind, key, instance)
        }

        #[unsafe(no_mangle)]
        extern "C" fn $set(instance: Addr, key: Addr, value: Addr) -> i32 {
            set_property($kind, instance, key, value)
        }

        #[unsafe(no_mangle)]
        extern "C" fn $name(instance: Addr) -> Addr {
            name($kind, instance)
        }
    };
}

of_kind!(
    PluginKind::Input,
    flb_input_set_context,
    flb_input_get_property,
    flb_input_set_property,
    flb_input_name
);
of_kind!(
    PluginKind::Filter,
    flb_filter_set_context,
    flb_filter_get_property,
    flb_filter_set_property,
    flb_filter_name
);
of_kind!(
    PluginKind::Output,
    flb_output_set_context,
    flb_output_get_property,
    flb_output_set_property,
    flb_output_name
);

kept! {
    [
        flb_input_set_context,
        flb_filter_set_context,
        flb_output_set_context,
    ]: extern "C" fn(Addr, Addr);
    [
        flb_input_get_property,
        flb_filter_get_property,
        flb_output_get_property,
    ]: extern "C" fn(Addr, Addr) -> Addr;
    [
        flb_input_set_property,
        flb_filter_set_property,
        flb_output_set_property,
    ]: extern "C" fn(Addr, Addr, Addr) -> i32;
    [flb_input_name, flb_filter_name, flb_output_name]: extern "C" fn(Addr) -> Addr;
}
