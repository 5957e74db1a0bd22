//! The host's own functions, run on an [`Image`]: where they write is where the host keeps it.

use std::ffi::{CStr, c_void};

use super::super::kind::PluginKind;
use super::super::symbols::SetterFunctions;
use super::image::Image;

/// What sets options in an instance and names it.
pub(in crate::host) trait Setters {
    /// Sets an option in an image.
    fn set(&self, kind: PluginKind, image: &mut Image, key: &CStr, value: &CStr);
    /// What an image is called: the address of the text.
    fn name(&self, kind: PluginKind, image: &mut Image) -> usize;
    /// Gives back a text that an option became.
    fn free_text(&self, text: usize);
    /// Gives back a property that an option became.
    fn free_property(&self, property: usize);
}

fn pointer(address: usize) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(address)
}

impl Setters for SetterFunctions {
    fn set(&self, kind: PluginKind, image: &mut Image, key: &CStr, value: &CStr) {
        let set = match kind {
            PluginKind::Input => self.flb_input_set_property,
            PluginKind::Filter => self.flb_filter_set_property,
            PluginKind::Output => self.flb_output_set_property,
        };
        // SAFETY: the image is longer than any instance and has the host's own configuration and
        // plugin where the host looks for them; both strings end with a zero and are copied.
        unsafe { set(image.pointer(), key.as_ptr(), value.as_ptr()) };
    }

    fn name(&self, kind: PluginKind, image: &mut Image) -> usize {
        let name = match kind {
            PluginKind::Input => self.flb_input_name,
            PluginKind::Filter => self.flb_filter_name,
            PluginKind::Output => self.flb_output_name,
        };
        // SAFETY: as above; the function reads one pointer and adds to another.
        unsafe { name(image.pointer()) }.expose_provenance()
    }

    fn free_text(&self, text: usize) {
        // SAFETY: the host made the text for the image, which nothing else knows.
        unsafe { (self.flb_sds_destroy)(pointer(text)) };
    }

    fn free_property(&self, property: usize) {
        // SAFETY: the host made the property for the image, whose list is still there.
        unsafe { (self.flb_kv_item_destroy)(pointer(property)) };
    }
}
