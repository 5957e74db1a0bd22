//! Enumerations that list their variants.

/// Declares an enumeration and, in `ALL`, each of its variants, so that what is made of the list (counters,
/// options, pages) cannot miss one.
#[macro_export]
macro_rules! __listed_enum {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$of_variant:meta])* $variant:ident $(= $number:literal)?,)+
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $name {
            $($(#[$of_variant])* $variant $(= $number)?,)+
        }

        impl $name {
            /// All of them, in their order.
            $visibility const ALL: [Self; [$(stringify!($variant)),+].len()] = [$(Self::$variant),+];
        }
    };
}

pub use __listed_enum as listed_enum;
