//! What `make dist` does beyond building: the tree that is installed, the image, the check of symbols.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn script(name: &str, arguments: &[&Path]) -> Output {
    Command::new("sh")
        .arg(Path::new(ROOT).join("packaging").join(name))
        .args(arguments)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .unwrap()
}

fn ran(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The tree of the packages below `folder`, around an object and a program that are none.
fn staged(folder: &Path) -> PathBuf {
    let object = folder.join("object");
    std::fs::write(&object, "code").unwrap();
    let root = folder.join("root");
    let program = folder.join("program");
    std::fs::write(&program, "program").unwrap();
    ran(&script("stage.sh", &[&object, &program, &root]));
    root
}

/// Scenario: the tree of a package, and the lists of files of the Debian package. Guarantees: they have each
/// file once, and nothing but the program may be run.
#[test]
fn the_debian_package_has_the_whole_tree() {
    let folder = tempfile::tempdir().unwrap();
    let installed = staged(folder.path()).join("opt/fluent-bit-ai");
    let manifest = std::fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let (_, assets) = manifest.split_once("\nassets = [\n").unwrap();
    let rows = assets.lines().take_while(|line| *line != "]");
    let rows: Vec<Vec<&str>> =
        rows.map(|row| row.split('"').skip(1).step_by(2).collect()).collect();
    let mut files = vec![installed.clone()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.strip_prefix(&installed).unwrap().to_str().unwrap();
        let has = |pattern: &str| match pattern.split_once('*') {
            None => name == pattern,
            Some((start, "*/*")) => name.starts_with(start),
            Some((start, end)) => {
                let rest = name.strip_prefix(start).unwrap_or("/");
                !rest.contains('/') && rest.ends_with(end)
            }
        };
        let of = rows.iter().filter(|row| {
            has(row[0].strip_prefix("target/dist/stage/opt/fluent-bit-ai/").unwrap())
        });
        let modes: Vec<&str> = of.map(|row| row[2]).collect();
        assert_eq!(modes, [if name == "fluent-bit-ai" { "755" } else { "644" }], "{name}");
    }
}

/// The files that a `plugins.conf` names.
fn named(path: &Path) -> BTreeSet<PathBuf> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.lines().any(|line| line == "[PLUGINS]"), "{text}");
    text.lines().filter_map(|line| line.trim().strip_prefix("Path ")).map(PathBuf::from).collect()
}

/// The shared objects of a folder that Fluent Bit takes for plugins.
fn plugins(folder: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with("flb-"))
        .collect()
}

/// The plugins that there are, by the files in src/plugins.
fn sources() -> BTreeSet<String> {
    std::fs::read_dir(Path::new(ROOT).join("src/plugins"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .filter(|stem| ["in_", "filter_", "out_"].iter().any(|kind| stem.starts_with(kind)))
        .map(|stem| format!("flb-{stem}.so"))
        .collect()
}

/// Scenario: the tree of a package. Guarantees: each `plugins.conf` names, by absolute paths, exactly
/// the plugin files that the package has, these are all plugins of the source, and they lead to the object.
#[test]
fn plugins_conf_names_what_the_package_has() {
    let folder = tempfile::tempdir().unwrap();
    let root = staged(folder.path());
    let installed = root.join("opt/fluent-bit-ai");
    let there = plugins(&installed);
    assert_eq!(there, sources());
    for conf in ["plugins.conf", "fluent-bit-conf/plugins.conf"] {
        let paths = named(&installed.join(conf));
        let expected: BTreeSet<PathBuf> =
            there.iter().map(|name| Path::new("/opt/fluent-bit-ai").join(name)).collect();
        assert_eq!(paths, expected, "{conf}");
        for path in paths {
            let path = root.join(path.strip_prefix("/").unwrap());
            assert_eq!(std::fs::read_to_string(path).unwrap(), "code");
        }
    }
}

/// Scenario: the list of plugins in the Makefile. Guarantees: `make install` forgets none.
#[test]
fn make_install_has_all_plugins() {
    let makefile = std::fs::read_to_string(Path::new(ROOT).join("Makefile")).unwrap();
    let list = makefile.lines().find_map(|line| line.strip_prefix("PLUGINS = ")).unwrap();
    let listed: BTreeSet<String> =
        list.split_whitespace().map(|name| format!("flb-{name}.so")).collect();
    assert_eq!(listed, sources());
}

/// What `cargo tree` prints for these arguments, one package a line.
fn packages(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p}"])
        .args(["--edges", "normal,build"])
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .unwrap();
    let text = ran(&output);
    text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// Scenario: the build command of `make install`, and the packages that it builds. Guarantees: it is one library of our two crates,
/// which the program is built apart from, without the test host, the tools and their C; a compiler of C is called by the crates that
/// bring C or assembler themselves, and by no other.
#[test]
fn make_install_builds_what_it_installs() {
    let output = Command::new("make").args(["-n", "install"]).current_dir(ROOT).output().unwrap();
    let commands = ran(&output);
    let builds: Vec<&str> = commands.lines().filter(|line| line.contains(" build ")).collect();
    let [build, program] = builds.as_slice() else { panic!("{commands}") };
    assert!(build.ends_with(" build --release --lib -p fluent-bit-ai"), "{build}");
    assert!(program.ends_with(" build --release --bin fluent-bit-ai -p fluent-bit-ai-cli"));
    let built = packages(&["-p", "fluent-bit-ai"]);
    assert!(built.len() > 100, "{built:?}");
    let own = built.iter().filter(|package| package.contains(ROOT));
    let own: Vec<&str> = own.filter_map(|package| package.split(' ').next()).collect();
    assert_eq!(own, ["fluent-bit-ai", "fluent-bit-ai-telemetry"]);
    for name in ["clap ", "opentelemetry-otlp ", "proptest ", "rmp-serde ", "bindgen "] {
        assert!(!built.iter().any(|package| package.starts_with(name)), "{name}");
    }
    let callers = packages(&["-p", "fluent-bit-ai", "--invert", "cc", "--depth", "1"]);
    let callers: Vec<&str> =
        callers.iter().filter_map(|package| package.split(' ').next()).collect();
    assert_eq!(callers, ["cc", "psm", "ring", "zstd-sys"]);
}

/// Scenario: links of the documents that a package has. Guarantees: what they point to is in the
/// package too.
#[test]
fn documents_of_the_package_link_to_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let installed = staged(folder.path()).join("opt/fluent-bit-ai");
    let mut links = 0;
    for page in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(installed.join(page)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") && !link.starts_with('#') {
                let file = link.split('#').next().unwrap();
                assert!(installed.join(file).exists(), "{page} links to {link}");
                links += 1;
            }
        }
    }
    assert!(links > 5, "{links}");
}

