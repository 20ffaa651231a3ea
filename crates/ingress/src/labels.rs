//! Enums whose variants are the values of one metric label.

/// Makes an enum whose variants are the values of one metric label, in the order of the metric's
/// counters.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// All their texts, in order.
            pub const TEXTS: &'static [&'static str] = &[$($text,)+];

            /// For labels and logs.
            pub fn as_str(self) -> &'static str {
                Self::TEXTS[self as usize]
            }
        }
    };
}

pub(crate) use labels;
