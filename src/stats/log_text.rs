//! Text of a log line, in which what others said can be told from what we say.

/// What a log line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogText {
    pub(super) own: String,
    pub(super) quoted: String,
}

impl LogText {
    /// Words of our own, and after them what a sender, an endpoint or a value says, which may be
    /// telemetry.
    pub fn quoting(own: impl Into<String>, quoted: impl Into<String>) -> Self {
        Self { own: own.into(), quoted: quoted.into() }
    }
}

impl From<String> for LogText {
    fn from(own: String) -> Self {
        Self { own, quoted: String::new() }
    }
}

impl From<&str> for LogText {
    fn from(own: &str) -> Self {
        own.to_owned().into()
    }
}