/// Scenario: the version. Guarantees: the changelog has a section for it or for what is to become it.
#[test]
fn the_changelog_knows_the_version() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("CHANGELOG.md")).unwrap();
    let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## [")).collect();
    let version = env!("CARGO_PKG_VERSION");
    let own = sections.iter().find(|section| section.starts_with(&format!("{version}] - 20")));
    assert!(own.is_some(), "{version} is not among {sections:?}");
}

/// The texts of a list in a TOML file.
fn list(file: &str, start: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    let (_, rest) = text.split_once(start).unwrap();
    let lines = rest.split(']').next().unwrap().lines().skip(1);
    lines.map(|line| line.trim().to_owned()).collect()
}

/// Scenario: the licences that `make dist` and `make dependencies` accept. Guarantees: they are the same.
#[test]
fn both_lists_of_licences_agree() {
    let accepted = list("packaging/about.toml", "accepted = [");
    assert!(accepted.contains("\"Apache-2.0\","), "{accepted:?}");
    assert_eq!(accepted, list("deny.toml", "allow = ["));
}

/// Scenario: cargo calls rustc through the wrapper of `make dist` and `make profile`. Guarantees: the crates that the
/// profile is of get its flag, all others are compiled as they were, and each of the former is built at all.
#[test]
fn the_profile_is_that_of_crates_that_are_built() {
    let called = |name: &str| {
        let mut command = Command::new(Path::new(ROOT).join("packaging/rustc.sh"));
        let arguments = ["rustc", "--crate-name", name, "lib.rs"];
        let output = command.arg("echo").args(arguments).env("PROFILE_FLAG", "-Cflag").output();
        ran(&output.unwrap())
    };
    let script = std::fs::read_to_string(Path::new(ROOT).join("packaging/rustc.sh")).unwrap();
    let lock = std::fs::read_to_string(Path::new(ROOT).join("Cargo.lock")).unwrap();
    let words = script.split(" --crate-name ").skip(1);
    let names: Vec<&str> = words.filter_map(|rest| rest.split(' ').next()).collect();
    assert!(names.contains(&"fluent_bit_ai_telemetry"), "{names:?}");
    for name in names {
        assert_eq!(called(name), format!("rustc --crate-name {name} lib.rs -Cflag\n"));
        let is_built = |name: &str| lock.contains(&format!("\nname = \"{name}\"\n"));
        assert!(is_built(name) || is_built(&name.replace('_', "-")), "{name}");
    }
    assert_eq!(called("tokio"), "rustc --crate-name tokio lib.rs\n");
}

fn digest(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    ran(&output).split(' ').next().unwrap().to_owned()
}

