//! Whole numbers of a range, as types.

/// Declares a whole number that the file may say, from its least to its most.
macro_rules! number {
    ($(#[$meta:meta])+ $name:ident($inner:ty): $what:literal, $least:literal..=$most:literal) => {
        $(#[$meta])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// The number, if it is in its range.
            pub fn new(number: i64) -> Result<Self, $crate::units::Invalid> {
                let inner = <$inner>::try_from(number).ok().filter(|_| ($least..=$most).contains(&number));
                inner.map(Self).ok_or_else(|| {
                    let bound = if number < $least { concat!("less than ", $least) } else { concat!("more than ", $most) };
                    let remedy = concat!("write a whole number from ", $least, " to ", $most);
                    $crate::units::Invalid::new(format!("{number} is {bound}"), remedy)
                })
            }

            /// The number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        $crate::read::whole! { $name: $what, $least, $most; }
    };
}
pub(crate) use number;
