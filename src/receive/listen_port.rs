//! Port to listen on, and what is said where it cannot be.

/// A port to listen on.
pub(super) struct ListenPort {
    /// What is listened for.
    pub(super) name: &'static str,
    /// The option that gives the address.
    pub(super) listen_option: &'static str,
    /// The option that gives it.
    pub(super) option: &'static str,
    pub(super) number: u16,
}

impl ListenPort {
    /// What a user is told who asked for it.
    pub(super) fn refusal(&self, listen: &str, error: &std::io::Error) -> String {
        let Self { name, listen_option, option, number } = self;
        format!(
            "cannot listen for {name} on {listen}:{number}: {error}; change the option \
             '{listen_option}' or '{option}', or stop what uses this address"
        )
    }
}
