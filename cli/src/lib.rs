//! Check of a configuration without a host: what of it a start, or a reload, would refuse.
//!
//! A configuration is read as Fluent Bit reads it ([`configuration`]), instances get of it what the host
//! would give them ([`instance`]), and the plugins themselves say what is wrong ([`check`]): there is no
//! second copy of their rules here. Other plugins are not looked at.

pub mod check;
pub mod configuration;
pub mod connect;
pub mod finding;
pub mod host;
mod instance;
mod own;
mod plugin_files;
