//! Fault injection: what goes wrong on purpose.

/// The faults of a run; zero means never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Faults {
    /// Filters run on a coroutine's stack.
    pub(crate) coro_filters: bool,
    /// Collectors run on a coroutine's stack.
    pub(crate) coro_collectors: bool,
    /// Pause and resume run on a coroutine's stack.
    pub(crate) coro_pauses: bool,
    /// Every how many appends one is refused.
    pub(crate) append_refused: usize,
    /// After how many appends an input is paused for a while.
    pub(crate) pause_at: usize,
    /// Every how many successful flushes one counts as a retry.
    pub(crate) retry: usize,
}

impl Faults {
    /// Adds the fault that `spec` names.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn add(&mut self, spec: &str) -> Result<(), String> {
        let (name, number) = spec.split_once(':').unwrap_or((spec, "2"));
        let number = number
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| format!("fault '{spec}': '{number}' is no positive number"))?;
        match name {
            "coro-filters" => self.coro_filters = true,
            "coro-collectors" => self.coro_collectors = true,
            "small-stacks" => {
                self.coro_filters = true;
                self.coro_collectors = true;
                self.coro_pauses = true;
            }
            "append-refused" => self.append_refused = number,
            "pause-at" => self.pause_at = number,
            "retry" => self.retry = number,
            _ => return Err(format!("unknown fault '{spec}'; -h lists them")),
        }
        Ok(())
    }
}

/// Whether the `count`-th event, counted from 1, is hit by a fault of every `each`.
pub(crate) const fn hits(count: usize, each: usize) -> bool {
    each != 0 && count.is_multiple_of(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let mut faults = Faults::default();
        faults.add("append-refused:3").unwrap();
        faults.add("small-stacks").unwrap();
        assert_eq!(faults.append_refused, 3);
        assert!(faults.coro_filters && faults.coro_collectors && faults.coro_pauses);
        assert!(faults.add("retry:0").is_err());
        assert!(hits(6, 3) && !hits(5, 3) && !hits(5, 0));
    }
}
