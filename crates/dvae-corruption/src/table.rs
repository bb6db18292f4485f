//! The macro that reads the table of processes.

/// Makes everything that goes by name from one table of processes: the enum [`CorruptionConfig`] with its
/// serialized form and schema, the building of each process, its parameters' names, and the re-exports.
///
/// A row is `Variant(level) { parameter: Type } from file => how it is built;`. The variant has a field `level`
/// and the parameters, each with its own documentation and serde attributes; `from file` re-exports the type of
/// the variant's name from the module `file`. A combination is the same without a level. The expression sees
/// references to `level` and the parameters.
///
/// [`CorruptionConfig`]: crate::CorruptionConfig
macro_rules! processes {
    (
        $(#[$config:meta])*
        processes { $(
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
                    /// How strong it is.
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
            fn built<const D: usize>(&self) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
                match self {
                    Self::None {} => any_rank(Ok(Clean)),
                    $( Self::$process { level: $level, $($($field),+)? } => $build, )*
                    $( Self::$combination { $($part),+ } => $combine, )*
                }
            }

            /// The names of its parameters besides the level.
            pub(crate) fn parameters(&self) -> &'static [&'static str] {
                match self {
                    Self::None {} => &[],
                    $( Self::$process { .. } => &[$($(stringify!($field)),+)?], )*
                    $( Self::$combination { .. } => &[$(stringify!($part)),+], )*
                }
            }

            /// The parameter of this name besides the level, if it has this type.
            pub(crate) fn parameter_mut<T: 'static>(&mut self, name: &str) -> Option<&mut T> {
                let parameters: Vec<(&str, &mut dyn Any)> = match self {
                    $( Self::$process { level: _, $($($field),+)? } => {
                        vec![$($((stringify!($field), $field)),+)?]
                    } )*
                    _ => vec![],
                };
                let (_, value) = parameters.into_iter().find(|(known, _)| *known == name)?;
                value.downcast_mut()
            }

            /// The names of all processes that stand alone.
            pub(crate) fn standing_alone() -> &'static [&'static str] {
                let alone = [$(stringify!($process)),*].len();
                // After `none`, before the combinations.
                &Self::VARIANTS[1..=alone]
            }

            /// The names of all combinations, and of their parameters.
            pub(crate) fn combinations() -> impl Iterator<Item = (&'static str, String)> {
                let parts = [$([$(stringify!($part)),+].join(" ")),*];
                let names = &Self::VARIANTS[1 + Self::standing_alone().len()..];
                names.iter().copied().zip(parts)
            }
        }
    };
}

pub(crate) use processes;
