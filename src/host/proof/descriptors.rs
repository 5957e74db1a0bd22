//! Whether two numbers are the ends of a pipe.

use std::ffi::c_int;

use super::memory::int_in;

/// The two numbers at `offset`.
pub(super) fn ends(bytes: &[u8], offset: usize) -> Option<[c_int; 2]> {
    Some([int_in(bytes, offset)?, int_in(bytes, offset.checked_add(size_of::<c_int>())?)?])
}

/// Whether the first is the end to read from and the second the end to write to of one pipe.
pub(super) fn are_a_pipe([read, write]: [c_int; 2]) -> bool {
    match (identity(read), identity(write)) {
        (Some((one, libc::O_RDONLY)), Some((other, libc::O_WRONLY))) => one == other,
        _ => false,
    }
}

/// Device and node of a pipe, and what this end is for.
fn identity(descriptor: c_int) -> Option<((u64, u64), c_int)> {
    // SAFETY: all bytes zero is a value of this plain structure.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the result is ours to write to; any number is allowed.
    let known = unsafe { libc::fstat(descriptor, &raw mut status) } == 0;
    if !known || status.st_mode & libc::S_IFMT != libc::S_IFIFO {
        return None;
    }
    // SAFETY: only reads flags.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
    Some(((status.st_dev, status.st_ino), flags & libc::O_ACCMODE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn the_ends_of_one_pipe_are_distinguished_from_others() {
        let ((read, write), (other, _)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        let (read, write, other) = (read.as_raw_fd(), write.as_raw_fd(), other.as_raw_fd());
        assert!(are_a_pipe([read, write]));
        for ends in [[write, read], [other, write], [read, read], [-1, write], [0, 0]] {
            assert!(!are_a_pipe(ends), "{ends:?}");
        }
    }
}
