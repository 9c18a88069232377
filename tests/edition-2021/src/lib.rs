//! A library of edition 2021 that allows no warning: what `#[span_fn]` adds must not cause one.

#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, rust_2018_idioms)]
#![deny(clippy::pedantic)]

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;

use spanring::span_fn;

/// Where names are kept.
#[derive(Debug, Default)]
pub struct Registry {
    names: Vec<String>,
}

impl Registry {
    /// Adds a name.
    #[span_fn]
    pub async fn add(&mut self, name: impl Into<String>, _unused: u32) {
        self.names.push(name.into());
    }

    /// The first name that `choose` takes.
    #[span_fn("find a name")]
    pub async fn find<'a, F>(&'a self, choose: F, (from, to): (usize, usize)) -> Option<&'a str>
    where
        F: Fn(&str) -> bool + 'a,
    {
        let names = self.names.get(from..to)?;
        names.iter().map(String::as_str).find(|name| choose(name))
    }

    /// The registry without its names.
    #[must_use]
    #[span_fn]
    pub async fn emptied(mut self) -> Self {
        self.names = Vec::new();
        self
    }

    /// How many names there are.
    #[must_use]
    #[span_fn]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no name.
    #[must_use]
    #[span_fn]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// A file's length.
///
/// # Errors
///
/// If the file cannot be read.
#[span_fn]
pub async fn length(path: &Path) -> io::Result<usize> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.len())
}

/// Something to show, later.
#[span_fn]
pub async fn shown(number: u32) -> impl Display {
    std::future::ready(number).await
}

/// A future of a future.
#[span_fn]
pub async fn later(number: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(std::future::ready(number))
}

/// One of two futures, boxed.
#[must_use]
#[span_fn]
pub fn either(first: Option<u32>) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    match first {
        Some(first) => Box::pin(std::future::ready(first)),
        None => Box::pin(async { later(2).await.await }),
    }
}

/// Asks for ever.
#[span_fn]
pub async fn serve(registry: &mut Registry) -> ! {
    loop {
        registry.add("request", 0).await;
    }
}
