//! Where `tracing`'s spans and events stand, as spanring wants it: one static description per call site.

use spanring::levels::Verbosity;
use spanring::spans::{SpanLocation, SpanMetadata};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use tracing_core::{Level, Metadata};

/// The descriptions made so far, by the addresses of their metadata. Each lives for ever, as the call site does.
static SITES: LazyLock<Mutex<HashMap<usize, &'static SpanMetadata>>> = LazyLock::new(Mutex::default);

/// Call sites that a thread finds again without a lock, if no other one takes their place.
const REMEMBERED: usize = 128;

type Remembered = Option<(usize, &'static SpanMetadata)>;

thread_local! {
    static HERE: [Cell<Remembered>; REMEMBERED] = const { [const { Cell::new(None) }; REMEMBERED] };
}

/// The description of a call site.
pub(crate) fn site(metadata: &'static Metadata<'static>) -> &'static SpanMetadata {
    // A static: nothing else ever has this address.
    let address = std::ptr::from_ref(metadata).addr();
    HERE.with(|places| {
        let place = &places[address / align_of::<Metadata<'_>>() % REMEMBERED];
        if let Some((_, site)) = place.get().filter(|(known, _)| *known == address) {
            return site;
        }
        let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
        let site = *sites.entry(address).or_insert_with(|| Box::leak(Box::new(described(metadata))));
        place.set(Some((address, site)));
        site
    })
}

fn described(metadata: &'static Metadata<'static>) -> SpanMetadata {
    SpanMetadata {
        name: metadata.name(),
        location: SpanLocation {
            lod: verbosity(*metadata.level()),
            target: metadata.target(),
            module_path: metadata.module_path().unwrap_or_default(),
            file: metadata.file().unwrap_or_default(),
            line: metadata.line().unwrap_or_default(),
        },
    }
}

fn verbosity(level: Level) -> Verbosity {
    match level {
        Level::ERROR | Level::WARN => Verbosity::Min,
        Level::INFO => Verbosity::Med,
        _ => Verbosity::Max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::OnceLock;

    /// The metadata of as many call sites as `tracing` macros made.
    fn metadata() -> [&'static Metadata<'static>; 2] {
        static SPANS: OnceLock<[tracing::Span; 2]> = OnceLock::new();
        let spans = SPANS.get_or_init(|| {
            tracing::subscriber::with_default(tracing_subscriber::registry(), || {
                [tracing::warn_span!(target: "other", "first"), tracing::trace_span!("second")]
            })
        });
        spans.each_ref().map(|span| span.metadata().expect("the registry wants every span"))
    }

    #[test]
    fn a_call_site_has_one_description_on_every_thread() {
        let [first, second] = metadata();
        let there = std::thread::spawn(move || std::ptr::from_ref(site(first)).addr()).join().unwrap();
        assert_eq!(std::ptr::from_ref(site(first)).addr(), there);
        assert!(!std::ptr::eq(site(first), site(second)));
        assert!(std::ptr::eq(site(first), site(first)));
    }

    #[test]
    fn a_description_says_what_the_metadata_does() {
        let [first, second] = metadata().map(site);
        assert_eq!((first.name, first.location.target, first.location.lod), ("first", "other", Verbosity::Min));
        assert_eq!((second.name, second.location.target), ("second", module_path!()));
        assert_eq!((second.location.lod, second.location.file), (Verbosity::Max, file!()));
        assert!(second.location.line > 0);
    }
}
