//! The way from the top of a plan to one of its values: `steps[3].swap.router`.

use std::fmt;

/// One turn of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Into the value of a key.
    Key(String),
    /// Into an item of a list, from 0.
    Item(usize),
}

/// The way from the top of a plan to one of its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path(Vec<Turn>);

impl Path {
    /// The way to `key` at the top.
    pub fn of(key: &str) -> Self {
        Self::default().key(key)
    }

    /// One turn further, into the value of a key.
    #[must_use]
    pub fn key(&self, key: impl fmt::Display) -> Self {
        self.and(Turn::Key(key.to_string()))
    }

    /// One turn further, into an item of a list.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.and(Turn::Item(index))
    }

    /// This way, then `rest`.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// The turns, from the top.
    pub fn turns(&self) -> &[Turn] {
        &self.0
    }

    /// The last key on the way.
    pub fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|turn| match turn {
            Turn::Key(key) => Some(key.as_str()),
            Turn::Item(_) => None,
        })
    }

    /// Errors are told from the inside out, so ways grow at the front.
    pub(crate) fn put_before(&mut self, turn: Turn) {
        self.0.insert(0, turn);
    }

    fn and(&self, turn: Turn) -> Self {
        Self(self.0.iter().cloned().chain([turn]).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, turn) in self.0.iter().enumerate() {
            match turn {
                Turn::Key(key) if at == 0 => f.write_str(key)?,
                Turn::Key(key) => write!(f, ".{key}")?,
                Turn::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
