use serde::{Deserialize, Serialize};

/// Something that was looked at: what it is, or why that could not be observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known<T> {
    /// This is what was seen.
    Is(T),
    /// It could not be observed: why, for a person.
    Unknown(String),
}

impl<T> Known<T> {
    /// What was seen, if it was.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// What was seen, or why it wasn't.
    pub fn as_result(&self) -> Result<&T, &str> {
        match self {
            Self::Is(value) => Ok(value),
            Self::Unknown(why) => Err(why),
        }
    }

    /// What is made of what was seen.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Is(value) => Known::Is(make(value)),
            Self::Unknown(why) => Known::Unknown(why),
        }
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Known<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Is(value),
            Err(error) => Self::Unknown(error.to_string()),
        }
    }
}
