//! Static names, each kept once and numbered.

use std::collections::HashMap;
use std::sync::Arc;

/// The static names seen so far. There are as many as the recorded program has.
#[derive(Debug, Default)]
pub(crate) struct Names {
    all: Vec<Arc<str>>,
    /// Our number by the reader's, who may have several for equal texts.
    by_index: Vec<Option<u32>>,
    by_text: HashMap<Arc<str>, u32>,
}

impl Names {
    /// The number of a name, a new one if it was not seen before. `index` is the reader's number for it.
    #[inline(always)]
    pub(crate) fn intern(&mut self, index: u32, text: &str) -> u32 {
        match self.by_index.get(index as usize) {
            Some(&Some(number)) => number,
            _ => self.add(index, text),
        }
    }

    #[cold]
    fn add(&mut self, index: u32, text: &str) -> u32 {
        let number = self.by_text.get(text).copied().unwrap_or_else(|| {
            let number = self.all.len() as u32;
            let text: Arc<str> = text.into();
            self.all.push(text.clone());
            self.by_text.insert(text, number);
            number
        });
        let index = index as usize;
        if self.by_index.len() <= index {
            self.by_index.resize(index + 1, None);
        }
        self.by_index[index] = Some(number);
        number
    }

    /// The same, to keep.
    pub(crate) fn shared(&self, number: u32) -> Arc<str> {
        self.all.get(number as usize).cloned().unwrap_or_default()
    }

    /// The name with that number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> &str {
        self.all.get(number as usize).map_or("", |name| name)
    }
}
