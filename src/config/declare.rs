//! Declarative options: one row for each, with its name, type, default, help, and how it is read.
//!
//! The host's table, the help, the reference page and the values that the plugin works with all come
//! from the row. A row makes a field, and a field that nothing reads does not compile: what is listed is
//! implemented.

/// Declares a table of options and the structure of their values.
///
/// A row is `field: Type = reader, Kind "name" [property, ...] = "default", "help";`, where properties and
/// the default may be missing. The reader is a
/// `fn(&mut Parser<'_>, &OptionSpec) -> Read<Type>` such as those of [`read`](super::read); properties
/// are methods of [`OptionSpec`](crate::plugin::OptionSpec): `repeated`, `secret`. At the end,
/// `+ OPTION;` adds one that is read elsewhere.
///
/// The structure has `read(&mut Parser<'_>) -> Result<Self, OpenError>`, which notes what is wrong with
/// the values given and takes the defaults in their place.
macro_rules! options {
    (
        $(#[$about:meta])* struct $Values:ident in $vis:vis $TABLE:ident {
            $($field:ident: $Type:ty = $read:expr,
              $kind:ident $name:literal $([$($property:ident),+])? $(= $default:expr)?, $help:expr;)+
            $(+ $also:expr;)*
        }
    ) => {
        $(#[$about])*
        struct $Values {
            $($field: $Type,)+
        }

        impl $Values {
            $(
                #[expect(non_upper_case_globals, reason = "it has the name of its field")]
                const $field: $crate::plugin::OptionSpec = $crate::plugin::OptionSpec::new(
                    $name,
                    $crate::plugin::OptionKind::$kind,
                    $crate::config::options!(@default $($default)?),
                    $help,
                )$($(.$property())+)?;
            )+

            /// Reads the values given.
            fn read(
                parser: &mut $crate::config::Parser<'_>,
            ) -> Result<Self, $crate::plugin::OpenError> {
                $(let $field: $crate::config::read::Read<$Type> = ($read)(parser, &Self::$field);)+
                $(let Some($field) = $field else {
                    return Err(parser.without_default(&Self::$field));
                };)+
                Ok(Self { $($field),+ })
            }
        }

        /// The options as the host sees them.
        $vis const $TABLE: &[$crate::plugin::OptionSpec] = &[$($Values::$field,)+ $($also),*];
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
}

pub(crate) use options;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{Parser, read};
    use crate::plugin::{GivenOptions as Options, OpenError, OptionKind};

    options! {
        /// Options of each form.
        #[derive(Debug, PartialEq, Eq)]
        struct Given in TABLE {
            wait: Duration = read::duration, Time "wait" = "10s", "How long.";
            names: Vec<String> = read::list, CommaList "names" [repeated] = "a,b", "Which.";
            form: u8 = read::choice(&[("one", 1), ("two", 2)]), Str "form" = "one", "Which form.";
            size: usize = read::size, Size "size" = "4k", "How much.";
            limit: usize = read::count(1..=9), Int "limit" = "5", "How many.";
            key: Option<u8> = read::optional("allowed: a digit", |text| text.parse().ok()),
                Str "key" [secret], "A secret.";
            + crate::config::FileOptions::option("A file.");
        }
    }

    options! {
        /// An option whose default is none.
        #[derive(Debug)]
        struct Broken in BROKEN {
            _wait: Duration = read::duration, Time "wait" = "soon", "How long.";
        }
    }

    fn given(pairs: &[(&str, &str)]) -> Result<Given, OpenError> {
        let options = Options::of(pairs);
        let mut parser = Parser::new(&options);
        let given = Given::read(&mut parser)?;
        parser.finish(given)
    }

    #[test]
    fn the_table_has_each_row() {
        let names: Vec<&str> = TABLE.iter().map(|option| option.name).collect();
        assert_eq!(names, ["wait", "names", "form", "size", "limit", "key", "config_file"]);
        let [wait, names, ..] = TABLE else { panic!() };
        assert_eq!(
            (wait.kind, wait.default, wait.help),
            (OptionKind::Time, Some("10s"), "How long.")
        );
        assert!(names.repeats && !wait.repeats);
    }

    #[test]
    fn what_is_not_given_is_the_default_shown() {
        let defaults: Vec<_> =
            TABLE.iter().filter_map(|option| Some((option.name, option.default?))).collect();
        assert_eq!(given(&[]).unwrap(), given(&defaults).unwrap());
        let given =
            given(&[("names", "c"), ("names", "d"), ("form", "TWO"), ("key", "7")]).unwrap();
        assert_eq!(
            (given.names, given.form, given.key),
            (vec!["c".into(), "d".into()], 2, Some(7))
        );
        assert_eq!((given.wait, given.size, given.limit), (Duration::from_secs(10), 4000, 5));
    }

    #[test]
    fn all_that_is_wrong_is_reported_at_once_and_no_secret() {
        let wrong = [("wait", "soon"), ("form", "three"), ("limit", "10"), ("key", "hunter2")];
        let problems = given(&wrong).unwrap_err().0;
        assert_eq!(
            problems,
            [
                "option 'wait': 'soon' is not allowed; allowed: a duration such as 500ms, 10s, 5m",
                "option 'form': 'three' is not allowed; allowed: one, two",
                "option 'limit': '10' is not allowed; allowed: a number from 1 to 9",
                "option 'key': its value is not allowed; allowed: a digit",
            ]
        );
    }

    #[test]
    fn a_default_that_cannot_be_read_stops_the_start() {
        assert_eq!(BROKEN.len(), 1);
        let options = Options::of(&[]);
        let error = Broken::read(&mut Parser::new(&options)).unwrap_err();
        assert_eq!(error.0, ["option 'wait' has a default that cannot be read"]);
    }
}
