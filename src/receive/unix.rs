//! Unix sockets.

use std::io::{Error, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use crate::runtime::Runtime;

/// How long another process may take to show that it listens.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// What is said of a socket that another one listens on.
pub(super) const IN_USE: &str = "another process listens on this socket";

/// A socket to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// Where it is in the file system.
    pub path: PathBuf,
    /// Who may connect, as in chmod; the process's umask decides where it is not given.
    pub permissions: Option<u32>,
}

/// The file of a socket that listens; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: another process may have put its own file there.
    identity: (u64, u64),
}

/// Opens a socket that listens. A file that a dead process left is replaced.
///
/// # Errors
/// Another process listens there, there is a file of another kind, or the system refuses.
pub(super) fn bind(
    socket: &UnixSocket,
    runtime: &Runtime,
) -> std::io::Result<(UnixListener, SocketFile)> {
    check_free(&socket.path, runtime)?;
    // Under another name until its permissions are right, and renamed to its own in one go.
    let mut fresh = socket.path.clone().into_os_string();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    remove(&fresh)?;
    let listener = UnixListener::bind(&fresh)?;
    let published = publish(&fresh, socket);
    if published.is_err() {
        drop(std::fs::remove_file(&fresh));
    }
    published.map(|file| (listener, file))
}

fn publish(fresh: &Path, socket: &UnixSocket) -> std::io::Result<SocketFile> {
    if let Some(mode) = socket.permissions {
        std::fs::set_permissions(fresh, std::fs::Permissions::from_mode(mode))?;
    }
    std::fs::rename(fresh, &socket.path)?;
    let identity = identity(&socket.path)?;
    Ok(SocketFile { path: socket.path.clone(), identity })
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Refuses a path that is in use.
fn check_free(path: &Path, runtime: &Runtime) -> std::io::Result<()> {
    let there = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        there => there?,
    };
    if !there.file_type().is_socket() {
        return Err(Error::new(ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    // A task of its own: a connect that blocks would hold the host for as long as the other likes.
    let (sender, receiver) = std::sync::mpsc::channel();
    let socket_path = path.to_owned();
    runtime.tasks().spawn(async move {
        let connected = UnixStream::connect(socket_path).await;
        // The receiver is gone if it took too long.
        drop(sender.send(connected));
    });
    match receiver.recv_timeout(SIGN_OF_LIFE) {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        _ => Err(Error::new(ErrorKind::AddrInUse, IN_USE)),
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(folder: &tempfile::TempDir) -> UnixSocket {
        UnixSocket { path: folder.path().join("otlp.sock"), permissions: Some(0o620) }
    }

    #[test]
    fn a_socket_comes_and_goes_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::acquire().unwrap();
        let _context = runtime.handle().enter();
        let socket = socket(&folder);
        let (listener, file) = bind(&socket, &runtime).unwrap();
        let mode = std::fs::metadata(&socket.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o620);
        let error = bind(&socket, &runtime).unwrap_err();
        assert!(error.to_string().contains("another process listens"), "{error}");
        drop((listener, file));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::acquire().unwrap();
        let _context = runtime.handle().enter();
        let socket = socket(&folder);
        drop(std::os::unix::net::UnixListener::bind(&socket.path).unwrap());
        assert!(socket.path.exists());
        let (_listener, file) = bind(&socket, &runtime).unwrap();
        // The file of another is not ours to remove.
        std::fs::remove_file(&socket.path).unwrap();
        std::fs::write(&socket.path, "x").unwrap();
        drop(file);
        assert!(socket.path.exists());
        let error = bind(&socket, &runtime).unwrap_err();
        assert!(error.to_string().contains("no socket"), "{error}");
        assert_eq!(std::fs::read(&socket.path).unwrap(), b"x");
    }
}
