//! What a file adds to the options of the pipeline, and how its mistakes are told.

use super::*;
use crate::config::{Parser, read};
use crate::plugin::{GivenOptions, OpenError};

const SPECS: [OptionSpec; 6] = [
    OptionSpec::new("interval", OptionKind::Time, Some("10s"), ""),
    OptionSpec::new("names", OptionKind::CommaList, None, ""),
    OptionSpec::new("where", OptionKind::Str, None, "").repeated(),
    OptionSpec::new("endpoint.", OptionKind::Prefix, None, "").repeated(),
    OptionSpec::new("switch", OptionKind::Bool, None, ""),
    OptionSpec::new(CONFIG_FILE, OptionKind::Str, None, ""),
];

fn with<T>(
    text: &str,
    given: &[(&str, &str)],
    use_it: impl FnOnce(&FileOptions<'_>) -> T,
) -> (T, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let given = GivenOptions::of(&[given, &[(CONFIG_FILE, &path)]].concat());
    (use_it(&FileOptions::read(&given, &SPECS, &["rules"])), path)
}

#[test]
fn a_file_gives_options_of_every_form() {
    let text = r"
Interval: 5
names: [a, b]
where: ['x > 1', 'y']
switch: true
endpoint:
  apm: {url: 'http://x', tls: {verify: false}, headers: [a=1, b=2]}
endpoint.llm.url: http://y
rules: [1]
";
    with(text, &[("where_else", "z")], |options| {
        assert_eq!(options.problems(), [""; 0]);
        assert_eq!(options.get("interval"), Some("5"));
        assert_eq!(options.all("where"), ["x > 1", "y"]);
        assert_eq!(options.get("switch"), Some("on"));
        assert_eq!(options.get("endpoint.apm.tls.verify"), Some("off"));
        assert_eq!(options.all("endpoint.apm.headers"), ["a=1", "b=2"]);
        assert_eq!(options.get("endpoint.llm.url"), Some("http://y"));
        assert_eq!(options.section("rules").and_then(Value::as_array).map(Vec::len), Some(1));
        let parser = Parser::over(options);
        assert_eq!(parser.texts("names"), ["a", "b"]);
        assert_eq!(parser.family("endpoint").len(), 2);
    });
}

#[test]
fn mistakes_name_the_file_the_place_and_what_is_allowed() {
    let text = "interval: soon\nintervall: 1\nswitch: {a: 1}\nwhere: [[1]]\nnames: a\n\
                config_file: other\nrules: 1\n";
    let (problems, path) = with(text, &[("names", "b"), ("switch", "maybe")], |options| {
        let mut parser = Parser::over(options);
        let option = |name| *SPECS.iter().find(|spec| spec.name == name).unwrap();
        let _ = read::duration(&mut parser, &option("interval"));
        let _ = read::bool(&mut parser, &option("switch"));
        let mut notes = Notes::default();
        notes.list(options.root(), "rules");
        parser.file_problems(notes);
        let Err(OpenError(problems)) = parser.finish(()) else { panic!("no mistakes") };
        problems
    });
    let all = problems.join("\n");
    for part in [
        "intervall: this key is not known; allowed keys: interval, names, where, endpoint, switch, rules",
        "switch: a map is not allowed; allowed: a value",
        "where: a list is not allowed; allowed: a value or a list of values",
        "names: it is given in the pipeline too; allowed: in one place",
        "config_file: this key is not known",
        "option 'interval': 'soon' is not allowed",
        "line 7: rules: 1 is not allowed; allowed: a list",
    ] {
        assert!(all.contains(&format!("config_file '{path}': {part}")), "{part} in\n{all}");
    }
    assert!(all.contains("\noption 'switch': 'maybe'"), "{all}");
    assert_eq!(problems.len(), 8, "{all}");
}

#[test]
fn what_is_no_file_or_no_map_is_refused() {
    for text in ["- 1", "a: [", "interval: 1\ninterval: 2"] {
        let (problems, _) = with(text, &[], |options| options.problems().to_vec());
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(!problems[0].contains('\n'), "{problems:?}");
    }
    let deep = format!("endpoint: {}1{}", "{a: ".repeat(50), "}".repeat(50));
    let (problems, _) = with(&deep, &[], |options| options.problems().to_vec());
    assert!(problems[0].contains("deeper than 8 levels"), "{problems:?}");
    let given = GivenOptions::of(&[(CONFIG_FILE, "/does/not/exist.yaml")]);
    let options = FileOptions::read(&given, &SPECS, &[]);
    assert!(options.problems()[0].contains("'/does/not/exist.yaml' cannot be read"));
}

#[test]
fn values_come_from_the_environment() {
    let variable = |name: &str| (name == "KEY").then(|| "k".to_owned());
    assert_eq!(expand("a ${KEY} ${KEY}$ {} ${", variable).unwrap(), "a k k$ {} ${");
    assert_eq!(
        expand("${OTHER}", variable).unwrap_err(),
        "the environment has no variable 'OTHER'"
    );
    let text = "interval: ${NO_SUCH_VARIABLE_HERE}\nendpoint: {a: {b: '${NO_SUCH_VARIABLE_HERE}'}}";
    let (problems, path) = with(text, &[], |options| options.problems().to_vec());
    let want = format!(
        "config_file '{path}': endpoint.a.b: the environment has no variable 'NO_SUCH_VARIABLE_HERE'"
    );
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0], want);
}

#[test]
fn a_file_is_looked_for_where_the_host_runs_and_beside_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let name = "no-such-file-where-the-tests-run.yaml";
    let relative = Path::new(name);
    let problem = find(relative, Some(folder.path())).unwrap_err();
    let beside = folder.path().join(name);
    for expected in [name, "where the host runs", beside.to_str().unwrap(), "cannot be read"] {
        assert!(problem.contains(expected), "{expected}: {problem}");
    }
    std::fs::write(&beside, "interval: 5").unwrap();
    let (path, text) = find(relative, Some(folder.path())).unwrap();
    assert_eq!((path, text.as_str()), (beside.clone(), "interval: 5"));
    // Where the host runs comes first, and a full path has one place.
    let here = Path::new("Cargo.toml");
    std::fs::write(folder.path().join(here), "other").unwrap();
    assert!(find(here, Some(folder.path())).unwrap().1.contains("[package]"));
    assert_eq!(find(&beside, None).unwrap().0, beside);
    assert!(find(Path::new("/no/such/file"), Some(folder.path())).is_err());
    assert!(find(relative, None).unwrap_err().contains("cannot be read"));
}