/// The JSON of a blob, once its digest and size are those of its descriptor.
fn blob(layout: &Path, descriptor: &serde_json::Value) -> (PathBuf, Vec<u8>) {
    let name = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let path = layout.join("blobs/sha256").join(name);
    assert_eq!(digest(&path), name);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(descriptor["size"], bytes.len());
    (path, bytes)
}

fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Scenario: an image layout for two architectures. Guarantees: every descriptor has the digest and size
/// of its blob, nothing else is stored, the layer unpacks to the tree with its links, and the same
/// files give the same bytes.
#[test]
fn the_image_layout_is_whole_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let root = staged(folder.path());
    std::fs::write(root.join("install"), "program").unwrap();
    let mut index_texts = Vec::new();
    for name in ["layout", "again"] {
        let layout = folder.path().join(name);
        let pairs = [format!("amd64={}", root.display()), format!("arm64={}", root.display())];
        let arguments: Vec<&Path> =
            [&layout, Path::new("0.2.0"), Path::new(&pairs[0]), Path::new(&pairs[1])].to_vec();
        ran(&script("image.sh", &arguments));
        index_texts.push(std::fs::read_to_string(layout.join("index.json")).unwrap());
    }
    assert_eq!(index_texts[0], index_texts[1]);
    let layout = folder.path().join("layout");
    let marker = json(&std::fs::read(layout.join("oci-layout")).unwrap());
    assert_eq!(marker["imageLayoutVersion"], "1.0.0");
    let top = json(index_texts[0].as_bytes());
    let tag = &top["manifests"][0];
    assert_eq!(tag["annotations"]["org.opencontainers.image.ref.name"], "0.2.0");
    let (path, bytes) = blob(&layout, tag);
    let mut reached = BTreeSet::from([path]);
    let manifests = json(&bytes)["manifests"].as_array().unwrap().clone();
    let platforms: Vec<_> =
        manifests.iter().map(|manifest| manifest["platform"]["architecture"].clone()).collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    for manifest in &manifests {
        let (path, bytes) = blob(&layout, manifest);
        let (config_path, config) = blob(&layout, &json(&bytes)["config"]);
        let (layer, _) = blob(&layout, &json(&bytes)["layers"][0]);
        assert_eq!(json(&config)["architecture"], manifest["platform"]["architecture"]);
        assert_eq!(json(&config)["config"]["Entrypoint"][0], "/install");
        let unpacked = folder.path().join("unpacked");
        let tar = folder.path().join("layer.tar");
        std::fs::write(&tar, ran_bytes(Command::new("gzip").arg("-dc").arg(&layer))).unwrap();
        let diff = format!("sha256:{}", digest(&tar));
        assert_eq!(json(&config)["rootfs"]["diff_ids"][0], diff.as_str());
        std::fs::create_dir_all(&unpacked).unwrap();
        ran_bytes(Command::new("tar").arg("-xf").arg(&tar).arg("-C").arg(&unpacked));
        assert_eq!(std::fs::read_to_string(unpacked.join("install")).unwrap(), "program");
        let link = unpacked.join("opt/fluent-bit-ai/flb-in_ai_otlp.so");
        assert_eq!(std::fs::read_link(link).unwrap(), Path::new("fluent-bit-ai.so"));
        reached.extend([path, config_path, layer]);
    }
    let stored: BTreeSet<PathBuf> = std::fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(stored, reached);
}

fn ran_bytes(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Scenario: a program of this machine, whose glibc is newer than 2.17. Guarantees: the check that
/// `make dist` makes refuses it and names a symbol, and takes it for a limit that is high enough.
#[test]
fn the_check_of_symbols_refuses_a_newer_glibc() {
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("a.c"), folder.path().join("a.so"));
    std::fs::write(
        &source,
        "#include <sys/stat.h>\nint f(struct stat *s){return stat(\"/\", s);}\n",
    )
    .unwrap();
    ran_bytes(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&object).arg(&source));
    let refused = script("symbols.sh", &[&object, Path::new("2.17")]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("more than 2.17") && text.contains("  stat (GLIBC_2.33)"), "{text}");
    ran(&script("symbols.sh", &[&object, Path::new("2.99")]));
}

/// Scenario: an object that needs a library beside glibc's. Guarantees: the check names it.
#[test]
fn the_check_of_symbols_refuses_other_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("b.c"), "int g(void){return 1;}\n").unwrap();
    std::fs::write(path("a.c"), "#include <stdlib.h>\nint g(void); void f(void){g();abort();}\n")
        .unwrap();
    let cc = || {
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-o"]);
        command
    };
    ran_bytes(cc().arg(path("libother.so")).arg(path("b.c")));
    ran_bytes(cc().arg(path("a.so")).arg(path("a.c")).arg("-L").arg(folder.path()).arg("-lother"));
    let refused = script("symbols.sh", &[&path("a.so"), Path::new("2.99")]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("needs libother.so"), "{text}");
}
