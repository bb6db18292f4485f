//! The macro that expands the table of processes.

/// Generates everything that uses processes by name from one table: the enum [`CorruptionConfig`] with its
/// serialized form and schema, the construction of each process, its parameters' names, and the re-exports.
///
/// `processes(domain)` names the domain of the data that they are built for.
/// A row is `Variant(level) { parameter: Type } from file => how it is built;`. The variant has a field
/// `level` and the parameters, each with its own documentation and serde attributes; `from file` re-exports
/// the type with the variant's name from the module `file`. A combination has the same form without a level.
/// The expression can use `domain`, and references to `level` and the parameters.
///
/// [`CorruptionConfig`]: crate::CorruptionConfig
macro_rules! processes {
    (
        $(#[$config:meta])*
        processes($domain:ident) { $(
            $(#[$meta:meta])*
            $process:ident($level:ident)
            $({ $( $(#[$field_meta:meta])* $field:ident: $type:ty ),+ $(,)? })?
            $(from $file:ident)? => $build:expr;
        )* }
        combinations { $(
            $(#[$combination_meta:meta])*
            $combination:ident { $( $(#[$part_meta:meta])* $part:ident: $part_type:ty ),+ $(,)? }
            from $combination_file:ident => $combine:expr;
        )* }
    ) => {
        $($( pub use crate::$file::$process; )?)*
        $( pub use crate::$combination_file::$combination; )*

        $(#[$config])*
        pub enum CorruptionConfig {
            /// [`Clean`].
            None {},
            $(
                $(#[$meta])*
                $process {
                    /// The strength.
                    #[serde(default)]
                    level: Level,
                    $($( $(#[$field_meta])* $field: $type, )+)?
                },
            )*
            $(
                $(#[$combination_meta])*
                $combination { $( $(#[$part_meta])* $part: $part_type, )+ },
            )*
        }

        impl CorruptionConfig {
            fn built<const D: usize>(
                &self,
                $domain: Domain,
            ) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
                match self {
                    Self::None {} => any_rank(Ok(Clean)),
                    $( Self::$process { level: $level, $($($field),+)? } => $build, )*
                    $( Self::$combination { $($part),+ } => $combine, )*
                }
            }

            /// The names of the parameters besides the level.
            pub(crate) fn parameters(&self) -> &'static [&'static str] {
                match self {
                    Self::None {} => &[],
                    $( Self::$process { .. } => &[$($(stringify!($field)),+)?], )*
                    $( Self::$combination { .. } => &[$(stringify!($part)),+], )*
                }
            }

            /// The names of all processes except `none` and combinations.
            pub(crate) fn standing_alone() -> &'static [&'static str] {
                let alone = [$(stringify!($process)),*].len();
                // The variants after `none` and before the combinations.
                &Self::VARIANTS[1..=alone]
            }

            /// The names of all combinations, with the names of their parameters.
            pub(crate) fn combinations() -> impl Iterator<Item = (&'static str, String)> {
                let parts = [$([$(stringify!($part)),+].join(" ")),*];
                let names = &Self::VARIANTS[1 + Self::standing_alone().len()..];
                names.iter().copied().zip(parts)
            }
        }
    };
}

pub(crate) use processes;
