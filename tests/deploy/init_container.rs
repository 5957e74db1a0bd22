//! What the init container of a pod does: the program of our image, in a root that has the image's files, the volume
//! and nothing else, as the user and with the arguments that the pod gives.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the image: its one layer, and the program as `make dist` builds it, static.
pub struct Image {
    root: tempfile::TempDir,
}

/// A container that has run.
pub struct Copied {
    /// The volume, as this machine sees it.
    pub volume: PathBuf,
    _root: tempfile::TempDir,
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(said.into_owned())
    } else {
        Err(format!("{command:?}: {said}"))
    }
}

impl Image {
    /// # Errors
    /// If it cannot be built here.
    pub fn build() -> Result<Self, String> {
        let root = tempfile::tempdir().unwrap();
        let source = testkit::root();
        let (object, program) = (root.path().join("object"), root.path().join("program"));
        for file in [&object, &program] {
            std::fs::write(file, "no code").unwrap();
        }
        let image = root.path().join("image");
        let stage = source.join("packaging/stage.sh");
        run(Command::new("sh").arg(stage).args([&object, &program, &image]))?;
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let mut compile = Command::new(rustc);
        compile
            .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-o"])
            .arg(image.join("install"))
            .arg("packaging/install/src/main.rs")
            .current_dir(source);
        run(&mut compile)?;
        Ok(Self { root })
    }

    /// Runs the container `container` of a pod; its volume is an empty folder that everybody may write, as an `emptyDir` is.
    ///
    /// # Errors
    /// If it fails, or if this user may not change the root.
    pub fn start(&self, container: &Value) -> Result<Copied, String> {
        let root = tempfile::tempdir().unwrap();
        let image = self.root.path().join("image/.");
        run(Command::new("cp").arg("-a").arg(&image).arg(root.path()))?;
        run(Command::new("chmod").arg("755").arg(root.path()))?;
        let mount = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
        let volume = root.path().join(mount.trim_start_matches('/'));
        std::fs::create_dir_all(&volume).unwrap();
        run(Command::new("chmod").arg("777").arg(&volume))?;
        // Nothing but the image's files and the volume: no shell, no library, no /proc.
        let mut there: Vec<String> = std::fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        there.sort();
        let mounted = mount.trim_start_matches('/').split('/').next().unwrap();
        assert_eq!(there, ["install", "opt", mounted]);
        let user = container["securityContext"]["runAsUser"].as_u64().unwrap_or(0);
        let args = container["args"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
        assert!(container["command"].is_null(), "the image's own program runs");
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={user}:{user}")).arg(root.path()).arg("/install");
        run(command.args(args))?;
        Ok(Copied { volume, _root: root })
    }
}

/// The plugin files that a `plugins.conf` names.
pub fn named(conf: &Path) -> Vec<PathBuf> {
    let text = crate::read(conf);
    let paths = text.lines().filter_map(|line| line.trim().strip_prefix("Path "));
    paths.map(|path| PathBuf::from(path.trim())).collect()
}
