//! Configurations: Fluent Bit's classic form and its YAML, with what they include.
//!
//! Both become one [`Configuration`], in the order in which the host meets it, and each property knows
//! its line. Mistakes are findings, and the rest is read all the same.

mod classic;
mod files;
mod variables;
mod yaml;
mod yaml_node;

use std::path::Path;

use fluent_bit_ai::config::{ConfigurationFormat, format_of};

use crate::finding::{Finding, Place};
use files::Files;
pub(crate) use files::read_text;
pub use variables::Variables;
pub use yaml_node::{Content, Node, Unreadable, parse};

/// A property with its value, before variables are put in. A list is a property for each of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name as it is written.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Where it is.
    pub place: Place,
}

/// An input, filter or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its properties in the order of the file.
    pub properties: Vec<Property>,
    /// What runs on its logs within an input or output, in order.
    pub processors: Vec<Section>,
    /// Where it begins.
    pub place: Place,
}

impl Section {
    fn new(place: Place) -> Self {
        Self { properties: Vec::new(), processors: Vec::new(), place }
    }

    /// The last property of a name, whatever its case.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&Property> {
        self.properties.iter().rev().find(|property| property.key.eq_ignore_ascii_case(name))
    }
}

/// All that a configuration and the files that it includes say.
#[derive(Debug, Default)]
pub struct Configuration {
    /// Variables that it sets, in order.
    pub variables: Vec<(String, String)>,
    /// The properties of the service.
    pub service: Vec<Property>,
    /// The plugin files that it names itself.
    pub plugins: Vec<Property>,
    /// The inputs in order.
    pub inputs: Vec<Section>,
    /// The filters in order.
    pub filters: Vec<Section>,
    /// The outputs in order.
    pub outputs: Vec<Section>,
    /// What is wrong with its form.
    pub findings: Vec<Finding>,
}

impl Configuration {
    /// Reads a file, in the form that its name says, and what it includes.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let mut read = Self::default();
        match format_of(path) {
            ConfigurationFormat::Classic => classic::read(&mut Files::new(path), path, &mut read),
            ConfigurationFormat::Yaml => yaml::read(&mut Files::new(path), path, &mut read),
        }
        read
    }
}
