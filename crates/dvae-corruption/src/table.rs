//! The macro that expands the table of processes.

/// Generates everything that uses processes by name from one table: the enum [`CorruptionConfig`] with its
/// serialized form and schema, the construction of each process, its parameters' names, and the re-exports.
///
/// `processes(domain, context)` names the domain of the data that they are built for, and the whole `CorruptionContext`.
/// A row is `Variant(level) { parameter: Type } from file => how it is built;`. The variant has a field
/// `level` and the parameters, each with its own documentation and serde attributes; `from file` re-exports
/// the type with the variant's name from the module `file`. Processes of tables and texts have the same form, and those of counts, without
/// parameters. A combination has it without a level.
/// The expression can use `domain`, and references to `level` and the parameters.
///
/// [`CorruptionConfig`]: crate::CorruptionConfig
macro_rules! processes {
    (
        $(#[$config:meta])*
        processes($domain:ident, $context:ident) { $(
            $(#[$meta:meta])*
            $process:ident($level:ident)
            $({ $( $(#[$field_meta:meta])* $field:ident: $type:ty ),+ $(,)? })?
            $(from $file:ident)? => $build:expr;
        )* }
        tables { $(
            $(#[$table_meta:meta])*
            $table:ident($table_level:ident)
            $({ $( $(#[$option_meta:meta])* $option:ident: $option_type:ty ),+ $(,)? })?
            from $table_file:ident => $table_build:expr;
        )* }
        texts { $(
            $(#[$text_meta:meta])*
            $text:ident($text_level:ident)
            $({ $( $(#[$kind_meta:meta])* $kind:ident: $kind_type:ty ),+ $(,)? })?
            from $text_file:ident => $text_build:expr;
        )* }
        counts { $(
            $(#[$count_meta:meta])*
            $count:ident($count_level:ident) from $count_file:ident => $count_build:expr;
        )* }
        combinations { $(
            $(#[$combination_meta:meta])*
            $combination:ident { $( $(#[$part_meta:meta])* $part:ident: $part_type:ty ),+ $(,)? }
            from $combination_file:ident => $combine:expr;
        )* }
    ) => {
        $($( pub use crate::$file::$process; )?)*
        $( pub use crate::$table_file::$table; )*
        $( pub use crate::$text_file::$text; )*
        $( pub use crate::$count_file::$count; )*
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
                $(#[$table_meta])*
                $table {
                    /// The strength.
                    #[serde(default)]
                    level: Level,
                    $($( $(#[$option_meta])* $option: $option_type, )+)?
                },
            )*
            $(
                $(#[$text_meta])*
                $text {
                    /// The strength.
                    #[serde(default)]
                    level: Level,
                    $($( $(#[$kind_meta])* $kind: $kind_type, )+)?
                },
            )*
            $(
                $(#[$count_meta])*
                $count {
                    /// The strength.
                    #[serde(default)]
                    level: Level,
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
                $context: &CorruptionContext,
            ) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
                let $domain = $context.domain;
                match self {
                    Self::None {} => any_rank(Ok(Clean)),
                    $( Self::$process { level: $level, $($($field),+)? } => $build, )*
                    $( Self::$table { level: $table_level, $($($option),+)? } => $table_build, )*
                    $( Self::$text { level: $text_level, $($($kind),+)? } => $text_build, )*
                    $( Self::$count { level: $count_level } => $count_build, )*
                    $( Self::$combination { $($part),+ } => $combine, )*
                }
            }

            /// The names of the parameters besides the level.
            pub(crate) fn parameters(&self) -> &'static [&'static str] {
                match self {
                    Self::None {} => &[],
                    $( Self::$process { .. } => &[$($(stringify!($field)),+)?], )*
                    $( Self::$table { .. } => &[$($(stringify!($option)),+)?], )*
                    $( Self::$text { .. } => &[$($(stringify!($kind)),+)?], )*
                    $( Self::$count { .. } => &[], )*
                    $( Self::$combination { .. } => &[$(stringify!($part)),+], )*
                }
            }

            /// The names of all processes of single rows: not of `none`, of those of tables, texts or counts, and of combinations.
            pub(crate) fn standing_alone() -> &'static [&'static str] {
                let alone = [$(stringify!($process)),*].len();
                // The variants after `none`.
                &Self::VARIANTS[1..=alone]
            }

            /// The names of all processes of tables.
            pub(crate) fn of_tables() -> &'static [&'static str] {
                let tables = [$(stringify!($table)),*].len();
                let start = 1 + Self::standing_alone().len();
                &Self::VARIANTS[start..start + tables]
            }

            /// The names of all processes of texts.
            pub(crate) fn of_texts() -> &'static [&'static str] {
                let texts = [$(stringify!($text)),*].len();
                let start = 1 + Self::standing_alone().len() + Self::of_tables().len();
                &Self::VARIANTS[start..start + texts]
            }

            /// The names of all processes of counts.
            pub(crate) fn of_counts() -> &'static [&'static str] {
                let counts = [$(stringify!($count)),*].len();
                let before = [Self::standing_alone(), Self::of_tables(), Self::of_texts()];
                let start = 1 + before.map(<[_]>::len).iter().sum::<usize>();
                &Self::VARIANTS[start..start + counts]
            }

            /// The names of all combinations, with the names of their parameters.
            pub(crate) fn combinations() -> impl Iterator<Item = (&'static str, String)> {
                let parts = [$([$(stringify!($part)),+].join(" ")),*];
                let alone = [
                    Self::standing_alone(),
                    Self::of_tables(),
                    Self::of_texts(),
                    Self::of_counts(),
                ];
                let names = &Self::VARIANTS[1 + alone.map(<[_]>::len).iter().sum::<usize>()..];
                names.iter().copied().zip(parts)
            }
        }
    };
}

pub(crate) use processes;
