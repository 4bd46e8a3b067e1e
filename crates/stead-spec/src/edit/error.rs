use super::KeyPath;

/// Why an edit wasn't made. The text is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The text can't be read at all.
    #[error("the file isn't valid TOML: correct it first")]
    NotToml(#[from] toml_edit::TomlError),
    /// Nothing stands at this path.
    #[error("the file has no `{path}`: check the name")]
    NotFound {
        /// What was looked for.
        path: KeyPath,
    },
    /// The path is taken.
    #[error("the file has `{path}` already: take another name, or remove that one first")]
    AlreadyThere {
        /// What is there.
        path: KeyPath,
    },
    /// A value was to be written where there is a table.
    #[error("`{path}` is a table: set a key in it, or remove it first")]
    IsTable {
        /// The table.
        path: KeyPath,
    },
    /// A key was to be written below something that has none.
    #[error("`{path}` isn't a table, so there can be no keys in it: remove it first")]
    NotATable {
        /// What is there instead.
        path: KeyPath,
    },
    /// An element was to be written in something that has none.
    #[error("`{path}` isn't an array in brackets: make it one first, as in `{path} = []`")]
    NotAnArray {
        /// What is there instead.
        path: KeyPath,
    },
    /// A table was to be written below `[[path]]`.
    #[error("`{path}` would be a table inside an element of `[[…]]`: write it by hand")]
    InTableArray {
        /// The table.
        path: KeyPath,
    },
    /// An edit was to be taken back, but the text has changed at its place.
    #[error("the file has changed there since the edit: take it back by hand")]
    Changed,
    /// What came out doesn't say what it should.
    #[error("`{path}` can't be edited in this file without spoiling it: edit by hand, and please report this")]
    Spoiled {
        /// What was to be edited.
        path: KeyPath,
    },
}
